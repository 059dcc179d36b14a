"""How near to the machine's limit a training step is: `python tests/benchmarks/training.py --out FOLDER`.

On one GPU, Wan2.1-1.3B's shape, 81 frames of 480×832, batch 1, in one run:

ceilings   matrix products at the model's shapes, attention forward and backward at its length, and the floor
           that they make of a step
diffusers  its own transformer with its full gradient checkpointing, as it comes
bare       our model in a bare PyTorch loop: stage 3, and other ways to recompute (--modes)
loop       our step through Ray Train, DeepSpeed, our conditions and the loader: stage 3, then stage 2
pair       on two GPUs: data parallel, and Ulysses over both

Shapes are real; weights and data are random, and the frozen parts in front of the transformer are small.
Figures are printed as they come and written to FOLDER/figures.json; a part that fails is said and left out.
`--size tiny` shows on a CPU that all of it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# This file has the name of the package that it measures, so its folder must not be searched; Ray's workers
# find the repository and the parts as this process does.
sys.path[:1] = [str(HERE.parents[1]), str(HERE / "steps")]
os.environ["PYTHONPATH"] = os.pathsep.join([*sys.path[:2], os.environ.get("PYTHONPATH", "")])

import ceilings  # noqa: E402 - found by the path above
import loop  # noqa: E402
import made  # noqa: E402
import plain  # noqa: E402
import torch  # noqa: E402
from sizes import SIZES, Size  # noqa: E402

PARTS = ("ceilings", "diffusers", "bare", "loop", "pair")
STAGE_2_SECONDS, H100_FLOOR = 1.75, 1.62
"""The target of stage 2, and the floor of stage 3 on the machine that it was set on."""


class Benchmark:
    """One run: its figures so far, in order."""

    def __init__(self, size: str, device: torch.device, out: Path, steps: int, compiled: bool | None) -> None:
        self.name, self.size, self.device = size, SIZES[size], device
        self.out, self.steps, self.compiled = out, steps, compiled
        self.figures: dict[str, Any] = {}

    def note(self, name: str, value: Any) -> None:
        """Print and keep one figure."""
        self.figures[name] = value
        said = f"{value:.4g}" if isinstance(value, float) else value
        print(f"{name:<72} {said}", flush=True)
        (self.out / "figures.json").write_text(json.dumps(self.figures, indent=1) + "\n")

    def part(self, name: str, work: Callable[[], None]) -> None:
        """Run one part; what goes wrong ends this part alone."""
        started = time.perf_counter()
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the other parts' figures still count
            traceback.print_exc()
            self.note(f"{name}: failed", f"{type(error).__name__}: {str(error)[:300]}")
        plain.clear(self.device)
        print(f"-- {name}: {time.perf_counter() - started:.0f} s", flush=True)

    def ceilings(self) -> None:
        """The floor of a step."""
        floor = ceilings.ceilings(self.size, self.device, self.note)
        self.note("floor of a step, stage 3, s", floor.stage_3)
        self.note("floor of a step, stage 2, s", floor.stage_2)

    def diffusers(self) -> None:
        """diffusers' transformer as it comes."""
        self._taken("diffusers, full checkpointing", plain.diffusers(self.size, self.device, self.steps // 3))

    def bare(self, modes: list[str], profiled: bool) -> None:
        """Our model without the platform."""
        for mode in modes:
            chosen: Any = None if mode == "auto" else mode
            taken = plain.bare(
                *(self.size, self.device, self.steps // 2, "stage-3"), chosen, self.compiled, profiled
            )
            self._taken(f"bare loop, stage 3, recompute {mode}", taken)
            plain.clear(self.device)

    def loop(self, recompute: str) -> None:
        """Ours, on one worker."""
        jobs = [self._job(f"stage-{n}", 1, f"stage-{n}", recompute=recompute) for n in ("3", "2-flow")]
        self._run(jobs)

    def pair(self, recompute: str) -> None:
        """Ours, on two."""
        data = self._job("stage-3-data-parallel-2", 2, "stage-3", batch_size=2, recompute=recompute)
        ulysses = self._job("stage-3-ulysses-2", 2, "stage-3", sequence_parallel=2, recompute=recompute)
        self._run([data, ulysses])

    def _job(self, name: str, workers: int, phase: str, **settings: Any) -> loop.Job:
        gpu = self.device.type == "cuda"
        asked = {"batch_size": 1, "generation_first_share": 0.0, "steps": self.steps, **settings}
        asked["compile"] = self.compiled
        return loop.Job(
            name, phase, made.request(self.size, self.out, self.out / name, workers, gpu, **asked)
        )

    def _run(self, jobs: list[loop.Job]) -> None:
        try:
            loop.run(jobs, self.name, self.out)
        finally:
            for job in jobs:
                if (self.out / job.name / "periods.json").exists():
                    self._outcome(job.name)

    def _taken(self, name: str, taken: plain.Taken) -> None:
        self.note(f"{name}, s a step", taken.seconds)
        self.note(f"{name}, peak GiB", taken.gibibytes)
        self.note(f"{name}, first step, s", taken.first)
        self.note(f"{name}, loss", taken.loss)
        if taken.norms:
            self.note(f"{name}, gradient norms", {kind: float(f"{n:.4g}") for kind, n in taken.norms.items()})
        for kernel, milliseconds in taken.kernels:
            print(f"{milliseconds:9.2f} ms {kernel}", flush=True)

    def _outcome(self, name: str) -> None:
        found = loop.outcome(self.out, name)
        self.note(f"loop, {name}, s a step", found.seconds)
        self.note(f"loop, {name}, s within the step", found.within)
        self.note(f"loop, {name}, data wait", found.data_wait)
        self.note(f"loop, {name}, MFU against the matrix product", found.mfu)
        self.note(f"loop, {name}, peak GiB", found.gibibytes)
        self.note(f"loop, {name}, loss", found.loss)
        self.note(f"loop, {name}, chosen", found.choices)

    def compare(self) -> None:
        """Set what was measured against what was asked for."""

        def ratio(name: str, above: str, below: str, times: float = 1.0) -> None:
            if above in self.figures and below in self.figures:
                self.note(name, times * self.figures[above] / self.figures[below])

        three, two = "loop, stage-3, s a step", "loop, stage-2-flow, s a step"
        floor, bare = "floor of a step, stage 3, s", "bare loop, stage 3, recompute {}, s a step"
        data, ulysses = (f"loop, stage-3-{way}-2, s a step" for way in ("data-parallel", "ulysses"))
        ratio("stage 3 / floor (at most 1.2)", three, floor)
        ratio("diffusers / stage 3 (at least 1.4)", "diffusers, full checkpointing, s a step", three)
        ratio("stage 2 / floor of stage 2", two, "floor of a step, stage 2, s")
        if floor in self.figures and two in self.figures:
            scaled = self.figures[two] * H100_FLOOR / self.figures[floor]
            self.note(f"stage 2 on the H100's scale, s (at most {STAGE_2_SECONDS})", scaled)
        for mode in ("auto", "none", "light", "selective", "full"):
            ratio(f"stage 3 / bare loop, {mode} (at most 1.03)", three, bare.format(mode))
        ratio("data parallel 2, share of twice one (at least 0.95)", three, data)
        ratio("Ulysses 2, share of half the time (at least 0.9)", three, ulysses, 0.5)


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", choices=sorted(SIZES), default="wan-1.3b")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--modes", nargs="+", default=["auto"], help="recompute of the bare loop")
    parser.add_argument("--profile", action="store_true", help="the bare loop's kernels by their time")
    parser.add_argument("--recompute", default="auto", help="of the real loop")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, help="left out: on GPUs alone")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--make", action="store_true", help="write the model and the shards, nothing else")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    size: Size = SIZES[options.size]
    if options.make:
        made.make(size, options.out)
        return
    device = torch.device(options.device)
    run = Benchmark(options.size, device, options.out.resolve(), options.steps, options.compile)
    run.note("torch", torch.__version__)
    run.note("device", torch.cuda.get_device_name() if options.device == "cuda" else "CPU")
    making = None
    if {"loop", "pair"} & set(options.parts) and not (run.out / "encoded").exists():
        command = [sys.executable, __file__, "--make", "--size", options.size, "--out", str(run.out)]
        making = subprocess.Popen(command)
    if "ceilings" in options.parts:
        run.part("ceilings", run.ceilings)
    if "diffusers" in options.parts:
        run.part("diffusers", run.diffusers)
    if "bare" in options.parts:
        run.part("bare", lambda: run.bare(options.modes, options.profile))
    if making is not None and making.wait():
        raise SystemExit("writing the model and the shards failed")
    if {"loop", "pair"} & set(options.parts):
        _with_ray(run, options)
    run.compare()


def _with_ray(run: Benchmark, options: argparse.Namespace) -> None:
    import ray

    gpus = torch.cuda.device_count() if run.device.type == "cuda" else 0
    ray.init(address="local", num_gpus=gpus, include_dashboard=False, log_to_driver=True)
    try:
        if "loop" in options.parts:
            run.part("loop", lambda: run.loop(options.recompute))
        if "pair" in options.parts and (gpus >= 2 or run.device.type == "cpu"):
            run.part("pair", lambda: run.pair(options.recompute))
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
