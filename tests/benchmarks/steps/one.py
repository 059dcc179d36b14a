"""One part of the training benchmark, in a process of its own: figures to the terminal and to a file."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:1] = [str(HERE.parents[2]), str(HERE)]  # not tests/benchmarks: a file there has a package's name

import ceilings  # noqa: E402 - found by the path above
import loop  # noqa: E402
import made  # noqa: E402
import plain  # noqa: E402
import seen  # noqa: E402
import torch  # noqa: E402
from sizes import SIZES  # noqa: E402

FEWER = 3  # steps that need no more: they are long, or beside the point


class One:
    """The parts, by name."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.size = options, SIZES[options.size]
        self.device = torch.device(options.device)
        self.figures: dict[str, Any] = {}

    def note(self, name: str, value: Any) -> None:
        """Print and keep one figure."""
        self.figures[name] = value
        said = f"{value:.4g}" if isinstance(value, float) else value
        print(f"{name:<72} {said}", flush=True)
        file = self.options.work / f"figures-{self.options.part}.json"
        written = file.with_suffix(".new")
        written.write_text(json.dumps(self.figures) + "\n")
        written.replace(file)

    def run(self) -> None:
        """Do the part."""
        part, recompute = self.options.part, self.options.recompute
        if part == "make":
            made.make(self.size, self.options.work)
        elif part.startswith("ceilings"):
            self._ceilings("" if part == "ceilings" else ", other GPU")
        elif part == "diffusers":
            self._taken(part, plain.diffusers(self.size, self.device, FEWER))
        elif part == "bare":
            chosen = (self.options.compile, True)
            self._taken(part, plain.bare(self.size, self.device, 5, "stage-3", recompute, *chosen))
        elif part == "data-parallel-2":
            self._loop(2, "stage-3", batch_size=2, recompute=recompute)
        elif part == "ulysses-2":
            self._loop(2, "stage-3", sequence_parallel=2, recompute="none")
        elif part == "stage-3":
            self._loop(1, "stage-3", recompute=recompute)
        else:
            self._loop(1, "stage-2-flow", recompute="none" if part == "stage-2" else "elementwise")

    def _ceilings(self, where: str) -> None:
        self.note(f"torch, device{where}", [torch.__version__, _name(self.device)])
        floor = ceilings.ceilings(self.size, self.device, lambda name, value: self.note(name + where, value))
        self.note(f"floor of a step, stage 3, s{where}", floor.stage_3)
        self.note(f"floor of a step, stage 2, s{where}", floor.stage_2)

    def _loop(self, workers: int, phase: str, **settings: Any) -> None:
        """Ours, on as many workers."""
        import ray

        part, work = self.options.part, self.options.work
        gpus = workers if self.device.type == "cuda" else 0
        ray.init(address="local", num_gpus=gpus, include_dashboard=False, object_store_memory=200 * 2**20)
        asked = {"batch_size": 1, "generation_first_share": 0.0, "steps": self.options.steps, **settings}
        asked["compile"] = self.options.compile
        folder = work / f"run-{part}"
        request = made.request(self.size, work, folder / part, workers, bool(gpus), **asked)
        try:
            loop.run([loop.Job(part, phase, request)], self.options.size, folder)
        finally:
            if (folder / part / "periods.json").exists():
                self._outcome(loop.outcome(folder, part))
            for file in folder.glob("kernels-*.txt"):
                shutil.copy(file, self.options.out)

    def _outcome(self, found: loop.Outcome) -> None:
        part = self.options.part
        self.note(f"{part}, s a step", found.seconds)
        self.note(f"{part}, s, all steps", found.all_seconds)
        self.note(f"{part}, data wait", found.data_wait)
        self.note(f"{part}, MFU against the matrix product", found.mfu)
        self.note(f"{part}, peak GiB", found.gibibytes)
        self.note(f"{part}, loss", found.loss)
        self.note(f"{part}, gradient norms", found.norms)
        self.note(f"{part}, steps skipped", found.skipped)
        self.note(f"{part}, chosen", found.choices)

    def _taken(self, name: str, taken: plain.Taken) -> None:
        self.note(f"{name}, s a step", taken.seconds)
        self.note(f"{name}, peak GiB", taken.gibibytes)
        self.note(f"{name}, first step, s", taken.first)
        self.note(f"{name}, loss", taken.loss)
        if taken.norms:
            self.note(f"{name}, gradient norms", {kind: float(f"{n:.4g}") for kind, n in taken.norms.items()})
        seen.write(taken.seen, self.options.out / f"kernels-{name}.txt")


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else "CPU"


def main() -> None:
    """Do the part that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part")
    parser.add_argument("--size", required=True)
    parser.add_argument("--recompute", required=True)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    One(parser.parse_args()).run()


if __name__ == "__main__":
    main()
