"""The whole proof that the recipe `shapes` learns, in one command, on one or two GPUs.

    setsid nohup python -m tests.benchmarks.proof run --ablations > proof.log 2>&1 < /dev/null &
    python -m tests.benchmarks.proof watch 560 judged --into FOLDER
    python -m tests.benchmarks.proof pictures docs
    python -m tests.benchmarks.proof run --tiny --ablations --out /tmp/rehearsal

What each step says, its scores, losses and times are in OUT/results, with `summary.txt`; OUT/markers has a
file for each step that is done, and the milestones `judged` and `done`. Run again, it goes on with what is
missing. `--tiny` rehearses the same steps without GPUs: nothing is learned.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.proof.pictures import draw
from tests.benchmarks.proof.plan import Plan
from tests.benchmarks.proof.requests import Requests
from tests.benchmarks.proof.results import gather, pack, table
from tests.benchmarks.proof.steps import Graph
from tests.benchmarks.proof.watching import watch


def main() -> int:
    """Do what the arguments ask; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.proof")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run")
    one.add_argument("--out", type=Path, default=Path("runs/proof"))
    one.add_argument("--recipe", default="shapes")
    one.add_argument("--data", default=None, help="left out: shapes://32000")
    one.add_argument("--gpus", type=int, default=None, help="left out: those that there are")
    one.add_argument("--seeds", type=int, nargs="+", default=None, help="left out: one a GPU")
    one.add_argument("--ablations", action="store_true")
    one.add_argument("--tiny", action="store_true", help="on a CPU, GPUs pretended (two, if not told)")
    one = commands.add_parser("watch")
    one.add_argument("seconds", type=float)
    one.add_argument("marker", help="judged, done, or a step")
    one.add_argument("--out", type=Path, default=Path("runs/proof"))
    one.add_argument("--into", type=Path, default=None, help="bring the results here")
    one.add_argument("--model-megabytes", type=float, default=12, help="most that a model brought may have")
    one = commands.add_parser("pictures")
    one.add_argument("folder", type=Path, help="grids of samples and curves of losses go here")
    one.add_argument("--out", type=Path, default=Path("runs/proof"))
    one.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    asked.out = asked.out.resolve()
    if asked.command == "run":
        return run(asked)
    if asked.command == "pictures":
        draw(asked.out / "results", f"seed-{asked.seed}", asked.folder)
        return 0
    reached = watch(asked.out, asked.seconds, asked.marker)
    if asked.into:
        gather(asked.out)
        pack(asked.out, asked.into, asked.model_megabytes)
    return 0 if reached else 1


def run(asked: argparse.Namespace) -> int:
    """Run the proof to its end."""
    gpus = asked.gpus or (2 if asked.tiny else visible())
    requests = Requests(
        asked.out,
        asked.recipe,
        asked.data or f"shapes://{'300?size=32' if asked.tiny else 32000}",
        asked.tiny,
    )
    quick = (("--quick",), ("--limit", "1", "--batch", "8")) if asked.tiny else ((), ())
    plan = Plan(asked.out, requests, asked.seeds or list(range(gpus)), gpus, *quick)
    threads = 1 if asked.tiny else max(1, len(os.sched_getaffinity(0)) // 4)

    def environment(gpu: int) -> Mapping[str, str]:
        shown = "" if asked.tiny else str(gpu)
        return {"CUDA_VISIBLE_DEVICES": shown, "OMP_NUM_THREADS": str(threads)}

    def reach(milestone: str) -> None:
        print(f"--- {milestone}\n{table(gather(asked.out))}", flush=True)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # its steps end with it
    graph = Graph(plan.steps(asked.ablations), asked.out, environment, reach)
    whole = graph.run()
    print(table(gather(asked.out)), flush=True)
    return 0 if whole else 1


def visible() -> int:
    """Count the GPUs; their driver's command knows without loading torch."""
    if shutil.which("nvidia-smi") is None:
        sys.exit("no GPU here: --tiny rehearses on a CPU")
    said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    return max(1, min(2, said.count("GPU ")))


if __name__ == "__main__":
    sys.exit(main())
