from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.media.spans import Spans

from .. import footage

PIXELS = 10**8


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, shots: footage.Pictures) -> Path:
    """Sixty small frames with a key frame each second."""
    folder = tmp_path_factory.mktemp("spans")
    small = footage.fitted(shots, 160, 68)
    return footage.write(folder / "a.mp4", small, options={"x264-params": "keyint=25:scenecut=0"})


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 12)), min_size=1, max_size=5), st.booleans())
def test_spans_are_what_they_are_alone(film: Path, asked: list[tuple[int, int]], in_order: bool) -> None:
    """Whatever was taken before, and whether it was taken whole, a span has its own frames and times."""
    spans = Spans()
    for place, (first, count) in enumerate(sorted(asked) if in_order else asked):
        frames, _ = spans.take(film, first / 25, count, PIXELS)
        wanted = [index / 25 for index in range(first, min(60, first + count))]
        whole = place % 3 < 2 and len(wanted) == count
        numbered = zip(range(len(wanted) if whole else 1), frames, strict=False)  # asks for no frame too many
        taken = [frame for _, frame in numbered]
        assert [time for time, _ in taken] == pytest.approx(wanted[: len(taken)])
        assert len(taken) == (len(wanted) if whole else 1)
    spans.close()


def test_what_follows_is_not_sought(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans that follow each other are read from one open file; one before the last opens it anew."""
    opened = []
    real = Spans._place
    monkeypatch.setattr(Spans, "_place", lambda self, *args: (opened.append(args[1]), real(self, *args))[1])
    spans = Spans()
    for first in (3, 13, 33, 23):
        frames, _ = spans.take(film, first / 25, 10, PIXELS)
        assert len(list(frames)) == 10
    spans.close()
    assert opened == [3 / 25, 23 / 25]
