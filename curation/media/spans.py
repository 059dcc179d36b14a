"""Frames of a video span by span, without seeking where one follows another; child process only.

The clips of a file are cut one after the other, and most begin where the one before ended. Seeking leads to
the key frame before, so each clip would decode again up to a whole group of pictures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path

from curation.media import decode, probe
from curation.media.encoding import Timed

NEAR = 5e-4  # seconds: how far a stored time may be from its frame's
AHEAD = 1.0  # seconds up to the next span that are decoded rather than sought past


class Spans:
    """One open file and how far it has been decoded."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._passing: Iterator[Timed] = iter(())
        self._ratio: Fraction | None = None
        self._left: tuple[str, float] | None = None  # where the last span ended, if it was taken whole

    def take(
        self, path: Path, start_s: float, count: int, max_pixels: int
    ) -> tuple[Iterator[Timed], Fraction | None]:
        """At most `count` frames from `start_s` on, with their times, and a pixel's width over its height.

        To be used up, or given up, before the next call.
        """
        file = _identity(path)
        goes_on = self._left and self._left[0] == file and NEAR < start_s - self._left[1] <= AHEAD
        if not goes_on:
            self._place(path, start_s, max_pixels)
        self._left = None
        return self._span(file, start_s, count), self._ratio

    def close(self) -> None:
        """Let go of the file."""
        self._left = None
        self._stack.close()

    def _place(self, path: Path, start_s: float, max_pixels: int) -> None:
        """Go to the key frame before a span, or to the file's beginning where seeking leads elsewhere."""
        for seek in (True, False):
            self._stack.close()
            container, stream = self._stack.enter_context(probe.open_video(path, max_pixels))
            self._ratio, self._passing = stream.sample_aspect_ratio, iter(())
            if seek:
                container.seek(round(start_s / stream.time_base) + (stream.start_time or 0), stream=stream)
            passing = decode.frames(container, stream)
            first = next(passing, None)
            if first is None:
                continue
            self._passing = chain([first], passing)
            if first[1].pts is not None and first[0] <= start_s + NEAR:
                return

    def _span(self, file: str, start_s: float, count: int) -> Iterator[Timed]:
        """Asks for no frame after the last, which may not decode."""
        taken = 0
        for time, frame in self._passing:
            if time >= start_s - NEAR:
                taken += 1
                yield time, frame
            if taken == count:
                self._left = (file, time)
                return


def _identity(path: Path) -> str:
    status = os.stat(path)
    return f"{path}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
