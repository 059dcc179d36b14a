from __future__ import annotations

from pathlib import Path

import pytest

from curation.dataset import open_dataset
from tests.training.conftest import write_dataset
from training.config import StagesSection
from training.data.samples import (
    Bucket,
    Sample,
    _turns,
    bucket_of,
    count_tasks,
    frame_count,
    read_samples,
    with_captions_as_understanding,
)


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"), [(2.0, 8, 17), (2.0, 12, 25), (1.0, 8, 9), (1.0, 12, 13), (0.2, 8, 1)]
)
def test_clips_have_4n_plus_1_frames(seconds: float, fps: float, frames: int) -> None:
    """The same seconds at 12 instead of 8 frames a second are half as many frames more (section 4.3)."""
    assert frame_count(seconds, fps) == frames


@pytest.mark.parametrize(("seconds", "frames"), [(5.0, 17), (2.0, 17), (1.9, 9), (1.0, 9), (0.9, None)])
def test_a_clip_takes_the_longest_length_that_it_fills(seconds: float, frames: int | None) -> None:
    """Shorter clips go into shorter buckets; too short for all, they sit out."""
    sample = Sample("a", "text_to_video", 640, 352, seconds, "x")
    bucket = bucket_of(sample, StagesSection(clip_seconds=(1.0, 2.0)), 8.0)
    assert (bucket and bucket.frames) == frames


def test_a_sample_goes_to_the_nearest_shape() -> None:
    """Aspect ratios are compared by their logarithms: tall goes to tall."""
    stages = StagesSection(image_sizes=((64, 64), (96, 64), (64, 96)))
    assert bucket_of(Sample("a", "image_edit", 90, 160, 0, "x"), stages, 8) == Bucket("image", 96, 64, 1)


def test_rows_are_read_with_what_their_task_needs(tmp_path: Path) -> None:
    """Kept rows only: captions for generation, instructions for edits, turns for understanding."""
    counts = {"text_to_image": 2, "video_edit": 1, "image_understanding": 1}
    samples = [sample for sample, _ in read_samples(open_dataset(write_dataset(tmp_path / "t", counts)))]
    assert count_tasks(samples)["text_to_image"] == 2
    by_task = {sample.task: sample for sample in samples}
    assert by_task["video_edit"].prompt == "paint it in other colours"
    assert by_task["video_edit"].seconds == pytest.approx(1.5)
    assert by_task["image_understanding"].turns == (("What is it?", "square 0"),)


def test_captions_stand_in_only_where_understanding_is_missing() -> None:
    """A kind of media with understanding rows of its own gets no captions as answers."""
    samples = [
        Sample("a", "text_to_image", 64, 64, 0, "red"),
        Sample("b", "text_to_video", 64, 64, 1, "blue"),
        Sample("c", "video_understanding", 64, 64, 1, "", (("q", "a"),)),
    ]
    added = with_captions_as_understanding(samples)[3:]
    assert [(s.sample_id, s.task, s.turns) for s in added] == [
        ("a", "image_understanding", (("Describe this image.", "red"),))
    ]


def test_turns_pair_each_answer_with_the_question_before_it() -> None:
    """Roles as LLaVA and as chat templates write them; a system prompt or a lone question is no turn."""
    messages = [
        ("system", "s"),
        ("human", "q1"),
        ("gpt", "a1"),
        ("user", "q2"),
        ("assistant", "a2"),
        ("user", "q3"),
    ]
    conversation = [{"role": role, "content": content} for role, content in messages]
    assert _turns(conversation) == (("q1", "a1"), ("q2", "a2"))
