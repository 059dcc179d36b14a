"""Rejects clips that people would find ugly, by LAION's aesthetic predictors.

Source: CLIP image embeddings of unit length into LAION's heads, which predict ratings from 1 to 10: v1, one
linear layer (github.com/LAION-AI/aesthetic-predictor: sa_0_4_vit_l_14_linear.pth, and others for ViT-B/16
and B/32), or v2, five of them (github.com/christophschuhmann/improved-aesthetic-predictor:
sac+logos+ava1-l14-linearMSE). The bound on the mean of three frames is the lower one of Open-Sora 1.2, 4.5
(for its later stages 5; Open-Sora-Plan 4.75); cosmos-curate bounds the worst frame instead, by 3.5.

No package carries these weights. They are taken from a folder and a file, or from what has been downloaded
from the hub; without them the filter says so before any work. Frames are prepared as CLIP's own processor
does, after shrinking to 640 pixels. It runs on a GPU where the worker has one.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field

from curation.errors import InputError
from curation.filters import Clip, Cost, Filter, Frames
from curation.weights import file_digest, in_hub_cache, is_path, located

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Layers = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]

STEP = "filters"
V1 = ("",)  # where the linear layers stand in a head's file
V2 = ("layers.0.", "layers.2.", "layers.4.", "layers.6.", "layers.7.")  # dropout between, no activation


def _is_head(name: str) -> str:
    if not is_path(name) and not re.fullmatch(r"[\w.-]+/[\w.-]+/[^/]+", name):
        raise ValueError("a path begins with / ./ or ~, and of a hub id it is owner/name/file")
    return located(name)


class Aesthetics(Filter):
    """Bounds on the predicted rating, 1 to 10, over a few frames of a clip."""

    cost: ClassVar = Cost.MODEL
    apart: ClassVar = True
    scores: ClassVar = ("mean", "min")
    thresholds: ClassVar = {"min_mean": ("mean", "min"), "min_worst_frame": ("min", "min")}
    reasons: ClassVar = {"min_mean": "low_aesthetics", "min_worst_frame": "low_aesthetics"}

    min_mean: float | None = Field(default=4.5, description="rating, mean of the frames (Open-Sora 4.5 to 5)")
    min_worst_frame: float | None = Field(
        default=None, description="rating of the worst frame (cosmos-curate 3.5, at one frame a second)"
    )
    frames_per_clip: int = Field(default=3, ge=1, le=64, description="evenly spaced; Open-Sora's are three")
    backbone: Annotated[str, AfterValidator(located)] = Field(
        default="openai/clip-vit-large-patch14",
        description="folder of a CLIP model (config.json, safetensors), or a hub id that has been downloaded",
    )
    head: Annotated[str, AfterValidator(_is_head)] = Field(
        default="ttj/sac-logos-ava1-l14-linearMSE/model.safetensors",
        description="file of LAION's head, v1 or v2, .safetensors or .pth; or owner/name/file on the hub",
    )

    def requires(self) -> tuple[Frames, ...]:
        """So many frames."""
        return (Frames(count=self.frames_per_clip, long_side=640, color="rgb"),)

    def revision(self) -> str | None:
        """Commits on the hub, or hashes, of both models. Raises InputError if one is not here."""
        from curation.clip import revision

        backbone, head = self._files()
        named = f"head {file_digest(head)}" if is_path(self.head) else f"{self.head}@{head.parent.name}"
        return f"{revision(self.backbone, backbone)}, {named}"

    def check(self) -> None:
        """Raise InputError unless both models are here and fit each other."""
        from curation.clip import width_of

        backbone, head = self._files()
        has, takes = width_of(backbone), _layers(head)[0][0].shape[1]
        if has != takes:
            raise InputError(
                f"aesthetics.head takes embeddings of {takes} numbers and aesthetics.backbone gives {has}",
                STEP,
                "take the head that was trained on this backbone (768 numbers: ViT-L/14; 512: ViT-B)",
            )

    def measure(self, clip: Clip) -> dict[str, float]:
        """Ratings of the frames: `mean` and `min`. Raises InputError without the weights."""
        from curation.clip import embed

        backbone, head = self._files()
        found = embed(backbone, clip.frames(*self.requires()))
        for weight, bias in _layers(head):
            found = found @ weight.T + bias
        return {"mean": float(found.mean()), "min": float(found.min())}

    def _files(self) -> tuple[Path, Path]:
        """Folder of the backbone and file of the head. Raises InputError that names what is not here."""
        from curation.clip import find_folder

        repository, _, file = self.head.rpartition("/")
        backbone = find_folder(self.backbone)
        head = Path(self.head) if is_path(self.head) else in_hub_cache(repository, file)
        if backbone and head and head.is_file():
            return backbone, head
        get = [] if backbone else [(self.backbone, "config.json model.safetensors")]
        get += [] if head and head.is_file() else [(repository, file)]
        names = " and ".join(self.head if name == repository else name for name, _ in get)
        commands = [f"`hf download {n} {files}`" for n, files in get if not is_path(n)]
        raise InputError(
            f"aesthetics needs {names}, which this machine has not",
            STEP,
            f"{' and '.join(commands)}{' or ' if commands else ''}name the folder of a CLIP ViT-L/14 in "
            "aesthetics.backbone (config.json, model.safetensors; 1.7 GB) and the file of LAION's head in "
            "aesthetics.head (4 MB), or leave aesthetics out of the recipe",
        )


@cache
def _layers(path: Path) -> Layers:
    """Weight [out,in] and bias [out] of each layer. Raises InputError if the file holds anything else."""
    state = _tensors(path)
    for places in (V1, V2):
        if state.keys() == {f"{place}{part}" for place in places for part in ("weight", "bias")}:
            layers = tuple((state[f"{place}weight"], state[f"{place}bias"]) for place in places)
            widths = [layers[0][0].shape[-1], *(len(bias) for _, bias in layers)]
            shapes = [(after, before) for before, after in pairwise(widths)]
            if [weight.shape for weight, _ in layers] == shapes and widths[-1] == 1:
                return layers
    raise InputError(
        f"{path} is no head of LAION's aesthetic predictors: it holds {', '.join(sorted(state)[:4])}",
        STEP,
        "v1 holds weight and bias of one layer, v2 those of layers 0, 2, 4, 6 and 7",
    )


def _tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """A file's tensors by name; a .pth is read as weights alone, so that nothing in it runs."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            return {name: value.astype("float32") for name, value in load_file(path).items()}
        import torch

        found = torch.load(path, map_location="cpu", weights_only=True)
        return {name: value.float().numpy() for name, value in found.items()}
    except Exception as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise InputError(
            f"{path} cannot be read as weights: {said}", STEP, "give a .safetensors or a plain state dict"
        ) from error
