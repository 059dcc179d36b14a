"""What was measured against what was asked for."""

from __future__ import annotations

from typing import Any

STAGE_2_SECONDS, H100_FLOOR = 1.75, 1.62
"""The target of stage 2, and the floor of stage 3 on the machine that it was set on."""
THREE, TWO, BARE, FLOOR = (
    "stage-3, s a step",
    "stage-2, s a step",
    "bare, s a step",
    "floor of a step, stage {}, s{}",
)
BRIEF = "floor of stage 3 by attention's first three rounds, s"


def compared(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures and, printed, their ratios."""
    found = dict(figures)
    other = ", other GPU" if FLOOR.format(3, ", other GPU") in found else ""  # where stage 2 ran

    def ratio(name: str, above: str, below: str, times: float = 1.0) -> None:
        if above in figures and below in figures:
            found[name] = times * figures[above] / figures[below]
            print(f"{name:<72} {found[name]:.4g}", flush=True)

    ratio("stage 3 / floor (at most 1.2)", THREE, FLOOR.format(3, ""))
    ratio("stage 3 / floor by attention's first three rounds", THREE, BRIEF)
    ratio("diffusers / stage 3 (at least 1.4)", "diffusers, s a step", THREE)
    ratio("stage 3 / bare loop (at most 1.03)", THREE, BARE)
    ratio("stage 2 / floor of stage 2", TWO, FLOOR.format(2, other))
    scaled = f"stage 2 on the H100's scale, s (at most {STAGE_2_SECONDS})"
    ratio(scaled, TWO, FLOOR.format(3, other), H100_FLOOR)
    ratio(f"{scaled}, by the first rounds' floor", TWO, BRIEF + other, H100_FLOOR)
    ratio("floor of the other GPU / floor", FLOOR.format(3, other), FLOOR.format(3, ""))
    ratio("Ulysses 2, share of half the time (at least 0.9)", THREE, "ulysses-2, s a step", 0.5)
    ratio("data parallel 2, share of twice one (at least 0.95)", THREE, "data-parallel-2, s a step")
    return found
