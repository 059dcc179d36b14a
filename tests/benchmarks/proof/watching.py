"""A proof that runs by itself, watched from another process."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from tests.benchmarks.proof.steps import last_lines, log, marker, states
from training.run import entries

EVERY = 45.0  # seconds between looks
WIDTH = 150
GPU = ("nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader")


def watch(out: Path, seconds: float, name: str) -> bool:
    """Tell how a proof goes on until a step is done or the time is over; return whether it is done."""
    until, seen = time.monotonic() + seconds, 0
    while True:
        reached, entered = marker(out, name).exists(), entries(states(out))
        for entry in entered[seen:]:
            told = "".join(f"\n    {line[:WIDTH]}" for line in entry.get("told", [])) or entry.get("why", "")
            if entry["state"] != "started":
                print(f"{entry['seconds']:7.1f} s  {entry['state']:8}{entry['step']} {told}", flush=True)
        seen = len(entered)
        left = until - time.monotonic()
        if reached or left <= 0:
            print(f"{name}: {'reached' if reached else 'not yet'}", flush=True)
            return reached
        show(out, [entry["step"] for entry in entered])
        rest(marker(out, name), min(EVERY, left))


def rest(path: Path, seconds: float) -> None:
    """Wait until a file is there, or so long."""
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(min(0.5, seconds))


def show(out: Path, known: list[str]) -> None:
    """Tell each running step's last words, and how busy GPUs are."""
    over = {entry["step"] for entry in entries(states(out)) if entry["state"] != "started"}
    print(time.strftime("--- %H:%M:%S"), *gpus(), sep="  ", flush=True)
    for name in dict.fromkeys(known):
        if name not in over:
            print(f"{name:24} {(last_lines(log(out, name), 1) or [''])[-1][:WIDTH]}", flush=True)


def gpus() -> list[str]:
    """Each GPU's use and memory."""
    if shutil.which(GPU[0]) is None:
        return []
    said = subprocess.run(GPU, capture_output=True, text=True, timeout=20, check=False)
    return [f"GPU {number}: {line}" for number, line in enumerate(said.stdout.splitlines())]
