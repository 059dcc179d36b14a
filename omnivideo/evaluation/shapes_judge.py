"""Images, videos and edits of the world of shapes against what was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from omnivideo.evaluation.detector import Seen, detect
from omnivideo.evaluation.protocol import Detection, Verdict, judge
from omnivideo.shapes.edits import Edit
from omnivideo.shapes.palette import TRAVEL, Motion
from omnivideo.shapes.render import Pixels, coverage
from omnivideo.shapes.scene import Thing

LOOKS = 5  # frames of a video that are looked at, evenly spaced, ends included
LEAST_HOLDING = 4  # of them, in which a claim has to hold
LEAST_TRAVEL = TRAVEL / 3  # of the frame's side; what goes less far stays where it is
MOST_SIDEWAYS = 0.5  # of the way along
NEAR = 0.2  # of the frame's side; a thing within is where it was asked for
MOST_PSNR = 60.0  # dB; exact copies are beyond measure
MARGIN = 3  # pixels of 64 around what changes, which soft edges and codecs reach


class Edited(NamedTuple):
    """Whether an edit was done as told, and how well the rest was kept, in dB."""

    verdict: Verdict
    outside_psnr: float


def judge_frames(claims: Mapping[str, Any], frames: Pixels) -> Verdict:
    """Whether frames [T, H, W, 3] fulfil a prompt's claims: of a video most of its frames, and its motion."""
    seen = look(frames)
    verdicts = [judge(claims, one.detections) for one in seen]
    wrong = [verdict for verdict in verdicts if not verdict.correct]
    if len(verdicts) - len(wrong) < min(LEAST_HOLDING, len(verdicts)):
        return wrong[0]
    if "motion" not in claims:
        return Verdict(True)
    clause = claims["include"][0]
    found = motion_of(seen, clause["class"], clause.get("color"))
    right = found == claims["motion"]
    return Verdict(right, "" if right else f"expected {claims['motion']}, found {found or 'no one way'}")


def look(frames: Pixels) -> list[Seen]:
    """What is in evenly spaced frames, the first and the last among them."""
    count = min(LOOKS, len(frames))
    return [detect(frames[index]) for index in np.linspace(0, len(frames) - 1, count).round().astype(int)]


def motion_of(seen: Sequence[Seen], kind: str, color: str | None = None) -> Motion | None:
    """Where the only thing of a kind (and colour) goes from the first frame to the last that show it.

    None if most frames do not show exactly one, or if it goes askew.
    """
    shown = [one for one in (_matching(each, kind, color) for each in seen) if len(one) == 1]
    if len(shown) < LEAST_HOLDING:
        return None
    first, last = shown[0][0].extra, shown[-1][0].extra
    along, down = last["x"] - first["x"], last["y"] - first["y"]
    if max(abs(along), abs(down)) < LEAST_TRAVEL:
        return "still"
    if min(abs(along), abs(down)) > MOST_SIDEWAYS * max(abs(along), abs(down)):
        return None
    if abs(along) > abs(down):
        return "left" if along < 0 else "right"
    return "up" if down < 0 else "down"


def judge_edit(edit: Edit, source: Pixels, result: Pixels) -> Edited:
    """Judge frames [T, H, W, 3] that came of an edit of `source`, of the same shape.

    Done means that the change is there and nothing else is gone: all things of the target, no others, its
    background and, in a video, the motions.
    """
    seen = look(result)
    verdicts = [_holds(edit, one, moment) for one, moment in zip(seen, _moments(len(seen)), strict=True)]
    wrong = [verdict for verdict in verdicts if not verdict.correct]
    verdict = Verdict(True) if len(verdicts) - len(wrong) >= min(LEAST_HOLDING, len(verdicts)) else wrong[0]
    if verdict.correct and len(result) > 1:
        verdict = _moves(edit, seen)
    return Edited(verdict, psnr(source, result, _kept(edit, source.shape[:3], seen)))


def _moments(count: int) -> list[float]:
    return [number / max(1, count - 1) for number in range(count)]


def _holds(edit: Edit, seen: Seen, moment: float) -> Verdict:
    target = edit.target
    if seen.background != target.background:
        return Verdict(False, f"expected a {target.background} background, found {seen.background}")
    for thing in target.things:
        found = _matching(seen, thing.kind, thing.color)
        wanted = sum((one.kind, one.color) == (thing.kind, thing.color) for one in target.things)
        if len(found) != wanted:
            return Verdict(False, f"expected {wanted} {thing.color} {thing.kind}, found {len(found)}")
        # Where a motion is to change, a thing's place is its motion's affair.
        if edit.operation != "motion" and not any(_near(one, thing, moment) for one in found):
            return Verdict(False, f"the {thing.color} {thing.kind} is not where it was asked for")
    if len(seen.detections) != len(target.things):
        return Verdict(False, f"expected {len(target.things)} shapes, found {len(seen.detections)}")
    return Verdict(True)


def _moves(edit: Edit, seen: Sequence[Seen]) -> Verdict:
    for thing in edit.target.things:
        found = motion_of(seen, thing.kind, thing.color)
        if found != thing.motion:
            return Verdict(
                False, f"expected the {thing.kind} to go {thing.motion}, found {found or 'no one way'}"
            )
    return Verdict(True)


def _matching(seen: Seen, kind: str, color: str | None) -> list[Detection]:
    return [one for one in seen.detections if one.name == kind and color in (None, one.color)]


def _near(found: Detection, thing: Thing, moment: float) -> bool:
    x, y = thing.at(moment)
    return float(np.hypot(found.extra["x"] - x, found.extra["y"] - y)) < NEAR


def _kept(edit: Edit, shape: tuple[int, int, int], seen: Sequence[Seen]) -> NDArray[np.bool_]:
    """Where nothing was to change [T, H, W]: with a new background the things, else all but the one thing.

    What was added need not be where the truth has it: it is left out where it is, too.
    """
    import cv2

    count, height, width = shape
    assert height == width, "the world is square"
    changed = np.zeros(shape, bool)
    kernel = np.ones((1 + 2 * round(MARGIN * height / 64),) * 2, np.uint8)
    for number, moment in enumerate(_moments(count)):
        things = edit.source.things if edit.operation == "background" else (edit.before, edit.after)
        mask = sum((coverage(one, height, moment) > 0).astype(np.uint8) for one in things if one)
        around = np.asarray(mask, np.uint8)
        if edit.operation == "background":
            changed[number] = cv2.erode(around, kernel[1:-1, 1:-1]) == 0
        else:
            changed[number] = cv2.dilate(around, kernel) > 0
    if edit.operation == "add" and edit.after:
        for one in (one for each in seen for one in _matching(each, edit.after.kind, edit.after.color)[:1]):
            if _near(one, edit.after, 0.0):
                left, top, right, bottom = (round(value) for value in one.box)
                reach = kernel.shape[0] // 2
                changed[:, max(0, top - reach) : bottom + reach, max(0, left - reach) : right + reach] = True
    return ~changed


def psnr(one: Pixels, other: Pixels, where: NDArray[np.bool_]) -> float:
    """Peak signal to noise over some pixels, in dB; of exact copies 60."""
    squared = (one.astype(np.float32) - other.astype(np.float32))[where] ** 2
    error = float(squared.mean()) if squared.size else 0.0
    return min(MOST_PSNR, 10 * float(np.log10(255**2 / error))) if error else MOST_PSNR


def exact(answer: str, expected: str) -> bool:
    """Whether an answer is the expected one, but for case, space and closing punctuation."""
    return answer.strip().rstrip(".!").strip().casefold() == expected.casefold()
