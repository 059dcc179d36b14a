"""How near to the machine's limit a training step is: `python tests/benchmarks/training.py --out FOLDER`.

Wan2.1-1.3B's shape, 81 frames of 480×832, batch 1, each part in a process and with a time limit of its own:

ceilings         matrix products at the model's shapes, attention forward and backward at its length, and the
                 floor that they make of a step
diffusers        its own transformer with its full gradient checkpointing, as it comes
bare             our model in a bare PyTorch loop: stage 3
stage-3          our step through Ray Train, DeepSpeed, our conditions and the loader
stage-2          the same, the transformer frozen; a second GPU does this meanwhile, after ceilings of its own
ulysses-2        stage 3 of one sample on two GPUs
data-parallel-2  stage 3 of two

Shapes are real; weights and data are random, and the frozen parts in front of the transformer are small.
Figures are printed as they come and written to FOLDER/figures.json, with a table of kernels of each way's
step; a part that fails, or takes too long, is said and left out. `--size tiny` shows on a CPU that it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
# This file has the name of the package that it measures, so its folder must not be searched; Ray's workers
# find the repository and the parts as this process does.
sys.path[:1] = [str(HERE.parents[1]), str(HERE / "steps")]
os.environ["PYTHONPATH"] = os.pathsep.join([*sys.path[:2], os.environ.get("PYTHONPATH", "")])

from compared import compared  # noqa: E402 - found by the path above
from sizes import SIZES  # noqa: E402


class Part(NamedTuple):
    """Seconds it may take, and how many GPUs it needs; one that is `extra` must not keep others waiting."""

    seconds: float
    gpus: int = 1
    extra: bool = False


PARTS = {
    "ceilings": Part(45),
    "diffusers": Part(60),
    "bare": Part(120),
    "stage-3": Part(120),
    "ceilings-other": Part(45),
    "stage-2": Part(150),
    "stage-2-elementwise": Part(120, extra=True),
    "ulysses-2": Part(120, gpus=2),
    "data-parallel-2": Part(100, gpus=2),
}
LANES = (tuple(PARTS)[:4], tuple(PARTS)[4:7])
"""What one GPU does after another; the lanes at once where there are two."""
FOR_PAIRS = 110.0
"""Seconds that are kept for the parts on two GPUs."""


WITHOUT_RAY = frozenset(("ceilings", "ceilings-other", "diffusers", "bare"))
AGAIN = 60.0
"""Seconds that must be left for what failed to be tried once more."""
LINES = 25
PATIENT = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "100", "PYTHONUNBUFFERED": "1"}


class Benchmark:
    """One run over all parts."""

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options, self.out, self.work = options, options.out.resolve(), work
        self.until = time.monotonic() + options.seconds
        self.making: Any = None
        self.only_extras = False
        self.ray = threading.Lock()  # two clusters of one machine come in each other's way

    def run(self) -> None:
        """Measure, then set against what was asked for."""
        wanted = self.options.parts
        if not WITHOUT_RAY.issuperset(wanted):
            self.making = subprocess.Popen(self._command("make"))
        gpus = self._gpus()
        lanes = [[name for name in lane if name in wanted] for lane in LANES]
        if gpus >= 2:
            threads = [threading.Thread(target=self._lane, args=(n, lane)) for n, lane in enumerate(lanes)]
            for thread in threads:
                thread.start()
            threads[0].join()
            self.only_extras = True
            threads[1].join()
        else:
            for lane in lanes:
                self._lane(0, [name for name in lane if not PARTS[name].extra])
        for name in (name for name in wanted if PARTS[name].gpus == 2):
            if gpus >= 2 or self.options.device == "cpu":
                self._part(name, "0,1", 0.0)
        for name in (name for lane in lanes for name in lane if not PARTS[name].extra):
            if not self._found(name) and self.until - time.monotonic() > AGAIN:
                self._part(name, "0", 0.0)
        figures = compared(self._figures())
        (self.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")

    def _gpus(self) -> int:
        if self.options.device == "cpu":
            return 0
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
        print(found, flush=True)
        return len(found.splitlines())

    def _lane(self, gpu: int, names: Sequence[str]) -> None:
        for name in names:
            if not (PARTS[name].extra and self.only_extras):
                with nullcontext() if name in WITHOUT_RAY else self.ray:
                    self._part(name, str(gpu), FOR_PAIRS)

    def _part(self, name: str, gpus: str, kept: float) -> None:
        """Run one part in a process; what goes wrong ends this part alone."""
        if self.making is not None and name not in WITHOUT_RAY:
            self.making.wait()
        started = time.monotonic()
        end = min(started + PARTS[name].seconds, self.until - kept)
        device = {} if self.options.device == "cpu" else {"CUDA_VISIBLE_DEVICES": gpus}
        log, told = self.work / f"log-{name}.txt", set[str]()
        with log.open("w") as said:
            process = subprocess.Popen(
                self._command(name),
                env=os.environ | PATIENT | device,
                start_new_session=True,
                stdout=said,
                stderr=said,
            )
            while process.poll() is None and time.monotonic() < end:
                if PARTS[name].extra and self.only_extras:
                    break
                time.sleep(0.5)
                self._tell(name, told)
        how = "cut off" if process.poll() is None else f"ended with {process.returncode}"
        _end(process)
        self._tell(name, told)
        print(f"-- {name}: {how} after {time.monotonic() - started:.0f} s", flush=True)
        lines = log.read_text(errors="replace").splitlines()
        if how != "ended with 0":
            print(*(line[:200] for line in lines[-LINES:]), sep="\n", flush=True)
        with (self.out / "log.txt").open("a") as whole:
            print(f"--- {name}", *lines, sep="\n", file=whole)
        (self.out / "figures.json").write_text(json.dumps(self._figures(), indent=1) + "\n")

    def _tell(self, name: str, told: set[str]) -> None:
        """Print what a part has found since, but for what `told` has."""
        for figure, value in self._found(name).items():
            if figure not in told:
                told.add(figure)
                print(
                    f"{figure:<60} {value:.4g}" if isinstance(value, float) else f"{figure:<60} {value}",
                    flush=True,
                )

    def _found(self, name: str) -> dict[str, Any]:
        file = self.work / f"figures-{name}.json"
        found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return found

    def _command(self, part: str) -> list[str]:
        options = self.options
        named = {"--size": options.size, "--device": options.device, "--recompute": options.recompute}
        named |= {"--steps": str(options.steps), "--out": str(self.out), "--work": str(self.work)}
        compiled = [] if options.compile is None else ["--compile" if options.compile else "--no-compile"]
        return [
            sys.executable,
            str(HERE / "steps" / "one.py"),
            part,
            *(x for p in named.items() for x in p),
            *compiled,
        ]

    def _figures(self) -> dict[str, Any]:
        return {figure: value for name in PARTS for figure, value in self._found(name).items()}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a part's process and all that it started."""
    for number in (15, 9):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=4)
        except subprocess.TimeoutExpired:
            continue


def options_of(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add what the parts have to know."""
    parser.add_argument("--size", choices=sorted(SIZES), default="wan-1.3b")
    parser.add_argument("--recompute", default="elementwise", help="of stage 3 on one GPU")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, help="left out: on GPUs alone")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="for the model, shards and runs: some 10 GB")
    return parser


def main() -> None:
    """Run the parts that are asked for."""
    formatter = argparse.RawTextHelpFormatter
    parser = options_of(argparse.ArgumentParser(description=__doc__, formatter_class=formatter))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[n for n in PARTS if not PARTS[n].extra])
    parser.add_argument("--seconds", type=float, default=390.0, help="for all of it")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    work = options.work or Path(tempfile.mkdtemp(prefix="training-benchmark-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        Benchmark(options, work.resolve()).run()
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
