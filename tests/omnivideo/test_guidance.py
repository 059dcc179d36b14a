from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from omnivideo.guidance import guided

TWO_RANKS = """
import sys, torch
from torch import distributed
from omnivideo.config import preset
from omnivideo.guidance import guided_flow
from omnivideo.model import OmniVideoModel

torch.set_num_threads(1)
rank, store = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
model = OmniVideoModel.build(preset("tiny"), seed=0)
seeded = torch.Generator().manual_seed(1)
x, c = torch.randn(1, 16, 2, 4, 4, generator=seeded), torch.randn(2, 6, 64, generator=seeded)
mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
t = torch.tensor(500.0)
with torch.no_grad():
    whole = guided_flow(model, x, t, (c, mask), 3.0)
    shared = guided_flow(model, x, t, (c, mask), 3.0, distributed.group.WORLD)
torch.testing.assert_close(shared, whole, atol=1e-5, rtol=1e-4)
distributed.destroy_process_group()
"""


def test_guidance_of_one_is_the_condition_alone() -> None:
    """At scale 1 guidance returns the positive branch, at 0 the negative, and it is linear between."""
    negative, positive = torch.randn(2, 3), torch.randn(2, 3)
    torch.testing.assert_close(guided(negative, positive, 1.0), positive)
    torch.testing.assert_close(guided(negative, positive, 0.0), negative)
    torch.testing.assert_close(guided(negative, positive, 3.0), 3 * positive - 2 * negative)


def test_two_processes_share_the_branches(tmp_path: Path) -> None:
    """With one branch on each of two ranks, both get what one gets from a batch of two."""
    command = [sys.executable, "-c", TWO_RANKS]
    ranks = [subprocess.Popen([*command, str(rank), str(tmp_path / "store")]) for rank in range(2)]
    assert [rank.wait(timeout=100) for rank in ranks] == [0, 0]
