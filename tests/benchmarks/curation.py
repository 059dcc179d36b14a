"""How fast curation is, beside the floor: `python tests/benchmarks/curation.py FOLDER [--only PART …]`.

FOLDER holds videos, the more and the longer the better. All parts run in one go, on all cores:

decode   split and every filter without a neural network, whole engine, over bare decoding of the same files;
         and with the OCR filters on what the others keep
start    from starting a job to its first judged clip
memory   the most that a job's driver and its largest worker hold, of 100 and of 10,000 clips
nodes    judging on two Ray nodes of one core each, beside one (on this host)

Floor and engine take turns, a round of both in the same minute, since other work on the machine slows both;
the figures are the least of all rounds. Compare CPU seconds where the machine is not idle. The comparison
with Data-Juicer is in data_juicer/run.sh, which has an environment of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
# This file has the name of the package that it measures, so its folder must not be searched; Ray's workers
# find the repository and the parts as this process does.
sys.path[:1] = [str(HERE.parents[1]), str(HERE / "speed")]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])

from copies import repeat  # noqa: E402 - found by the path above
from floor import Cost, floor  # noqa: E402
from jobs import job  # noqa: E402
from judging import cheap, cluster, judge, nodes  # noqa: E402

CORES = os.cpu_count() or 1
SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts")
BESIDE = ("resolution", "aspect_ratio", "duration", "motion")  # what data_juicer/recipe.yaml asks for
OCR = ("text_overlay", "subtitles")
FEW, MANY = 100, 10_000


def best(costs: Sequence[Cost]) -> Cost:
    """The least of each figure."""
    return Cost(min(one.wall for one in costs), min(one.cpu for one in costs))


def show(name: str, found: Cost, under: Cost) -> None:
    """One line: seconds and how many times the floor."""
    ratio = f"{found.wall / under.wall:5.2f} × wall {found.cpu / under.cpu:5.2f} × CPU"
    print(f"{name:44} {found.wall:7.2f} s wall {found.cpu:7.2f} s CPU {ratio}", flush=True)


def decode_part(paths: Sequence[Path], rounds: int) -> None:
    """Engine with the cheap filters, and with OCR, over the floor."""
    asked = {
        "Data-Juicer's four filters": (BESIDE, False),
        "every cheap filter, first rejection ends": (cheap(), False),
        "every cheap filter, --score-all": (cheap(), True),
        "with OCR on what is kept": ([*cheap(), *OCR], False),
    }
    floors: list[Cost] = []
    costs: dict[str, list[Cost]] = {name: [] for name in asked}
    with cluster(CORES):
        for _ in range(rounds):
            floors.append(floor(paths, CORES))
            for name, (filters, score_all) in asked.items():
                found, outcomes = judge(paths, filters, score_all, CORES)
                costs[name].append(found)
    under = best(floors)
    kept, rejected = (sum(one[what] for one in outcomes) for what in ("kept", "rejected"))
    print(f"decode: {len(paths)} files, {kept + rejected} clips, {kept} kept; cheap: {', '.join(cheap())}")
    show(f"floor: PyAV, {CORES} processes", under, under)
    for name, found in costs.items():
        show(name, best(found), under)


def start_part(paths: Sequence[Path], _: int) -> None:
    """A job over one short film."""
    with tempfile.TemporaryDirectory(prefix="omnivideo-speed-") as room:
        folder = repeat(_shortest(paths), 4, Path(room, "media"))
        found = job(folder, BESIDE)
    print(f"start: first clip after {found.first_s:.1f} s, {found.clips} clips in {found.whole_s:.1f} s")


def memory_part(paths: Sequence[Path], _: int) -> None:
    """Jobs of few and of many clips; duplicates are not looked for, or there would be nothing to cut."""
    film = _shortest(paths)
    for count in (FEW, MANY):
        with tempfile.TemporaryDirectory(prefix="omnivideo-speed-") as room:
            folder = repeat(film, count, Path(room, "media"))
            found = job(folder, cheap()[:1], dedup={"perceptual": False})
        print(
            f"memory: {found.clips:6} clips in {found.whole_s:6.1f} s: driver {found.driver_mib:.0f} MiB, "
            f"largest worker {found.largest_worker_mib:.0f} MiB",
            flush=True,
        )


def nodes_part(paths: Sequence[Path], rounds: int) -> None:
    """The same files on one node and on two."""
    walls: dict[int, list[float]] = {1: [], 2: []}
    for count in walls:
        with nodes(count):
            for _ in range(rounds):
                walls[count].append(judge(paths, BESIDE, True, count)[0].wall)
    one, two = min(walls[1]), min(walls[2])
    print(f"nodes: one {one:.1f} s, two {two:.1f} s: {one / two:.2f} times as fast")


def _shortest(paths: Sequence[Path]) -> Path:
    return min(paths, key=lambda path: path.stat().st_size)


PARTS = {"decode": decode_part, "start": start_part, "memory": memory_part, "nodes": nodes_part}


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    paths = sorted(path for path in asked.folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    for part in asked.only:
        print(f"load {os.getloadavg()[0]:.1f} on {CORES} cores", flush=True)
        PARTS[part](paths, asked.rounds)


if __name__ == "__main__":
    main()
