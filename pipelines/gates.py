"""Whether a dataset version may be trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class GatesShut(RuntimeError):
    """A version breaks a bound of the recipe's `gates`; the message names each and the audit page."""


def check(audited: Mapping[str, Any]) -> None:
    """Raise GatesShut unless all gates of an audit (what `build_audit` returns) hold."""
    shut = [
        f"{gate['name']} is {gate['value']:.4g} of {gate['what']}, allowed {gate['bound']:.4g}"
        for gate in audited["gates"]
        if not gate["holds"]
    ]
    if shut:
        raise GatesShut(
            f"version {audited['version']} is not trained on: {'; '.join(shut)}. Look at {audited['html']}, "
            "then mend the data or change `gates` in the recipe"
        )
