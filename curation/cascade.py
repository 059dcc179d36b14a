"""Runs the filters of a clip one after the other, stopping at the first rejection unless told not to.

Scores that are known already are not measured again: they only decide.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from curation.errors import InputError, MediaError
from curation.filters import WHOLE, Clip, Filter, Frames, Judgement, Kind, Margins
from curation.media.shape import without

Judge = Callable[[Filter, Clip], Judgement]
Scores = Mapping[str, float]  # "<filter>_<score>"
NOTHING: Scores = {}


@dataclass(frozen=True)
class Verdict:
    """Scores as `<filter>_<score>`, and the first filter that rejects with its reason, if one does.

    All but the filter that found them judged the clip without its margins.
    """

    scores: dict[str, float]
    filter: str | None = None
    reason: str | None = None
    margins: Margins = WHOLE


def margins_of(filters: Iterable[Filter], kind: Kind, scores: Mapping[str, float]) -> Margins:
    """What is cropped off a clip, from its scores as `<filter>_<score>`."""
    for rule in filters:
        if rule.crops and kind in rule.applies_to:
            return rule.margins({name: scores[f"{rule.name()}_{name}"] for name in rule.scores})
    return WHOLE


class Cascade:
    """Filters in `order` (names), else of their cost, then of the recipe; adds up each one's seconds.

    One that crops comes before all others.
    """

    def __init__(
        self,
        filters: Iterable[Filter],
        score_all: bool,
        ask: Judge | None = None,
        order: Sequence[str] = (),
    ) -> None:
        self._ask: Judge = ask or (lambda rule, clip: rule.judge(clip))
        place = {name: number for number, name in enumerate(order)}
        self.filters = sorted(
            filters, key=lambda rule: (not rule.crops, place.get(rule.name(), len(place)), rule.cost)
        )
        self.score_all = score_all
        self.seconds: dict[str, float] = defaultdict(float)

    @property
    def hides_faces(self) -> bool:
        """Whether what is shown of clips must not show faces."""
        return any(rule.hides_faces for rule in self.filters)

    def needs(self, kind: Kind, known: Sequence[Scores] = ()) -> set[Frames]:
        """Frames that filters ask for: all of them, or those that clips with `known` scores still need."""
        lacking = {rule.name(): rule for scores in known for rule in self.missing(kind, scores)}
        rules = lacking.values() if known else self._applying(kind)
        return {need for rule in rules for need in rule.requires()}

    def missing(self, kind: Kind, known: Scores) -> Iterator[Filter]:
        """The filters that `judge` may have to measure for a clip."""
        for rule in self._applying(kind):
            own = _own(rule, known)
            if own is None:
                yield rule
            elif rule.decide(own) and not self.score_all:
                return

    def before_decoding(self, header: Clip) -> Verdict | None:
        """The verdict of filters that know the answer from the header, if they reject."""
        if self.score_all or any(rule.crops for rule in self.filters):
            return None
        header_rules = [rule for rule in self._applying(header.kind) if rule.per_file]
        verdict = self._run(header.kind, header_rules, header, NOTHING)
        return verdict if verdict.filter else None

    def judge(self, clip: Clip, known: Scores = NOTHING) -> Verdict:
        """The verdict of all filters that apply to this kind of clip; all `known` scores are in it.

        Raises MediaError("filter_failed") if a filter does not give finite scores; an error is never a score.
        """
        return self._run(clip.kind, self._applying(clip.kind), clip, known)

    def recall(self, kind: Kind, stored: Scores, valid: Container[str]) -> Verdict | None:
        """The verdict that `judge` would give, from stored scores; None if it takes one that is not there.

        Only scores of filters in `valid` count, and all of these are in the verdict.
        """
        known = self.known(stored, valid)
        if next(self.missing(kind, known), None):
            return None
        return self._run(kind, self._applying(kind), None, known)

    def known(self, stored: Scores, valid: Container[str]) -> dict[str, float]:
        """Of stored scores those of filters in `valid` that have all of theirs."""
        rules = (rule for rule in self.filters if rule.name() in valid and _own(rule, stored) is not None)
        return {full: stored[full] for rule in rules for full in _full(rule) if full in stored}

    def _applying(self, kind: Kind) -> list[Filter]:
        return [rule for rule in self.filters if kind in rule.applies_to]

    def _run(self, kind: Kind, filters: list[Filter], clip: Clip | None, known: Scores) -> Verdict:
        scores = dict(known)
        first: tuple[str, str] | None = None
        margins = WHOLE
        for rule in filters:
            own = _own(rule, known)
            reason = rule.decide(own) if own is not None else self._judge(rule, clip, scores)
            if reason and first is None:
                first = rule.name(), reason
                if not self.score_all:
                    break
            if rule.crops:
                margins = margins_of([rule], kind, scores)
                clip = without(clip, margins) if clip else None
        by, reason = first or (None, None)
        return Verdict(scores, by, reason, margins)

    def _judge(self, rule: Filter, clip: Clip | None, scores: dict[str, float]) -> str | None:
        assert clip is not None
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


def _full(rule: Filter) -> list[str]:
    return [f"{rule.name()}_{name}" for name in rule.scores]


def _own(rule: Filter, known: Scores) -> dict[str, float] | None:
    """A filter's scores under its own names, if all are known but those that a clip may lack."""
    own = {name: known[full] for name, full in zip(rule.scores, _full(rule), strict=True) if full in known}
    return own if own.keys() | set(rule.optional) >= set(rule.scores) else None
