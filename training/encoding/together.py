"""What frozen parts say of many samples at once: for small models, whose time goes into starting kernels.

What is asked for soon is made with what is asked for now. Sums over padded batches round otherwise than those
of a sample alone: values are those of `OnTheFly` but for that.
"""

from __future__ import annotations

import math
from collections.abc import Container, Hashable, Iterable
from functools import partial
from itertools import islice
from typing import Any

from torch import Tensor

from training.config import EDITING
from training.data.samples import View
from training.encoding.cache import Tensors
from training.encoding.encoders import SHOWN
from training.encoding.on_the_fly import OnTheFly
from training.encoding.values import SAID, Value

KINDS = 4
"""Of values that a batch holds, more or less: so many groups' worth of samples are looked ahead for."""


class Together(OnTheFly):
    """As `OnTheFly`, up to `most` values of a kind at once, from batches of `batch` samples."""

    def __init__(self, *arguments: Any, most: int, batch: int) -> None:
        super().__init__(*arguments)
        self._most, self.ahead = most, math.ceil(KINDS * most / batch)
        self._wanted: dict[Hashable, dict[Value, None]] = {}
        self._unseen: dict[Hashable, dict[View, None]] = {}

    def prefetch(self, values: Iterable[Value]) -> None:
        """Begin to decode media, and remember what will be asked for."""
        values = list(values)
        for value in values:
            if value.name in SAID and value not in self._cache:
                self._wanted.setdefault(_alike(value), {})[value] = None
        for view in dict.fromkeys(value.view for value in values if value.view is not None):
            if self._media(view) not in self._cache:
                self._unseen.setdefault(self._seen_alike(view), {})[view] = None
        super().prefetch(values)

    def _let_go(self, views: Container[View]) -> None:
        """Hold media of as many samples as are looked ahead for: those at hand are among the newest."""
        beyond = len(self._held) - 2 * KINDS * self._most
        for view in list(islice(self._held, max(0, beyond))):
            del self._held[view]

    def _say(self, value: Value) -> Tensor:
        group = self._some(value, self._wanted.get(_alike(value), {}))
        shown = [self._shown(member) for member in group]
        made = self._encoders.say(value.name, [member.words for member in group], shown)
        for member, tensor in zip(group[1:], made[1:], strict=True):
            self._cache.get(member, partial(dict, said=tensor))
        return made[0]

    def _shown(self, value: Value) -> Tensor | None:
        if value.view is None:
            return None
        return self._seen(value.view).get(SHOWN if value.name == "states" else "source_shown")

    def _look(self, view: View) -> Tensors:
        names = self._names(view)
        group = self._some(view, self._unseen.get(self._seen_alike(view), {}))
        made = self._encoders.look_at(group, [self._loader.take(one) for one in group], names)
        for member, tensors in zip(group[1:], made[1:], strict=True):
            self._cache.get(self._media(member), partial(dict, tensors))
        return made[0]

    def _seen_alike(self, view: View) -> Hashable:
        return view.bucket, self._names(view), view.task in EDITING

    def _some(self, first: Any, wanted: dict[Any, None]) -> list[Any]:
        """Take `first` and the next of what is wanted, which then is wanted no more."""
        wanted.pop(first, None)
        group = [first, *islice(wanted, self._most - 1)]
        for other in group[1:]:
            del wanted[other]
        return group


def _alike(value: Value) -> Hashable:
    """What values must share to be made at once."""
    kind = value.words[0] if value.name == "visual" else None
    return value.name, kind, value.view and (value.view.bucket, value.view.task)
