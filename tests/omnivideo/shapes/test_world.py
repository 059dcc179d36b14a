"""The world of shapes: scenes that hold together, words that are true, edits that change what they say."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omnivideo import media
from omnivideo.errors import InputError
from omnivideo.shapes.edits import OPERATIONS, sample_edit
from omnivideo.shapes.palette import BACKGROUNDS, COLORS, KINDS, held_out
from omnivideo.shapes.questions import ASKERS, ask
from omnivideo.shapes.render import coverage, render
from omnivideo.shapes.rows import Look, Task
from omnivideo.shapes.sampling import generator, sample_scene
from omnivideo.shapes.scene import Scene, fits
from omnivideo.shapes.words import caption, detailed, region
from omnivideo.shapes.writing import SHARES, read_truth, write

MANY = settings(max_examples=25, deadline=None)
numbers, flags = st.integers(0, 2**32), st.booleans()


@given(numbers, flags)
@MANY
def test_things_stay_inside_and_apart(number: int, moving: bool) -> None:
    """Every scene fits its frame from first to last, and no two things ever touch the same pixel."""
    scene = sample_scene(generator(number), "test", moving)
    assert fits(scene.things)
    for moment in (0.0, 0.5, 1.0):
        covered = [coverage(thing, 64, moment) > 0 for thing in scene.things]
        assert all(mask.any() and not mask[[0, -1]].any() and not mask[:, [0, -1]].any() for mask in covered)
        assert not any((one & other).any() for one, other in combinations(covered, 2))


@given(numbers, flags)
@MANY
def test_training_never_shows_a_held_out_look(number: int, moving: bool) -> None:
    """Scenes and edits of the training split hold no kind in the colour that it is held out in."""
    rng = generator(number)
    edit = sample_edit(rng, "train", moving)
    for scene in (sample_scene(rng, "train", moving), edit.source, edit.target):
        assert not any(held_out(thing.kind, thing.color) for thing in scene.things)


@given(numbers)
@MANY
def test_a_simple_scene_is_one_large_thing_of_the_world(number: int) -> None:
    """It fits, is never of a held-out look in training, and its words begin with colour and kind."""
    scene = sample_scene(generator(number), "train", False, simple=True)
    (thing,) = scene.things
    assert fits(scene.things)
    assert thing.size == "large"
    assert not held_out(thing.kind, thing.color)
    assert caption(scene, generator(number), False, simple=True).split()[1:3] == [thing.color, thing.kind]


def test_each_kind_and_color_is_learned() -> None:
    """Of each kind one colour is held out, so that every kind and every colour is still seen."""
    looks = [(kind, color) for kind in KINDS for color in COLORS if held_out(kind, color)]
    assert sorted(kind for kind, _ in looks) == sorted(KINDS)
    assert len({color for _, color in looks}) == len(looks)


@given(numbers, flags)
@MANY
def test_a_seed_says_everything(number: int, moving: bool) -> None:
    """The same seed gives the same scene, words and pixels, and JSON keeps all of a scene."""
    scenes = [sample_scene(generator(number), "train", moving) for _ in range(2)]
    assert scenes[0] == scenes[1] == Scene.from_json(json.loads(json.dumps(scenes[0].as_json())))
    assert np.array_equal(render(scenes[0], 64, 3), render(scenes[1], 64, 3))
    assert caption(scenes[0], generator(1), moving) == caption(scenes[1], generator(1), moving)


@given(numbers, flags)
@MANY
def test_a_caption_names_what_is_there(number: int, moving: bool) -> None:
    """A detailed caption names each colour and kind of the scene and its background, and no other colour."""
    scene = sample_scene(generator(number), "test", moving)
    told = set(detailed(scene, moving).replace(",", "").split())
    assert {thing.color for thing in scene.things} | {scene.background} == told & {*COLORS, *BACKGROUNDS}
    kinds = {kind for kind in KINDS if {kind, f"{kind}s", f"{kind}es"} & told}
    assert kinds == {thing.kind for thing in scene.things}


@given(numbers, flags)
@MANY
def test_answers_are_true(number: int, moving: bool) -> None:
    """Answers about colours, counts and presence agree with the scene."""
    rng = generator(number)
    scene = sample_scene(rng, "test", moving)
    looks = {f"{thing.color} {thing.kind}" for thing in scene.things}
    for question, answer in ask(scene, rng, moving, len(ASKERS)):
        words = question.rstrip("?").split()
        if question.startswith("Is there"):
            assert (" ".join(words[3:]) in looks) == (answer == "yes")
        elif question.startswith("What color is the") and "background" not in words:
            assert f"{answer} {words[-1]}" in looks
        elif question.startswith("How many"):
            assert answer == ("no", "one", "two", "three", "four")[len(scene.things)]


@given(numbers, st.sampled_from(OPERATIONS))
@example(4023, "add")  # what moves crosses the square of a still thing that is painted after it
@MANY
def test_an_edit_changes_what_it_says_alone(number: int, operation: str) -> None:
    """Outside of the thing that changes, source and target are the same to the pixel."""
    edit = sample_edit(generator(number), "test", True, operation)  # type: ignore[arg-type]
    source, target = (render(scene, 64, 3) for scene in (edit.source, edit.target))
    assert not np.array_equal(source, target)
    for number_of_frame, moment in enumerate((0.0, 0.5, 1.0)):
        changed = [thing for thing in (edit.before, edit.after) if thing]
        around = np.zeros((64, 64), bool)
        for thing in changed:
            around |= coverage(thing, 64, moment) > 0
        if operation != "background":
            assert np.array_equal(source[number_of_frame][~around], target[number_of_frame][~around])
    if edit.after and edit.operation == "add":
        assert region(edit.after.x, edit.after.y) in edit.instruction


def test_a_world_is_ordinary_files(tmp_path: Path) -> None:
    """All six tasks are written, each row's files open at the size and length asked for, twice the same."""
    look = Look(size=48, fps=8, seconds=0.5)
    counts = write(tmp_path / "a", 24, seed=3, look=look)
    assert write(tmp_path / "b", 24, seed=3, look=look, processes=2) == counts
    assert set(counts) == set(SHARES)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert [one for one in files if not _same(tmp_path / "a" / one, tmp_path / "b" / one)] == []
    for row in read_truth(tmp_path / "a"):
        frames = 5 if "video" in row["task"] else 1
        assert media.load(tmp_path / "a" / row["path"]).shape == (frames, 48, 48, 3)
    records = [json.loads(line) for line in (tmp_path / "a" / "records.jsonl").read_text().splitlines()]
    assert {record["task"] for record in records} == set(SHARES) - {"text_to_image", "text_to_video"}
    assert all((tmp_path / "a" / one["source"]).is_file() for one in records if "instruction" in one)


def _same(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes, or are videos whose pictures are within a level of each other.

    The encoder is told to be repeatable; a build of x264 that it cannot tell so shall not fail a test.
    """
    if one.read_bytes() == other.read_bytes():
        return True
    if one.suffix != ".mp4":
        return False
    mine, others = media.load(one).astype(np.float32), media.load(other).astype(np.float32)
    return mine.shape == others.shape and float(np.abs(mine - others).mean(axis=(1, 2, 3)).max()) < 1.0


def test_rows_do_not_depend_on_how_many(tmp_path: Path) -> None:
    """A larger world begins with the smaller one."""
    only: dict[Task, float] = {"text_to_image": 1.0}
    for name, count in (("few", 3), ("more", 6)):
        write(tmp_path / name, count, look=Look(size=32), shares=only)
    few, more = (read_truth(tmp_path / name) for name in ("few", "more"))
    assert more[:3] == few


def test_an_odd_size_is_refused(tmp_path: Path) -> None:
    """A size that no video has is one clear error."""
    with pytest.raises(InputError, match="a size of 65"):
        write(tmp_path, 1, look=Look(size=65))
