"""The training requests of a proof: the recipe's own numbers, a folder for each seed and each ablation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHARED = ("autoencoder", "autoencoder.json", "vila", "siglip2", "reader.json")  # of a seed's backbones
REDUCED = (
    *("stages.stage_2_align.steps=60", "stages.stage_2_flow.steps=120", "stages.stage_3.steps=700"),
    "stages.cache_megabytes=8000",  # all of them run at once
)


@dataclass(frozen=True)
class Variant:
    """Settings KEY=VALUE of the recipe, and shapes of the model by dotted path."""

    settings: tuple[str, ...] = ()
    shapes: Mapping[str, Any] = field(default_factory=dict)


TINY_STEPS = tuple(
    f"stages.{phase}.{key}"
    for phase in ("stage_1", "stage_2_align", "stage_2_flow", "stage_3")
    for key in ("steps=2", "batch_size=6", "micro_batch_size=6")
)
TINY = Variant(
    (
        *("backbones.size=32", "backbones.num_frames=5", "backbones.processes=1"),
        "backbones.autoencoder={steps: 2, batch_size: 2, scenes: 4}",
        "backbones.reader={steps: 2, batch_size: 2, scenes: 4}",
        "backbones.painter={steps: 2, batch_size: 2, scenes: 4}",
        *(
            "stages.encode_together=12",
            "stages.cache_megabytes=100",
            "stages.held_out_samples=4",
            *TINY_STEPS,
        ),
    ),
    {
        **{"mllm.llm.num_hidden_layers": 2, "mllm.vision.num_hidden_layers": 2, "dit.num_layers": 1},
        **{"vision_head.target.num_hidden_layers": 1, "adapter.depth": 1, "adapter.hidden_size": 64},
        **{"vae.base_dim": 4, "text_encoder.num_layers": 1, "dit.num_attention_heads": 2, "dit.ffn_dim": 64},
        **{"generation.height": 32, "generation.width": 32, "generation.num_frames": 5},
        **{"generation.image_steps": 2, "generation.video_steps": 2, "generation.max_new_tokens": 4},
    },
)
"""A model that learns nothing in no time: for rehearsing on a CPU."""


@dataclass(frozen=True)
class Requests:
    """Writes requests to `out`; runs lie there too."""

    out: Path
    recipe: str
    data: str
    tiny: bool = False

    def run(self, name: int | str) -> Path:
        """The folder that a seed, or an ablation, trains into."""
        return self.out / (f"seed-{name}" if isinstance(name, int) else f"ablations/{name}")

    def of_seed(self, seed: int, first: int | None = None) -> Path:
        """Write a seed's request, by autoencoder and reader of the `first` seed; return its path."""
        if first is not None:
            link(self.run(seed) / "backbones", self.run(first) / "backbones", SHARED)
        path = self.out / f"requests/seed-{seed}.json"
        variant = Variant((f"backbones.seed={seed}", f"stages.seed={seed}"))
        return path if path.exists() else self._write(path, variant, self.run(seed))

    def ablation(self, name: str, variant: Variant, seed: int, own_stage_1: bool) -> Path:
        """Write an ablation's request, at a reduced budget, that begins with a seed's backbones and, unless
        it has its own, stage 1; return its path.
        """
        link(self.run(name), self.run(seed), ("backbones",) if own_stage_1 else ("init", "stage-1"))
        reduced = () if self.tiny else REDUCED
        seeds = (f"backbones.seed={seed}", f"stages.seed={seed}")
        less = Variant((*reduced, *variant.settings, *seeds), variant.shapes)
        return self._write(self.out / f"requests/{name}.json", less, self.run(name))

    def _write(self, path: Path, variant: Variant, run: Path) -> Path:
        from pipelines import requests
        from pipelines.recipe import load
        from training.config import TrainRequest

        base = TINY if self.tiny else Variant()
        settings = [*base.settings, *variant.settings]
        shapes = {**load(self.recipe).model.overrides, **base.shapes, **variant.shapes}
        settings.append(f"model.overrides={json.dumps(shapes)}")
        request = requests.train(load(self.recipe, settings), self.data, str(run), run.name, version=0)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TrainRequest.model_validate(request).model_dump_json(indent=1))
        return path


def link(folder: Path, other: Path, names: tuple[str, ...]) -> None:
    """Have `folder` hold what `other` holds, or will, by these names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(other / name)
