"""Storage by URL, against a real S3 API on loopback: odd keys, refusals, outages, a whole run."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter, ValidationError
from s3fs import S3FileSystem

from curation.audit import build_audit
from curation.config import CurateRequest
from curation.dataset import open_dataset
from curation.errors import InputError, MediaError
from curation.run import curate
from curation.sources import Source, from_string, list_items
from curation.steps import fetch
from curation.steps.fetch import fetched
from curation.store.publish import check_output
from curation.stores import delta_options

from ..whole_run import silent
from .conftest import BUCKET
from .test_webdataset import shard

source = TypeAdapter(Source).validate_python
KEYS = ("a b.png", "100%.png", "p%20q.png", "h#1.png", "q?x=1.png", "\u00fcn\u00ef/\u6587.png", "s[1].png")
KEYS += ("up/../x.png", "x//y.png", "::c.png", "a::file:///etc/passwd", "*.png", "plus+.png")


def content(uri: str) -> bytes:
    """The bytes that an input has."""
    with fetched(uri) as file:
        return file.path.read_bytes()


def test_every_key_is_listed_and_read_as_itself(s3: Any) -> None:
    """Spaces, signs of URLs and globs, dots and colons in a key mean nothing but themselves."""
    for key in KEYS:
        s3.put_object(Bucket=BUCKET, Key=f"in/{key}", Body=key.encode())
    s3.put_object(Bucket=BUCKET, Key="in/folder/", Body=b"")
    items = list_items([source({"folder": f"s3://{BUCKET}/in"})])
    assert {item.uri for item in items} == {f"s3://{BUCKET}/in/{key}" for key in KEYS}
    assert {content(item.uri) for item in items} == {key.encode() for key in KEYS}
    assert content(list_items([source({"file": f"s3://{BUCKET}/in/h#1.png"})])[0].uri) == b"h#1.png"


def test_manifests_and_shards_are_read_from_a_bucket(s3: Any, tmp_path: Path, pictures: list[Path]) -> None:
    """Each kind of source lists and reads the same from s3 as from a disk."""
    data = [path.read_bytes() for path in pictures]
    shard(tmp_path / "s-0.tar", [("1.png", data[0]), ("1.txt", b"coins"), ("2.jpg", data[1])])
    pq.write_table(pa.table({"image": data, "text": ["a", "b", "c"]}), tmp_path / "p.parquet")
    (tmp_path / "m.csv").write_text("path,caption\npics/x y.png,one\n../out.png,two\npics/gone.png,three\n")
    for name in ("s-0.tar", "p.parquet", "m.csv"):
        s3.upload_file(str(tmp_path / name), BUCKET, name)
    s3.put_object(Bucket=BUCKET, Key="pics/x y.png", Body=data[2])
    root = f"s3://{BUCKET}"
    tar, rows, manifest = (
        list_items([from_string(f"{root}/{name}")]) for name in ("s-{0..0}.tar", "p.parquet", "m.csv")
    )
    assert [(item.caption, content(item.uri)) for item in tar] == [("coins", data[0]), (None, data[1])]
    assert [content(item.uri) for item in rows] == data
    refused, gone, good = manifest
    assert (refused.problem, good.caption, content(good.uri)) == ("outside_root", "one", data[2])
    with pytest.raises(MediaError, match="there is nothing at"):
        content(gone.uri)


@pytest.mark.parametrize(
    ("config", "what", "next_step"),
    [
        ({"folder": "s3://nobucket"}, "bucket does not exist", "check the bucket's name"),
        ({"webdataset": "s3://nobucket/{0..2}.tar"}, "bucket does not exist", "check the bucket's name"),
        ({"file": "s3://locked/x.png"}, "PermissionError", "give the credentials"),
        ({"manifest": "s3://locked/x.csv"}, "PermissionError", "give the credentials"),
        ({"parquet": "s3://locked/x.parquet"}, "PermissionError", "give the credentials"),
    ],
)
def test_refusals_name_the_bucket_and_what_to_do(
    s3: Any, config: dict[str, str], what: str, next_step: str
) -> None:
    """A bucket that is missing or denied is one line, and no bucket is made on the way."""
    s3.create_bucket(Bucket="locked")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::locked/*"]}
    policy = {"Version": "2012-10-17", "Statement": [deny]}
    s3.put_object(Bucket="locked", Key="x.png", Body=b"x")
    s3.put_bucket_policy(Bucket="locked", Policy=json.dumps(policy))
    with pytest.raises(InputError, match=what) as caught:
        list_items([source(config)])
    assert next_step in caught.value.next_step
    with pytest.raises(MediaError, match="PermissionError"):
        content("s3://locked/x.png")
    with pytest.raises(InputError, match="bucket does not exist"):
        check_output("s3://nobucket/dataset")
    assert {one["Name"] for one in s3.list_buckets()["Buckets"]} == {BUCKET, "locked"}


def test_store_that_is_down_is_asked_once_by_all(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage is one clear message where files are listed, and an error of each file without waiting."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", dead)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(fetch, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(fetch, "_down_until", {})
    with pytest.raises(InputError, match="cannot be listed: EndpointConnectionError") as caught:
        list_items([source({"folder": f"s3://{BUCKET}/other"})])
    assert "check the network" in caught.value.next_step
    for says in ("EndpointConnectionError", "did not answer a moment ago"):
        with pytest.raises(MediaError, match=says) as failed:
            content(f"s3://{BUCKET}/x.png")
        assert failed.value.slug == "unreachable"


class _Short(BaseHTTPRequestHandler):
    """Announces 1,000 bytes and sends 400: of /cut it ends there, of /less it calls that all."""

    def do_HEAD(self) -> None:
        """Announce."""
        self._head(1000)

    def do_GET(self) -> None:
        """Send less."""
        self._head(1000 if self.path == "/cut" else 400)
        self.wfile.write(b"x" * 400)

    def _head(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def short() -> Iterator[str]:
    """The URL of a server that breaks off."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Short)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("path", "slug"), [("cut", "unreachable"), ("less", "incomplete")])
def test_short_download_is_never_a_whole_file(
    short: str, path: str, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer bytes than announced are an error after some attempts, not a shorter file."""
    monkeypatch.setattr(fetch, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(fetch, "_down_until", {})
    with pytest.raises(MediaError) as caught:
        content(f"{short}/{path}")
    assert caught.value.slug == slug


def test_run_from_bucket_to_bucket(here: None, s3: Any, tmp_path: Path, pictures: list[Path]) -> None:
    """Sources and dataset on s3: published, reused, audited; captions and licences come along."""
    shard(tmp_path / "s.tar", [("1.png", pictures[0].read_bytes()), ("1.txt", b"old coins")])
    s3.upload_file(str(tmp_path / "s.tar"), BUCKET, "s.tar")
    s3.upload_file(str(pictures[1]), BUCKET, "in/ro cket#1.jpg")
    s3.put_object(Bucket=BUCKET, Key="in/notes.mp4", Body=b"no media")
    table = b"path,caption,license\nro cket#1.jpg,a rocket,CC0\nro cket#1.jpg,again,\nnotes.mp4,,\n,,x\n"
    s3.put_object(Bucket=BUCKET, Key="in/m.csv", Body=table)
    root, out = f"s3://{BUCKET}", f"s3://{BUCKET}/out/data set"
    sources = [{"manifest": f"{root}/in/m.csv"}, {"webdataset": f"{root}/s.tar", "licence": "MIT"}]
    plain = {"sources": sources, "out": out, "caption": {"keep_original": True}}
    ask = CurateRequest.model_validate(plain)
    funnel = curate(ask, silent)["funnel"]
    assert funnel == {"inputs": 5, "clips": 5, "kept": 2, "duplicate": 1, "error": 2, "rejected": {}}
    again = curate(ask, silent)
    assert (again["version"], again["reused"], again["funnel"]) == (0, 5, funnel)
    dataset = open_dataset(out)
    kept = dataset.table(
        ["caption", "caption_original", "licence", "captioner"], "verdict = 'kept'"
    ).to_pylist()
    told = {(row["caption"], row["caption_original"], row["licence"], row["captioner"]) for row in kept}
    assert told == {
        ("old coins", "old coins", "MIT", "original"),
        ("a rocket", "a rocket", "CC0", "original"),
    }
    (twice,) = dataset.table(["caption_original", "detail"], "verdict = 'duplicate'").to_pylist()
    assert twice == {"caption_original": "again", "detail": f"same bytes as {root}/in/ro cket#1.jpg"}
    (line,) = dataset.table(["detail"], "reason = 'bad_record'").to_pylist()
    assert line["detail"] == "line 5: nothing in 'path'"
    build_audit(out, str(tmp_path / "audit"))
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET, Prefix="out/")["Contents"]]
    assert not [key for key in keys if "_staging" in key]


def test_no_secret_stands_in_a_recipe() -> None:
    """A URL with a password is refused; Delta's client is told the endpoint and the region, never a key."""
    with pytest.raises(ValidationError, match="no passwords in a URL"):
        source({"folder": "https://me:secret@example.org/x"})
    told = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": "r",
        "AWS_SECRET_ACCESS_KEY": "s",
    }
    options = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "r"}
    assert delta_options("s3://x", told) == options
    assert delta_options("/x", told) is None


def test_sources_load_without_heavy_imports() -> None:
    """Reading a recipe loads no Parquet reader and no store's client."""
    heavy = "'pyarrow', 'fsspec', 's3fs', 'botocore', 'av'"
    code = f"import sys, curation.sources; sys.exit(bool({{{heavy}}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"fodler": "x"}, "'fodler': did you mean 'folder'"),
        ({"manifset": "x"}, "manifest: PATH, webdataset: PATH, parquet: PATH, dataset: PATH, sample: true"),
        ("x", "a source has one of"),
    ],
)
def test_source_of_no_kind_names_the_kinds(config: Any, says: str) -> None:
    """A misspelt key is told with its near match and with all that there are."""
    with pytest.raises(ValidationError, match=says):
        source(config)
