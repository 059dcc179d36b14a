"""The command line as a user runs it: a process of its own, with a state folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CANARY = "canary-f3a91c07d25e"  # a secret in the environment, which nothing may write down
STOP = "from pipelines import cluster\nwith cluster.locked(): cluster.stop()"


@dataclass(frozen=True)
class CommandLine:
    """Runs `omnivideo` in `folder`; nothing of it touches the user's own state."""

    folder: Path
    env: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and return its process."""
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", *arguments],
            cwd=self.folder,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=500)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture(scope="session")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line, its cluster stopped at the end whatever the tests left behind."""
    folder = tmp_path_factory.mktemp("user")
    home = folder / "home"
    env = {
        **os.environ,
        "OMNIVIDEO_HOME": str(home),
        "PREFECT_HOME": str(folder / "prefect"),
        "COLUMNS": "200",
        "AWS_SECRET_ACCESS_KEY": CANARY,
        "RAY_ADDRESS": "http://127.0.0.1:9",  # a user's own; the recipe's cluster has to win
    }
    yield CommandLine(folder, env)
    subprocess.run([sys.executable, "-c", STOP], env=env, check=True)


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory, videos: Path, images: Path) -> Path:
    """Real media with a near-duplicate pair, an exact copy, a truncated file and one that is no media."""
    folder = tmp_path_factory.mktemp("media")
    for file in (videos / "bikes.mp4", videos / "carphone_pristine.mp4", videos / "carphone_distorted.mp4"):
        shutil.copy(file, folder)
    for name in ("astronaut.png", "coffee.png", "text.png"):
        shutil.copy(images / name, folder)
    shutil.copy(images / "coffee.png", folder / "coffee_copy.png")
    whole = (videos / "bikes.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.mp4").write_text("no media at all")
    return folder


@pytest.fixture(scope="session")
def curated(command_line: CommandLine, media: Path) -> tuple[Path, dict[str, Any]]:
    """A dataset and the JSON that the command printed."""
    dataset = command_line.folder / "dataset"
    done = command_line.run("curate", "tiny", "--source", str(media), "--out", str(dataset), "--json")
    assert done.returncode == 0, done.stderr
    return dataset, json.loads(done.stdout)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny preset's folder, whose answers are short."""
    import torch

    from omnivideo.config import preset
    from omnivideo.model import OmniVideoModel

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("model")
    OmniVideoModel.build(preset("tiny"), seed=0).save_pretrained(folder)
    return str(folder)
