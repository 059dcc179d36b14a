"""Runs with other thresholds over media that an earlier version has judged."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from curation.dataset import open_dataset
from curation.media.child import MediaWorker
from curation.questions.explain import explain
from curation.questions.whatif import look
from curation.run import curate
from curation.store.republish import republish

from ..whole_run import everything, request, rows_of, silent

SHARP = 20.0  # two of the kept clips are less sharp


def filters(sharpness: float = 3.0, blocks: float | None = None, side: int = 128) -> list[Any]:
    """The filters of a recipe with three thresholds to turn."""
    quality = {"min_sharpness": sharpness, "min_block_quality": blocks}
    return ["duration", {"resolution": {"min_short_side": side}}, {"quality": quality}]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the files that are scanned and the clips that are cut, each of which decodes."""
    counts: Counter[str] = Counter()
    scan, cut = MediaWorker.scan, MediaWorker.cut

    def counted_scan(self: MediaWorker, path: Any, *asked: Any) -> Any:
        counts["scan"] += 1
        found = scan(self, path, *asked)
        counts["clips"] += len(found.clips)
        return found

    def counted_cut(self: MediaWorker, *span: Any) -> Any:
        counts["cut"] += 1
        return cut(self, *span)

    monkeypatch.setattr(MediaWorker, "scan", counted_scan)
    monkeypatch.setattr(MediaWorker, "cut", counted_cut)
    return counts


def test_other_thresholds_decode_only_what_comes_back(
    here: None, media: Path, tmp_path: Path, decoded: Counter[str]
) -> None:
    """A stricter bound decodes nothing, the old one again cuts what comes back; rows are as if fresh."""
    out, other = tmp_path / "dataset", tmp_path / "other"
    curate(request(media, out, filters=filters()), silent)
    first = everything(open_dataset(str(out)))
    decoded.clear()
    strict = curate(request(media, out, filters=filters(SHARP), run_id="two"), silent)
    assert decoded == {}
    assert strict["version"] == 1
    assert strict["reused"] > 3
    curate(request(media, other, filters=filters(SHARP)), silent)
    assert rows_of(open_dataset(str(out))) == rows_of(open_dataset(str(other)))
    gone = open_dataset(str(out)).table(["sample_id", "media"], "run_id = 'two' AND verdict = 'rejected'")
    assert len(gone) > 0
    assert gone["media"].null_count == len(gone)
    decoded.clear()
    curate(request(media, out, filters=filters(), run_id="three"), silent)
    back = [one for one in gone["sample_id"].to_pylist() if first[one]["verdict"] == "kept"]
    assert decoded == {"cut": len(back)}
    assert everything(open_dataset(str(out))) == first
    assert curate(request(media, out, filters=filters(), run_id="four"), silent)["published"] is False


def test_rows_that_stay_are_confirmed_not_rewritten(here: None, media: Path, tmp_path: Path) -> None:
    """Clips that the new recipe keeps as well stay as they are, and it is what explains them."""
    out = tmp_path / "dataset"
    curate(request(media, out, filters=filters()), silent)
    curate(request(media, out, filters=filters(SHARP), run_id="two"), silent)
    dataset = open_dataset(str(out))
    (kept,) = dataset.table(["sample_id", "run_id"], "verdict = 'kept' AND run_id = 'one'").to_pylist()[:1]
    (clip,) = explain(str(out), kept["sample_id"])["clips"]
    assert {one["field"]: one["threshold"] for one in clip["checks"]}["min_sharpness"] == SHARP
    assert clip["lineage"]["run_id"] == "one"
    assert clip["lineage"]["version"] == 1


def test_only_clips_without_a_score_are_judged_again(
    here: None, media: Path, tmp_path: Path, decoded: Counter[str]
) -> None:
    """A looser bound scans the files that nobody measured further, and no other; a new method scans all."""
    out, other = tmp_path / "dataset", tmp_path / "other"
    curate(request(media, out, filters=filters(side=300)), silent)
    decoded.clear()
    curate(request(media, out, filters=filters(side=128)), silent)
    assert decoded["scan"] == 3  # those that were rejected for their size
    curate(request(media, other, filters=filters(side=128)), silent)
    assert rows_of(open_dataset(str(out))) == rows_of(open_dataset(str(other)))
    decoded.clear()
    more = [*filters(), {"motion": {"method": "dis"}}]
    curate(request(media, out, filters=more), silent)
    assert decoded["scan"] == 2  # pictures have no motion
    decoded.clear()
    curate(request(media, out, filters=more, split={"method": "none"}), silent)
    assert decoded["scan"] == 7  # every file but the copy


def test_clips_of_a_file_that_are_decided_are_not_judged_with_the_others(
    here: None, media: Path, tmp_path: Path, decoded: Counter[str]
) -> None:
    """Of a file with clips that lack a score only these are judged; the others stay as they are published."""
    out, other = tmp_path / "dataset", tmp_path / "other"
    source = [{"file": str(media / "carphone_pristine.mp4")}]
    plain = {"sources": source, "split": {"method": "none", "min_seconds": 0.5, "max_seconds": 1.0}}
    plain |= {"dedup": {"perceptual": False}}
    loose = {**plain, "filters": [{"quality": {"min_block_quality": None}}, "motion"]}
    curate(request(media, other, **loose), silent)
    scores = open_dataset(str(other)).table(["scores"])["scores"].to_pylist()
    sharp = sorted(one["quality_sharpness"] for one in scores if one["quality_sharpness"] is not None)
    middle = sharp[len(sharp) // 2]
    strict = [{"quality": {"min_sharpness": middle, "min_block_quality": None}}, "motion"]
    curate(request(media, out, **{**plain, "filters": strict}), silent)
    gone = open_dataset(str(out)).funnel().rejected["quality"]
    assert 0 < gone < len(scores)
    decoded.clear()
    curate(request(media, out, **loose, run_id="two"), silent)
    assert (decoded["scan"], decoded["clips"]) == (1, gone)
    assert everything(open_dataset(str(out))) == everything(open_dataset(str(other)))
    runs = Counter(open_dataset(str(out)).table(["run_id"])["run_id"].to_pylist())
    assert runs == {"one": len(scores) - gone, "two": gone}


def test_published_outlook_is_what_a_run_goes_on_from(
    here: None, media: Path, tmp_path: Path, decoded: Counter[str]
) -> None:
    """A version made of other thresholds is that of a run with them, which finds nothing left to do."""
    out = tmp_path / "dataset"
    curate(request(media, out, filters=filters()), silent)
    made = republish(look(str(out), [f"quality.min_sharpness={SHARP}"]), "two")
    assert (made["published"], made["waiting"]) == (1, 0)
    decoded.clear()
    result = curate(request(media, out, filters=filters(SHARP), run_id="three"), silent)
    assert (result["published"], result["funnel"]) == (False, made["funnel"])
    back = republish(look(str(out), ["quality.min_sharpness=3"]), "four")
    assert back["waiting"] == 0  # their media has not gone
    assert open_dataset(str(out)).funnel() == open_dataset(str(out), 0).funnel()
    assert decoded == {}
