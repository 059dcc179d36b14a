"""Where the heads of a fresh text encoder look."""

from __future__ import annotations

import torch
from transformers import UMT5Config, UMT5EncoderModel

from training.backbones.nearby import look_nearby

WORDS = 7
PLACE = 3


def attention() -> torch.Tensor:
    """[heads, WORDS]: how much each head at the middle word looks at each, by position alone."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 16, "d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 2, "num_heads": 4}
    encoder = UMT5EncoderModel._from_config(UMT5Config(**sizes), attn_implementation="eager").eval()
    look_nearby(encoder)
    for block in encoder.encoder.block:
        block.layer[0].SelfAttention.q.weight.data.zero_()
    with torch.no_grad():
        told = encoder(torch.arange(WORDS)[None], output_attentions=True)
    return told.attentions[1][0, :, PLACE]


def test_heads_look_to_both_sides_before_after_and_everywhere() -> None:
    """Of four heads one fades with distance, one sees what came before, one what comes, one all alike."""
    around, before, after, everywhere = attention()
    torch.testing.assert_close(around, around.flip(0))
    assert around.argmax() == PLACE
    assert before[:PLACE].sum() > 0.7 > 0.05 > before[PLACE + 1 :].sum()
    torch.testing.assert_close(after, before.flip(0))
    torch.testing.assert_close(everywhere, torch.full((WORDS,), 1 / WORDS))
