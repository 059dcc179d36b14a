"""Bounds that a dataset version has to keep before anything is trained on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict, Field


class GatesConfig(BaseModel):
    """What makes a version unfit. A gate that is None is not there.

    Shares are of the clips that came new with the version, where there was one before it: a year of good
    clips would hide a bad night.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_kept_clips: int | None = Field(default=None, ge=1, description="kept clips of the whole version")
    min_kept_share: float | None = Field(default=None, ge=0, le=1, description="kept clips among new clips")
    max_error_share: float | None = Field(default=None, ge=0, le=1, description="errors among new clips")
    max_drift_psi: float | None = Field(
        default=None,
        gt=0,
        description="population stability index of any score, new clips against those before",
    )


class Gate(TypedDict):
    """One gate's outcome; `value` is None where the version has nothing to measure, which shuts no gate."""

    name: str
    bound: float
    value: float | None
    what: str  # which score or clips gave the value
    holds: bool


def judge(report: Mapping[str, Any], config: GatesConfig) -> list[Gate]:
    """The outcome of each gate that is set, from the figures of an audit's report."""
    return [
        _outcome(name, bound, *measure)
        for name, measure in _measured(report)
        if (bound := getattr(config, name)) is not None
    ]


def _outcome(name: str, bound: float, value: float | None, what: str) -> Gate:
    holds = value is None or (value >= bound if name.startswith("min_") else value <= bound)
    return {"name": name, "bound": bound, "value": value, "what": what, "holds": holds}


def _measured(report: Mapping[str, Any]) -> Iterator[tuple[str, tuple[float | None, str]]]:
    shares, clips = _shares(report)
    yield "min_kept_clips", (report["funnel"]["kept"], "all clips")
    yield "min_kept_share", (shares["kept_share"], clips)
    yield "max_error_share", (shares["error_share"], clips)
    yield "max_drift_psi", _drift(report)


def _shares(report: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Shares of the new clips; of all clips where there is no version before, or nothing new."""
    rates = (report["changes"] or {}).get("new", ())
    new = next((row for row in rates if row["clips_of"] == "new" and row["clips"]), None)
    return (new, f"{new['clips']} new clips") if new else (report["funnel"], "all clips")


def _drift(report: Mapping[str, Any]) -> tuple[float | None, str]:
    found = [one for one in (report["changes"] or {}).get("drift", ()) if one["psi"] is not None]
    worst = max(found, key=lambda one: one["psi"], default=None)
    return (worst["psi"], worst["score"]) if worst else (None, "too few clips to compare")
