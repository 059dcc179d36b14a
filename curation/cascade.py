"""Runs the filters of a clip, the cheap ones first, stopping at the first rejection unless told not to."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter

from curation.errors import InputError, MediaError
from curation.filters import Clip, Filter, Frames, Judgement, Kind

Judge = Callable[[Filter, Clip], Judgement]


@dataclass(frozen=True)
class Verdict:
    """Scores as `<filter>_<score>`, and the first filter that rejects with its reason, if one does."""

    scores: dict[str, float]
    filter: str | None = None
    reason: str | None = None


class Cascade:
    """Filters in the order of their cost, then of the recipe; adds up the seconds each of them takes."""

    def __init__(self, filters: Iterable[Filter], score_all: bool, ask: Judge | None = None) -> None:
        self._ask: Judge = ask or (lambda rule, clip: rule.judge(clip))
        self.filters = sorted(filters, key=lambda rule: rule.cost)
        self.score_all = score_all
        self.seconds: dict[str, float] = defaultdict(float)

    def needs(self) -> set[Frames]:
        """All frames that any filter asks for."""
        return {need for rule in self.filters for need in rule.requires()}

    def before_decoding(self, header: Clip) -> Verdict | None:
        """The verdict of filters that know the answer from the header, if they reject."""
        if self.score_all:
            return None
        verdict = self._run([rule for rule in self.filters if rule.per_file], header)
        return verdict if verdict.filter else None

    def judge(self, clip: Clip) -> Verdict:
        """The verdict of all filters that apply to this kind of clip.

        Raises MediaError("filter_failed") if a filter does not give finite scores; an error is never a score.
        """
        return self._run(self.filters, clip)

    def recall(self, kind: Kind, stored: Mapping[str, float], valid: Container[str]) -> Verdict | None:
        """The verdict that `judge` would give, from stored scores; None if it takes one that is not there.

        Only scores of filters in `valid` count, and all of these are in the verdict.
        """
        scores: dict[str, float] = {}
        rejected: tuple[str, str] | None = None
        for rule in self.filters:
            names = {name: f"{rule.name()}_{name}" for name in rule.scores}
            there = rule.name() in valid and all(full in stored for full in names.values())
            scores |= {full: stored[full] for full in names.values()} if there else {}
            if kind not in rule.applies_to or (rejected and not self.score_all):
                continue
            if not there:
                return None
            reason = rule.decide({name: stored[full] for name, full in names.items()})
            rejected = rejected or ((rule.name(), reason) if reason else None)
        return Verdict(scores, *(rejected or (None, None)))

    def _run(self, filters: list[Filter], clip: Clip) -> Verdict:
        scores: dict[str, float] = {}
        first: tuple[str, str] | None = None
        for rule in filters:
            if clip.kind not in rule.applies_to:
                continue
            reason = self._judge(rule, clip, scores)
            if reason and first is None:
                first = rule.name(), reason
                if not self.score_all:
                    break
        return Verdict(scores, *(first or (None, None)))

    def _judge(self, rule: Filter, clip: Clip, scores: dict[str, float]) -> str | None:
        began = perf_counter()
        try:
            found = self._ask(rule, clip)
        except (InputError, MediaError, MemoryError):
            raise
        except Exception as error:
            raise MediaError("filter_failed", f"{rule.name()}: {type(error).__name__}: {error}") from error
        finally:
            self.seconds[rule.name()] += perf_counter() - began
        wrong = [name for name, value in found.scores.items() if not math.isfinite(value)]
        if wrong:
            raise MediaError("filter_failed", f"{rule.name()}: {wrong[0]} is not finite")
        scores.update({f"{rule.name()}_{name}": float(value) for name, value in found.scores.items()})
        return found.reason
