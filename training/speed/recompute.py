"""What the transformer's blocks keep for their backward pass, and what they compute again.

A block's bytes a token, and the operations to get them back, fall into three: matrix products, attention, and
element-wise work. In `MODES`, each keeps less than the one before it and takes longer:

none keeps what autograd asks for; elementwise computes again all but matrix products and attention; light
also the feed-forward's first product (a third of all bytes for a tenth of the products); selective keeps
attention's results alone; full keeps the blocks' inputs alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from omnivideo.errors import InputError
from training.speed.config import Mode

if TYPE_CHECKING:
    from omnivideo.config import DitConfig

MODES: tuple[Mode, ...] = get_args(Mode)
HEADROOM = 0.9  # of a device's memory: the rest is the allocator's, NCCL's and the libraries'
_BYTES = 2  # of a bf16 number
_KEPT: dict[Mode, tuple[float, float]] = {
    **{"none": (17.0, 2.0), "elementwise": (8.0, 1.0), "light": (8.0, 0.0)},
    **{"selective": (3.0, 0.0), "full": (1.0, 0.0)},
}
"""Numbers kept a token and block, in widths of the model and of its feed-forward, blocks compiled."""
_FROZEN: dict[Mode, tuple[float, float]] = {**_KEPT, "none": (12.0, 1.0)}
"""Likewise where the transformer takes no gradients of its own: the inputs of its products are not needed."""
_WORKING = (24.0, 4.0)  # likewise, of the one block that is at work, in the backward pass

_aten = torch.ops.aten
_ATTENTION = (
    _aten._scaled_dot_product_flash_attention.default,
    _aten._scaled_dot_product_efficient_attention.default,
    _aten._scaled_dot_product_cudnn_attention.default,
    _aten._scaled_dot_product_flash_attention_for_cpu.default,
)
_EXCHANGES = (  # of a shared sequence: what came is kept, it would have to be sent again
    torch.ops._c10d_functional.all_to_all_single.default,
    torch.ops._c10d_functional.wait_tensor.default,
)
_PRODUCTS = {_aten.mm.default: 1, _aten.addmm.default: 2}  # where the right one of their matrices stands


def recomputed(block: Callable[..., Any], mode: Mode, widest: int = 0) -> Callable[..., Any]:
    """Return `block`, in which products have at most `widest` columns, so that its backward pass keeps what
    `mode` says; results are the same.
    """
    if mode == "none":
        return block
    if mode == "full":
        return functools.partial(checkpoint, block, use_reentrant=False)
    policy = {"selective": _selective, "elementwise": _products, "light": _narrow(widest)}[mode]
    contexts = functools.partial(create_selective_checkpoint_contexts, policy)
    return functools.partial(checkpoint, block, use_reentrant=False, context_fn=contexts)


def _selective(context: Any, operator: Any, *inputs: Any, **named: Any) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operator in _ATTENTION else CheckpointPolicy.PREFER_RECOMPUTE


def _products(context: Any, operator: Any, *inputs: Any, **named: Any) -> CheckpointPolicy:
    dear = operator in _PRODUCTS or operator in _EXCHANGES
    return CheckpointPolicy.MUST_SAVE if dear else _selective(context, operator)


def _narrow(widest: int) -> Callable[..., CheckpointPolicy]:
    """Keep products but the widest."""

    def policy(context: Any, operator: Any, *inputs: Any, **named: Any) -> CheckpointPolicy:
        if operator in _PRODUCTS and inputs[_PRODUCTS[operator]].shape[1] == widest:
            return CheckpointPolicy.PREFER_RECOMPUTE
        return _products(context, operator)

    return policy


def kept_bytes(config: DitConfig, tokens: int, mode: Mode, frozen: bool = False) -> int:
    """Return about how much memory the blocks' activations take for `tokens` tokens of a micro-batch."""
    width = config.num_attention_heads * config.attention_head_dim
    kept, working = (
        widths * width + forwards * config.ffn_dim
        for widths, forwards in ((_FROZEN if frozen else _KEPT)[mode], _WORKING)
    )
    return int(_BYTES * tokens * (kept * config.num_layers + working))


def fitting(
    config: DitConfig, tokens: int, held_bytes: int, device: torch.device, frozen: bool = False
) -> Mode:
    """Return the fastest mode that fits on `device` beside `held_bytes` of weights and their optimiser.

    The same on every worker with such a device: it goes by the device's whole memory, not by what happens to
    be free. On a CPU nothing is recomputed. Raises InputError if not even `full` fits.
    """
    if device.type != "cuda":
        return "none"
    room = HEADROOM * torch.cuda.get_device_properties(device).total_memory - held_bytes
    for mode in MODES:
        if kept_bytes(config, tokens, mode, frozen) <= room:
            return mode
    need = (held_bytes + kept_bytes(config, tokens, "full")) / 2**30
    raise InputError(
        f"a micro-batch of {tokens:,} tokens needs about {need:.0f} GiB a GPU with all of it recomputed",
        "training",
        "make micro_batch_size, clip_seconds or video_sizes smaller, or use more workers",
    )
