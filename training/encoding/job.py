"""The Ray Job of `omnivideo encode`: `python -m training.encoding.job REQUEST`. Speaks in events.

The request is training's own: what is encoded is what training by it would ask for. `out` may be a run whose
finished stages are then taken into account, or empty.
"""

from __future__ import annotations

import functools
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omnivideo.errors import InputError
from training.config import EncodedSection, ModelSection, TrainRequest
from training.data.samples import read_samples
from training.encoding.identity import Identity, of_origin
from training.encoding.shards import Shards, stored_type
from training.encoding.values import Value
from training.events import emit
from training.job import answer
from training.model.origin import check_origin, configuration
from training.run import Run, check_output
from training.stages import STAGES, StageName, wanted

STEP = "encode"


def main(arguments: list[str]) -> int:
    """Run a request; return the exit code: 0 done, 1 failed, 2 bad input."""
    return answer(arguments, run)


def run(request: TrainRequest) -> dict[str, Any]:
    """Encode what is missing and return what was made, what was there, and where.

    Raises InputError, before a model is loaded on a device, for what dataset, recipe and folder show wrong.
    """
    from curation.dataset import open_dataset
    from training.encoding.coverage import needed

    started, section = time.time(), _section(request)
    if "://" not in section.folder:
        check_output(section.folder)
    dataset = open_dataset(request.data, request.version)
    stages, origin = _position(request)
    request = request.model_copy(update={"version": dataset.version, "model": origin})
    check_origin(origin)
    values = needed(request, stages, read_samples(dataset), dataset.version)
    if "1" in stages:  # its vision head is not the one that stage 2 will ask
        values = {value: phase for value, phase in values.items() if value.name != "visual"}
    identity, index = of_origin(origin), Shards(section.folder).index()
    missing = [v for v in values if _address(v, identity, section.dtype) not in index]
    done = _encode(request, identity, missing, len(values)) if missing else 0
    return {
        "encoded": section.folder,
        "dataset": request.data,
        "version": dataset.version,
        "made": _counts(missing),
        "reused": _counts(set(values) - set(missing)),
        "bytes": done,
        "seconds": round(time.time() - started, 1),
    }


def _section(request: TrainRequest) -> EncodedSection:
    if request.mix.encoded is None:
        raise InputError("the request names no folder to encode into", STEP, "give mix.encoded.folder")
    return request.mix.encoded


def _position(request: TrainRequest) -> tuple[list[StageName], ModelSection]:
    """Return the stages still to come, and where the model is: the run's newest, or the recipe's."""
    asked = wanted(request.only_stage)
    run = Run(Path(request.out).resolve())
    finished = [stage for stage in STAGES if request.out and run.record(stage)]
    if not finished and request.backbones is not None:
        if not request.out or not run.init.exists():
            what = "the recipe's backbones are not trained yet"
            raise InputError(what, STEP, "train --stage backbones first, then encode with --run RUN")
        return list(asked), ModelSection(path=str(run.init))
    if not finished:
        path = request.model.path  # made whole: workers are at home elsewhere
        changes = {"path": str(Path(path).resolve())} if path else {}
        return list(asked), request.model.model_copy(update=changes)
    return [stage for stage in asked if stage not in finished], ModelSection(path=str(run.model))


def _address(value: Value, identity: Identity, dtype: str) -> str:
    return value.address(identity.encoder(value.name), stored_type(value, dtype))


def _encode(request: TrainRequest, identity: Identity, missing: Sequence[Value], total: int) -> int:
    """Have workers encode the missing values; return the bytes written."""
    from training.encoding.engine import connect, each
    from training.encoding.worker import Order, Worker, pieces

    section, cluster, config = _section(request), request.cluster, configuration(request.model)
    work = pieces(missing, config, section.dtype, section.shard_megabytes, 4 * cluster.num_workers)
    connect()
    started, ready, size = time.time(), total - len(missing), 0
    for answered in each(functools.partial(Worker, Order(request, identity)), work, cluster):
        ready, size = ready + answered["values"], size + answered["bytes"]
        counts = {"in": ready, "total": total, "reused": total - len(missing)}
        seconds = round(time.time() - started, 1)
        emit("progress", stage=STEP, **counts, seconds=seconds, done=ready == total)
    return size


def _counts(values: Iterable[Value]) -> Mapping[str, int]:
    return dict(sorted(Counter(value.name for value in values).items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
