"""What thresholds say as SQL."""

from __future__ import annotations

from collections.abc import Iterable

from curation.audit.rows import score
from curation.questions.thresholds import Rule, Threshold

IS_IMAGE = "coalesce(task LIKE '%image%', num_frames = 1, false)"
"""Whether a row is an image; else it is a clip of a video."""


def beyond(threshold: Threshold, value: float | None = None) -> str:
    """SQL: whether a row lies beyond this bound, or beyond another `value` of it; never NULL."""
    sign = "<" if threshold.side == "min" else ">"
    bound = threshold.value if value is None else value
    return f"coalesce({score(threshold.score)} {sign} {bound!r}, false)"


def fails(rule: Rule) -> str:
    """SQL: whether a row fails any threshold of this filter."""
    return any_of(beyond(threshold) for threshold in rule.thresholds)


def any_of(conditions: Iterable[str]) -> str:
    """SQL: one of the conditions; false when there is none."""
    return "(" + (" OR ".join(conditions) or "false") + ")"
