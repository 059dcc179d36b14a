"""What frozen parts say, made when it is needed and remembered while there is room."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable

from torch import Tensor

from training.config import UNDERSTANDING
from training.data.loader import Loader
from training.data.samples import View
from training.encoding.cache import Cache, Tensors
from training.encoding.encoders import SHOWN, Encoders
from training.encoding.values import SAID, Value, media_names
from training.stages import Objective


class OnTheFly:
    """Decodes and encodes for a phase with `objective`; `waited` sums the seconds spent waiting for media."""

    ahead = 1

    def __init__(self, encoders: Encoders, loader: Loader, cache: Cache, objective: Objective) -> None:
        self._encoders, self._loader, self._cache, self._objective = encoders, loader, cache, objective
        self._held: dict[
            View, Tensors
        ] = {}  # of the batch at hand: however little is remembered, decode once

    @property
    def waited(self) -> float:
        """Seconds that training stood waiting for media."""
        return self._loader.waited

    def prefetch(self, values: Iterable[Value]) -> None:
        """Begin to decode the media that `values` are of, and that are not remembered."""
        views = dict.fromkeys(value.view for value in values if value.view is not None)
        self._let_go(views)
        self._loader.prefetch(view for view in views if self._media(view) not in self._cache)

    def get(self, value: Value) -> Tensor:
        """Return one value; see `Value` for its shape."""
        if value.name in SAID:
            return self._cache.get(value, lambda: {"said": self._say(value)})["said"]
        assert value.view is not None
        return self._seen(value.view)[value.name]

    def close(self) -> None:
        """Stop decoding ahead."""
        self._loader.close()

    def _let_go(self, views: Container[View]) -> None:
        """Hold the media of `views` alone."""
        self._held = {view: seen for view, seen in self._held.items() if view in views}

    def _say(self, value: Value) -> Tensor:
        seen = {} if value.view is None else self._seen(value.view)
        if value.name == "states":
            question, answer = value.words
            return self._encoders.states(question, answer, seen.get(SHOWN))
        if value.name == "visual":
            kind, prompt = value.words
            return self._encoders.visual(kind, prompt, seen.get("source_shown"))  # type: ignore[arg-type]
        return self._encoders.text(*value.words)

    def _seen(self, view: View) -> Tensors:
        """Return all that the phase needs of a sample's media, decoded once."""
        if view not in self._held:
            self._held[view] = self._cache.get(self._media(view), lambda: self._look(view))
        return self._held[view]

    def _media(self, view: View) -> Hashable:
        """The name by which media are remembered: phases ask for different things of the same clip."""
        return view, self._names(view)

    def _names(self, view: View) -> tuple[str, ...]:
        return (SHOWN,) if view.task in UNDERSTANDING else media_names(self._objective, view.task)

    def _look(self, view: View) -> Tensors:
        return self._encoders.look(view, self._loader.take(view), self._names(view))
