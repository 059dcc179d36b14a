"""Forecasts from a sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.config import CurateRequest
from curation.errors import InputError
from curation.questions.forecast import beside, estimate, forecast
from curation.run import curate
from curation.sources import Item

from ..whole_run import FUNNEL, request, silent


def test_a_forecast_from_everything_is_what_comes(here: None, media: Path, tmp_path: Path) -> None:
    """With all inputs in the sample the counts are those of the run, but for duplicates."""
    asked = request(media, tmp_path / "dataset")
    told = forecast(asked, sample=100)
    assert (told["inputs"], told["sample"], told["sources"][0]["inputs"]) == (8, 8, 8)
    assert told["forecast"]["clips"] == {"low": 8.0, "expected": 8.0, "high": 8.0}
    assert told["forecast"]["bytes"]["expected"] > 100_000
    assert not (tmp_path / "dataset").exists()
    result = curate(asked, silent)
    shown = {name: (found["expected"], came) for name, found, came in beside(told, result)}
    assert shown["clips"] == (8, FUNNEL["clips"])
    assert shown["kept"] == (6, 6)
    assert shown["error"] == (2, 2)
    assert beside(told, curate(asked, silent)) == []  # of a run that does nothing there was no forecast


def test_a_sample_gives_a_range() -> None:
    """Counts grow with the inputs, seconds with their bytes; the range holds what is expected."""
    names = ("clips", "kept", "rejected", "error", "hours", "bytes", "seconds")
    seen = [(10 * n, {name: float(n) for name in names}) for n in range(1, 11)]
    items = [Item(str(n), "s", None, 20) for n in range(1000)]
    found = estimate(seen, items)
    assert found["clips"]["expected"] == 5500
    assert found["seconds"]["expected"] == 2000
    assert found["clips"]["low"] < 5500 < found["clips"]["high"]
    assert found["seconds"]["low"] == found["seconds"]["high"] == 2000  # as sure as bytes are


def test_every_missing_source_is_named(tmp_path: Path) -> None:
    """Not only the first source that cannot be read is said."""
    (tmp_path / "empty").mkdir()
    sources = [{"folder": str(tmp_path / name)} for name in ("none", "empty")]
    asked = CurateRequest.model_validate({"sources": sources, "out": str(tmp_path / "dataset")})
    with pytest.raises(InputError, match=r"none.*empty"):
        forecast(asked)
