"""The judge against worlds that it knows the truth of: right on clean pixels and on harmed ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from omnivideo.evaluation import prompts
from omnivideo.evaluation.detector import detect
from omnivideo.evaluation.shapes_judge import exact, judge_edit, judge_frames, look, motion_of
from omnivideo.shapes.edits import OPERATIONS, sample_edit
from omnivideo.shapes.palette import DIRECTIONS, KINDS
from omnivideo.shapes.render import Pixels, render
from omnivideo.shapes.sampling import generator, sample_scene
from omnivideo.shapes.scene import Scene, Thing

Harm = Callable[[Pixels], Pixels]


def noisy(frame: Pixels, sigma: float = 16.0) -> Pixels:
    """The frame with noise of the sensor's kind."""
    return (
        np.clip(frame + np.random.default_rng(0).normal(0, sigma, frame.shape), 0, 255)
        .round()
        .astype(np.uint8)
    )


def jpeg(frame: Pixels, quality: int = 30) -> Pixels:
    """The frame as a JPEG has it."""
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(frame[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def blurred(frame: Pixels, sigma: float = 1.1) -> Pixels:
    """The frame out of focus."""
    return cv2.GaussianBlur(frame, (0, 0), sigma * frame.shape[0] / 64)


def autoencoded(frame: Pixels) -> Pixels:
    """The frame with all that a small autoencoder does to it."""
    faded = blurred(frame, 0.7).astype(np.float32) * 0.92 + 8
    return jpeg(noisy(faded.astype(np.uint8), 6.0), 60)


def agreement(size: int, harm: Harm, scenes: int) -> float:
    """The share of scenes of which kinds, colours, sizes, counts and background are all found."""
    right = 0
    for number in range(scenes):
        scene = sample_scene(generator("judge", number), "test", False)
        seen = detect(harm(render(scene, size)[0]))
        wanted = Counter((thing.kind, thing.color, thing.size) for thing in scene.things)
        found = Counter((one.name, one.color, one.extra["size"]) for one in seen.detections)
        right += wanted == found and seen.background == scene.background
    return right / scenes


@pytest.mark.parametrize("size", [64, 128])
def test_it_is_right_on_the_truth(size: int) -> None:
    """On rendered scenes at least 99 in 100 are understood whole."""
    assert agreement(size, lambda frame: frame, 30) >= 0.99


@pytest.mark.parametrize("harm", [noisy, jpeg, blurred, autoencoded])
def test_it_is_right_on_harmed_pixels(harm: Harm) -> None:
    """Noise, compression, blur, and all of them as an autoencoder has them, cost at most 5 in 100."""
    assert agreement(64, harm, 25) >= 0.95


@pytest.mark.parametrize("harm", [lambda frame: frame, autoencoded])
def test_motions_are_read(harm: Harm) -> None:
    """Where each thing goes is found in at least 95 in 100 videos, harmed or not."""
    asked = right = 0
    for number in range(8):
        scene = sample_scene(generator("motion", number), "test", True, 1 + number % 2)
        seen = look(np.stack([harm(frame) for frame in render(scene, 64, 9)]))
        looks = Counter((thing.kind, thing.color) for thing in scene.things)
        for thing in scene.things:
            if looks[thing.kind, thing.color] == 1:
                asked += 1
                right += motion_of(seen, thing.kind, thing.color) == thing.motion
    assert right >= 0.95 * asked


def asked_for(claims: prompts.Claims) -> Scene:
    """A scene that fulfils a prompt, whatever it leaves open."""
    places = [(0.22, 0.22), (0.78, 0.22), (0.22, 0.78), (0.78, 0.78)]
    things: list[Thing] = []
    relation = {"left of": ((0.75, 0.5), (0.25, 0.5)), "right of": ((0.25, 0.5), (0.75, 0.5))}
    relation |= {"above": ((0.5, 0.75), (0.5, 0.25)), "below": ((0.5, 0.25), (0.5, 0.75))}
    wanted = next((clause["position"][0] for clause in claims["include"] if "position" in clause), None)
    for clause in claims["include"]:
        for _ in range(clause["count"]):
            x, y = relation[wanted][len(things)] if wanted else places[len(things)]
            if motion := claims.get("motion"):
                x, y = {"left": (0.75, 0.5), "right": (0.25, 0.5), "up": (0.5, 0.75), "down": (0.5, 0.25)}[
                    motion
                ]
            color = clause.get("color") or ("red" if not things or clause["count"] > 1 else "white")
            things.append(Thing(clause["class"], color, "small", x, y, claims.get("motion", "still")))
    return Scene("black", tuple(things))


@pytest.mark.parametrize(
    "tag", ["single_object", "two_object", "counting", "colors", "position", "color_attr"]
)
def test_prompts_are_fulfilled_by_what_they_ask_for(tag: str) -> None:
    """A scene made for a prompt fulfils it; the next prompt's scene, an empty one and noise do not."""
    asked = prompts.of_category(tag)[:6]
    scenes = [render(asked_for(claims), 64) for claims in asked]
    empty, noise = (
        np.full((1, 64, 64, 3), 66, np.uint8),
        np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8),
    )
    for claims, mine in zip(asked, scenes, strict=True):
        assert judge_frames(claims, mine).correct, claims["prompt"]
        assert not judge_frames(claims, empty).correct
        assert not judge_frames(claims, noise).correct
    others = [judge_frames(claims, one).correct for claims, one in zip(asked, scenes[1:], strict=False)]
    assert sum(others) <= len(others) // 4  # two prompts may want the same thing in part


def test_videos_go_where_they_are_asked_to() -> None:
    """A video fulfils a prompt of motion if its thing goes that way, not another and not nowhere."""
    for claims in prompts.of_category("motion")[:4]:
        scene = asked_for(claims)
        frames = render(scene, 64, 9)
        assert judge_frames(claims, frames).correct
        assert not judge_frames(claims, frames[::-1]).correct
        assert not judge_frames(claims, np.repeat(frames[:1], 9, axis=0)).correct


@pytest.mark.parametrize("operation", OPERATIONS)
def test_edits_are_judged(operation: str) -> None:
    """The target of an edit passes and keeps the rest; neither the source nor a wash does."""
    for number in range(2):
        edit = sample_edit(generator("edit", number), "test", True, operation)  # type: ignore[arg-type]
        source, target = render(edit.source, 64, 9), render(edit.target, 64, 9)
        done = judge_edit(edit, source, np.stack([autoencoded(frame) for frame in target]))
        assert done.verdict.correct, (edit.instruction, done)
        assert judge_edit(edit, source, target).outside_psnr > 50
        assert not judge_edit(edit, source, source).verdict.correct
        washed = np.clip(target.astype(int) + 60, 0, 255).astype(np.uint8)
        assert judge_edit(edit, source, washed).outside_psnr < 20


def test_a_thing_gone_is_no_edit() -> None:
    """What an edit does not speak of must still be there: an empty frame has not removed one thing."""
    edit = sample_edit(generator("gone"), "test", False, "remove")
    source = render(edit.source, 64)
    empty = render(Scene(edit.source.background, ()), 64)
    assert not judge_edit(edit, source, empty).verdict.correct


def test_prompts_are_fixed() -> None:
    """Prompts, edits and questions are the same at every call, and show what training holds out."""
    assert prompts.of_category("colors") == prompts.of_category("colors")
    assert prompts.edits(True) == prompts.edits(True)
    assert prompts.questions(False) == prompts.questions(False)
    assert sum(claims["held_out"] for claims in prompts.of_category("colors")) == len(KINDS)
    assert {claims["motion"] for claims in prompts.of_category("motion")} == set(DIRECTIONS)
    assert all(plain["prompt"] != asked["prompt"] for asked, plain in prompts.thinking())


def test_answers_match_exactly() -> None:
    """Case, space and a full stop do not matter in an answer; another word does."""
    assert exact(" Red.", "red")
    assert not exact("red circle", "red")
    assert not exact("", "red")
