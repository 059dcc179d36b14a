"""The funnel as lines of text: where every input went."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

BAR = 30


def lines(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that show a curation's result (the contract's JSON of `curate`)."""
    funnel = result["funnel"]
    clips = funnel["clips"]
    yield f"{funnel['inputs']:,} inputs -> {clips:,} clips"
    rejected = sorted(funnel["rejected"].items(), key=lambda item: -item[1])
    rows = [("kept", funnel["kept"])]
    rows += [(f"rejected: {name}", count) for name, count in rejected if count]
    rows += [("duplicate", funnel["duplicate"]), ("error", funnel["error"])]
    for name, count in rows:
        yield f"  {name:<24} {count:>7,}  {share(count, clips):>6}  {'#' * bar(count, clips)}"
    total = sum(count for _, count in rows)
    closes = "the funnel closes" if total == clips else "THE FUNNEL DOES NOT CLOSE"
    yield f"  {'= clips':<24} {total:>7,}  {closes}"


def compared(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that show two funnels beside each other, and what is different."""
    before, after = dict(_counts(old)), dict(_counts(new))
    for name in dict.fromkeys((*before, *after)):
        one, two = before.get(name, 0), after.get(name, 0)
        change = f"{two - one:+,}" if two != one else ""
        yield f"  {name:<24} {one:>7,} -> {two:>7,}  {change}".rstrip()


def _counts(funnel: dict[str, Any]) -> Iterator[tuple[str, int]]:
    yield from ((name, funnel[name]) for name in ("inputs", "clips", "kept"))
    yield from ((f"rejected: {name}", count) for name, count in funnel["rejected"].items())
    yield from ((name, funnel[name]) for name in ("duplicate", "error"))


def share(count: int, whole: int) -> str:
    """Return a percentage of `whole`, a dash if there is none."""
    return f"{count / whole:.1%}" if whole else "-"


def bar(count: int, whole: int) -> int:
    """Return the length of a bar; anything above nothing shows."""
    return max(1, round(BAR * count / whole)) if whole and count else 0
