"""Which weights take which steps."""

from __future__ import annotations

import torch
from torch import nn
from transformers import UMT5Config, UMT5EncoderModel

from training.backbones.rates import groups


def test_matrices_decay_and_others_do_not() -> None:
    """Every weight that learns is in one group; of a plain network all take whole steps."""
    network = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    network[1].bias.requires_grad_(False)
    decaying, others = groups(network, 0.1)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert [len(decaying["params"]), len(others["params"])] == [1, 2]
    assert decaying["share"] == others["share"] == 1.0


def test_queries_of_t5_take_steps_that_are_smaller_by_the_root_of_their_width() -> None:
    """They alone: T5 has them that much smaller than its other weights."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 16, "d_model": 64, "d_kv": 16, "d_ff": 16, "num_layers": 2, "num_heads": 4}
    encoder = UMT5EncoderModel(UMT5Config(**sizes))
    slow = [weight for group in groups(encoder, 0.0) if group["share"] < 1 for weight in group["params"]]
    queries = [block.layer[0].SelfAttention.q.weight for block in encoder.encoder.block]
    assert {id(weight) for weight in slow} == {id(weight) for weight in queries}
    assert {group["share"] for group in groups(encoder, 0.0)} == {1.0, 0.25}
    keys = encoder.encoder.block[0].layer[0].SelfAttention.k.weight
    assert 0.15 < float((queries[0].std() / keys.std()).detach()) < 0.4
