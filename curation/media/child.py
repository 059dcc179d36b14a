"""A persistent child process with limits that does all decoding, and the handle its parent holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from curation.filters import Kind
from curation.media.records import ScanRequest, ScanResult


@dataclass(frozen=True)
class Limits:
    """What one child may use."""

    memory_bytes: int = 4 << 30  # address space
    timeout_seconds: float = 300.0  # wall clock, one request
    max_pixels: int = 64_000_000  # of one frame


class MediaWorker:
    """Scans and cuts in a child process that outlives its requests and is started again after it dies.

    Not for use by several threads at once. Every failure of a file is a MediaError.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()

    def __enter__(self) -> MediaWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""

    def scan(self, path: str | Path, request: ScanRequest) -> ScanResult:
        """Judge each clip of a file in one decode pass."""
        raise NotImplementedError

    def cut(
        self, path: str | Path, kind: Kind, start_s: float, end_s: float, num_frames: int
    ) -> tuple[bytes, str]:
        """Bytes and format ("mp4", "png", "jpeg", "webp") of exactly `num_frames` frames from `start_s`."""
        raise NotImplementedError
