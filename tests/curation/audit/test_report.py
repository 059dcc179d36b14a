"""The audit as its readers get it: figures that agree with the rows, and files that agree with each other."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from curation.dataset import open_dataset
from curation.errors import InputError
from curation.run import curate
from curation.steps.ordering import ORDER, Figure
from curation.store.staging import Staging

from ..whole_run import request, silent
from .conftest import Audited, audit
from .synthetic_dataset import FILTERS, SCORES, Spec, build, sample_id, table


def _figures(value: Any) -> list[dict[str, Any]]:
    """Every query of a report with its rows."""
    if isinstance(value, dict):
        own = [value] if set(value) == {"sql", "rows"} else []
        return own + [figure for inner in value.values() for figure in _figures(inner)]
    return [figure for inner in value for figure in _figures(inner)] if isinstance(value, list) else []


def test_the_funnel_counts_every_row_once(audited: Audited, images: Path) -> None:
    """Inputs, clips and each verdict are those of the rows, and they add up."""
    rows = table(images, Spec(clips=400))
    funnel = audited.figures["funnel"]
    counts = {row["values"]: row["counts"] for row in pc.value_counts(rows["verdict"]).to_pylist()}
    assert funnel["clips"] == 400
    assert funnel["inputs"] == len(pc.unique(rows["uri"]))
    assert {key: funnel[key] for key in ("kept", "duplicate", "error")} == {
        key: counts[key] for key in ("kept", "duplicate", "error")
    }
    assert sum(funnel["rejected"].values()) == counts["rejected"]
    assert funnel["closes"]
    assert funnel["steps"][-1]["left"] == funnel["kept"]
    assert all(check["holds"] for check in audited.figures["checks"])


def test_filters_stand_in_the_order_in_which_they_judged(here: None, media: Path, tmp_path: Path) -> None:
    """The funnel and the filters' section follow the order that the run settled, not the recipe or cost."""
    names, out = ["quality", "exposure", "resolution"], tmp_path / "dataset"
    asked = request(media, out, filters=["resolution", "exposure", {"quality": {"min_sharpness": 1000.0}}])
    told = {"order": names, "figures": {name: Figure(1.0, 0.5, 9)._asdict() for name in names}}
    Staging(str(out), asked.recipe_sha256()).write(ORDER, ORDER, pa.table({"order": [json.dumps(told)]}))
    curate(asked, silent)
    figures = audit(str(out), tmp_path / "audit").figures
    assert [step["name"] for step in figures["funnel"]["steps"]] == [*names, "dedup", "errors"]
    assert [row["name"] for row in figures["filters"]][:3] == names
    assert figures["funnel"]["rejected"]["quality"] > 0


def test_the_summary_is_what_was_written(audited: Audited) -> None:
    """What build_audit returns names the two files and repeats their verdict and funnel."""
    assert Path(audited.summary["html"]).name == "audit.html"
    assert Path(audited.summary["json"]).name == "audit.json"
    assert audited.summary["verdict"] == audited.figures["verdict"]
    assert audited.summary["funnel"]["kept"] == audited.figures["funnel"]["kept"]
    assert f"{audited.figures['funnel']['kept']:,}" in audited.page


def test_every_query_runs_as_it_is_shown(audited: Audited) -> None:
    """Each SQL text, run the way the page explains, gives the rows that the report holds."""
    rows = DeltaTable(audited.dataset).to_pyarrow_dataset()
    connection = duckdb.connect()
    connection.register("rows", rows)
    figures = _figures(audited.figures)
    assert len(figures) > 50
    for figure in figures:
        found = connection.execute(figure["sql"])
        names = [column[0] for column in found.description]
        again = found.fetchall()
        assert len(figure["rows"]) == len(again), figure["sql"]
        for row, values in zip(figure["rows"], again, strict=True):
            for name, value in zip(names, values, strict=True):
                if isinstance(value, int | str):
                    assert row[name] == value, figure["sql"]


def test_auditing_again_gives_the_same_bytes(audited: Audited, tmp_path: Path) -> None:
    """The page and the JSON depend on the version alone."""
    again = audit(audited.dataset, tmp_path)
    assert again.page == audited.page
    assert again.figures == audited.figures


def test_a_folder_that_cannot_be_made_is_said(audited: Audited, tmp_path: Path) -> None:
    """Where no page can be written, the message names the place."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/audit cannot be written: Not a directory"):
        audit(audited.dataset, tmp_path / "file" / "audit")


def test_media_is_never_read(tmp_path: Path, images: Path) -> None:
    """An audit of files whose media bytes are destroyed is that of the intact files."""
    dataset = build(tmp_path / "dataset", images, Spec(clips=120))
    before = audit(dataset, tmp_path / "before")
    broken = 0
    for path in Path(dataset).rglob("*.parquet"):
        metadata = pq.ParquetFile(path).metadata
        content = bytearray(path.read_bytes())
        for group in range(metadata.num_row_groups):
            for place in range(metadata.num_columns):
                chunk = metadata.row_group(group).column(place)
                if chunk.path_in_schema in {"media", "edit_source"}:
                    start = chunk.dictionary_page_offset or chunk.data_page_offset
                    content[start : start + chunk.total_compressed_size] = (
                        b"\xff" * chunk.total_compressed_size
                    )
                    broken += 1
        path.write_bytes(content)
    assert broken >= 4
    with pytest.raises(OSError):  # noqa: PT011 — pyarrow's words differ by version
        DeltaTable(dataset).to_pyarrow_table(columns=["media"])
    after = audit(dataset, tmp_path / "after")
    assert after.page == before.page


def test_a_threshold_is_moved_by_a_tenth(audited: Audited, images: Path) -> None:
    """Kept clips at -10 % and +10 % are those that judging the stored scores again would keep."""
    rows = table(images, Spec(clips=400))
    candidates = np.array([verdict in {"kept", "rejected"} for verdict in rows["verdict"].to_pylist()])
    limits = {
        (path.rpartition("/")[2].removesuffix(".py"), field): limit
        for entry in FILTERS
        for path, bounds in entry.items()
        for field, limit in bounds.items()
    }
    columns = {
        field: np.array(pc.struct_field(rows["scores"], SCORES[field]).to_numpy(zero_copy_only=False), float)
        for _, field in limits
    }

    def kept(changed: dict[tuple[str, str], float]) -> int:
        good = candidates.copy()
        for (_, field), limit in (limits | changed).items():
            column = columns[field]
            good &= ~(column < limit) if field.startswith("min") else ~(column > limit)
        return int(good.sum())

    checked = 0
    for rule in audited.figures["filters"]:
        for threshold in rule["thresholds"]:
            key = (rule["name"], threshold["field"])
            for move in threshold["moved"]:
                assert move["kept"] == kept({key: threshold["value"] * (1 + move["by"])}), key
                checked += 1
    assert checked == 18


def test_what_a_filter_alone_rejects(audited: Audited, images: Path) -> None:
    """Unique rejections are the clips that fail this filter and no other, by their stored scores."""
    rows = [row for row in table(images, Spec(clips=400)).to_pylist() if row["scores"] is not None]
    failing: list[set[str]] = []
    for row in rows:
        failed = set()
        for entry in FILTERS:
            ((path, bounds),) = entry.items()
            for field, limit in bounds.items():
                value = row["scores"][SCORES[field]]
                if value is not None and (value < limit if field.startswith("min") else value > limit):
                    failed.add(path.rpartition("/")[2].removesuffix(".py"))
        failing.append(failed)
    for rule in audited.figures["filters"]:
        if rule["thresholds"]:
            assert rule["alone"] == sum(rule["name"] in failed for failed in failing)
            assert rule["unique"] == sum(failed == {rule["name"]} for failed in failing)


def test_a_duplicate_stands_beside_what_it_looks_like(tmp_path: Path, images: Path) -> None:
    """The clip that a near duplicate names is fetched and shown with it."""
    twin = {"verdict": "duplicate", "filter": "dedup", "reason": "near_duplicate"}
    detail = f"looks like {sample_id(Spec(), 0)}, 2 of 64 bits apart"
    kept = {"verdict": "kept", "filter": None, "reason": None, "media": b"x", "uri": "file:///data/first.mp4"}
    changes = {0: kept, 1: {**twin, "detail": detail, "scores": {"dedup_hamming": 2.0}}}
    found = audit(build(tmp_path / "d", images, Spec(clips=2, changes=changes)), tmp_path / "out")
    (group,) = found.figures["samples"]["duplicate"]["groups"]
    assert [row["sample_id"] for row in group["originals"]["rows"]] == [sample_id(Spec(), 0)]
    dedup = next(rule for rule in found.figures["filters"] if rule["name"] == "dedup")
    assert dedup["scores"][0]["histogram"]["marks"][0]["value"] == 7.8
    assert found.page.count("first.mp4") > found.page.count("Dropped")


def test_a_cascade_says_what_it_cannot_tell(tmp_path: Path, images: Path) -> None:
    """Where clips were scored up to their first rejection, unique rejections are not claimed."""
    found = audit(build(tmp_path / "d", images, Spec(clips=200, score_all=False)), tmp_path / "out")
    assert not found.figures["overlap"]["complete"]
    assert all(rule["unique"] is None for rule in found.figures["filters"])
    assert "score_all" in found.page


@pytest.mark.parametrize("clips", [0, 1])
def test_next_to_nothing_is_still_a_report(tmp_path: Path, images: Path, clips: int) -> None:
    """No rows, or one, make a page and strict JSON."""
    found = audit(build(tmp_path / "d", images, Spec(clips=clips)), tmp_path / "out")
    assert found.figures["funnel"]["clips"] == clips
    assert (found.figures["verdict"]["level"] == "bad") == (clips == 0)


def test_zero_kept(tmp_path: Path, images: Path) -> None:
    """A version that kept nothing says so first."""
    nothing = [{"resolution": {"min_short_side": 5000}}]
    found = audit(build(tmp_path / "d", images, Spec(clips=60, recipe_filters=nothing)), tmp_path / "out")
    assert found.figures["funnel"]["kept"] == 0
    assert found.figures["verdict"]["level"] == "bad"
    assert found.figures["findings"][0]["title"] == "Nothing was kept"


def test_scores_that_are_not_numbers(tmp_path: Path, images: Path) -> None:
    """NaN and infinite scores reach neither the JSON nor a histogram."""
    odd = {
        index: {"verdict": "kept", "scores": {"motion_mean_flow": value}, "media": b"x"}
        for index, value in enumerate([float("nan"), float("inf"), float("-inf")])
    }
    found = audit(build(tmp_path / "d", images, Spec(clips=80, changes=odd)), tmp_path / "out")
    motion = next(rule for rule in found.figures["filters"] if rule["name"] == "motion")
    chart = next(entry["histogram"] for entry in motion["scores"] if entry["score"] == "motion_mean_flow")
    assert chart["max"] < 1e6
    assert chart["count"] == sum(sum(cell[name] for name in chart["series"]) for cell in chart["bins"])


def test_a_row_outside_the_account_is_found(tmp_path: Path, images: Path) -> None:
    """A rejection without its filter leaves the funnel open, and the banner says so."""
    lost = {0: {"verdict": "rejected", "filter": None, "reason": None}}
    found = audit(build(tmp_path / "d", images, Spec(clips=40, changes=lost)), tmp_path / "out")
    assert not found.summary["funnel"]["closes"]
    assert found.summary["verdict"]["level"] == "bad"
    assert "does not close" in found.page


def test_a_kept_clip_beyond_a_threshold_or_without_media_is_found(tmp_path: Path, images: Path) -> None:
    """The checks count kept rows that the recipe would reject, and kept rows that hold no media."""
    scores = {"resolution_short_side": 100.0}
    wrong = {0: {"verdict": "kept", "filter": None, "reason": None, "media": None, "scores": scores}}
    found = audit(build(tmp_path / "d", images, Spec(clips=40, changes=wrong)), tmp_path / "out")
    broken = {check["what"]: check["broken"] for check in found.figures["checks"] if check["holds"] is False}
    assert broken["No kept clip lies beyond a threshold of the recipe"] == 1
    assert broken["Every kept row has its media (by the files' footers)"] == 1


def test_the_runs_own_funnel_is_compared(tmp_path: Path, images: Path) -> None:
    """A funnel in the commit that differs from the rows is a broken check."""
    rows = table(images, Spec(clips=60))
    counts = {row["values"]: row["counts"] for row in pc.value_counts(rows["verdict"]).to_pylist()}
    by = [
        row["filter"]
        for row in rows.select(["verdict", "filter"]).to_pylist()
        if row["verdict"] == "rejected"
    ]
    said = {
        **{key: counts.get(key, 0) for key in ("kept", "duplicate", "error")},
        "rejected": {rule: by.count(rule) for rule in set(by)},
    }
    for change, holds in ((0, True), (1, False)):
        told = {"funnel": json.dumps(said | {"kept": said["kept"] + change})}
        dataset = build(tmp_path / f"d{change}", images, Spec(clips=60, metadata=told))
        checks = audit(dataset, tmp_path / "out").figures["checks"]
        assert next(check for check in checks if "own funnel" in check["what"])["holds"] is holds


def test_no_code_that_a_recipe_names_is_run(tmp_path: Path, images: Path) -> None:
    """A filter's file named in a dataset's recipe is not loaded; its thresholds are drawn all the same."""
    canary = tmp_path / "watermark.py"
    canary.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit\n")
    filters = [{str(canary): {"max_area": 0.05}}]
    found = audit(build(tmp_path / "d", images, Spec(clips=60, recipe_filters=filters)), tmp_path / "out")
    assert not (tmp_path / "ran").exists()
    assert found.figures["filters"][0]["thresholds"][0]["value"] == 0.05


def test_thumbnails_stay_within_their_budget(
    tmp_path: Path, audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A smaller budget makes a smaller page that still shows pictures of each sheet."""
    monkeypatch.setattr("curation.audit.report.PICTURE_CHARACTERS", 100_000)
    small = audit(audited.dataset, tmp_path).page
    assert small.count("data:image/webp") > 10
    pictures = [part.partition('"')[0] for part in small.split('src="data:')[1:]]
    assert sum(map(len, pictures)) <= 100_000
    assert len(small) < len(audited.page)


def test_words_and_phrases_are_counted(audited: Audited) -> None:
    """The vocabulary and the repeated phrases are those that Python counts in the captions."""
    texts = audited.figures["captions"]["texts"]
    rows = open_dataset(audited.dataset).table(["caption"], "verdict = 'kept'")["caption"].to_pylist()
    captions = [re.findall(r"[^\W_]+", (caption or "").lower()) for caption in rows]
    words = [word for caption in captions for word in caption]
    assert (texts["words"], texts["vocabulary"]) == (len(words), len(set(words)))
    found = ({" ".join(one[i : i + 4]) for i in range(len(one) - 3)} for one in captions)
    phrases = Counter(phrase for caption in found for phrase in caption)
    assert texts["phrases"][0]["captions"] == phrases.most_common(1)[0][1]
    assert all(phrases[row["phrase"]] == row["captions"] for row in texts["phrases"])


def test_scores_are_drawn_against_each_other(audited: Audited) -> None:
    """One dot a clip with both scores, kept ones told apart, and their rank correlation."""
    pair = audited.figures["scatter"]
    assert (pair["across"], pair["up"]) == ("motion_mean_flow", "focus_sharpness")
    rows = open_dataset(audited.dataset).table(["scores", "verdict"]).to_pylist()
    names = (pair["across"], pair["up"])
    scored = [row for row in rows if row["scores"] and None not in (row["scores"][name] for name in names)]
    assert len(pair["points"]) == pair["clips"] == len(scored)
    assert sum(point["kept"] for point in pair["points"]) == sum(row["verdict"] == "kept" for row in scored)
    assert -1 <= pair["spearman"] <= 1
    assert audited.page.count("<circle") == pair["clips"]
