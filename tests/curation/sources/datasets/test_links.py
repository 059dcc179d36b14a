"""Datasets of addresses, and the downloader, against a server on loopback."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from curation.dataset import open_dataset
from curation.errors import MediaError
from curation.run import curate
from curation.sources import DatasetSource, download, list_items
from curation.sources.datasets import DownloadConfig
from curation.sources.download import Downloader, opted_out

from ...whole_run import request, silent
from .layouts import Layout

ROBOTS = b"User-agent: *\nDisallow: /private/\n"
LOCAL = DownloadConfig(allow_private=True, seconds_between=0, max_mb=1)


class Site:
    """What a server answers: by path a status, headers and a body; `asked` counts the requests."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {"/robots.txt": (200, {}, ROBOTS)}
        self.asked: Counter[str] = Counter()
        self.fails: Counter[str] = Counter()  # so often a path answers 503 first
        self.url = ""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server whose pages the test sets; waiting between attempts is left out."""
    monkeypatch.setattr(download, "WAIT_SECONDS", 0.0)
    told = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked[self.path] += 1
            failing = told.asked[self.path] <= told.fails[self.path]
            status, headers, body = (503, {}, b"") if failing else told.pages.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        told.url = f"http://127.0.0.1:{server.server_port}"
        yield told
        server.shutdown()
        thread.join()


def slug(site: Site, path: str, target: Path, config: DownloadConfig = LOCAL, **more: Any) -> str:
    """Why a path is not downloaded."""
    with pytest.raises(MediaError) as raised:
        Downloader(config).fetch(site.url + path, target, **more)
    return raised.value.slug


def test_what_comes_is_hashed_and_tried_again(site: Site, tmp_path: Path) -> None:
    """A server that is busy is asked again, up to the limit, and bytes of another hash are refused."""
    site.pages["/a"] = (200, {}, b"bytes")
    site.fails["/a"] = 2
    found = Downloader(LOCAL).fetch(f"{site.url}/a", tmp_path / "a")
    assert found.sha256 == hashlib.sha256(b"bytes").hexdigest()
    assert (site.asked["/a"], site.asked["/robots.txt"]) == (3, 1)
    assert slug(site, "/a", tmp_path / "b", sha256="0" * 64) == "changed"
    site.fails["/a"] = 99
    assert slug(site, "/a", tmp_path / "b") == "unreachable"
    assert slug(site, "/none", tmp_path / "b") == "missing"


def test_limits_of_size_hold_announced_or_not(site: Site, tmp_path: Path) -> None:
    """A body beyond the limit is dropped by its header or while it comes; one cut short is tried again."""
    site.pages["/large"] = (200, {}, b"0" * 1_000_001)
    site.pages["/quiet"] = (200, {"Content-Length": ""}, b"0" * 1_000_001)
    site.pages["/short"] = (200, {"Content-Length": "10"}, b"0")
    assert slug(site, "/large", tmp_path / "x") == "too_large"
    assert slug(site, "/quiet", tmp_path / "x") == "too_large"
    assert slug(site, "/short", tmp_path / "x") == "unreachable"
    assert site.asked["/short"] == LOCAL.attempts


@pytest.mark.parametrize(
    ("headers", "out"),
    [
        ({"x-robots-tag": "noai"}, True),
        ({"x-robots-tag": "nofollow, NoImageAI"}, True),
        ({"x-robots-tag": "omnivideo: noai"}, True),
        ({"x-robots-tag": "otherbot: noai, noindex"}, False),
        ({"x-robots-tag": "nofollow"}, False),
        ({"tdm-reservation": "1"}, True),
        ({}, False),
    ],
)
def test_opt_outs_are_read(headers: dict[str, str], out: bool) -> None:
    """Opt-outs for all, or for us by name, count; those for others do not."""
    assert opted_out(headers, "omnivideo/0.1 (test)") is out


def test_opt_outs_and_robots_are_heeded(site: Site, tmp_path: Path) -> None:
    """Neither what a server's header nor what its robots.txt keeps back is written, redirects included."""
    site.pages["/a"] = (200, {"X-Robots-Tag": "noai"}, b"bytes")
    site.pages["/private/a"] = (200, {}, b"bytes")
    site.pages["/there"] = (302, {"Location": "/private/a"}, b"")
    for path in ("/a", "/private/a", "/there"):
        assert slug(site, path, tmp_path / "x") == "opted_out"
    assert site.asked["/private/a"] == 0
    assert not (tmp_path / "x").exists()


def test_private_addresses_are_not_asked(site: Site, tmp_path: Path) -> None:
    """An address of this machine or its network is refused, whatever its form; so are other schemes."""
    public = DownloadConfig(seconds_between=0)
    assert slug(site, "/a", tmp_path / "x", public) == "refused"
    assert not site.asked
    hosts = (
        "localhost",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
    )
    for url in (*(f"http://{host}/a" for host in hosts), "file:///etc/passwd", "http://u:p@127.0.0.1/"):
        with pytest.raises(MediaError, match="refused"):
            Downloader(public).fetch(url, tmp_path / "x")
    site.pages["/loop"] = (301, {"Location": "/loop"}, b"")
    site.pages["/out"] = (301, {"Location": "ftp://127.0.0.1/a"}, b"")
    assert slug(site, "/loop", tmp_path / "x") == "refused"
    assert slug(site, "/out", tmp_path / "x") == "refused"


def test_a_table_of_addresses_is_downloaded_once_and_curated(
    site: Site, layout: Layout, tmp_path: Path, ray_session: None
) -> None:
    """Pictures of a table are asked for once, also by a second run, and keep their caption and licence."""
    for number, picture in enumerate(layout.pictures):
        site.pages[f"/{number}.png"] = (200, {}, picture.read_bytes())
    site.pages["/no.png"] = (200, {"X-Robots-Tag": "noai"}, b"bytes")
    names = ["0.png", "1.png", "no.png", "none.png"]
    columns = {"URL": [f"{site.url}/{name}" for name in names] + [None], "TEXT": [*"abcd", "e"]}
    licences = ["CC-BY-4.0", "?", None, None, None]
    layout.table("part-00000.parquet", {**columns, "LICENSE": licences, "SAMPLE_ID": [1, 2, 3, 4, 5]})
    source = {
        "dataset": "laion_5b",
        "root": str(layout.root),
        "download": LOCAL.model_dump(exclude_defaults=True),
    }
    asked = request(tmp_path, tmp_path / "out", sources=[source], filters=["resolution"])
    first = curate(asked, silent)
    assert (first["funnel"]["inputs"], first["funnel"]["kept"], first["funnel"]["error"]) == (5, 2, 3)
    rows = list(open_dataset(str(tmp_path / "out")).iter_rows(None))
    assert {row["reason"] for row in rows} == {None, "opted_out", "missing", "bad_record"}
    kept = {row["caption_original"]: row for row in rows if row["verdict"] == "kept"}
    assert kept["a"]["licence"] == "CC-BY-4.0"
    assert kept["b"]["licence"].startswith("CC-BY-4.0; images")
    assert (kept["a"]["task"], kept["a"]["source"]) == ("text_to_image", "laion_5b")
    again = curate(asked, silent)
    assert not again["published"]
    assert site.asked["/0.png"] == site.asked["/1.png"] == 1


def test_coyo_and_hd_vila_list_addresses(layout: Layout) -> None:
    """COYO's columns are lower case; of HD-VILA, what is there is taken, and YouTube is not asked."""
    layout.table("data/part-00000.parquet", {"id": [1], "url": ["https://x.org/a.jpg"], "text": ["a"]})
    (item,) = list_items([DatasetSource(dataset="coyo_700m", root=str(layout.root))])
    assert (item.uri, item.caption, item.problem) == ("https://x.org/a.jpg", "a", None)
    layout.put("download_videos/aaa.mp4", layout.clips[0])
    watch = "https://www.youtube.com/watch?v="
    clip = [{"clip_id": "aaa.0.mp4", "span": ["00:00:01.000", "00:00:09.000"]}]
    lines = [{"video_id": name, "url": watch + name, "clip": clip} for name in ("aaa", "bbb")]
    layout.lines("hdvila_part0.jsonl", [*lines, {"video_id": "c", "url": "https://x.org/c.mp4"}, "{"])
    items = list_items([DatasetSource(dataset="hd_vila", root=str(layout.root))])
    assert [one.problem for one in items] == [None, "not_downloaded", None, "bad_record"]
    assert items[0].uri.endswith("download_videos/aaa.mp4")
