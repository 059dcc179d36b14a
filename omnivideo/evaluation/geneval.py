"""GenEval itself: its prompt file, an instance detector of COCO's classes, and CLIP for colours.

Detector: Mask2Former (Swin-S, COCO instances), threshold 0.3, for counting 0.9, at most 16 boxes a class.
Colours: CLIP (ViT-L/14) among ten, on the box's crop with what is not the object in grey (Ghosh et al. 2023,
arxiv.org/abs/2310.11513, and the protocol's published settings). Weights are folders that the user has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from omnivideo.errors import InputError
from omnivideo.evaluation.protocol import TAGS, Box, Detection, Verdict, judge
from omnivideo.shapes.render import Pixels

STEP = "evaluate"
THRESHOLD, COUNTING_THRESHOLD, MOST_BOXES = 0.3, 0.9, 16
GREY = (153, 153, 153)
COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
TEMPLATES = (
    "a photo of a {color} {name}",
    "a photo of a {color}-colored {name}",
    "a photo of a {color} object",
)
# GenEval's names, and those that checkpoints have for the same classes.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "airplane": ("aeroplane",),
    "computer keyboard": ("keyboard",),
    "computer mouse": ("mouse",),
    "couch": ("sofa",),
    "dining table": ("diningtable",),
    "motorcycle": ("motorbike",),
    "potted plant": ("pottedplant",),
    "tv": ("tvmonitor", "television"),
    "tv remote": ("remote",),
}


def read_prompts(path: str | Path) -> list[dict[str, Any]]:
    """The claims of GenEval's evaluation_metadata.jsonl. Raises InputError, with the line."""
    if not Path(path).is_file():
        raise InputError(f"there is no prompt file {path}", STEP, "Give GenEval's evaluation_metadata.jsonl")
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    claims = [
        _claims(line, f"line {number} of {path}") for number, line in enumerate(lines, 1) if line.strip()
    ]
    if not claims:
        raise InputError(f"{path} is empty", STEP, "Give GenEval's evaluation_metadata.jsonl")
    return claims


def _claims(line: str, where: str) -> dict[str, Any]:
    try:
        claims = json.loads(line)
        clauses = [*claims["include"], *claims.get("exclude", ())]
        whole = isinstance(claims["prompt"], str) and claims["tag"] in TAGS
        whole = whole and all(isinstance(one["class"], str) and one["count"] > 0 for one in clauses)
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        needed = "each line is an object with tag, prompt, include and, if needed, exclude"
        raise InputError(f"{where} is no prompt of GenEval's", STEP, f"Check the file: {needed}")
    return dict(claims)


class GenEval:
    """The two models. Raises InputError for a folder that is missing or holds another kind of model."""

    def __init__(self, detector: str | Path, clip: str | Path, device: str | torch.device = "cpu") -> None:
        from transformers import (
            AutoTokenizer,
            CLIPImageProcessor,
            CLIPModel,
            Mask2FormerForUniversalSegmentation,
            Mask2FormerImageProcessor,
        )

        for role, folder, kind in (("detector", detector, "mask2former"), ("CLIP", clip, "clip")):
            _check(role, Path(folder), kind)
        self._device = torch.device(device)
        self._prepare = Mask2FormerImageProcessor.from_pretrained(detector)
        self._detector = Mask2FormerForUniversalSegmentation.from_pretrained(detector).to(self._device).eval()
        self._prepare_crop = CLIPImageProcessor.from_pretrained(clip)
        self._tokenizer = AutoTokenizer.from_pretrained(clip)
        self._clip = CLIPModel.from_pretrained(clip).to(self._device).eval()
        self._palettes: dict[str, Tensor] = {}
        self._names = _geneval_names(self._detector.config.id2label)

    def check(self, claims: Sequence[Mapping[str, Any]]) -> None:
        """Raise InputError if prompts ask for a class that the detector does not know."""
        asked = {clause["class"] for one in claims for clause in one["include"]}
        if unknown := sorted(asked - set(self._names.values())):
            what = f"the detector knows no {unknown[0]!r}"
            raise InputError(what, STEP, "Give a Mask2Former that was trained on COCO's instances")

    @torch.no_grad()
    def judge(self, claims: Mapping[str, Any], image: Pixels) -> Verdict:
        """Whether an image, uint8 [H, W, 3], fulfils a prompt's claims."""
        found = self._detect(image, COUNTING_THRESHOLD if claims["tag"] == "counting" else THRESHOLD)
        return judge(claims, found, lambda chosen: self._colors(image, chosen))

    def _detect(self, image: Pixels, threshold: float) -> list[Detection]:
        inputs = self._prepare(images=Image.fromarray(image), return_tensors="pt").to(self._device)
        outputs = self._detector(pixel_values=inputs["pixel_values"], pixel_mask=inputs.get("pixel_mask"))
        (found,) = self._prepare.post_process_instance_segmentation(
            outputs, threshold=threshold, target_sizes=[image.shape[:2]], return_binary_maps=True
        )
        detections: dict[str, list[Detection]] = {}
        for info, mask in zip(found["segments_info"], _masks(found["segmentation"]), strict=False):
            name = self._names[info["label_id"]]
            one = Detection(name, _box(mask), float(info["score"]), None, {"mask": mask})
            detections.setdefault(name, []).append(one)
        return [
            one for some in detections.values() for one in sorted(some, key=lambda d: -d.score)[:MOST_BOXES]
        ]

    def _colors(self, image: Pixels, chosen: Sequence[Detection]) -> list[str]:
        crops = [
            Image.fromarray(np.where(one.extra["mask"][..., None], image, GREY).astype(np.uint8))
            for one in chosen
        ]
        cut = [crop.crop(one.box) for crop, one in zip(crops, chosen, strict=True)]
        pixels = self._prepare_crop(images=cut, return_tensors="pt")["pixel_values"].to(self._device)
        seen = F.normalize(_features(self._clip.get_image_features(pixel_values=pixels)), dim=-1)
        return [COLORS[index] for index in (seen @ self._palette(chosen[0].name).T).argmax(-1).tolist()]

    def _palette(self, name: str) -> Tensor:
        """The ten colours of a class as text embeddings [10, D], each the mean of its wordings."""
        if name not in self._palettes:
            told = [form.format(color=color, name=name) for color in COLORS for form in TEMPLATES]
            tokens = self._tokenizer(told, padding=True, return_tensors="pt").to(self._device)
            texts = _features(
                self._clip.get_text_features(
                    input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
                )
            )
            means = F.normalize(texts, dim=-1).view(len(COLORS), len(TEMPLATES), -1).mean(1)
            self._palettes[name] = F.normalize(means, dim=-1)
        return self._palettes[name]


def _check(role: str, folder: Path, kind: str) -> None:
    config = folder / "config.json"
    found = json.loads(config.read_text()).get("model_type") if config.is_file() else None
    if found != kind:
        what = f"no {role} weights in {folder}" if found is None else f"{folder} holds a {found}, no {kind}"
        raise InputError(what, STEP, f"Give a folder in transformers' layout with a {kind} model")


def _geneval_names(labels: Mapping[int, str]) -> dict[int, str]:
    ours = {other: name for name, others in SYNONYMS.items() for other in others}
    return {int(index): ours.get(label.lower(), label.lower()) for index, label in labels.items()}


def _masks(maps: Any) -> list[Any]:
    """Binary maps [n, H, W]; without any instance transformers gives one empty map [H, W]."""
    return [] if maps is None or maps.ndim != 3 else [np.asarray(one.cpu() > 0) for one in maps]


def _box(mask: Any) -> Box:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _features(output: Any) -> Tensor:
    """transformers 5 wraps what 4 returned bare."""
    features: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return features
