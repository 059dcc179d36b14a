"""Thresholds against labels."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from curation.questions.calibrate import agreement, calibrate, suggest

from ..published_rows import a_row, publish_rows

FLOWS = [0.05, 0.2, 0.4, 0.6, 0.8, 2.0]
KEEP = [False, False, False, True, True, True]


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    """Six clips with a flow, and one without."""
    rows = [a_row(f"clip{n}", n, motion_mean_flow=flow) for n, flow in enumerate(FLOWS)]
    rows += [a_row("unscored", 9, "rejected")]
    recipe = {"filters": ["motion"]}
    return publish_rows(str(tmp_path / "d"), rows, ["motion_mean_flow"], recipe=recipe).uri


def labels(path: Path, column: str, names: list[str], keep: list[bool]) -> Path:
    """A CSV of labels."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column, "keep"])
        writer.writerows(zip(names, ["yes" if one else "0" for one in keep], strict=True))
    return path


def test_a_bound_between_the_labels_is_suggested(dataset: str, tmp_path: Path) -> None:
    """Precision and recall of the bound as it is, and the one that parts the labels; unscored clips apart."""
    names = [*(f"clip{n}.mp4" for n in range(6)), "unscored.mp4", "nobody.mp4"]
    found = calibrate(dataset, labels(tmp_path / "l.csv", "file", names, [*KEEP, True, True]))
    (flow,) = found["thresholds"]
    assert (found["labelled"], found["keep"], found["unknown"]) == (7, 4, ["nobody.mp4"])
    assert (flow["field"], flow["value"], flow["scored"], flow["not_scored"]) == ("min_flow", 0.1, 6, 1)
    assert flow["now"] == {
        "precision": 0.6,
        "recall": 1.0,
        "f1": 0.75,
        "wrongly_passed": 2,
        "wrongly_rejected": 0,
    }
    assert (flow["suggested"], flow["then"]["f1"]) == (0.5, 1.0)
    by_id = labels(tmp_path / "i.csv", "sample_id", [f"clip{n}-{n}" for n in range(6)], KEEP)
    assert calibrate(dataset, by_id)["thresholds"][0]["suggested"] == 0.5


def test_a_bound_that_none_beats_is_left(dataset: str, tmp_path: Path) -> None:
    """Where no other value agrees better, the present one stands, with no gain; twice said counts once."""
    names, keep = [f"clip{n}.mp4" for n in range(6)], [False, *[True] * 5]
    found = calibrate(dataset, labels(tmp_path / "l.csv", "file", [*names, *names], [*keep, *keep]))
    (flow,) = found["thresholds"]
    assert (found["labelled"], found["keep"], found["repeated"]) == (6, 5, 6)
    assert (flow["suggested"], flow["gain"], flow["then"]) == (0.1, 0.0, flow["now"])
    (other,) = calibrate(dataset, labels(tmp_path / "o.csv", "file", names, KEEP))["thresholds"]
    assert (other["suggested"], other["gain"]) == (0.5, 0.25)


def test_labels_that_contradict_each_other_are_refused(dataset: str, tmp_path: Path) -> None:
    """The file and both lines are named, also where one names the file by its path."""
    path = tmp_path / "l.csv"
    for again in ("clip0.mp4", "/media/clip0.mp4"):
        path.write_text(f"file,keep\nclip0.mp4,yes\nclip1.mp4,no\n{again},no\n")
        with pytest.raises(InputError, match=rf"l\.csv, lines 2 and 4: {again} is both to be kept and not"):
            calibrate(dataset, path)


def test_a_clip_may_be_labelled_apart_from_its_file(dataset: str, tmp_path: Path) -> None:
    """A sample id says more than the file that the clip is of."""
    path = tmp_path / "l.csv"
    path.write_text("file,keep\nclip0.mp4,yes\nclip0-0,no\nclip1.mp4,yes\n")
    found = calibrate(dataset, path)
    assert (found["labelled"], found["keep"]) == (2, 1)


def test_labels_that_cannot_be_read_are_refused(dataset: str, tmp_path: Path) -> None:
    """A missing file, column or clip, or a word that is neither yes nor no, is an input error."""
    path = tmp_path / "l.csv"
    for text, what in (
        ("file,keep\nclip0.mp4,perhaps\n", "line 2: keep is 'perhaps'"),
        ("name,keep\nx,1\n", "no columns file"),
        ("file,keep\nx,1\n", "no clip of"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=what):
            calibrate(dataset, path)
    with pytest.raises(InputError, match="cannot be read"):
        calibrate(dataset, tmp_path / "none.csv")


@given(st.lists(st.tuples(st.integers(0, 9).map(float), st.booleans()), min_size=1, max_size=20))
def test_no_bound_is_better_than_the_suggested_one(scored: list[tuple[float, bool]]) -> None:
    """Whatever the labels, no bound between scores has a higher F1, on either side."""
    for side in ("min", "max"):
        bound, found = suggest(scored, side)
        tried = [half / 2 for half in range(-1, 20)]
        for other in tried:
            passing = [((s >= other) if side == "min" else (s <= other), keep) for s, keep in scored]
            if any(passes for passes, _ in passing):
                assert agreement(passing).f1 <= found.f1
        if bound is not None:
            assert found.f1 > agreement([(True, keep) for _, keep in scored]).f1
