"""Errors are part of the interface: one line, exit code 2, before anything starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.conftest import CommandLine

HEAVY = (
    "torch",
    "ray",
    "cv2",
    "av",
    "prefect",
    "pyarrow",
    "deltalake",
    "transformers",
    "diffusers",
    "deepspeed",
)


def test_help_loads_nothing_heavy() -> None:
    """`--help` imports none of the engines: that is what keeps it under half a second."""
    code = f"import sys, pipelines.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ("curate", "nosuch.yaml"),
        ("curate", "tiny", "--set", "split.max_second=4"),
        ("curate", "tiny", "--source", "/no/such/folder"),
        ("train", "tiny", "--data", "/no/such/dataset", "--out", "run"),
        ("audit", "/no/such/dataset"),
        ("versions", "/no/such/dataset"),
        ("diff", "/no/such/dataset", "0"),
        ("rollback", "/no/such/dataset", "0"),
        ("generate", "/no/such/model", "a bike"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(command_line: CommandLine, arguments: tuple[str, ...]) -> None:
    """What the user got wrong is said in one line without a traceback."""
    done = command_line.run(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    last = done.stderr.strip().splitlines()
    assert len(last) == 1
    assert "Traceback" not in done.stderr


def test_an_empty_folder_is_bad_input(command_line: CommandLine, tmp_path: Path) -> None:
    """A source without files is the user's mistake, not an empty dataset."""
    done = command_line.run("curate", "tiny", "--source", str(tmp_path), "--out", str(tmp_path / "dataset"))
    assert done.returncode == 2, done.stdout + done.stderr
