"""The parent's side of decoding: a persistent child process with limits, replaced when it dies."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

import curation
from curation.errors import InputError, MediaError
from curation.filters import Filter, Kind
from curation.media import wire
from curation.media.records import ClipRecord, Cut, Finish, ScanRequest, ScanResult, Span, span_of

if TYPE_CHECKING:
    from curation.media.windows import Window, Windows

Hear = Callable[[bytes], None]
START_SECONDS = 120.0  # for the imports of a child, on a machine that is busy


def _deaf(part: bytes) -> None:
    """Most answers come in one piece."""


@dataclass(frozen=True)
class Limits:
    """What one child may use."""

    memory_bytes: int = 4 << 30  # address space
    timeout_seconds: float = 120.0  # without a sign of life, such as a decoded frame
    longest_seconds: float = 4 * 3600.0  # wall clock of one request
    max_pixels: int = 64_000_000  # of one frame
    part_seconds: float = 5.0  # after which a scan hands over what it has judged


class MediaWorker:
    """Scans and cuts in a child process that outlives its requests and is started again after it dies.

    Not for use by several threads at once. Every failure of a file is a MediaError; a filter that cannot
    work at all (a missing model) is an InputError; a child that cannot even start is a RuntimeError.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._greeted = False
        self._served = 0

    def __enter__(self) -> MediaWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def prepare(self) -> None:
        """Start the child, which loads its libraries while others do something else."""
        if self._channel is None:
            self._channel = self._spawn()

    def close(self) -> None:
        """End the child."""
        if self._channel:
            self._channel.close()
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = self._channel = None
        self._greeted = False

    def scan(
        self, path: str | Path, request: ScanRequest, told: Callable[[ScanResult], None] | None = None
    ) -> ScanResult:
        """Judge each clip of a file in one decode pass; while a long one lasts, `told` hears of some."""
        clips: dict[Span, ClipRecord] = {}  # a second try tells them again

        def listen(data: bytes) -> ScanResult:
            part = ScanResult.from_json(data.decode())
            clips.update((span_of(clip), clip) for clip in part.clips)
            return part

        def hear(data: bytes) -> None:
            part = listen(data)
            if told:
                told(part)

        message = {"do": "scan", "path": os.fspath(path), "request": request.to_json()}
        every = {"every_seconds": self.limits.part_seconds}
        _, data = self._ask(message | every, request.filters, hear)
        last = listen(data)
        return ScanResult(last.kind, list(clips.values()), last.seconds)

    def cut(
        self,
        path: str | Path,
        kind: Kind,
        start_s: float,
        end_s: float,
        num_frames: int,
        finish: Finish | None = None,
    ) -> Cut:
        """Exactly the `num_frames` frames in [start_s, end_s), finished as asked."""
        message = {"do": "cut", "path": os.fspath(path), "finish": (finish or Finish()).to_json()}
        answer, data = self._ask(message | {"span": [kind, start_s, end_s, num_frames]})
        return Cut(data, answer["format"], answer["copied"], answer["hidden"])

    def windows(self, path: str | Path, wanted: Windows) -> tuple[list[Window], str]:
        """Small JPEGs of each window of a clip's own file, and the text that can be read in them."""
        from curation.media.windows import Window

        message = {"do": "windows", "path": os.fspath(path), "wanted": wanted.to_json()}
        answer, data = self._ask(message)
        rest = io.BytesIO(data)
        told = answer["windows"]
        windows = [Window(start, end, [rest.read(size) for size in sizes]) for start, end, sizes in told]
        return windows, answer["seen_text"]

    def compare(self, source: str | Path, target: str | Path) -> dict[str, Any]:
        """How an edit's target differs from its source (curation.media.pairs)."""
        message = {"do": "compare", "path": os.fspath(source), "target": os.fspath(target)}
        told: dict[str, Any] = self._ask(message)[0]["told"]
        return told

    def _ask(
        self, message: dict[str, Any], apart: tuple[Filter, ...] = (), hear: Hear = _deaf
    ) -> tuple[dict[str, Any], bytes]:
        """An answer, or the error in it. After a crash, a child that served others is given a second try."""
        again = self._served > 0
        try:
            answer, data = self._exchange(message, apart, hear)
        except MediaError as error:
            if error.slug != "crashed" or not again:
                raise
            answer, data = self._exchange(message, apart, hear)
        if "slug" in answer:
            raise MediaError(answer["slug"], answer["message"])
        if "what" in answer:
            raise InputError(answer["what"], answer["step"], answer["next_step"])
        return answer, data

    def _exchange(
        self, message: dict[str, Any], apart: tuple[Filter, ...], hear: Hear
    ) -> tuple[dict[str, Any], bytes]:
        channel = self._ready()
        try:
            channel.settimeout(self.limits.timeout_seconds)
            wire.send(channel, message)
            answer = self._patiently(channel, apart, hear)
        except TimeoutError as error:
            self.close()
            raise MediaError("timeout", str(error)) from error
        except (EOFError, ConnectionError) as error:
            raise MediaError("crashed", f"decoding ended by {self._end()}") from error
        self._served += 1
        return answer

    def _patiently(
        self, channel: socket.socket, apart: tuple[Filter, ...], hear: Hear
    ) -> tuple[dict[str, Any], bytes]:
        """The answer, past signs of life, parts of it, and questions to filters measured on this side."""
        began = monotonic()
        while monotonic() - began < self.limits.longest_seconds:
            try:
                message, blob = wire.receive(channel)
            except TimeoutError:
                raise TimeoutError(f"no sign of life for {self.limits.timeout_seconds:g} s") from None
            if "measure" in message:
                from curation.media.apart import measured

                wire.send(channel, measured(apart, message, blob))
            elif "part" in message:
                hear(blob)
            elif "alive" not in message:
                return message, blob
        raise TimeoutError(f"no answer within {self.limits.longest_seconds:g} s")

    def _ready(self) -> socket.socket:
        """The channel to a child that listens."""
        self.prepare()
        assert self._channel is not None
        if self._greeted:
            return self._channel
        self._channel.settimeout(START_SECONDS)
        try:
            wire.receive(self._channel)
        except (EOFError, OSError) as error:
            raise RuntimeError(f"the media process did not start: {self._end()}") from error
        self._greeted = True
        return self._channel

    def _spawn(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        settings = {
            "channel": theirs.fileno(),
            "memory_bytes": self.limits.memory_bytes,
            "timeout_seconds": self.limits.timeout_seconds,
            "max_pixels": self.limits.max_pixels,
        }
        command = [sys.executable, "-m", "curation.media.serve", json.dumps(settings)]
        with theirs:
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=_environment()
            )
        self._served = 0
        return ours

    def _end(self) -> str:
        """Why the child is gone, in words; it is reaped."""
        process = self._process
        code = process.wait(timeout=5) if process else 0
        self.close()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _environment() -> dict[str, str]:
    """The child finds this package as the parent did, and computes on one thread."""
    root = str(Path(curation.__file__).parent.parent)
    paths = [root, os.environ.get("PYTHONPATH", "")]
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "ERROR"}
    return {**os.environ, **single, "PYTHONPATH": os.pathsep.join(p for p in paths if p)}
