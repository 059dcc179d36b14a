"""What frozen parts say of many samples at once: for small models, whose time goes into starting kernels.

What is asked for soon is made with what is asked for now. Sums over padded batches round otherwise than those
of a sample alone: values are those of `OnTheFly` but for that.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import partial
from typing import Any

from torch import Tensor

from training.config import UNDERSTANDING
from training.data.samples import View
from training.encoding.cache import Tensors
from training.encoding.encoders import SHOWN
from training.encoding.on_the_fly import OnTheFly
from training.encoding.values import Value, media_names

KEPT_CALLS = 2  # the batch at hand, and the next


class Together(OnTheFly):
    """As `OnTheFly`, up to `most` values of a kind at once."""

    def __init__(self, *arguments: Any, most: int) -> None:
        super().__init__(*arguments)
        self._most = most
        self._calls: list[list[Value]] = []

    def prefetch(self, values: Iterable[Value]) -> None:
        """Begin to decode media, and remember what will be asked for."""
        values = list(values)
        self._calls = [*self._calls, values][-KEPT_CALLS:]
        super().prefetch(value for call in self._calls for value in call)

    def _say(self, value: Value) -> Tensor:
        others = [other for other in self._ahead() if _alike(other) == _alike(value)]
        group = self._some(value, [other for other in others if other not in self._cache])
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
        others = [value.view for value in self._ahead() if value.view is not None]
        new = [one for one in others if one.bucket == view.bucket and self._names(one) == names]
        group = self._some(view, [one for one in new if ("media", one) not in self._cache])
        made = self._encoders.look_at(group, [self._loader.take(one) for one in group], names)
        for member, tensors in zip(group[1:], made[1:], strict=True):
            self._cache.get(("media", member), partial(dict, tensors))
        return made[0]

    def _names(self, view: View) -> tuple[str, ...]:
        return (SHOWN,) if view.task in UNDERSTANDING else media_names(self._objective, view.task)

    def _ahead(self) -> Iterable[Value]:
        return dict.fromkeys(value for call in self._calls for value in call)

    def _some(self, first: Any, others: Iterable[Any]) -> list[Any]:
        return list(dict.fromkeys([first, *others]))[: self._most]


def _alike(value: Value) -> Hashable:
    """What values must share to be made at once."""
    kind = value.words[0] if value.name == "visual" else None
    return value.name, kind, value.view and (value.view.bucket, value.view.task)
