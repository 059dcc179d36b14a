from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.checkpoints.checkpoint import MANIFEST, Manifest, keep, latest, prepare, read, seal, write
from training.parallel.team import Team

PHASES = ("stage-2-align", "stage-2-flow")
LAYOUT = [[("weight", 3)]]


def save_at(
    root: Path, step: int, phase: str = PHASES[0], value: float = 0.0, loss: float | None = None
) -> Path:
    """A checkpoint of one worker."""
    folder = prepare(root, (phase, step), Team())
    files = [write(folder, {"0.weight": torch.full((3,), value)}, Team())]
    seal(folder, Manifest(phase, step, LAYOUT, {}, loss=loss), dict(files))
    return folder


def test_the_newest_complete_checkpoint_is_taken(tmp_path: Path) -> None:
    """By phase, then by step as a number; other stages' do not count."""
    for step in (2, 10):
        save_at(tmp_path, step)
    save_at(tmp_path, 1, PHASES[1], value=7.0)
    save_at(tmp_path, 50, "stage-1")
    found = latest(tmp_path, PHASES)
    assert found is not None
    assert (found.manifest.phase, found.manifest.step) == ("stage-2-flow", 1)
    assert found.manifest.layout == LAYOUT
    assert found.shards()[0]["0.weight"][:].tolist() == [7.0, 7.0, 7.0]


def test_a_checkpoint_without_its_manifest_is_never_loaded(tmp_path: Path) -> None:
    """The manifest comes last: without it the worker died while saving."""
    save_at(tmp_path, 1)
    (save_at(tmp_path, 2) / MANIFEST).unlink()
    found = latest(tmp_path, PHASES)
    assert found is not None
    assert found.manifest.step == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path, damage: str) -> None:
    """A shard that differs from its checksum is found, named and passed over."""
    save_at(tmp_path, 1)
    shard = next(save_at(tmp_path, 2).glob("*.safetensors"))
    content = shard.read_bytes()
    if damage == "remove":
        shard.unlink()
    else:
        shard.write_bytes(content[:-4] if damage == "cut" else content[:-1] + b"\x01")
    heard: list[str] = []
    found = latest(tmp_path, PHASES, heard.append)
    assert found is not None
    assert found.manifest.step == 1
    assert shard.name in heard[0]


def test_saving_clears_what_a_killed_attempt_left(tmp_path: Path) -> None:
    """A stale shard of a larger team does not survive in the new checkpoint's folder."""
    folder = tmp_path / "stage-2-align-00000002"
    folder.mkdir()
    (folder / "rank-00001-of-00002.safetensors").write_bytes(b"half")
    assert save_at(tmp_path, 2) == folder
    assert [path.name for path in sorted(folder.iterdir())] == [MANIFEST, "rank-00000-of-00001.safetensors"]


def test_only_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    """The oldest go first; a folder without manifest is left to the next save."""
    for step in range(1, 5):
        save_at(tmp_path, step)
    keep(tmp_path, last=2)
    assert steps_in(tmp_path) == [3, 4]


def test_the_best_checkpoint_of_the_phase_stays(tmp_path: Path) -> None:
    """By held-out loss, where it is known; those of an earlier phase, with losses of their own, do not."""
    save_at(tmp_path, 9, PHASES[0], loss=0.01)
    for step, loss in enumerate((0.5, 0.2, None, 0.4, 0.3), start=1):
        save_at(tmp_path, step, PHASES[1], loss=loss)
    keep(tmp_path, last=1, best=1)
    assert steps_in(tmp_path) == [2, 5]


def steps_in(root: Path) -> list[int]:
    """Steps of the complete checkpoints."""
    return sorted(c.manifest.step for folder in root.iterdir() if (c := read(folder)))


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    """A new run starts at its beginning."""
    assert latest(tmp_path / "none", PHASES) is None
