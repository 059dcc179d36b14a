"""The order of the filters: measured, settled before the first clip, and kept to."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.dataset import open_dataset
from curation.filters import parse
from curation.run import curate
from curation.steps import ordering
from curation.steps.ordering import ORDER, Figure, arrange
from curation.store.staging import Staging

from ..whole_run import request, rows_of, silent

RULES = parse(["duration", "motion", "quality", "resolution"])
FILTERS: list[Any] = ["resolution", {"quality": {"min_sharpness": 1000.0}}, {"exposure": {"max_black": 0.0}}]
figures = st.builds(Figure, st.floats(0, 10), st.floats(0, 1), st.integers(1, 1000))


@given(st.dictionaries(st.sampled_from([rule.name() for rule in RULES]), figures), st.integers(0, 99))
def test_the_order_hangs_on_the_figures_alone(known: dict[str, Figure], seed: int) -> None:
    """Each filter is in it once, whatever the recipe's order; what is much cheaper comes first."""
    shuffled = random.Random(seed).sample(RULES, len(RULES))
    found = arrange(RULES, known)
    assert arrange(shuffled, known).names == found.names
    assert sorted(found.names) == sorted(rule.name() for rule in RULES)
    prices = [max(found.figures[name].price, 1e-9) for name in found.names]
    later = [min(prices[place:]) for place in range(len(prices))]
    assert all(price <= ordering.STEP * least * 1.0001 for price, least in zip(prices, later, strict=True))


def test_a_run_measures_its_filters_and_keeps_to_the_order(
    here: None, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run over enough inputs measures first and says what it found; the next version keeps to it."""
    monkeypatch.setattr(ordering, "MIN_INPUTS", 4)
    out = tmp_path / "dataset"
    curate(request(media, out, filters=FILTERS), silent)
    told = open_dataset(str(out)).metadata["cascade"]
    assert sorted(told["order"]) == ["exposure", "quality", "resolution"]
    assert told["order"][0] == "resolution"
    assert told["figures"]["quality"]["clips"] > 0
    monkeypatch.setattr(ordering, "measure", None)  # whoever measures again fails
    looser = [*FILTERS[:1], {"quality": {"min_sharpness": 900.0}}, *FILTERS[2:]]
    curate(request(media, out, filters=looser), silent)
    assert open_dataset(str(out)).metadata["cascade"] == told


def test_a_staged_order_is_that_of_the_run(here: None, media: Path, tmp_path: Path) -> None:
    """A run that goes on judges in the order that it began with, and its clips are rejected by the first."""
    by = {}
    for names in (["resolution", "quality", "exposure"], ["exposure", "resolution", "quality"]):
        out = tmp_path / names[0]
        asked = request(media, out, filters=FILTERS)
        told = {"order": names, "figures": {name: Figure(1.0, 0.5, 9)._asdict() for name in names}}
        Staging(str(out), asked.recipe_sha256()).write(ORDER, ORDER, pa.table({"order": [json.dumps(told)]}))
        curate(asked, silent)
        rows = rows_of(open_dataset(str(out)))
        by[names[0]] = {one: verdict for one, (verdict, _, _) in rows.items()}
        first = {rule for verdict, rule, _ in rows.values() if verdict == "rejected"}
        assert names[0] == "resolution" or "exposure" in first
        assert open_dataset(str(out)).metadata["cascade"]["order"] == names
    assert by["resolution"] == by["exposure"]
