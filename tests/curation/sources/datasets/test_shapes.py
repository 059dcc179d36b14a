"""The world of shapes as its reader finds it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from curation.sources.datasets._sample import RecordError
from curation.sources.datasets.shapes import read
from omnivideo.shapes.rows import Look
from omnivideo.shapes.writing import write


def test_its_records_are_questions_and_edits(tmp_path: Path) -> None:
    """Every record of a world that was written is of its task, and names media that is there."""
    write(tmp_path, 32, look=Look(size=32, fps=8, seconds=0.5))
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    samples = [read(record) for record in records]
    tasks = ("image_understanding", "video_understanding", "image_edit", "video_edit")
    assert Counter(sample.task for sample in samples) == dict.fromkeys(tasks, 4)
    assert [sample.task for sample in samples] == [record["task"] for record in records]
    assert all((tmp_path / ref.entry).is_file() for sample in samples for ref in sample.media)
    assert all(len(sample.media) == 2 and sample.instruction for sample in samples if "edit" in sample.task)


def test_a_broken_record_is_refused() -> None:
    """An edit without its target is no sample."""
    with pytest.raises(RecordError, match="target"):
        read({"task": "image_edit", "source": "a.png", "instruction": "remove it"})
