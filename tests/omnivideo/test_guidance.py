from __future__ import annotations

import multiprocessing
from pathlib import Path

import torch
from torch import distributed

from omnivideo.guidance import guided, guided_flow
from omnivideo.model import OmniVideoModel


def test_guidance_of_one_is_the_condition_alone() -> None:
    """At scale 1 guidance returns the positive branch, at 0 the negative, and it is linear between."""
    negative, positive = torch.randn(2, 3), torch.randn(2, 3)
    torch.testing.assert_close(guided(negative, positive, 1.0), positive)
    torch.testing.assert_close(guided(negative, positive, 0.0), negative)
    torch.testing.assert_close(guided(negative, positive, 3.0), 3 * positive - 2 * negative)


@torch.no_grad()
def _compare(model: OmniVideoModel, rank: int, store: Path) -> None:
    """On one of two ranks: the shared flow is that of a batch of both branches, or the process fails."""
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    seeded = torch.Generator().manual_seed(1)
    x, c = torch.randn(1, 16, 2, 4, 4, generator=seeded), torch.randn(2, 6, 64, generator=seeded)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    whole = guided_flow(model, x, torch.tensor(500.0), (c, mask), 3.0)
    shared = guided_flow(model, x, torch.tensor(500.0), (c, mask), 3.0, distributed.group.WORLD)
    torch.testing.assert_close(shared, whole, atol=1e-5, rtol=1e-4)
    distributed.destroy_process_group()


def test_two_processes_share_the_branches(model: OmniVideoModel, tmp_path: Path) -> None:
    """With one branch on each of two ranks, both get what one gets from a batch of two."""
    fork = multiprocessing.get_context("fork")  # the model and its libraries are there already
    ranks = [fork.Process(target=_compare, args=(model, rank, tmp_path / "store")) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(timeout=60)
    assert [rank.exitcode for rank in ranks] == [0, 0]
