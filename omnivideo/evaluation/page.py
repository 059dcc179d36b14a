"""Scores as one offline page: tables, and samples good and bad. What models wrote is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from omnivideo.evaluation.run import Record
from omnivideo.shapes.render import Pixels
from omnivideo.shapes.rows import encode_image

_FOLDER = Path(__file__).parent
SHOWN = 12  # samples of a part, good and bad alike
STRIP = 5  # frames of a video
TITLES = {
    "image": "Text to image",
    "video": "Text to video",
    "image_edit": "Image edits",
    "video_edit": "Video edits",
    "image_questions": "Questions about images",
    "video_questions": "Questions about videos",
    "think": "Think mode",
    "geneval": "GenEval",
}
FIGURES = {
    "overall": "overall",
    "done": "done as told",
    "outside_psnr": "PSNR outside, mean, dB",
    "outside_psnr_median": "PSNR outside, median, dB",
    "accuracy": "exact answers",
    "gain": "gain by think mode",
}


def render_page(report: Mapping[str, Any], records: Iterable[Record]) -> str:
    """The page of a report: `model`, `seed`, `made`, `device`, and `scores` as `summarise` gives them."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (_FOLDER / "page.css").read_text(encoding="utf-8").strip()
    return environment.get_template("page.html.j2").render(
        report=report,
        titles=TITLES,
        figures=FIGURES,
        samples=_samples(records),
        style=Markup(style),  # a file of this folder, no data in it
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{_hash(style)}'; base-uri 'none'; "
        "form-action 'none'",
    )


def _hash(source: str) -> str:
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _samples(records: Iterable[Record]) -> dict[str, list[tuple[str, list[dict[str, Any]]]]]:
    """Of each part some that were right and some that were not, spread over its groups."""
    found: dict[str, dict[bool, dict[str, list[Record]]]] = {}
    for record in records:
        sides = found.setdefault(record.part, {True: {}, False: {}})
        sides[record.correct].setdefault(record.group, []).append(record)
    return {
        part: [
            (name, [_card(one) for one in _spread(sides[side])])
            for name, side in (("Right", True), ("Wrong", False))
        ]
        for part, sides in found.items()
    }


def _spread(groups: Mapping[str, list[Record]]) -> list[Record]:
    """The first of each group, then the second of each, up to as many as are shown."""
    rounds = range(max(map(len, groups.values()), default=0))
    turn = [some[number] for number in rounds for some in groups.values() if number < len(some)]
    return turn[:SHOWN]


def _card(record: Record) -> dict[str, Any]:
    pictures = [frames for frames in (record.source, record.frames) if frames is not None]
    return {
        "prompt": record.prompt[:300],
        "reason": record.reason[:300],
        "group": record.group,
        "psnr": record.outside_psnr,
        "pictures": [_strip(frames) for frames in pictures],
    }


def _strip(frames: Pixels) -> str:
    """Evenly spaced frames side by side, as a data URI."""
    chosen = frames[np.linspace(0, len(frames) - 1, min(STRIP, len(frames))).round().astype(int)]
    return f"data:image/png;base64,{base64.b64encode(encode_image(np.concatenate(chosen, axis=1))).decode()}"
