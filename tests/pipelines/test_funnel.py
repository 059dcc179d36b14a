"""The funnel as text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipelines import funnel

COUNTS = st.integers(min_value=0, max_value=10**7)


@given(kept=COUNTS, duplicate=COUNTS, error=COUNTS, rejected=st.dictionaries(st.sampled_from("abc"), COUNTS))
def test_every_count_shows_and_the_sum_is_said(
    kept: int, duplicate: int, error: int, rejected: dict[str, int]
) -> None:
    """Each count above nothing stands in the lines, and a closing funnel is called one."""
    clips = kept + duplicate + error + sum(rejected.values())
    counts = {
        "inputs": 1,
        "clips": clips,
        "kept": kept,
        "duplicate": duplicate,
        "error": error,
        "rejected": rejected,
    }
    text = "\n".join(funnel.lines({"funnel": counts}))
    assert "the funnel closes" in text
    for count in (kept, duplicate, error, *rejected.values()):
        assert not count or f"{count:,}" in text


def test_a_funnel_that_leaks_is_said() -> None:
    """Lost clips are shouted, not hidden."""
    counts = {"inputs": 1, "clips": 9, "kept": 8, "duplicate": 0, "error": 0, "rejected": {}}
    assert "DOES NOT CLOSE" in "\n".join(funnel.lines({"funnel": counts}))
