"""Datasets of edits, in the layouts that they are released in, and the checks of their pairs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curation.dataset import open_dataset
from curation.run import curate

from ...whole_run import request, silent
from .conftest import Judge
from .layouts import Layout, image


def told(row: dict[str, Any]) -> Any:
    """A row's text, by column."""
    return json.loads(row["annotation"])


def smaller(path: Path) -> bytes:
    """A picture at half its size, as PNG."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").resize((picture.width // 2, picture.height // 2))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return buffer.getvalue()


def dark(path: Path) -> bytes:
    """A picture at dusk: every pixel changes, what is in it does not."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(np.float64) * [0.4, 0.4, 0.6]
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_pairs_are_checked(layout: Layout, edited: bytes, judge: Judge) -> None:
    """A pair of one shape that differs is kept, dusk too; each other kind has its reason."""
    source = layout.pictures[1]
    other = Image.open(layout.pictures[2]).convert("RGB").resize(Image.open(source).size)
    buffer = io.BytesIO()
    other.save(buffer, "PNG")
    targets = [edited, dark(source), source, buffer.getvalue(), smaller(source), edited]
    count = len(targets)
    columns = {
        "source_image": [image(source)] * count,
        "edited_image": [image(one) for one in targets],
        "mask_image": [None] * count,
        "edit_prompt": [*["paint it"] * (count - 1), " "],
        "source_caption": ["a rocket"] * count,
        "target_caption": [f"target {n}" for n in range(count)],
    }
    pictures = ("source_image", "edited_image", "mask_image")
    layout.table("data/FreeForm_0-00000-of-00001.parquet", columns, pictures)
    rows = judge("ultraedit", layout.root)
    assert [row["reason"] for row in rows] == [
        *(None, None, "identical", "unrelated", "size_differs", "no_instruction"),
    ]
    assert {row["filter"] for row in rows} == {None, "edit_pair"}
    assert (rows[0]["media"], rows[0]["edit_source"]) == (edited, source.read_bytes())
    assert told(rows[0]) == {"conversation": None, "instruction": "paint it", "caption_original": "target 0"}
    assert 0 < dict(rows[0]["scores"])["edit_pair_changed_share"] < 0.2


def test_anyedit_has_its_pictures_in_columns(layout: Layout, edited: bytes, judge: Judge) -> None:
    """AnyEdit's columns are read; an edit that shows a third picture is rejected."""
    columns = {
        "image_file": [image(layout.pictures[1])] * 3,
        "edited_file": [image(edited), image(edited), {"bytes": None, "path": None}],
        "edit_instruction": ["Add a red square", "Follow the given bounding box [v*] to remove it", "Add"],
        "output": ["A rocket behind a square"] * 3,
        "edit_type": ["add", "visual_bbox", "add"],
        "visual_input": [None, image(edited), None],
    }
    pictures = ("image_file", "edited_file", "visual_input")
    layout.table("data/train-00000-of-00383.parquet", columns, pictures)
    rows = judge("anyedit", layout.root)
    assert [(row["verdict"], row["reason"]) for row in rows] == [
        *(("kept", None), ("rejected", "visual_input"), ("error", "no_media")),
    ]
    assert told(rows[0])["caption_original"] == "A rocket behind a square"


def test_promptfix_restores(layout: Layout, edited: bytes, judge: Judge) -> None:
    """PromptFix's damaged picture is the source, the restored one the target."""
    columns = {
        "input_img": [image(edited)],
        "processed_img": [image(layout.pictures[1])],
        "instruction": ["Remove the watermark"],
        "auxiliary_prompt": ["a rocket"],
        "task_id": [3],
    }
    layout.table("data/train-00000-of-00834.parquet", columns, ("input_img", "processed_img"))
    (row,) = judge("promptfix", layout.root)
    assert (row["verdict"], row["task"], row["edit_source"]) == ("kept", "image_edit", edited)


def test_hive_names_its_pictures(layout: Layout, edited: bytes, judge: Judge) -> None:
    """HIVE's lines name pictures below their folder; one that is missing is an error."""
    layout.put("data/training/a/0_0.jpg", layout.pictures[1])
    layout.put("data/training/a/0_1.png", edited)
    record = {"instruction": "add a square", "source_img": "a/0_0.jpg", "edited_img": "a/0_1.png"}
    layout.lines("data/training/training_1M.jsonl", [record, {**record, "edited_img": "a/2.png"}, "{"])
    rows = judge("hive", layout.root)
    assert [row["reason"] for row in rows] == [None, "missing", "bad_record"]


def test_senorita_pairs_videos(layout: Layout, judge: Judge) -> None:
    """Pairs of videos are checked like pictures, frame counts too, and keep both clips."""
    for name, clip in zip(("a_org", "a"), layout.clips, strict=True):
        layout.put(f"obj_swap_upload/60/{name}.mp4", clip)
    layout.put("obj_swap_upload/60/b.mp4", layout.clips[0].parent / "bikes.mp4")
    record = {
        "source_video_path": "./obj_swap_upload/60/a_org.mp4",
        "target_video_path": "./obj_swap_upload/60/a.mp4",
        "instruction": "swap",
        "enhanced_instruction": "Swap the man for a blurred one.",
    }
    other = {**record, "target_video_path": "./obj_swap_upload/60/b.mp4"}
    layout.array("obj_swap.json", [record, other, {**record, "target_video_path": None}])
    rows = judge("Señorita-2M", layout.root)
    assert [row["reason"] for row in rows] == [None, "size_differs", "bad_record"]
    assert rows[0]["task"] == "video_edit"
    assert told(rows[0])["instruction"] == "Swap the man for a blurred one."
    assert rows[0]["edit_source"] == layout.clips[0].read_bytes()


def test_a_run_publishes_records_beside_curated_media(
    layout: Layout, edited: bytes, tmp_path: Path, ray_session: None
) -> None:
    """A version holds edits and conversations with all their columns; a second run leaves them."""
    layout.put("data/training/a/0_0.jpg", layout.pictures[1])
    layout.put("data/training/a/0_1.png", edited)
    record = {"instruction": "add a square", "source_img": "a/0_0.jpg", "edited_img": "a/0_1.png"}
    layout.lines("data/training/training_1M.jsonl", [record, record, "{"])
    talk = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A rocket."}]
    mix = [{"id": str(n), "image": "data/training/a/0_0.jpg", "conversations": talk} for n in range(2)]
    mix[1] = {**mix[1], "conversations": [{**talk[0], "value": "<image>\nWhere?"}, talk[1]]}
    layout.array("llava_v1_5_mix665k.json", [*mix, {"id": "2", "conversations": talk[1:] + talk[1:]}])
    sources = [
        {"dataset": "hive", "root": str(layout.root)},
        {"dataset": "llava_v1_5_mix", "root": str(layout.root)},
        {"file": str(layout.pictures[1])},
    ]
    asked = request(tmp_path, tmp_path / "out", sources=sources, filters=["resolution"])
    first = curate(asked, silent)
    assert first["funnel"]["error"] == 2
    assert (first["funnel"]["kept"], first["funnel"]["duplicate"]) == (4, 1)
    dataset = open_dataset(str(tmp_path / "out"))
    rows = {row["task"]: row for row in dataset.iter_rows(dataset.schema.names, "verdict = 'kept'")}
    assert set(rows) == {"image_edit", "image_understanding", "text_to_image"}
    assert rows["image_edit"]["instruction"] == "add a square"
    assert rows["image_edit"]["edit_source"] == layout.pictures[1].read_bytes()
    assert rows["image_edit"]["licence"] == "HIVE terms: research"
    assert rows["image_understanding"]["conversation"][1] == {"role": "gpt", "content": "A rocket."}
    again = curate(asked, silent)
    assert not again["published"]
    stricter = asked.model_copy(update={"filters": ({"resolution": {"min_short_side": 100_000}},)})
    third = curate(stricter, silent)
    assert third["funnel"]["kept"] == 3
