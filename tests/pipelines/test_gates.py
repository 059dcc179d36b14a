"""What a shut gate says before training."""

from __future__ import annotations

import pytest

from pipelines.gates import GatesShut, check


def test_a_shut_gate_names_its_figures_and_the_page() -> None:
    """Open gates pass silently; a shut one says what was found, what is allowed, and where to look."""
    gate = {"name": "min_kept_share", "bound": 0.5, "value": 0.25, "what": "8 new clips", "holds": True}
    audited = {"version": 3, "html": "runs/audit/audit.html", "gates": [gate]}
    check(audited)
    with pytest.raises(GatesShut) as caught:
        check({**audited, "gates": [{**gate, "holds": False}]})
    said = str(caught.value)
    assert "version 3" in said
    assert "min_kept_share is 0.25 of 8 new clips, allowed 0.5" in said
    assert "runs/audit/audit.html" in said
