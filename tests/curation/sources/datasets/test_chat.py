"""Datasets of conversations, in the layouts that they are released in."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from typing import Any

from .conftest import Judge
from .layouts import Layout, talk

ASK, TELL = "<image>\nWhat is this?", "It is a photograph."


def told(row: dict[str, Any]) -> Any:
    """A row's text, by column."""
    return json.loads(row["annotation"])


def reasons(rows: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    """Verdict and reason of each row."""
    return [(row["verdict"], row["reason"]) for row in rows]


def test_llava_mix_keeps_conversations_and_images_as_released(layout: Layout, judge: Judge) -> None:
    """A record keeps its conversation and the bytes of its image; text alone is rejected, and says so."""
    one = layout.put("coco/train2017/000000033471.jpg", layout.pictures[1])
    two = layout.put("ocr_vqa/images/155860.png", layout.pictures[0])
    layout.array(
        "llava_v1_5_mix665k.json",
        [
            {
                "id": "000000033471",
                "image": one,
                "conversations": talk("What is this?\n<image>", "Ein Fön — 火"),
            },
            {"id": "155860", "image": two, "conversations": talk(ASK, TELL) + talk("Why?", "So.")},
            {"id": "wgByO4Y_0", "model": "", "conversations": talk("Hello", "Hi")},
        ],
    )
    rows = judge("llava_v1_5_mix", layout.root)
    assert reasons(rows) == [("kept", None), ("kept", None), ("rejected", "text_only")]
    assert rows[0]["media"] == layout.pictures[1].read_bytes()
    assert (rows[0]["media_format"], rows[1]["media_format"]) == ("jpeg", "png")
    assert told(rows[0])["conversation"][1] == {"role": "gpt", "content": "Ein Fön — 火"}
    assert [turn["role"] for turn in told(rows[1])["conversation"]] == ["human", "gpt", "human", "gpt"]
    assert {row["task"] for row in rows} == {"image_understanding"}


def test_broken_records_are_error_rows_with_reasons(layout: Layout, judge: Judge) -> None:
    """Each kind of broken record ends as an error with its own reason, and its neighbours are read."""
    good = layout.put("coco/a.png", layout.pictures[0])
    layout.put("coco/broken.png", layout.pictures[0].read_bytes()[:2000])
    layout.put("coco/text.png", b"no picture")
    record = {"id": "1", "image": good, "conversations": talk(ASK, TELL)}
    layout.lines(
        "jsons/Cambrian7M_withsystemprompt.jsonl",
        [
            record,
            {**record, "image": "coco/none.png"},
            '{"id": "2", "image": "coco/a.png", "conversations": [{"from"',
            {**record, "conversations": talk("<image>\n<image>\nBoth?", TELL)},
            {**record, "conversations": talk("No picture?", TELL)},
            {**record, "conversations": []},
            {"id": "3", "image": good},
            {**record, "conversations": [{"from": "human", "value": ASK}, {"from": "gpt", "value": " "}]},
            {**record, "image": "../../etc/passwd"},
            {**record, "image": "coco/broken.png"},
            {**record, "image": "coco/text.png"},
            {**record, "image": 7},
            "[1]",
            {**record, "conversations": talk("Once more: <image>", TELL)},
        ],
    )
    rows = judge("cambrian_7m", layout.root)
    assert [row["reason"] for row in rows] == [
        *(None, "missing", "bad_record", "placeholder_count", "placeholder_count", "no_conversation"),
        *("no_conversation", "no_conversation", "outside_root", "truncated", "not_media", "bad_record"),
        *("bad_record", None),
    ]
    assert all(row["detail"] for row in rows if row["verdict"] == "error")
    assert "2 placeholders for 1 media" in rows[3]["detail"]


def test_a_broken_record_in_an_array_is_one_error(layout: Layout, judge: Judge) -> None:
    """What follows a record that is no JSON is found again, and a file that breaks off says so."""
    good = layout.put("images/a.png", layout.pictures[0])
    records = [{"id": str(n), "image": good, "conversations": talk(ASK, f"{TELL} é {n}")} for n in range(4)]
    parts = [json.dumps(one, ensure_ascii=False) for one in records]
    parts[1] = parts[1].replace('"image":', '"image" ')
    layout.put("llava_v1_5_mix665k.json", ("[" + ",\n".join(parts)).encode())
    rows = judge("llava_v1_5_mix", layout.root)
    assert [row["reason"] for row in rows] == [None, "bad_record", None, None, "bad_record"]
    assert [told(row)["conversation"][1]["content"][-1] for row in rows if row["reason"] is None] == list(
        "023"
    )
    assert "ends within its list" in rows[-1]["detail"]


def test_several_images_stand_together(layout: Layout, judge: Judge) -> None:
    """A conversation about several images keeps all of them, in order, and needs as many placeholders."""
    paths = [layout.put(f"data/coco/{one.name}", one) for one in layout.pictures[:2]]
    record = {"id": "x", "image": paths, "conversations": talk("<image> or <image>?", "The first.")}
    layout.array("sharegpt4v_instruct_gpt4-vision_cap100k.json", [record, {**record, "image": paths[:1]}])
    rows = judge("sharegpt4v", layout.root)
    assert [row["reason"] for row in rows] == [None, "placeholder_count"]
    with tarfile.open(fileobj=io.BytesIO(rows[0]["media"])) as shard:
        assert shard.getnames() == ["0.png", "1.jpeg"]
    assert rows[0]["media_format"] == "tar"


def test_llava_video_finds_videos_beside_their_annotations(layout: Layout, judge: Judge) -> None:
    """Videos unpacked in a subset's folder are found, and may be shown by either placeholder."""
    video = "academic_source/Charades/001YG.mp4"
    layout.put(f"0_30_s_academic_v0_1/{video}", layout.clips[0])
    record = {"id": "1", "data_source": "0_30_s_academic_v0_1", "video": video}
    for name, ask in (("v0_1_cap", "<image>\nDescribe."), ("oe_v0_1_qa", "<video>\nWho?")):
        records = [{**record, "conversations": talk(ask, "A man in a car.")}]
        layout.array(f"0_30_s_academic_v0_1/0_30_s_academic_{name}_processed.json", records)
    rows = judge("LLaVA-Video-178K", layout.root)
    assert [(row["verdict"], row["task"]) for row in rows] == [("kept", "video_understanding")] * 2
    assert rows[0]["media"] == layout.clips[0].read_bytes()
    assert rows[0]["num_frames"] > 1
    assert all(rows[0][name] for name in ("thumbnail", "fps", "width", "end_s"))
    assert rows[0]["sample_id"] != rows[1]["sample_id"]


def test_vstar_names_its_videos_below_the_root(layout: Layout, judge: Judge) -> None:
    """Each of VSTaR's files is read; a record whose video is a picture is an error."""
    layout.put("ft_json/kinetics700_tune_.json", b"[]")
    layout.put("kinetics700/a.mp4", layout.clips[0])
    layout.put("kinetics700/b.mp4", layout.pictures[1])
    records = [
        {"id": n, "video": f"kinetics700/{n}.mp4", "conversations": talk("<video>\nWhat?", TELL)}
        for n in "ab"
    ]
    layout.array("ft_json/starb_tune_.json", records)
    assert [row["reason"] for row in judge("vstar_1m", layout.root)] == [None, "wrong_kind"]


def test_sharegpt4video_asks_for_the_caption_of_the_whole_video(layout: Layout, judge: Judge) -> None:
    """The caption with index -1 becomes the answer; a record without one is an error."""
    layout.put("zip_folder/panda/aa.mp4", layout.clips[0])
    captions = [{"idx": "0", "content": "a part"}, {"idx": "-1", "content": "A man speaks in a car."}]
    record = {
        "video_id": "aa",
        "video_path": "panda/aa.mp4",
        "timestamp": ["0"],
        "zip_folder": "panda_videos_1.zip",
    }
    layout.lines(
        "sharegpt4video_40k.jsonl", [{**record, "captions": captions}, {**record, "captions": captions[:1]}]
    )
    kept, error = judge("sharegpt4video", layout.root)
    assert told(kept)["conversation"] == [
        {"role": "human", "content": "<video>\nDescribe this video."},
        {"role": "gpt", "content": "A man speaks in a car."},
    ]
    assert told(kept)["caption_original"] == "A man speaks in a car."
    assert error["reason"] == "no_conversation"


def test_journeydb_asks_its_questions_in_one_conversation(layout: Layout, judge: Judge) -> None:
    """Caption and questions are turns of one conversation; the prompt is the original caption."""
    layout.put("data/train/imgs/000/a.jpg", layout.pictures[1])
    question = {"Question": "What flies?", "Options": {"A": "a rocket", "B": "a bird"}, "Answer": "A"}
    record = {
        "img_path": "./000/a.jpg",
        "prompt": "rocket, 8k --v 5",
        "Task2": {"Caption": "A rocket starts."},
        "Task3": {"Content Relevant Questions and Answers": [question]},
    }
    layout.lines(
        "data/train/train_anno_realease_repath.jsonl", [record, {**record, "Task2": {}, "Task3": {}}]
    )
    kept, error = judge("journeydb", layout.root)
    said = [turn["content"] for turn in told(kept)["conversation"]]
    assert said == [
        "<image>\nDescribe this image.",
        "A rocket starts.",
        "What flies?\nA. a rocket\nB. a bird",
        "A. a rocket",
    ]
    assert told(kept)["caption_original"] == "rocket, 8k --v 5"
    assert error["reason"] == "no_conversation"


def test_mmc4_shows_images_before_their_sentences(layout: Layout, judge: Judge) -> None:
    """A document of a zipped shard becomes turns in which what follows an image answers."""
    for name, picture in zip(("b9.jpg", "db.jpg"), layout.pictures, strict=False):
        layout.put(f"images/{name}", picture)
    info = [
        {
            "image_name": "b9.jpg",
            "raw_url": "http://x.org/1.jpg",
            "matched_text_index": 2,
            "matched_sim": 0.2,
        },
        {
            "image_name": "db.jpg",
            "raw_url": "http://x.org/2.jpg",
            "matched_text_index": 1,
            "matched_sim": 0.3,
        },
    ]
    doc = {"url": "http://x.org", "text_list": ["One.", "Two.", "Three."], "image_info": info}
    wrong = {**doc, "image_info": [{**info[0], "matched_text_index": 9}]}
    layout.lines("docs_no_face_shard_0_v3.jsonl", [doc, wrong, {**doc, "image_info": []}])
    shard = layout.root / "docs_no_face_shard_0_v3.jsonl"
    with zipfile.ZipFile(f"{shard}.zip", "w") as archive:
        archive.write(shard, shard.name)
    shard.unlink()
    rows = judge("mmc4", layout.root)
    assert reasons(rows) == [("kept", None), ("error", "bad_record"), ("rejected", "text_only")]
    said = [(turn["role"], turn["content"]) for turn in told(rows[0])["conversation"]]
    assert said == [("human", "One.\n<image>"), ("gpt", "Two."), ("human", "<image>"), ("gpt", "Three.")]


def test_media_in_a_plain_tar_is_found(layout: Layout, judge: Judge) -> None:
    """A path that is no file is looked for in the tars below the root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as shard:
        shard.add(layout.pictures[0], "./coco/train2017/a.png")
    layout.put("coco.tar", buffer.getvalue())
    record = {"id": "1", "image": "coco/train2017/a.png", "conversations": talk(ASK, TELL)}
    layout.array("llava_v1_5_mix665k.json", [record])
    (row,) = judge("llava_v1_5_mix", layout.root)
    assert row["media"] == layout.pictures[0].read_bytes()
