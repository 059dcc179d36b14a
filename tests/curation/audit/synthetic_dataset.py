"""A dataset that looks like one from a long run: real thumbnails, plausible scores, every verdict."""

from __future__ import annotations

import functools
import io
import json
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

FILTERS: list[dict[str, dict[str, float | None]]] = [
    {"resolution": {"min_short_side": 256}},
    {"aspect_ratio": {"min_ratio": 0.42, "max_ratio": 2.4}},
    {"duration": {"min_seconds": 2.0, "max_seconds": 60.0}},
    {"motion": {"min_flow": 0.3, "max_flow": 12.0}},
    {"/home/someone/watermark.py": {"max_area": 0.08}},  # a file of the user's own, not loaded by the audit
    {"/home/someone/focus.py": {"min_sharpness": 0.2}},
]
REASONS = {
    "resolution.min_short_side": "too_small",
    "aspect_ratio.min_ratio": "too_tall",
    "aspect_ratio.max_ratio": "too_wide",
    "duration.min_seconds": "too_short",
    "duration.max_seconds": "too_long",
    "motion.min_flow": "static",
    "motion.max_flow": "too_fast",
    "watermark.max_area": "above_max_area",
    "focus.min_sharpness": "below_min_sharpness",
}
SCORES = {
    "min_short_side": "resolution_short_side",
    "min_ratio": "aspect_ratio_ratio",
    "max_ratio": "aspect_ratio_ratio",
    "min_seconds": "duration_seconds",
    "max_seconds": "duration_seconds",
    "min_flow": "motion_mean_flow",
    "max_flow": "motion_mean_flow",
    "max_area": "watermark_area",
    "min_sharpness": "focus_sharpness",
}
CAPTIONS = (
    "A wide shot of {} under soft light, the camera holding still while small details move.",
    "{} seen from above; the camera pans slowly to the right and settles.",
    "Close view of {}, warm colours, shallow focus.",
    "The video shows {} with gentle motion from left to right, evening light and long shadows on the ground.",
)
LICENCES = {
    "street-archive": "CC-BY-4.0",
    "nature-4k": "CC0-1.0",
    "phone-uploads": None,
    "stock": "proprietary",
}
MEDIA = b"bytes of media that no audit reads"


@dataclass(frozen=True)
class Spec:
    """What to build: how many clips, how they were judged, and columns to overwrite by row number."""

    clips: int = 400
    seed: int = 7
    score_all: bool = True
    run_id: str = "run-1"
    recipe_filters: list[dict[str, dict[str, float | None]]] = field(default_factory=lambda: FILTERS)
    metadata: dict[str, str] = field(default_factory=dict)
    changes: dict[int, dict[str, Any]] = field(default_factory=dict)  # row -> column -> value
    tasks: tuple[str, ...] = ("text_to_video", "text_to_image")


@functools.cache
def thumbnails(images: Path, count: int = 24, seed: int = 0) -> dict[str, list[tuple[str, bytes]]]:
    """(subject, WebP) strips of five pans for videos and single frames for images, 96 pixels high."""
    from PIL import Image

    dice = np.random.default_rng(seed)
    names = [
        "astronaut",
        "chelsea",
        "coffee",
        "rocket",
        "retina",
        "ihc",
        "hubble_deep_field",
        "motorcycle_left",
    ]
    made: dict[str, list[tuple[str, bytes]]] = {"video": [], "image": []}
    for index in range(count):
        path = next(images.glob(f"{names[index % len(names)]}.*"))
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        width, height = picture.size
        side = int(min(width / 1.9, height) * dice.uniform(0.55, 0.8))
        wide = int(side * 16 / 9)
        left, top = dice.integers(0, max(1, width - wide - 5)), dice.integers(0, max(1, height - side))
        step = max(0, (width - wide - left) // 5)
        crops = [
            picture.crop((left + step * turn, top, left + step * turn + wide, top + side)).resize((171, 96))
            for turn in range(5)
        ]
        strip = Image.new("RGB", (171 * 5, 96))
        for turn, crop in enumerate(crops):
            strip.paste(crop, (171 * turn, 0))
        subject = names[index % len(names)].replace("_", " ")
        made["video"].append((subject, _webp(strip)))
        made["image"].append((subject, _webp(picture.resize((max(1, round(96 * width / height)), 96)))))
    return made


def _webp(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=70)
    return buffer.getvalue()


def scores(spec: Spec, dice: np.random.Generator, image: np.ndarray) -> dict[str, np.ndarray]:
    """One column per filter; NaN where a filter does not apply."""
    size = spec.clips
    short = dice.choice([144, 240, 360, 480, 720, 1080], size, p=[0.02, 0.06, 0.28, 0.2, 0.32, 0.12]).astype(
        float
    )
    ratio = np.where(image, dice.lognormal(0.2, 0.3, size), dice.choice([16 / 9, 4 / 3, 9 / 16, 2.6], size))
    seconds = np.where(image, np.nan, dice.gamma(2.2, 3.0, size) + 0.5)
    flow = np.where(image, np.nan, dice.lognormal(0.3, 1.2, size))
    area = np.clip(dice.beta(0.7, 12, size), 0, 1)
    sharp = np.clip(dice.normal(0.55, 0.17, size), 0.01, 1)
    columns = (short, ratio, seconds, flow, area, sharp)
    return dict(zip(dict.fromkeys(SCORES.values()), columns, strict=True))


def judge(spec: Spec, values: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(filter, reason) of the first filter that rejects, '' for none; a cascade blanks scores after it."""
    by = np.full(spec.clips, "", dtype=object)
    reason = np.full(spec.clips, "", dtype=object)
    fields = [
        (path.rpartition("/")[2].removesuffix(".py"), bound, limit)
        for entry in spec.recipe_filters
        for path, bounds in entry.items()
        for bound, limit in bounds.items()
    ]
    for rule, bound, limit in fields:
        column = values[SCORES[bound]]
        fails = (by == "") & ((column < limit) if bound.startswith("min") else (column > limit))
        by[fails] = rule
        reason[fails] = REASONS[f"{rule}.{bound}"]
    if not spec.score_all:
        rules = list(dict.fromkeys(rule for rule, _, _ in fields))
        for place, rule in enumerate(rules):
            for later, bound, _ in fields:
                if rules.index(later) > place:
                    values[SCORES[bound]][by == rule] = np.nan
    return by, reason


def build(folder: Path, images: Path, spec: Spec | None = None) -> str:
    """Write the dataset as one commit on top of what is in `folder`; returns its path."""
    from deltalake import CommitProperties, write_deltalake

    spec = spec or Spec()
    metadata = {
        "recipe": json.dumps({"filters": spec.recipe_filters, "split": {"threshold": 27.0}}),
        "recipe_sha256": recipe_sha256(spec),
        "run_id": spec.run_id,
        "code_version": "0.1.0+test",
        "input_snapshot": json.dumps({"sha256": sha256(str(spec.seed).encode()).hexdigest(), "files": 7}),
        "model_revisions": json.dumps({"caption": "omnivideo/describe@1"}),
        **spec.metadata,
    }
    write_deltalake(
        str(folder),
        table(images, spec),
        partition_by=["verdict"],
        mode="overwrite",
        schema_mode="overwrite",
        commit_properties=CommitProperties(custom_metadata=metadata),
    )
    return str(folder)


def recipe_sha256(spec: Spec) -> str:
    """Hash of the recipe that the rows carry."""
    return sha256(json.dumps(spec.recipe_filters).encode()).hexdigest()


def table(images: Path, spec: Spec) -> pa.Table:
    """The rows of `spec` with the columns of a dataset."""
    dice = np.random.default_rng(spec.seed)
    size = spec.clips
    task = dice.choice(spec.tasks, size)
    image = np.array(["image" in name for name in task], dtype=bool)
    values = scores(spec, dice, image)
    short, ratio = values["resolution_short_side"].copy(), values["aspect_ratio_ratio"].copy()
    seconds = np.nan_to_num(values["duration_seconds"]).copy()
    by, reason = judge(spec, values)
    luck = dice.random(size)
    verdict = np.where(by != "", "rejected", np.where(luck < 0.06, "duplicate", "kept")).astype(object)
    verdict[luck > 0.985] = "error"
    broken = verdict == "error"
    by[verdict == "duplicate"], reason[verdict == "duplicate"] = "dedup", "near_duplicate"
    slugs = dice.choice(["undecodable", "truncated", "not_media", "timeout"], size)
    by[broken], reason[broken] = "decode", slugs[broken]
    pool = thumbnails(images)
    columns = {
        "task": task,
        "verdict": verdict,
        "by": by,
        "reason": reason,
        "short": short,
        "ratio": ratio,
        "seconds": seconds,
        "pick": dice.integers(0, len(pool["video"]), size),
        "origin": dice.choice(list(LICENCES), size, p=[0.4, 0.3, 0.25, 0.05]),
    }
    rows = [_row(index, spec, columns, values, pool) for index in range(size)]
    for index, change in spec.changes.items():
        rows[index].update(change)
    return pa.Table.from_pylist(rows, schema=_schema(values))


def sample_id(spec: Spec, index: int) -> str:
    """Id of a row."""
    return sha256(f"{spec.seed}:{index}".encode()).hexdigest()[:32]


def _row(
    index: int,
    spec: Spec,
    columns: dict[str, Any],
    values: dict[str, np.ndarray],
    pool: dict[str, list[tuple[str, bytes]]],
) -> dict[str, Any]:
    task, verdict = str(columns["task"][index]), columns["verdict"][index]
    kind = "image" if "image" in task else "video"
    subject, picture = pool[kind][columns["pick"][index]]
    file = f"file:///data/{columns['origin'][index]}/{index // 3:07d}.{'jpg' if kind == 'image' else 'mp4'}"
    digest = sha256(file.encode()).hexdigest()
    length = float(columns["seconds"][index])
    start = float(index % 3) * 60
    row: dict[str, Any] = {
        "sample_id": sample_id(spec, index),
        "task": task,
        "source": str(columns["origin"][index]),
        "uri": file,
        "source_sha256": digest,
        "licence": LICENCES[str(columns["origin"][index])],
        "verdict": verdict,
        "filter": columns["by"][index] or None,
        "reason": columns["reason"][index] or None,
        "run_id": spec.run_id,
        "recipe_sha256": recipe_sha256(spec),
    }
    if verdict == "error":
        detail = "av.error.InvalidDataError: Invalid data found when processing input; moov atom not found"
        return row | {"detail": detail, "scores": None}
    twin = verdict == "duplicate"
    height = int(columns["short"][index])
    width = int(height * float(columns["ratio"][index])) or 1
    return row | {
        "start_s": start,
        "end_s": start + length,
        "width": width,
        "height": height,
        "fps": None if kind == "image" else float((24.0, 25.0, 29.97, 60.0)[index % 4]),
        "num_frames": 1 if kind == "image" else max(1, int(length * 25)),
        "media": MEDIA if verdict == "kept" else None,
        "media_format": "jpeg" if kind == "image" else "mp4",
        "caption": CAPTIONS[index % 4].format(subject) if verdict == "kept" else None,
        "caption_original": f"{subject}, clip {index}" if index % 2 else None,
        "captioner": "omnivideo/describe@1" if verdict == "kept" else None,
        "thumbnail": picture + index.to_bytes(8, "little"),  # as in life, no two are the same bytes
        "detail": f"looks like {sample_id(spec, index - 1)}, 3 of 64 bits apart" if twin else None,
        "scores": ({"dedup_hamming": 3.0} if twin else {})
        | {
            name: None if np.isnan(column[index]) else float(column[index]) for name, column in values.items()
        },
    }


def _schema(values: dict[str, np.ndarray]) -> pa.Schema:
    from curation.dataset import schema

    return schema(sorted(values))
