"""How fast curation is, beside the floor: `python tests/benchmarks/curation.py FOLDER [--only PART …]`.

FOLDER holds videos. All parts run in one go, on as many cores as the machine has:

decode   split and every filter without a neural network, whole engine, over bare decoding of the same files

Floor and engine take turns, a round of both in the same minute, since other work on the machine slows both;
the figure is that of the best round of each. Compare CPU seconds where the machine is not idle.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
# This file has the name of the package that it measures, so its folder must not be searched; Ray's workers
# find the repository and the parts as this process does.
sys.path[:1] = [str(HERE.parents[1]), str(HERE / "speed")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])

from floor import Cost, floor  # noqa: E402 - found by the path above
from judging import cheap, cluster, judge  # noqa: E402

CORES = os.cpu_count() or 1
SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts")


def best(costs: Sequence[Cost]) -> Cost:
    """The least of each figure."""
    return Cost(min(one.wall for one in costs), min(one.cpu for one in costs))


def show(name: str, found: Cost, under: Cost) -> None:
    """One line: seconds and how many times the floor."""
    ratio = f"{found.wall / under.wall:5.2f} × wall {found.cpu / under.cpu:5.2f} × CPU"
    print(f"{name:44} {found.wall:7.2f} s wall {found.cpu:7.2f} s CPU {ratio}", flush=True)


def decode_part(paths: Sequence[Path], rounds: int) -> None:
    """Engine with the cheap filters over the floor."""
    floors, engines, alls = [], [], []
    with cluster(CORES):
        for _ in range(rounds):
            floors.append(floor(paths, CORES))
            engines.append(judge(paths, cheap(), False, CORES)[0])
            found, outcomes = judge(paths, cheap(), True, CORES)
            alls.append(found)
    under = best(floors)
    kept, rejected = (sum(one[what] for one in outcomes) for what in ("kept", "rejected"))
    print(f"{len(paths)} files, {kept + rejected} clips of which {kept} kept by {', '.join(cheap())}")
    show(f"floor: PyAV, {CORES} processes", under, under)
    show("engine, first rejection ends", best(engines), under)
    show("engine, --score-all", best(alls), under)


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    paths = sorted(path for path in asked.folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    print(f"load {os.getloadavg()[0]:.1f} on {CORES} cores")
    decode_part(paths, asked.rounds)


if __name__ == "__main__":
    main()
