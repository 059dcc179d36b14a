"""Ray Data: the same piece of work done to many inputs, on as many workers as the cluster has cores.

Work comes as a class whose instances live in an actor pool, one a core; inputs and results are small JSON
texts (paths, hashes, counts), never media: the workers read and write that themselves.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from typing import Any, NamedTuple

import pyarrow as pa

from curation.errors import InputError
from curation.metrics import timed

# One input a block as long as there are few, so that results come one by one. Ray holds some 8 KB a block in
# this process while it works; enough of them for each worker keep all busy to the end.
BLOCKS, BLOCKS_PER_WORKER = 1024, 64

SETTINGS = {
    "max_errored_blocks": 0,  # a lost block would lose its good neighbours
    "target_max_block_size": 1 << 20,
    "enable_progress_bars": False,
    "print_on_execution_start": False,
    "enable_auto_log_stats": False,
}
ATTEMPTS = 3  # at inputs whose workers die with their machine

Work = Callable[[Any], Any]


class Pool(NamedTuple):
    """How many workers, and what each holds."""

    workers: int | None = None  # None: as many as there is room for
    cpus: float = 1.0
    gpus: float = 0.0


PLAIN = Pool()


def each(make: Callable[[], Work], inputs: Sequence[Any], pool: Pool = PLAIN) -> Iterator[Any]:
    """Results of `make()(input)` for each input, as they are ready, in any order. JSON in, JSON out.

    An exception in the work ends it all: what can go wrong with an input, its result has to say. An
    InputError comes out as it went in. A worker that dies, or its whole node, is replaced and its inputs are
    tried again: work has to be such that doing it twice is as doing it once. Three failures without a result
    in between end it all, too. Raises InputError if no node has what `pool` asks for: Ray would wait for
    ever.
    """
    waiting = dict(enumerate(inputs))
    failures = 0
    while waiting:
        left = len(waiting)
        try:
            for number, answer in _once(make, waiting, pool):
                del waiting[number]
                yield answer
        except Exception as error:
            # A node that dies takes the retries of its tasks along faster than Ray learns of its death.
            failures = failures + 1 if len(waiting) == left else 1
            if not _of_a_machine(error) or failures == ATTEMPTS:
                raise


def _once(make: Callable[[], Work], waiting: Mapping[int, Any], pool: Pool) -> Iterator[tuple[int, Any]]:
    """Number and result of inputs as they are ready. Raises what Ray says where a worker's machine dies."""
    import ray
    from ray.util.annotations import RayDeprecationWarning

    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    with _settings():
        texts = [{"number": number, "text": json.dumps(one)} for number, one in waiting.items()]
        workers = min(_room(ray.cluster_resources(), pool), len(texts))
        blocks = min(len(texts), max(BLOCKS, BLOCKS_PER_WORKER * workers))
        found = ray.data.from_items(texts, override_num_blocks=blocks)
        del texts  # Ray has them
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RayDeprecationWarning)  # of `_bounds`, which says why
            results = found.map_batches(
                _Worker,
                fn_constructor_args=[make],
                batch_size=1,
                batch_format="pyarrow",
                num_cpus=pool.cpus,
                num_gpus=pool.gpus or None,
                compute=_actors(workers),
                **_bounds(found.map_batches),
            )
        for row in results.iter_rows():
            answer = json.loads(row["text"])
            if "refused" in answer:
                raise InputError(*answer["refused"])
            yield row["number"], answer["done"]


def _of_a_machine(error: BaseException) -> bool:
    """Whether it is a worker, a node or what they held that was lost, and not the work that raised."""
    from ray.exceptions import RayError, RayTaskError

    return isinstance(error, RayError) and not isinstance(error, RayTaskError)


def _bounds(map_batches: Callable[..., Any]) -> dict[str, int]:
    """How often a worker is replaced, and its input tried again: for ever, if Ray is not told.

    Ray 2.60 has no named parameters for it, but takes any of its actors' options until 2.64. What it notes
    then, that a worker's arguments lie in the object store, does no harm: their owner is this process, and
    the run ends with it.
    """
    takes_any = any(one.kind is one.VAR_KEYWORD for one in signature(map_batches).parameters.values())
    return {"max_restarts": ATTEMPTS - 1, "max_task_retries": ATTEMPTS - 1} if takes_any else {}


class _Worker:
    """What Ray Data makes in each actor."""

    def __init__(self, make: Callable[[], Work]) -> None:
        self._work = make()

    def __call__(self, batch: pa.Table) -> pa.Table:
        answers = [json.dumps(self._answer(json.loads(text))) for text in batch["text"].to_pylist()]
        return pa.table({"number": batch["number"], "text": pa.array(answers, pa.string())})

    def _answer(self, one: Any) -> dict[str, Any]:
        try:
            with timed(type(self._work).__name__.lower()):
                return {"done": self._work(one)}
        except InputError as error:
            return {"refused": [error.what, error.step, error.next_step]}


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """Ray Data's context with our settings; a dataset copies it when it is made, so it comes first."""
    from ray.data import DataContext

    context = DataContext.get_current()
    before = {name: getattr(context, name) for name in SETTINGS}
    try:
        for name, value in SETTINGS.items():
            setattr(context, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)


def _actors(size: int) -> Any:
    import ray

    # All at once where there is room, but one is enough to go on: another job may hold the other cores.
    return ray.data.ActorPoolStrategy(
        min_size=1, max_size=size, initial_size=size, max_tasks_in_flight_per_actor=2
    )


def _room(resources: Mapping[str, float], pool: Pool) -> int:
    """How many workers fit on the cluster, at most as many as asked for."""
    wants = {"CPU": pool.cpus, "GPU": pool.gpus}
    fits = min(int(resources.get(name, 0.0) // share) for name, share in wants.items() if share)
    if fits < 1 and resources.get("GPU", 0.0) < pool.gpus:
        what = f"a worker asks for {pool.gpus:g} GPUs and the cluster has {resources.get('GPU', 0.0):g}"
        raise InputError(what, "starting workers", "use a cluster with GPUs, or cluster.use_gpu: false")
    return max(1, min(fits, pool.workers or fits))
