from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from omnivideo.build import build_part
from omnivideo.config import preset
from omnivideo.decoder import install_condition_mask, set_condition_mask
from training.model.precision import keep_float32
from training.speed import attention
from training.speed.blocks import Blocks
from training.speed.config import Mode
from training.speed.recompute import MODES


@pytest.fixture(scope="module")
def dit() -> Any:
    """A transformer of three blocks as training has it."""
    config = preset("tiny")
    config = config.model_copy(update={"dit": config.dit.model_copy(update={"num_layers": 3})})
    module: Any = build_part("dit", config)
    install_condition_mask(module)
    keep_float32(module)
    attention.use(module, attention.NATIVE)
    return module.train()


@pytest.fixture(autouse=True)
def _fresh_graphs() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def trained(
    dit: Any, mode: Mode, compiled: bool, frames: int = 2, frozen: bool = False, masked: bool = False
) -> tuple[Tensor, Tensor, int]:
    """The output, all gradients in one row, and the number of shapes compiled."""
    dit.requires_grad_(not frozen).zero_grad()
    source = torch.Generator().manual_seed(0)
    x, c = (torch.randn(*shape, generator=source) for shape in ((1, 16, frames, 4, 6), (1, 7, 64)))
    c.requires_grad_()
    set_condition_mask(dit, torch.arange(7)[None] < 5 if masked else None)
    blocks = Blocks(dit, mode, compiled, max_graphs=2)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            out = dit(x, torch.tensor([500.0]), c, return_dict=False)[0].float()
        out.pow(2).mean().backward()
    finally:
        blocks.remove()
    parameters = [p.grad.flatten() for p in dit.parameters() if p.grad is not None]
    assert c.grad is not None
    return out.detach(), torch.cat([*parameters, c.grad.flatten()]), blocks.graphs


def apart(found: Tensor, expected: Tensor) -> float:
    """Relative distance."""
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("frozen", [False, True])
def test_what_is_recomputed_is_what_was_computed(dit: Any, mode: Mode, frozen: bool) -> None:
    """Each mode gives bit for bit the gradients of keeping everything, through a frozen transformer too."""
    output, gradients, shapes = trained(dit, mode, compiled=False, frozen=frozen, masked=True)
    expected = trained(dit, "none", compiled=False, frozen=frozen, masked=True)
    assert torch.equal(output, expected[0])
    assert torch.equal(gradients, expected[1])
    assert shapes == 0


@pytest.mark.parametrize("mode", ["light", "full"])
def test_a_compiled_graph_serves_all_blocks_and_keeps_float32(
    dit: Any, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled blocks give the same up to bf16's rounding, from one graph, norms in float32 within it."""
    graphs: list[Any] = []

    def backend(graph: Any, inputs: list[Tensor]) -> Any:
        from torch._dynamo.backends.debugging import aot_eager

        graphs.append(graph)
        return aot_eager(graph, inputs)

    monkeypatch.setattr("training.speed.blocks.BACKEND", backend)
    expected = trained(dit, "none", compiled=False)
    output, gradients, shapes = trained(dit, mode, compiled=True)
    assert apart(output, expected[0]) < 0.01
    assert apart(gradients, expected[1]) < 0.02
    assert (len(graphs), shapes) == (1, 1)


def test_a_compiler_that_is_wrong_is_not_believed(
    dit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blocks whose compiled gradients differ run uncompiled, and the user is told."""

    def backend(graph: Any, inputs: list[Tensor]) -> Any:
        return lambda *values: [x * 1.5 if isinstance(x, Tensor) else x for x in graph(*values)]

    monkeypatch.setattr("training.speed.blocks.BACKEND", backend)
    output, gradients, shapes = trained(dit, "light", compiled=True)
    expected = trained(dit, "light", compiled=False)
    assert torch.equal(output, expected[0])
    assert torch.equal(gradients, expected[1])
    assert shapes == 0
    assert "run uncompiled" in capsys.readouterr().out


def test_buckets_beyond_the_limit_run_uncompiled(dit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third shape finds no room for a graph, and trains all the same."""
    monkeypatch.setattr("training.speed.blocks.BACKEND", "eager")
    dit.requires_grad_(True).zero_grad()
    blocks = Blocks(dit, "light", True, max_graphs=2)
    condition = torch.randn(1, 7, 64)
    set_condition_mask(dit, None)
    for frames in (1, 2, 3, 1):
        out = dit(torch.randn(1, 16, frames, 4, 4), torch.tensor([1.0]), condition, return_dict=False)[0]
        out.sum().backward()
    assert blocks.graphs == 2
    blocks.remove()
    assert not any("forward" in vars(block) for block in dit.blocks)
