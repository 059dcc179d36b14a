from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omnivideo.errors import InputError
from tests.training.conftest import tiny_request
from training.batches.phase_plan import PhasePlan, Scored, plan_phase
from training.config import Task, TrainRequest
from training.data.samples import Sample
from training.stages import PHASES

HEADS, ALIGN, FLOW, JOINT = PHASES


def scored(**counts: int) -> list[Scored]:
    """So many samples of each task, their quality rising by 0.1."""
    tasks: dict[str, Task] = {
        "t2i": "text_to_image",
        "t2v": "text_to_video",
        "i2i": "image_edit",
        "v2v": "video_edit",
    }
    return [
        (Sample(f"{name}{i}", tasks[name], 64, 64, 2.0, "x"), {"quality": i / 10})
        for name, count in counts.items()
        for i in range(count)
    ]


def request(steps: int = 8, **changes: Any) -> TrainRequest:
    """A request over a dataset that need not exist."""
    return tiny_request("data", Path("out"), steps, **changes)


def stage_3(**settings: Any) -> TrainRequest:
    """A request with other settings of stage 3."""
    base = request()
    section = base.stages.stage_3.model_copy(update=settings)
    return base.model_copy(update={"stages": base.stages.model_copy(update={"stage_3": section})})


def tasks_of(plan: PhasePlan, steps: range) -> set[str]:
    """Tasks drawn in some steps."""
    return {draw.sample.task for step in steps for draw in plan.batch(step)[1].draws}


def test_a_phase_trains_the_tasks_that_are_there() -> None:
    """Of the paper's tasks, those without samples are left out and the rest keep their weights."""
    plan = plan_phase(JOINT, request(), scored(t2i=3, v2v=2), 0)
    assert plan.tasks == {"text_to_image": 3, "video_edit": 2}


def test_a_task_named_in_the_recipe_must_be_there() -> None:
    """The error names the task, what the dataset has of the others, and the key to change."""
    with pytest.raises(InputError, match=r"asks for video_edit, .* text_to_image 3, video_edit 0") as caught:
        plan_phase(JOINT, stage_3(tasks=("text_to_image", "video_edit")), scored(t2i=3, i2i=2), 0)
    assert caught.value.step == "stage-3"
    assert "stages.stage_3.tasks" in caught.value.next_step


def test_stage_1_needs_understanding_and_generation() -> None:
    """Without captions as understanding, a dataset of generation rows alone cannot train the text head."""
    mix = {"captions_as_understanding": False}
    with pytest.raises(InputError, match="image_understanding or video_understanding"):
        plan_phase(HEADS, request(mix=mix), scored(t2i=3), 0)
    assert plan_phase(HEADS, request(), scored(t2i=3), 0).tasks == {
        "image_understanding": 3,
        "text_to_image": 3,
    }


def test_too_short_clips_are_counted() -> None:
    """A clip that fills no length sits out; a task of which all do is an error, unless it has no weight."""
    clips: list[Scored] = [(Sample("a", "text_to_video", 64, 64, 0.3, "x"), {})]
    assert plan_phase(JOINT, request(), [*clips, *scored(t2v=1)], 0).left_out == 1
    with pytest.raises(InputError, match=r"none of the 1 text_to_video clips fills .* 1 s: the longest"):
        plan_phase(JOINT, request(), [*clips, *scored(t2i=1)], 0)
    images = request(mix={"weights": {"text_to_image": 1.0}})
    assert plan_phase(JOINT, images, [*clips, *scored(t2i=1)], 0).tasks == {"text_to_image": 1}


def test_a_length_under_five_frames_is_no_video() -> None:
    """The error says how long a clip must be at the phase's rate."""
    base = request()
    short = base.model_copy(update={"stages": base.stages.model_copy(update={"clip_seconds": (0.3,)})})
    with pytest.raises(InputError, match=r"0\.3 s at 12 fps are under 5 frames") as caught:
        plan_phase(JOINT, short, scored(t2i=1), 0)
    assert "at least 0.333" in caught.value.next_step


def test_stage_3_takes_the_better_half_of_each_task() -> None:
    """Ranked by a stored score, best first or, with a minus, least first; unscored tasks stay whole."""
    samples = [*scored(t2i=5, t2v=4), *((sample, {}) for sample, _ in scored(i2i=2))]
    better = plan_phase(JOINT, stage_3(best_by="quality"), samples, 0)
    assert better.tasks == {"text_to_image": 3, "text_to_video": 2, "image_edit": 2}
    drawn = {sample.sample_id for members in better.streams.values() for sample in members}
    assert {"t2i4", "t2i3", "t2i2", "t2v3", "t2v2"} < drawn
    worse = plan_phase(JOINT, stage_3(best_by="-quality", best_share=0.2), samples, 0)
    assert {s.sample_id for members in worse.streams.values() for s in members} >= {"t2i0", "t2v0"}
    assert worse.tasks == {"text_to_image": 1, "text_to_video": 1, "image_edit": 2}
    assert plan_phase(FLOW, request(), samples, 0).tasks["text_to_image"] == 5


def test_a_batch_must_divide_among_workers_and_micro_batches() -> None:
    """The error says what the batch size must be a multiple of."""
    with pytest.raises(InputError, match="no multiple") as caught:
        plan_phase(JOINT, request(cluster={"num_workers": 3}), scored(t2i=3), 0)
    assert "multiple of 6" in caught.value.next_step


def test_stage_3_can_ask_for_better_samples() -> None:
    """A least score keeps the samples that reach it; one that none reaches is an error."""
    assert plan_phase(JOINT, stage_3(min_scores={"quality": 0.3}), scored(t2i=5), 0).tasks == {
        "text_to_image": 2
    }
    with pytest.raises(InputError, match="none of the dataset's 5 samples has beauty ≥ 1"):
        plan_phase(JOINT, stage_3(min_scores={"beauty": 1.0}), scored(t2i=5), 0)


def test_editing_joins_in_the_second_sub_stage() -> None:
    """First text to image and text to video alone, then all four tasks (section 4.3)."""
    plan = plan_phase(FLOW, request(40), scored(t2i=4, t2v=4, i2i=4, v2v=4), 0)
    assert tasks_of(plan, range(20)) == {"text_to_image", "text_to_video"}
    assert tasks_of(plan, range(20, 40)) == {"text_to_image", "text_to_video", "image_edit", "video_edit"}
    assert [plan.batch(step)[0] for step in (0, 19, 20, 39)] == [0, 0, 1, 1]


def test_without_editing_there_is_one_sub_stage() -> None:
    """No share of the steps is set aside when there is nothing to join later."""
    assert len(plan_phase(FLOW, request(40), scored(t2i=4, t2v=4), 0).parts) == 1


def test_stages_sample_videos_at_8_then_12_frames_a_second() -> None:
    """Stage 3's clips last as long as stage 2's and have half as many frames more."""
    frames = [
        plan_phase(phase, request(), scored(t2v=2), 0).batch(0)[1].bucket.frames for phase in (FLOW, JOINT)
    ]
    assert frames == [9, 13]
