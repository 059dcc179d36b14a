"""Edits: a source, what to do to it, and what came of it."""

from __future__ import annotations

from collections.abc import Callable

from curation.sources.datasets._sample import BAD_RECORD, Record, RecordError, Ref, Sample, Task, text_of

Names = tuple[str, ...]


def edit(
    task: Task,
    source: Names,
    target: Names,
    instruction: Names,
    caption: Names = (),
    refused: str | None = None,
) -> Callable[[Record], Sample]:
    """A reader of records with these fields; of several names the first that is there.

    An empty instruction is no error here: it is for the checks of pairs to reject.
    """

    def read(record: Record) -> Sample:
        pair = Ref(_path(record, source)), Ref(_path(record, target))
        said = text_of(record, *instruction) or ""
        return Sample(task, pair, (), said, text_of(record, *caption), refused)

    return read


def _path(record: Record, names: Names) -> str:
    found = text_of(record, *names)
    if not found:
        raise RecordError(BAD_RECORD, f"it names no {names[0]!r}")
    return found
