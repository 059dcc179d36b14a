"""What a recipe says about training: `model`, `mix`, `stages` and `cluster`, and the job's request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omnivideo.config import TimeDistribution
from training.backbones.config import BackbonesSection
from training.model.lora import LoraSection
from training.speed.config import Mode, SpeedSection

Task = Literal[
    "image_understanding",
    "video_understanding",
    "text_to_image",
    "text_to_video",
    "image_edit",
    "video_edit",
]
UNDERSTANDING: tuple[Task, ...] = ("image_understanding", "video_understanding")
GENERATION: tuple[Task, ...] = ("text_to_image", "text_to_video")
EDITING: tuple[Task, ...] = ("image_edit", "video_edit")

TABLE_1: dict[Task, float] = {
    "image_understanding": 37.9,
    "video_understanding": 4.36,
    "text_to_image": 33.05,
    "text_to_video": 3.97,
    "image_edit": 18.95,
    "video_edit": 1.76,
}
"""Shares of the tasks in the paper's data, percent (Table 1)."""

Size = tuple[Annotated[int, Field(ge=16, multiple_of=16)], Annotated[int, Field(ge=16, multiple_of=16)]]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of a recipe: read once, never changed, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSection(Section):
    """Which model is trained: a preset with random weights, or a folder of an earlier one."""

    preset: str | None = Field(default=None, description="tiny | small | omni-11b; tiny if no path is given")
    path: str | None = Field(default=None, description="a saved pipeline folder to start from")
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="the preset's keys by dotted path, such as dit.num_layers"
    )
    seed: int = Field(default=0, ge=0, description="of the random weights of a preset")

    @model_validator(mode="after")
    def _one_origin(self) -> ModelSection:
        if self.preset and self.path:
            raise ValueError("give either preset or path")
        if self.path and self.overrides:
            raise ValueError("overrides go with a preset, a saved model keeps its configuration")
        return self


class EncodedSection(Section):
    """What frozen parts say of a dataset's samples, written down by `omnivideo encode`."""

    folder: str = Field(description="folder or URL of the encoded shards, that every worker sees")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="float32 trains as encoding on the fly does; others take half the room"
    )
    shard_megabytes: int = Field(default=256, ge=1, description="about the size of a new shard")


class DatasetMix(Section):
    """How one dataset takes part in the batches of its tasks."""

    weight: float = Field(default=1.0, ge=0.0, description="against its task's other datasets; 0: not at all")
    max_samples: int | None = Field(default=None, ge=1, description="of a task; which ones, their ids say")


class MixSection(Section):
    """What the batches are made of."""

    encoded: EncodedSection | None = Field(
        default=None,
        description="train from encoded shards; left out: encode while training",
    )

    weights: dict[Task, Annotated[float, Field(ge=0.0)]] | None = Field(
        default=None,
        description="share of each task, over those that the dataset has; left out: the paper's Table 1",
    )
    datasets: dict[str, DatasetMix] = Field(
        default_factory=dict, description="by what stands in the dataset's `source` column"
    )
    temperature: float = Field(
        default=1.0, ge=1.0, description="evens out a task's datasets: shares by samples ** (1 / temperature)"
    )
    max_repeats: float = Field(
        default=4.0, ge=1.0, description="of a sample in one pass over its task, where weights ask for more"
    )
    captions_as_understanding: bool = Field(
        default=True,
        description="where the dataset has no image (or video) understanding rows, ask for its captions "
        "instead, so that the text head trains (Eq. 2)",
    )
    caption_dropout: Share = Field(
        default=0.1, description="share of samples trained without text, for guidance"
    )


class ClipsSection(Section):
    """Clips made while training, from the same prompts and noise each time, to look at."""

    prompts: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="what to show; none, no clips"
    )
    every: int | None = Field(
        default=None, ge=1, description="steps between them; left out: at the ends of phases alone"
    )
    sampling_steps: int = Field(default=40, ge=1, description="of UniPC; 40 for a video in section 5.1")
    seed: int = Field(default=0, ge=0, description="of the noise")


class StageSection(Section):
    """How long and how one phase trains. The phases differ in their defaults only."""

    steps: int = Field(default=1000, ge=1, description="optimiser steps")
    batch_size: int = Field(default=8, ge=1, description="samples a step over all workers")
    micro_batch_size: int = Field(
        default=1, ge=1, description="samples a worker takes through the model at once"
    )
    learning_rate: float = Field(default=1e-4, gt=0.0)
    warmup_steps: int = Field(default=0, ge=0, description="steps of linear warm-up")
    final_rate: Share = Field(
        default=1.0, description="share of the rate left at the last step, falling as a cosine; 1: constant"
    )
    weight_decay: float = Field(default=0.01, ge=0.0)
    max_grad_norm: float = Field(default=1.0, gt=0.0)
    recompute: Literal["auto"] | Mode = Field(
        default="auto",
        description="what the transformer's backward pass computes again instead of keeping: none; "
        "elementwise: all but products and attention; light: the feed-forward's widening too; selective: all "
        "but attention; full: all. auto: the first whose estimate fits into 90% of a GPU; none on CPUs",
    )
    fps: float = Field(
        default=8.0, gt=0.0, description="frames a second that videos are sampled at (section 4.3)"
    )
    tasks: tuple[Task, ...] | None = Field(
        default=None,
        description="tasks of this phase, each a must; left out: those of the paper that are there",
    )
    min_scores: dict[str, float] = Field(
        default_factory=dict, description="least stored score, by its name (FILTER_SCORE), of a sample"
    )
    best_share: Share = Field(
        default=1.0,
        gt=0.0,
        description="of each task's samples, the best by `best_by`; tasks that have no such score stay whole",
    )
    best_by: str = Field(
        default="quality_block_quality", description="a stored score, most first; -FILTER_SCORE: least first"
    )
    visual_tokens: Literal["fresh", "stored"] = Field(
        default="fresh",
        description="what a vision head that trains is fed: the tokens that it says by itself, anew at every "
        "step, one after another; or those of the head that the stage began with, said once or encoded",
    )
    generation_first_share: Share = Field(
        default=0.0, description="share of the steps that train text-to-image and text-to-video alone, first"
    )


class HeadsSection(StageSection):
    """Stage 1: the vision head and the text head (Eq. 1 and Eq. 2)."""


class AlignSection(StageSection):
    """Stage 2, first phase: the adapter towards the text encoder's space."""

    steps: int = Field(default=500, ge=1)


class FlowSection(StageSection):
    """Stage 2, second phase: the adapter through the frozen DiT (Eq. 4), in two sub-stages (section 4.3)."""

    generation_first_share: Share = 0.5


class JointSection(StageSection):
    """Stage 3: vision head, adapter and DiT together, at 12 frames a second (section 4.3)."""

    learning_rate: float = Field(default=1e-5, gt=0.0)
    fps: float = Field(default=12.0, gt=0.0)
    best_share: Share = Field(default=0.5, gt=0.0, description="the higher-quality subset of section 4.3")
    lora: LoraSection | None = Field(
        default=None, description="a low-rank adaptation of the transformer; left out: all its weights train"
    )
    generation_first_share: Share = 0.5


class StagesSection(Section):
    """The paper's three stages, the second in its two phases, and what they share."""

    image_sizes: tuple[Size, ...] = Field(
        default=((480, 480),), min_length=1, description="height, width, pixels"
    )
    video_sizes: tuple[Size, ...] = Field(
        default=((352, 640),), min_length=1, description="height, width, pixels"
    )
    clip_seconds: tuple[Annotated[float, Field(gt=0.0)], ...] = Field(
        default=(2.0, 1.0),
        min_length=1,
        description="lengths that videos are cut to: each takes the longest that it fills, shorter ones sit "
        "out. Frames are 4n+1 for the VAE: 2 s are 17 frames at 8 fps, 25 at 12 fps",
    )
    seed: int = Field(default=0, ge=0, description="of batches, noise, times and dropped captions")
    time_distribution: TimeDistribution = Field(
        default="uniform", description="of the times of Eq. 4; logit_normal as in Stable Diffusion 3"
    )
    checkpoint_every: int = Field(default=500, ge=1, description="steps between checkpoints")
    keep_checkpoints: int = Field(default=2, ge=1, description="the last ones, of all phases")
    keep_best: int = Field(
        default=1, ge=0, description="also kept: those of the phase with the least held-out loss, where known"
    )
    max_skipped_steps: int = Field(
        default=10, ge=1, description="in a row, for spikes or gradients not finite, before giving up"
    )
    spike_factor: float | None = Field(
        default=None, gt=1.0, description="a step whose loss is above so many running medians is not taken"
    )
    spike_policy: Literal["skip", "rollback"] = Field(
        default="skip",
        description="skip: leave the step out; rollback: leave out all since the last checkpoint",
    )
    held_out_share: Share = Field(
        default=0.02, description="of each task's samples, never trained on; none of tasks with under 50"
    )
    held_out_samples: int = Field(default=64, ge=1, description="most of them that a phase evaluates")
    evaluate_every: int = Field(
        default=500, ge=1, description="steps between losses on held-out samples; also at a phase's ends"
    )
    clips: ClipsSection = Field(
        default=ClipsSection(), description="made by phases that train the flow, of their first video size"
    )
    ema_decay: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="of the moving average of weights that stages then export"
    )
    encode_together: int = Field(
        default=1,
        ge=1,
        description="samples that frozen parts see at once while training; faster, and not bitwise what "
        "`omnivideo encode` writes",
    )
    cache_megabytes: int = Field(
        default=512, ge=0, description="encoded samples kept in each worker's memory"
    )
    speed: SpeedSection = SpeedSection()
    stage_1: HeadsSection = HeadsSection()
    stage_2_align: AlignSection = AlignSection()
    stage_2_flow: FlowSection = FlowSection()
    stage_3: JointSection = JointSection()


class ClusterSection(Section):
    """Where the work runs."""

    address: str | None = Field(
        default=None, description="of a Ray job server; left out: a local one is started"
    )
    num_workers: int = Field(default=2, ge=1, description="training processes; batches do not depend on it")
    use_gpu: bool = Field(default=False, description="one GPU a worker, over NCCL; otherwise CPUs over gloo")
    cpus_per_worker: int = Field(default=1, ge=1)
    sequence_parallel: int = Field(
        default=1,
        ge=1,
        description="workers that share each sample's tokens in the DiT (Ulysses); divides num_workers and "
        "the DiT's heads. Batches do not depend on it",
    )
    zero: Literal[1, 2, 3] = Field(
        default=1,
        description="what DeepSpeed divides among workers: 1, optimizer states; 2, gradients too; 3, the "
        "DiT's weights too, where it trains, at the price of fetching them for every layer",
    )
    max_failures: int = Field(default=2, ge=0, description="restarts of the workers from the last checkpoint")


class TrainRequest(Section):
    """What `python -m training.job REQUEST.json` is asked to do."""

    data: str = Field(description="folder or URL of the dataset")
    out: str = Field(description="the run's folder, on storage that every worker sees")
    version: int | None = Field(
        default=None, description="of the dataset; left out: the newest when the run starts"
    )
    only_stage: Literal["backbones", "1", "2", "3"] | None = None
    backbones: BackbonesSection | None = Field(
        default=None, description="train these first, and begin with the model that they make"
    )
    model: ModelSection = ModelSection()
    mix: MixSection = MixSection()
    stages: StagesSection = StagesSection()
    cluster: ClusterSection = ClusterSection()
    recipe: dict[str, Any] = Field(default_factory=dict, description="the whole, for the lineage")
    run_id: str = "run"
