"""GenEval's rules (Ghosh et al. 2023, arxiv.org/abs/2310.11513): what of a prompt's claims an image fulfils.

A prompt is {tag, prompt, include: [{class, count, color?, position?: [relation, index]}], exclude: [{class,
count}]}. Every clause of `include` must hold, none of `exclude` may; of a class only the surest `count`
detections are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
DEAD_ZONE = 0.1  # of two boxes' summed sizes, in which one is neither left nor right of the other
LEAST_SHARE = 0.5  # of the distance between centres that has to lie along a direction


class Box(NamedTuple):
    """Pixels, from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Detection:
    """One thing in an image: its class, where it is, and how sure that is, 0 to 1."""

    name: str
    box: Box
    score: float
    color: str | None = None  # None: to be classified if it is asked for
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False)


class Verdict(NamedTuple):
    """Whether a claim holds, and if not, why."""

    correct: bool
    reason: str = ""


ColorsOf = Callable[[Sequence[Detection]], Sequence[str | None]]


def own_colors(detections: Sequence[Detection]) -> list[str | None]:
    """The colours that the detector gave."""
    return [detection.color for detection in detections]


def judge(
    claims: Mapping[str, Any], detections: Iterable[Detection], colors_of: ColorsOf = own_colors
) -> Verdict:
    """Whether the detections of an image fulfil a prompt's claims."""
    found: dict[str, list[Detection]] = {}
    for detection in sorted(detections, key=lambda one: -one.score):
        found.setdefault(detection.name, []).append(detection)
    reasons: list[str] = []
    groups: list[Sequence[Detection] | None] = []
    for clause in claims.get("include", ()):
        chosen = found.get(clause["class"], [])[: clause["count"]]
        reason = _missing(clause, chosen, colors_of) or _misplaced(clause, chosen, groups)
        groups.append(None if reason else chosen)
        reasons += [reason] if reason else []
    for clause in claims.get("exclude", ()):
        count = len(found.get(clause["class"], ()))
        if count >= clause["count"]:
            reasons.append(f"expected fewer than {clause['count']} {clause['class']}, found {count}")
    return Verdict(not reasons, "; ".join(reasons))


def _missing(clause: Mapping[str, Any], chosen: Sequence[Detection], colors_of: ColorsOf) -> str:
    name, count = clause["class"], clause["count"]
    if len(chosen) < count:
        return f"expected {count} {name}, found {len(chosen)}"
    if "color" not in clause:
        return ""
    colors = list(colors_of(chosen))
    if colors.count(clause["color"]) >= count:
        return ""
    return f"expected {count} {clause['color']} {name}, found {', '.join(map(str, colors))}"


def _misplaced(
    clause: Mapping[str, Any], chosen: Sequence[Detection], groups: Sequence[Sequence[Detection] | None]
) -> str:
    if "position" not in clause:
        return ""
    wanted, index = clause["position"]
    target = groups[index]
    if target is None:
        return f"nothing for {clause['class']} to be {wanted}"
    for one in chosen:
        for other in target:
            if wanted not in (held := relations(one.box, other.box)):
                where = " and ".join(held) or "neither"
                return f"expected {clause['class']} {wanted} {other.name}, found {where}"
    return ""


def relations(one: Box, other: Box) -> list[str]:
    """Which of left of, right of, above and below `one` is of `other`; none, one or two."""
    offset = _center(one)[0] - _center(other)[0], _center(one)[1] - _center(other)[1]
    sizes = (one.right - one.left + other.right - other.left, one.bottom - one.top + other.bottom - other.top)
    beyond = [
        math.copysign(max(abs(along) - DEAD_ZONE * size, 0.0), along)
        for along, size in zip(offset, sizes, strict=True)
    ]
    distance = math.hypot(*offset)
    if distance == 0:
        return []
    across, down = (along / distance for along in beyond)
    held = {
        "left of": across < -LEAST_SHARE,
        "right of": across > LEAST_SHARE,
        "above": down < -LEAST_SHARE,
        "below": down > LEAST_SHARE,
    }
    return [name for name, holds in held.items() if holds]


def _center(box: Box) -> tuple[float, float]:
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2


def overall(by_tag: Mapping[str, float]) -> float | None:
    """The unweighted mean of the categories that were asked, None if none was."""
    scores = [by_tag[tag] for tag in TAGS if tag in by_tag]
    return sum(scores) / len(scores) if scores else None
