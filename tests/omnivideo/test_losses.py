from __future__ import annotations

import torch

from omnivideo.losses import alignment_loss, text_loss, vision_loss


def test_vision_loss_is_the_squared_distance() -> None:
    """Eq. 1 is zero at the target and the mean square away from it; cosine ignores length."""
    target = torch.randn(2, 3, 4)
    assert vision_loss(target, target) == 0
    torch.testing.assert_close(vision_loss(target + 2, target), torch.tensor(4.0))
    torch.testing.assert_close(
        vision_loss(3 * target, target, "cosine"), torch.tensor(0.0), atol=1e-6, rtol=0
    )


def test_text_loss_skips_what_is_no_answer() -> None:
    """Positions labelled −100 count for nothing, and a batch without answers costs zero with a gradient."""
    logits = torch.randn(1, 4, 7, requires_grad=True)
    labels = torch.tensor([[-100, 3, -100, 5]])
    expected = -(logits.log_softmax(-1)[0, 1, 3] + logits.log_softmax(-1)[0, 3, 5]) / 2
    torch.testing.assert_close(text_loss(logits, labels), expected)
    empty = text_loss(logits, torch.full((1, 4), -100))
    empty.backward()
    assert empty == 0


def test_alignment_rewards_the_texts_own_space() -> None:
    """Tokens with the text's mean and spread cost nothing; moved, stretched or collapsed ones cost more."""
    text, mask = torch.randn(2, 6, 8), torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    own = text.clone()
    own[0] = torch.cat([text[0, :4], text[0, :4]])[:6]
    own[0, 4:] = text[0, :4].mean(0)
    whole = torch.ones(2, 6, dtype=torch.bool)
    base = alignment_loss(text, text, whole)
    assert base < 1e-5
    for worse in (text + 1, 3 * text, text.mean(1, keepdim=True).expand_as(text)):
        assert alignment_loss(worse, text, whole) > base + 0.05
    garbage = text.clone()
    garbage[0, 4:] = 100
    torch.testing.assert_close(alignment_loss(own, garbage, mask), alignment_loss(own, text, mask))
