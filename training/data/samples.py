"""What a dataset version offers to training: its kept rows without their media, as samples with a task."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from training.config import EDITING, UNDERSTANDING, Size, StagesSection, Task

if TYPE_CHECKING:
    from curation.dataset import Dataset

Kind = Literal["image", "video"]
COLUMNS = (
    *("sample_id", "task", "source", "width", "height", "fps", "num_frames", "media_format"),
    *("caption", "instruction", "conversation", "scores"),
)
SEVERAL = "tar"  # the format of media that is several pictures, which the model is not shown yet
PLACEHOLDERS = ("<image>", "<video>")  # where released conversations show their media
DESCRIBE: Mapping[Kind, str] = {"image": "Describe this image.", "video": "Describe this video."}


@dataclass(frozen=True)
class Sample:
    """One row in one role: `prompt` for generation, `turns` of (question, answer) for understanding."""

    sample_id: str
    task: Task
    width: int
    height: int
    seconds: float
    prompt: str = ""
    turns: tuple[tuple[str, str], ...] = ()
    source: str = ""

    @property
    def kind(self) -> Kind:
        """Whether its media is an image or a video."""
        return "video" if self.task in {"video_understanding", "text_to_video", "video_edit"} else "image"


class Bucket(NamedTuple):
    """What all samples of a batch share: sizes in pixels, and the frame count (1 for images)."""

    kind: Kind
    height: int
    width: int
    frames: int


class View(NamedTuple):
    """A sample's media as a phase sees them. `fps` is 0 for images: they are the same at any rate."""

    sample_id: str
    task: Task
    bucket: Bucket
    fps: float


def read_samples(dataset: Dataset) -> list[tuple[Sample, dict[str, float | None]]]:
    """Return the usable kept rows of a dataset version in the order of their ids, each with its scores.

    Rows without the text that their task needs are left out, there is nothing to learn from them, and so are
    conversations about several pictures.
    """
    table = dataset.table(COLUMNS, where="verdict = 'kept'")
    pairs = ((_sample(row), row["scores"] or {}) for row in table.to_pylist())
    return [(sample, scores) for sample, scores in pairs if sample is not None]


def _sample(row: dict[str, Any]) -> Sample | None:
    task = row["task"]
    if task not in get_args(Task) or row["media_format"] == SEVERAL:
        return None
    seconds = (row["num_frames"] or 1) / row["fps"] if row["fps"] else 0.0
    source = row["source"] or ""
    prompt = row["instruction"] if task in EDITING else row["caption"]
    turns = _turns(row["conversation"] or [])
    if not (turns if task in UNDERSTANDING else prompt):
        return None
    return Sample(row["sample_id"], task, row["width"], row["height"], seconds, prompt or "", turns, source)


def _turns(conversation: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    """Pair each answer with the question before it; roles are user or human, and anything else answers."""
    turns, question = [], ""
    for message in conversation:
        if message["role"] in {"user", "human"}:
            question = _asked(message["content"])
        elif question and message["content"]:
            turns.append((question, message["content"]))
            question = ""
    return tuple(turns)


def _asked(question: str) -> str:
    """A question without placeholders: the model is shown the media before all text."""
    for placeholder in PLACEHOLDERS:
        question = question.replace(placeholder, "")
    return question.strip()


def view_of(sample: Sample, bucket: Bucket, fps: float) -> View:
    """Return how a phase that samples videos at `fps` sees `sample` in `bucket`."""
    return View(sample.sample_id, sample.task, bucket, fps if bucket.kind == "video" else 0.0)


def with_captions_as_understanding(samples: Sequence[Sample]) -> list[Sample]:
    """Add, for a kind of media without understanding rows, its captions as answers to "describe" (Eq. 2)."""
    there = {sample.task for sample in samples}
    added = [
        replace(sample, task=task, turns=((DESCRIBE[sample.kind], sample.prompt),))
        for source, task in _DESCRIBED.items()
        if task not in there
        for sample in samples
        if sample.task == source
    ]
    return [*samples, *added]


_DESCRIBED: Mapping[Task, Task] = {
    "text_to_image": "image_understanding",
    "text_to_video": "video_understanding",
}


def count_tasks(samples: Iterable[Sample]) -> dict[Task, int]:
    """Return how many samples each of the six tasks has, zeros included."""
    counts = Counter(sample.task for sample in samples)
    return {task: counts[task] for task in get_args(Task)}


def frame_count(seconds: float, fps: float) -> int:
    """Return the 4n+1 frames (the VAE's stride in time is 4) that cover `seconds` at `fps`, ends included."""
    return 4 * math.floor(seconds * fps / 4 + 1e-6) + 1


def bucket_of(sample: Sample, stages: StagesSection, fps: float) -> Bucket | None:
    """Return the sample's bucket: nearest shape, longest clip that it fills; None if too short for all."""
    if sample.kind == "image":
        return Bucket("image", *_nearest(sample, stages.image_sizes), 1)
    for wanted in sorted(stages.clip_seconds, reverse=True):
        frames = frame_count(wanted, fps)
        # A clip's last frame is shown for its own duration: 24 frames at 24 fps fill one second.
        if frames > 1 and (frames - 1) / fps <= sample.seconds + 1e-3:
            return Bucket("video", *_nearest(sample, stages.video_sizes), frames)
    return None


def _nearest(sample: Sample, sizes: Sequence[Size]) -> Size:
    ratio = math.log(sample.width / sample.height)
    return min(sizes, key=lambda size: abs(math.log(size[1] / size[0]) - ratio))
