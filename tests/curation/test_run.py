"""Runs from media to versions, with real media: incremental, resumed after every kind of end, and stopped."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from curation import run
from curation.dataset import Dataset, open_dataset
from curation.errors import InputError
from curation.media.records import ScanRequest
from curation.run import curate
from curation.sources import Item
from curation.steps.cutter import Cutter, Take
from curation.steps.judge import Judge
from curation.steps.losses import StoppedError
from curation.store.publish import ConflictError
from curation.store.staging import Staging

from .whole_run import FUNNEL, active_files, data_files, request, rows_of, silent


def test_second_run_makes_no_version(here: None, media: Path, tmp_path: Path) -> None:
    """The same recipe over the same folder: the same funnel, everything reused, no new version."""
    out = tmp_path / "dataset"
    first = curate(request(media, out), silent)
    again = curate(request(media, out), silent)
    assert again["funnel"] == first["funnel"]
    assert (again["version"], again["reused"], again["published"]) == (0, 8, False)
    assert data_files(out) == active_files(out)


def test_new_file_is_appended(here: None, media: Path, tmp_path: Path, images: Path) -> None:
    """Of a folder that grew only the new file is judged; the files of the version before stay as they are."""
    out = tmp_path / "dataset"
    curate(request(media, out), silent)
    before = active_files(out)
    shutil.copy(images / "rocket.jpg", media / "zz-copy.jpg")
    shutil.copy(images / "camera.png", media)
    result = curate(request(media, out, run_id="two"), silent)
    assert (result["version"], result["reused"]) == (1, 8)
    assert result["funnel"] == {**FUNNEL, "inputs": 10, "clips": 10, "kept": 5, "duplicate": 3}
    assert before < active_files(out)
    new = open_dataset(str(out)).table(["uri"], "run_id = 'two'").to_pylist()
    assert {Path(row["uri"]).name for row in new} == {"camera.png", "zz-copy.jpg"}


def test_near_duplicate_of_an_earlier_version_is_found(here: None, media: Path, tmp_path: Path) -> None:
    """A new clip that looks like a published one is its duplicate, even if it is the better one."""
    out, pristine = tmp_path / "dataset", media / "carphone_pristine.mp4"
    shutil.move(pristine, tmp_path / "later.mp4")
    curate(request(media, out), silent)
    shutil.move(tmp_path / "later.mp4", pristine)
    curate(request(media, out, run_id="two"), silent)
    (row,) = open_dataset(str(out)).table(["verdict", "reason"], "run_id = 'two'").to_pylist()
    assert row == {"verdict": "duplicate", "reason": "near_duplicate"}


def test_new_filter_replaces_all_rows_in_one_version(here: None, media: Path, tmp_path: Path) -> None:
    """With another filter the files are judged again, and each row stands once, with the new score."""
    out = tmp_path / "dataset"
    curate(request(media, out), silent)
    ids = set(rows_of(open_dataset(str(out))))
    result = curate(request(media, out, filters=["duration", "resolution", "aspect_ratio"]), silent)
    dataset = open_dataset(str(out))
    assert (result["version"], dataset.version, set(rows_of(dataset))) == (1, 1, ids)
    assert len(dataset.table(["sample_id"])) == 8
    assert any(name.startswith("aspect_ratio_") for name in dataset.score_names)
    assert len(rows_of(open_dataset(str(out), 0))) == 8


def test_fresh_judges_everything_again(here: None, media: Path, tmp_path: Path) -> None:
    """With fresh nothing is reused, and the rows are the same but for the run that made them."""
    out = tmp_path / "dataset"
    curate(request(media, out), silent)
    before = rows_of(open_dataset(str(out)))
    result = curate(request(media, out, fresh=True, run_id="two"), silent)
    assert (result["version"], result["reused"]) == (1, 0)
    dataset = open_dataset(str(out))
    assert rows_of(dataset) == before
    assert set(dataset.table(["run_id"])["run_id"].to_pylist()) == {"two"}


@pytest.mark.parametrize("moment", ["finish", "publish", "clear"])
def test_run_that_died_goes_on(
    here: None, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Whenever a run dies, the next one judges no file again and leaves each row and file once."""
    out = tmp_path / "dataset"

    with monkeypatch.context() as dying:
        dying.setattr(*((Staging, "clear") if moment == "clear" else (run, moment)), _die)
        with pytest.raises(KeyboardInterrupt):
            curate(request(media, out), silent)
    assert (out / "_staging").exists()
    monkeypatch.setattr(Judge, "_scan", _die)
    monkeypatch.setattr(Cutter, "_stage", Cutter._stage if moment == "finish" else _die)
    result = curate(request(media, out), silent)
    assert result["funnel"] == FUNNEL
    assert result["version"] == 0
    assert len(rows_of(open_dataset(str(out)))) == 8
    assert data_files(out) == active_files(out)


def test_what_other_runs_left_goes_away_when_it_is_old(
    here: None, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed run of another recipe has staged is kept for a day, and then removed with its files."""
    out = tmp_path / "dataset"
    with monkeypatch.context() as dying:
        dying.setattr(run, "publish", _die)
        with pytest.raises(KeyboardInterrupt):
            curate(request(media, out, filters=[]), silent)
    curate(request(media, out), silent)
    assert (out / "_staging").exists()
    assert data_files(out) > active_files(out)
    for path in (out / "_staging").rglob("*.parquet"):
        os.utime(path, (0, 0))
    curate(request(media, out), silent)
    assert data_files(out) == active_files(out)


def test_conflict_is_planned_again(
    here: None, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: Path
) -> None:
    """If another run publishes first, this one goes on from there, judging nothing twice."""
    out = tmp_path / "dataset"
    publish = run.publish

    def beaten(*arguments: Any) -> Dataset:
        monkeypatch.setattr(run, "publish", publish)
        other = tmp_path / "other"
        other.mkdir()
        shutil.copy(images / "coins.png", other / "theirs.png")
        curate(request(other, out, run_id="other", filters=[]), silent)
        return publish(*arguments)

    monkeypatch.setattr(run, "publish", beaten)
    result = curate(request(media, out), silent)
    assert result["version"] == 1
    dataset = open_dataset(str(out))
    assert len(rows_of(dataset)) == 8  # their row of the same bytes has become ours
    assert data_files(out) >= active_files(out)
    assert not (out / "_staging").exists()


def test_step_that_loses_most_stops_the_run(here: None, tmp_path: Path, images: Path) -> None:
    """If more than the share of inputs fail, nothing is published; those files are tried again later."""
    folder, out = tmp_path / "media", tmp_path / "dataset"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.mp4").write_text(f"no media {number}")
    shutil.copy(images / "coins.png", folder)
    with pytest.raises(StoppedError, match=r"7 of 13 inputs failed at decode, most as not_media") as caught:
        curate(request(folder, out), silent)
    assert "max_error_share" in caught.value.next_step
    assert not (out / "_delta_log").exists()
    result = curate(request(folder, out, shards={"max_error_share": 1.0}), silent)
    assert (result["funnel"]["error"], result["funnel"]["kept"]) == (12, 1)


def test_where_nothing_can_be_read_the_input_is_bad(here: None, tmp_path: Path, images: Path) -> None:
    """However few the inputs: their rows are published, and what was wrong with most is said, each time."""
    folder, out = tmp_path / "media", tmp_path / "dataset"
    folder.mkdir()
    for name, text in (("a.mp4", "no media"), ("b.mp4", "nor this"), ("b-copy.mp4", "nor this"), ("c", "")):
        (folder / name).write_text(text)
    for _ in range(2):  # the second run finds all of it as it was
        with pytest.raises(InputError, match=r"0 of 4 inputs could be read, most end as not_media: ") as said:
            curate(request(folder, out), silent)
        assert said.value.next_step.startswith(f"each has its row in {out} version 0;")
    dataset = open_dataset(str(out))
    assert (dataset.version, dataset.funnel().as_json()["error"], len(rows_of(dataset))) == (0, 3, 4)
    assert data_files(out) == active_files(out)
    shutil.copy(images / "coins.png", folder)
    assert curate(request(folder, out), silent)["funnel"]["kept"] == 1


def test_what_was_read_and_failed_later_is_no_bad_input(
    here: None, tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clip that is lost when it is cut was read: the run ends with its error, and says no word of input."""
    folder = tmp_path / "media"
    folder.mkdir()
    shutil.copy(images / "coins.png", folder)
    judge = Judge.__call__

    def judged_then_gone(self: Judge, item: Item) -> Any:
        outcome = judge(self, item)
        (folder / "coins.png").write_text("something else by now")
        return outcome

    monkeypatch.setattr(Judge, "__call__", judged_then_gone)
    result = curate(request(folder, tmp_path / "dataset"), silent)
    assert (result["funnel"]["error"], result["funnel"]["kept"]) == (1, 0)


def test_conflicts_without_end_give_up(
    here: None, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is beaten again and again stops and says that nothing is lost."""

    def beaten(*arguments: Any) -> Dataset:
        raise ConflictError

    monkeypatch.setattr(run, "publish", beaten)
    with pytest.raises(StoppedError, match="other runs have published"):
        curate(request(media, tmp_path / "dataset"), silent)


def test_shards_are_bounded_by_bytes(here: None, media: Path, tmp_path: Path) -> None:
    """A small target makes more files, each with row groups of few bytes, and loses no row."""
    out = tmp_path / "dataset"
    shards = {"target_mb": 0.2, "row_group_mb": 0.05}
    curate(request(media, out, shards=shards), silent)
    assert len(list((out / "verdict=kept").iterdir())) >= 2
    assert len(rows_of(open_dataset(str(out)))) == 8


def test_file_that_changed_after_judging_is_an_error(tmp_path: Path, images: Path) -> None:
    """A clip is never cut from other bytes than those that were judged."""
    path = tmp_path / "a.png"
    shutil.copy(images / "coins.png", path)
    staging = Staging(str(tmp_path / "dataset"), "recipe")
    outcome = Judge(staging, ScanRequest().to_json())(Item(str(path), "s", None, 0))
    shutil.copy(images / "rocket.jpg", path)
    take = Take(str(path), str(outcome["sha256"]), ["x"])
    config = request(tmp_path, tmp_path).caption
    (failure,) = Cutter(staging, config)(take)["failures"]
    assert failure["reason"] == "changed"


def test_remote_and_unreadable_files_are_judged(tmp_path: Path, images: Path) -> None:
    """A URL is fetched and judged like a file; what is gone or must not be read fails with a reason."""
    import fsspec

    fsspec.filesystem("memory").pipe("/media/a.png", (images / "coins.png").read_bytes())
    judge = Judge(Staging(str(tmp_path), "recipe"), ScanRequest().to_json())
    outcome = judge(Item("memory://media/a.png", "s", None, 0))
    assert (outcome["state"], outcome["kept"]) == ("judged", 1)
    gone = judge(Item("memory://media/gone.png", "s", None, 0))
    assert (gone["sha256"], gone["step"], gone["reason"]) == (None, "sources", "missing")
    assert judge(Item("/x", "s", None, 0, "outside_root"))["reason"] == "outside_root"


def _die(*arguments: object) -> None:
    raise KeyboardInterrupt
