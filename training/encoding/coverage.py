"""Which values a recipe needs, and whether encoded shards have them; what differs is said in one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from omnivideo.errors import InputError
from training.batches.phase_plan import PhasePlan, Scored, plan_phase
from training.config import EncodedSection, TrainRequest
from training.data.samples import view_of
from training.encoding.identity import Identity
from training.encoding.shards import Shards, describe
from training.encoding.values import Name, Value, of_sample
from training.stages import Phase, StageName, phases_of

WHOSE: Mapping[Name, str] = {
    "targets": "SigLIP2 targets",
    "latents": "latents",
    "source_latents": "latents of edits' sources",
    "source_shown": "frames of edits' sources",
    "text": "text embeddings",
    "states": "hidden states",
    "visual": "visual tokens",
}


def needed(
    request: TrainRequest, stages: Iterable[StageName], scored: Sequence[Scored], version: int
) -> dict[Value, str]:
    """Return the values that `stages` may ask for, each with the phase that asks first.

    Visual tokens of a frozen vision head are among them; a run whose first stage is still to come has none.
    """
    found: dict[Value, str] = {}
    for stage in stages:
        for phase in phases_of(stage):
            plan = plan_phase(phase, request, scored, version)
            for value in _of_plan(phase, plan, request):
                found.setdefault(value, phase.name)
    return found


def _of_plan(phase: Phase, plan: PhasePlan, request: TrainRequest) -> Iterator[Value]:
    settings = phase.settings(request.stages)
    stored = settings.visual_tokens == "stored"
    for streams in (plan.streams, plan.held_out):
        for (bucket, _), samples in streams.items():
            for sample in samples:
                view = view_of(sample, bucket, settings.fps)
                yield from of_sample(phase, sample, view, request.mix.caption_dropout, stored)


def check(shards: Shards, section: EncodedSection, identity: Identity, values: Mapping[Value, str]) -> None:
    """Raise InputError unless the shards hold all of `values`; visual tokens may be made while training."""
    wanted = {value: phase for value, phase in values.items() if value.name != "visual"}
    columns = {value: describe(value, identity.encoder(value.name), section.dtype) for value in wanted}
    index = shards.index()
    missing = [value for value in wanted if columns[value]["address"] not in index]
    if not missing:
        return
    first = missing[0]
    alike, whole = (sum(value.name == first.name for value in values) for values in (missing, wanted))
    raise InputError(
        f"{alike} of {whole} {WHOSE[first.name]} that {wanted[first]} and later need are not in "
        f"{section.folder}: {_why(columns[first], shards.described())}",
        "reading encoded shards",
        "omnivideo encode, with this recipe and dataset, adds what is missing; or leave mix.encoded out",
    )


def _why(wanted: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> str:
    """Say how what is there of the same sample and words differs from what is wanted."""
    same = ("name", "sample_id", "task", "words")
    near = [row for row in rows if all(row[key] == wanted[key] for key in same)]
    if not near:
        of = f"sample {wanted['sample_id']}" if wanted["sample_id"] else "a caption"
        return f"{of} was never encoded"
    closest = min(near, key=lambda row: sum(row[key] != wanted[key] for key in _DIFFERENCES))
    said = [say(closest, wanted) for key, say in _DIFFERENCES.items() if closest[key] != wanted[key]]
    return "; ".join(dict.fromkeys(said)) or "they are of another version of omnivideo"


def _bucket(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    return f"they are of {_shape(row)}, the recipe asks for {_shape(wanted)}"


def _shape(row: Mapping[str, Any]) -> str:
    rate = f" at {row['fps']:g} fps" if row["fps"] else ""
    return f"{row['frames']} frames of {row['height']}×{row['width']}{rate}"


def _encoder(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    return f"they are by another encoder ({row['encoder'][:8]}) than this model's ({wanted['encoder'][:8]})"


def _type(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    return f"they are {row['dtype']}, mix.encoded.dtype is {wanted['dtype']}"


_DIFFERENCES = {
    **dict.fromkeys(("frames", "height", "width", "fps"), _bucket),
    "encoder": _encoder,
    "dtype": _type,
}
