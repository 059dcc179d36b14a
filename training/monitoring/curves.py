"""The run's curves for TensorBoard, in RUN/tensorboard: all that the log of steps says over time.

The log is what is true. A run that goes on writes its curves anew from the log, which by then ends at the
checkpoint: no point is there twice, and none is missing that was not yet on the disk when the run was killed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

FLUSH_SECONDS = 30
_SCALARS = {
    "grad_norm": "gradient_norm",
    "mfu": "mfu",
    **{name: name for name in ("learning_rate", "memory_gib", "tokens_per_second")},
}
_GROUPS = {"tasks": "loss_by_task", "losses": "loss_by_kind", "quartiles": "loss_by_quartile"}


class Curves:
    """Curves of one run, written by one process."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._writer = folder, cast("Any", None)

    def begin(self, log: Iterable[Mapping[str, Any]]) -> None:
        """Draw what was logged before; does nothing once curves are being drawn."""
        if self._writer is not None:
            return
        from tensorboardX import SummaryWriter

        shutil.rmtree(self._folder, ignore_errors=True)
        self._writer = SummaryWriter(str(self._folder), flush_secs=FLUSH_SECONDS)
        for entry in log:
            self.add(entry)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Draw what one line of the log says."""
        if self._writer is not None:
            for name, value in points(entry):
                self._writer.add_scalar(f"{entry['phase']}/{name}", value, entry["step"])
            for clip in entry.get("clips", ()):
                self._show(f"{entry['phase']}/clips/{clip['prompt']}", clip["file"], entry["step"])

    def _show(self, title: str, file: str, step: int) -> None:
        """Add a clip as the animated picture that TensorBoard has for videos."""
        from tensorboardX.proto.summary_pb2 import Summary

        from training.monitoring.clips import as_gif

        webp = (self._folder.parent / "clips" / file).with_suffix(".webp")
        if webp.exists():  # whoever needed the room may have removed it
            image = Summary.Image(colorspace=3, encoded_image_string=as_gif(webp.read_bytes()))
            summary = Summary(value=[Summary.Value(tag=title, image=image)])
            self._writer.file_writer.add_summary(summary, step)

    def close(self) -> None:
        """See all of it to the disk."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def points(entry: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the curves that a line of the log has a point on, and where."""
    kind = entry["kind"]
    if kind == "skipped":
        yield "skipped", 1.0
    if kind in {"probe", "held_out"}:
        yield from _present(_losses(entry, {"probe": "probe", "held_out": "held_out"}[kind]))
    if kind == "step":
        yield from _present(_losses(entry, "train"))
        yield from _present((title, entry.get(name)) for name, title in _SCALARS.items())
        norms = entry.get("grad_norms", {}).items()
        yield from _present((f"gradient_norm_by_part/{part}", norm) for part, norm in norms)
        yield "seconds_per_step", entry["seconds"]
        yield "data_wait_share", entry["data_wait"]


def _losses(entry: Mapping[str, Any], source: str) -> Iterator[tuple[str, float | None]]:
    yield f"loss/{source}", entry["loss"]
    for group, title in _GROUPS.items():
        for name, value in entry.get(group, {}).items():
            yield f"{title}/{source}/{name}", value
    for time, value in entry.get("times", {}).items():
        yield f"loss_by_time/{source}/{time}", value


def _present(pairs: Iterable[tuple[str, float | None]]) -> Iterator[tuple[str, float]]:
    return ((name, value) for name, value in pairs if value is not None)
