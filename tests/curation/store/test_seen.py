"""What a dataset remembers of its inputs' bytes, so that nobody reads them again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from curation.dataset import open_dataset
from curation.run import curate
from curation.sources import Item
from curation.steps import fetch
from curation.store.seen import SEEN, Seen

from ..whole_run import request, silent

LONG_AGO = 1_600_000_000


@pytest.fixture
def old_media(media: Path) -> Path:
    """Files that did not change just now."""
    for path in media.iterdir():
        os.utime(path, (LONG_AGO, LONG_AGO))
    return media


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes are hashed."""
    names: list[str] = []
    hashed = fetch._hash_local
    monkeypatch.setattr(fetch, "_hash_local", lambda uri: (names.append(Path(uri).name), hashed(uri))[1])
    return names


def test_files_that_stay_are_not_read_again(
    here: None, old_media: Path, tmp_path: Path, images: Path, read: list[str]
) -> None:
    """A second run reads only what is new, or has changed in place; the version is as if it had read all."""
    out = tmp_path / "dataset"
    first = curate(request(old_media, out), silent)
    read.clear()
    again = curate(request(old_media, out), silent)
    assert (again["funnel"], again["published"], read) == (first["funnel"], False, [])
    (old_media / "coins.png").write_bytes((images / "camera.png").read_bytes())
    shutil.copy(images / "chelsea.png", old_media / "new.png")
    curate(request(old_media, out), silent)
    assert set(read) == {"coins.png", "new.png"}
    names = open_dataset(str(out)).table(["uri"], "verdict = 'kept'")["uri"].to_pylist()
    assert {"coins.png", "new.png"} <= {Path(name).name for name in names}


def test_who_asks_for_it_has_all_read_again(
    here: None, old_media: Path, tmp_path: Path, read: list[str]
) -> None:
    """A source with `rehash`, like a fresh run, trusts neither size nor time."""
    out = tmp_path / "dataset"
    source: dict[str, Any] = {"sources": [{"folder": str(old_media), "rehash": True}]}
    curate(request(old_media, out, **source), silent)
    everything = sorted(set(read))
    read.clear()
    curate(request(old_media, out, **source), silent)
    assert sorted(set(read)) == everything


def test_only_the_same_stamp_counts(tmp_path: Path) -> None:
    """A file of another size, time or ETag is not known, nor one that changed just now; others stay."""
    import time

    now = time.time_ns()
    items = [
        Item("/a", "s", None, 5, stamp=f"{LONG_AGO}:7"),
        Item("/b", "s", None, 5, stamp=f"{now}:8"),
        Item("s3://x/c", "s", None, 5, stamp="abc"),
        Item("/d", "s", None, 5),
    ]
    Seen(str(tmp_path)).keep(items, {item.uri: f"hash of {item.uri}" for item in items})
    assert Seen(str(tmp_path)).recall(items) == {"/a": "hash of /a", "s3://x/c": "hash of s3://x/c"}
    others = [items[0]._replace(size=6), items[2]._replace(stamp="abd")]
    assert Seen(str(tmp_path)).recall(others) == {}
    Seen(str(tmp_path)).keep(items[2:3], {"s3://x/c": "new"})
    assert Seen(str(tmp_path)).recall(items) == {"/a": "hash of /a", "s3://x/c": "new"}
    (tmp_path / SEEN).write_bytes(b"PAR1 cut off")
    assert Seen(str(tmp_path)).recall(items) == {}
