"""One atomic Delta commit: data files first, then one entry of the log that makes them a version.

Until that entry is written, readers see the version before. Two runs that publish at once cannot both win:
each commit names the same transaction, so the slower one fails with ConflictError and plans again.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation.dataset import Dataset, open_dataset, schema
from curation.errors import InputError
from curation.store.lease import LEASE, leased
from curation.store.oldfiles import OldFiles
from curation.store.seen import SEEN
from curation.store.shard import PARTITION, ShardFile
from curation.store.staging import ROOM
from curation.stores import StoreError, asking, delta_options, make_folder, place

STEP = "opening the output"
FIRST = "first"  # the lease under which a dataset comes to be
_WRITER = "omnivideo-curation"  # the transaction under which all commits are serialised
# Versions are for audits years later: neither the log nor replaced files go away by themselves.
_KEEP = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


class ConflictError(Exception):
    """Another run has published since this one looked; plan again from what stands there now."""


@dataclass(frozen=True)
class Change:
    """What a version changes: files that come, rows that go, and the lineage it is remembered by."""

    attempt: str  # an id that is in the names of its files and in its commit
    shards: Sequence[ShardFile]
    replaced: Collection[str]  # sample ids of rows that are not in the new version
    score_names: Sequence[str]
    lineage: dict[str, Any]

    @property
    def told(self) -> dict[str, Any]:
        """All that the commit says."""
        return {**self.lineage, "attempt": self.attempt}


def existing(uri: str) -> Dataset | None:
    """The dataset as it stands, or None if there is none yet."""
    from deltalake import DeltaTable

    return open_dataset(uri) if DeltaTable.is_deltatable(uri, delta_options(uri)) else None


def check_output(uri: str) -> None:
    """Raise InputError unless a dataset can be written at `uri`: it is writable, and empty or a dataset."""
    if set("%#?") & set(uri):  # deltalake 1.6 takes a path for a URL and loses what it writes there
        raise InputError(f"{uri} has one of the characters % # ? in it", STEP, "choose another --out")
    try:
        names = _try_out(uri)
    except StoreError as error:
        other = None if error.kind in ("denied", "unreachable") else "choose another --out"
        raise error.as_input_error(f"{uri} cannot be written", STEP, other) from error
    ours = (f"{PARTITION}=", ROOM, LEASE)  # another run's that starts in this moment, too
    strange = sorted(name for name in names - {SEEN} if not name.startswith(ours))
    if strange and "_delta_log" not in names:
        what = f"{uri} holds other files ({strange[0]}) and no dataset"
        raise InputError(what, STEP, "choose another --out: an empty or new folder, or a dataset")


def _try_out(uri: str) -> set[str]:
    """Write and remove a file; return the names of what is there."""
    with asking():
        fs, path = at = place(uri)
        make_folder(uri, at)
        probe = f"{path.rstrip('/')}/{ROOM}-{uuid.uuid4().hex}"
        fs.pipe_file(probe, b"")
        names = {entry.rstrip("/").rpartition("/")[2] for entry in fs.ls(path, detail=False)}
        fs.rm_file(probe)
    return names - {probe.rpartition("/")[2]}


def publish(uri: str, base: Dataset | None, change: Change) -> Dataset:
    """Make `change` the next version after `base` and open it.

    Raises ConflictError if another run has published since `base` was opened.
    """
    from deltalake.exceptions import CommitFailedError, DeltaError

    try:
        if base is None:
            _create(uri, change)
        else:
            _alter(uri, base, change)
    except CommitFailedError as error:
        raise ConflictError(str(error)) from error
    except DeltaError as error:
        if base is None and existing(uri) is not None:  # created by another run in the meantime
            raise ConflictError(str(error)) from error
        raise
    published = version_of(uri, change.attempt)
    assert published is not None
    return open_dataset(uri, published)


def restore(base: Dataset, version: int, told: dict[str, Any]) -> int:
    """Make the files of an earlier version the newest version, which says `told`; return its number.

    Raises ConflictError if another run has published since `base`, the newest version, was opened.
    """
    from deltalake.exceptions import CommitFailedError

    try:
        base.delta.restore(version, commit_properties=_properties(told, base.version + 1))
    except CommitFailedError as error:
        raise ConflictError(str(error)) from error
    return base.version + 1


def version_of(uri: str, attempt: str) -> int | None:
    """The version that an attempt has published, if it has."""
    found = existing(uri)
    commits = found.history() if found else []
    return next((int(commit["version"]) for commit in commits if commit.get("attempt") == attempt), None)


def discard(uri: str, attempt: str) -> None:
    """Remove the data files of an attempt that has not become a version."""
    if version_of(uri, attempt) is not None:
        return
    fs, root = place(uri)
    for path in fs.glob(f"{root.rstrip('/')}/{PARTITION}=*/part-{attempt}-*"):
        fs.rm_file(path)


def _create(uri: str, change: Change) -> None:
    """Make the first version. Of two that do so at once Delta Lake's writer takes the slower for the next
    version, with rows of both: it compares nothing where there was no table. So one goes at a time.
    """
    from deltalake import Schema
    from deltalake.transaction import create_table_with_add_actions

    with leased(uri, FIRST, lambda: None):
        create_table_with_add_actions(
            uri,
            Schema.from_arrow(schema(change.score_names)),
            [_add(shard) for shard in change.shards],
            mode="error",
            partition_by=[PARTITION],
            name="omnivideo dataset",
            storage_options=delta_options(uri),
            configuration=_KEEP,
            commit_properties=_properties(change.told, 0),
        )


def _alter(uri: str, base: Dataset, change: Change) -> None:
    """Append, or replace rows, or grow `scores`, or all of it: always one commit.

    Delta Lake's writer changes a schema only when it overwrites, and takes removals only when it appends. So
    a commit that does both overwrites all, and takes the files that stay along under new names.
    """
    grown = schema(sorted({*base.score_names, *change.score_names}))
    grows = len(grown.field("scores").type) > len(base.score_names)
    old = OldFiles(base)
    holding = old.holding(change.replaced)
    shards = [*change.shards, *old.without(change.replaced, holding, change.attempt)]
    if not grows:
        _write(base, [*map(_remove, holding), *map(_add, shards)], "append", grown, None, change)
    elif not holding:
        nothing = [(PARTITION, "=", "none of the verdicts")]
        _write(base, [_add(shard) for shard in shards], "overwrite", grown, nothing, change)
    else:
        shards += old.renamed(holding, change.attempt)
        _write(base, [_add(shard) for shard in shards], "overwrite", grown, None, change)


def _write(
    base: Dataset,
    actions: list[Any],
    mode: str,
    grown: pa.Schema,
    partitions: list[tuple[str, str, str]] | None,
    change: Change,
) -> None:
    from deltalake import Schema

    base.delta.create_write_transaction(
        actions,
        mode,
        Schema.from_arrow(grown),
        [PARTITION],
        partitions,
        commit_properties=_properties(change.told, base.version + 1),
    )


def _properties(told: dict[str, Any], number: int) -> Any:
    from deltalake import CommitProperties, Transaction

    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}
    return CommitProperties(custom_metadata=text, app_transactions=[Transaction(_WRITER, number)])


def _add(shard: ShardFile) -> Any:
    from deltalake.transaction import AddAction

    now = int(time.time() * 1000)
    return AddAction(shard.path, shard.size, {PARTITION: shard.verdict}, now, True, shard.stats)


def _remove(file: ShardFile) -> Any:
    from deltalake.transaction import RemoveAction

    return RemoveAction(file.path, True, int(time.time() * 1000), file.size, {PARTITION: file.verdict})
