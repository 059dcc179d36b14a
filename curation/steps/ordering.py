"""In which order filters judge: first those that reject most for their seconds, as measured.

Every clip would end with the same verdict in any order, but the filter that it is rejected by, and which of
its scores are measured, hang on it. So the order is settled before the first clip is judged: by what the
dataset's own commits have measured, and where they say nothing, by a sample of the inputs on which all
filters run. It is staged, for a run that goes on after a kill, and published: later versions keep to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import log2
from typing import Any, NamedTuple

import pyarrow as pa

from curation.config import CurateRequest
from curation.errors import MediaError
from curation.filters import Cost, Filter
from curation.media.child import MediaWorker
from curation.media.records import ScanRequest, ScanResult
from curation.sources import Item
from curation.steps.fetch import fetched
from curation.store.staging import Staging

ORDER = "order"  # the stage's name, and its table's
MIN_INPUTS = 50  # with fewer to judge, measuring takes longer than a better order saves
SAMPLE = 12  # inputs
# What a filter is taken for until it is measured: seconds a clip by its class, and one clip in ten rejected.
PRIOR_SECONDS = {Cost.PROBE: 1e-5, Cost.FRAMES: 5e-3, Cost.FLOW: 2e-2, Cost.MODEL: 0.3}
PRIOR_REJECTS = 0.1
STEP = 4.0  # prices within such a factor are alike: the order must not hang on how busy a machine was


class Figure(NamedTuple):
    """What one filter took on a sample: seconds a clip, the share that it rejects, and of how many clips."""

    seconds: float
    rejects: float
    clips: int

    @property
    def price(self) -> float:
        """Seconds for each rejection; a filter that rejected none may still reject one of as many again."""
        return self.seconds / max(self.rejects, 0.5 / (self.clips + 1))


class Order(NamedTuple):
    """Names of the filters in the order in which they judge, and the figures behind it."""

    names: tuple[str, ...]
    figures: dict[str, Figure]

    def as_json(self) -> dict[str, Any]:
        """As commits and staging hold it."""
        return {"order": list(self.names), "figures": {n: one._asdict() for n, one in self.figures.items()}}


Each = Callable[[Callable[[], Callable[[Any], Any]], Sequence[Any]], Iterable[Any]]  # engine.each, or map


def settle(
    request: CurateRequest,
    items: Sequence[Item],
    staging: Staging,
    published: Mapping[str, Any] | None,
    seen: Iterable[str],
    each: Each,
) -> Order:
    """The order of this run; `published` is what the newest commit says, `seen` the uris that have rows."""
    rules = request.rules()
    if staging.has(ORDER, ORDER):
        (table,) = staging.read(ORDER, [ORDER])
        found = read(json.loads(table["order"][0].as_py()))
        if set(found.names) == {rule.name() for rule in rules}:
            return found
    figures = read(published).figures if published and not request.fresh else {}
    to_judge = items
    if figures.keys() >= {rule.name() for rule in rules}:
        before = set(seen)
        to_judge = [item for item in items if item.uri not in before]
    if len(to_judge) >= MIN_INPUTS:
        figures = {**measure(request, to_judge, each), **_measured(figures)}
    found = arrange(rules, figures)
    staging.write(ORDER, ORDER, pa.table({"order": [json.dumps(found.as_json())]}))
    return found


def read(told: Mapping[str, Any]) -> Order:
    """The inverse of `Order.as_json`."""
    return Order(tuple(told["order"]), {name: Figure(**one) for name, one in told["figures"].items()})


def arrange(rules: Sequence[Filter], figures: Mapping[str, Figure]) -> Order:
    """The cheapest for each rejection first, in steps of STEP; then by class, then by name.

    One that crops comes before all others, which judge what it leaves.
    """
    known = {rule.name(): figures.get(rule.name()) or _prior(rule) for rule in rules}

    def place(rule: Filter) -> tuple[bool, int, int, str]:
        price = max(known[rule.name()].price, 1e-9)
        return not rule.crops, round(log2(price) / log2(STEP)), rule.cost, rule.name()

    return Order(tuple(rule.name() for rule in sorted(rules, key=place)), known)


def foresee(request: CurateRequest, items: Sequence[Item], published: Mapping[str, Any] | None) -> Order:
    """The order in which a run over inputs like these would judge, measured in this process."""
    figures = read(published).figures if published else {}
    lacks = any(rule.name() not in _measured(figures) for rule in request.rules())
    told = measure(request, items, lambda make, inputs: map(make(), inputs)) if lacks else {}
    return arrange(request.rules(), {**told, **_measured(figures)})


def measure(request: CurateRequest, items: Sequence[Item], each: Each) -> dict[str, Figure]:
    """What each filter takes and rejects, all run on some of `items`; empty if there is nothing to order."""
    rules = request.rules()
    if sum(rule.cost > Cost.PROBE for rule in rules) < 2:
        return {}
    make = partial(Sampler, ScanRequest(request.split, rules, score_all=True).to_json())
    told = sorted(each(make, _sample(items)), key=json.dumps)
    return dict(_figures(rules, told))


class Sampler:
    """Runs all filters on one input after the other and says what each took."""

    def __init__(self, request: str) -> None:
        self._request = ScanRequest.from_json(request)
        self._worker = MediaWorker()
        self._worker.prepare()
        self._warm = False

    def __call__(self, item: Item) -> dict[str, list[float]]:
        """Of each filter: clips, rejected ones and seconds; nothing of an input that is no media."""
        try:
            with fetched(Item(*item).uri) as file:
                if not self._warm:  # what loading a model takes is not what it takes a clip
                    self._worker.scan(file.path, self._request)
                    self._warm = True
                return dict(self._tell(self._worker.scan(file.path, self._request)))
        except MediaError:
            return {}

    def _tell(self, found: ScanResult) -> Iterator[tuple[str, list[float]]]:
        for rule in self._request.filters:
            names = {f"{rule.name()}_{name}": name for name in rule.scores}
            scored = [clip["scores"] for clip in found.clips if names.keys() <= clip["scores"].keys()]
            rejects = sum(
                rule.decide({names[full]: one[full] for full in names}) is not None for one in scored
            )
            if scored:
                yield rule.name(), [len(scored), rejects, found.seconds.get(rule.name(), 0.0)]


def _sample(items: Sequence[Item]) -> list[Item]:
    """Some of the smaller half, always the same ones."""
    middle = sorted(item.size for item in items)[len(items) // 2]
    small = [item for item in items if not item.problem and not item.reader and item.size <= middle]
    return sorted(small, key=lambda item: hashlib.sha256(item.uri.encode()).digest())[:SAMPLE]


def _figures(
    rules: Sequence[Filter], told: Sequence[Mapping[str, Sequence[float]]]
) -> Iterator[tuple[str, Figure]]:
    for rule in rules:
        mine = [one[rule.name()] for one in told if rule.name() in one]
        clips, rejects, seconds = (sum(column) for column in zip(*mine, strict=True)) if mine else (0, 0, 0)
        if clips:
            yield rule.name(), Figure(seconds / clips, rejects / clips, int(clips))


def _measured(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    return {name: one for name, one in figures.items() if one.clips}


def _prior(rule: Filter) -> Figure:
    return Figure(PRIOR_SECONDS[rule.cost], PRIOR_REJECTS, 0)
