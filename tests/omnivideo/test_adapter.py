from __future__ import annotations

import torch

from omnivideo.adapter import grid_positions
from omnivideo.config import OmniVideoConfig, preset
from omnivideo.model import OmniVideoModel


def _inputs(model: OmniVideoModel) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    text, mask = model.encode_text(["a cat", "two dogs run"])
    return torch.randn(2, 8, 64), text, mask, torch.randn(2, 16, 3, 8, 8)


def test_order_is_visual_source_text(model: OmniVideoModel) -> None:
    """c is [v ‖ h ‖ t]: each input moves its own stretch of the condition and no other."""
    visual, text, mask, source = _inputs(model)
    with torch.no_grad():
        c, _ = model.condition(visual, text, mask, source)
        moved_v, _ = model.condition(visual + torch.randn_like(visual), text, mask, source)
        moved_h, _ = model.condition(visual, text, mask, source + torch.randn_like(source))
        moved_t, _ = model.condition(visual, text.flip(0), mask.flip(0), source)
    v, h = slice(0, 8), slice(8, 8 + 3 * 2 * 2)
    t = slice(h.stop, None)
    assert c.shape[1] == 8 + 12 + 256
    for moved, own in ((moved_v, v), (moved_h, h), (moved_t, t)):
        changed = (moved - c).abs().amax(dim=(0, 2)) > 0
        assert changed[own].any()
        assert changed.sum() == changed[own].sum()


def test_text_passes_unchanged_before_training(model: OmniVideoModel) -> None:
    """At initialisation the text part of the condition is the text encoder's own output, zeros included."""
    visual, text, mask, _ = _inputs(model)
    with torch.no_grad():
        c, attended = model.condition(visual, text, mask)
    assert torch.equal(c[:, 8:], text)
    assert attended.all()


def test_text_padding_stays_zero_after_training(model: OmniVideoModel) -> None:
    """However the trunk is trained, padding reaches the decoder as zeros, as Wan was trained."""
    trained = OmniVideoModel.build(preset("tiny"), seed=5)
    for parameter in trained.adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    visual, text, mask, _ = _inputs(trained)
    with torch.no_grad():
        c, _ = trained.condition(visual, text, mask)
    assert c[:, 8:][~mask].abs().max() == 0
    assert not torch.allclose(c[:, 8:][mask], text[mask])


def test_absent_source_is_harmless_in_a_mixed_batch(model: OmniVideoModel) -> None:
    """A sample without a source gets the velocity it would get in a batch of its own kind."""
    visual, text, mask, source = _inputs(model)
    x, time = torch.randn(2, 16, 3, 8, 8), torch.tensor([0.3, 0.6])
    with torch.no_grad():
        mixed, attended = model.condition(visual, text, mask, source, torch.tensor([True, False]))
        plain, all_true = model.condition(visual, text, mask)
        edit, edit_mask = model.condition(visual, text, mask, source)
        v_mixed = model.velocity(x, time, mixed, attended)
        v_plain = model.velocity(x, time, plain, all_true)
        v_edit = model.velocity(x, time, edit, edit_mask)
    assert attended.sum(dim=1).tolist() == [276, 264]
    torch.testing.assert_close(v_mixed[1], v_plain[1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(v_mixed[0], v_edit[0], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(v_mixed[0], v_plain[0], atol=1e-5)


def test_source_places_are_told_apart(model: OmniVideoModel) -> None:
    """Equal source patches at different places give different tokens: cross-attention has no positions."""
    visual, text, mask, _ = _inputs(model)
    with torch.no_grad():
        c, _ = model.condition(visual, text, mask, torch.ones(2, 16, 3, 8, 8))
    source = c[0, 8:20]
    distances = torch.cdist(source, source) + torch.eye(12)
    assert distances.min() > 1e-3


def test_unused_source_stem_still_has_gradients() -> None:
    """A training batch without sources gives the source stem zero gradients rather than none."""
    model = OmniVideoModel.build(preset("tiny"), seed=2).train()
    visual, text, mask, _ = _inputs(model)
    model.condition(visual, text, mask)[0].sum().backward()
    assert all(p.grad is not None for p in model.adapter.parameters())
    assert all(p.grad.abs().max() == 0 for p in model.adapter.source.parameters())


def test_sources_are_pooled_to_the_budget() -> None:
    """Under a small budget the source and not the instruction shrinks, and c has the planned length."""
    dump = preset("tiny").model_dump() | {"condition_budget": 270}
    model = OmniVideoModel.build(OmniVideoConfig.model_validate(dump))
    visual, text, mask, source = _inputs(model)
    with torch.no_grad():
        c, attended = model.condition(visual, text, mask, source)
    assert c.shape[:2] == attended.shape == (2, model.plan(8, source).total)
    assert c.shape[1] <= 270
    assert torch.equal(c[:, -256:], text)


def test_places_of_a_coarse_grid_differ_as_much_as_those_of_a_fine_one() -> None:
    """Its neighbours are further apart; ends are where they are, however many rows lie between."""
    like = torch.zeros(1, 256)
    coarse, fine = (grid_positions((1, rows, 1), like) for rows in (4, 16))
    apart, near = (torch.cosine_similarity(grid[0], grid[1], dim=0) for grid in (coarse, fine))
    assert apart < 0.9 < near
    middle = grid_positions((1, 1, 1), like)[0]
    torch.testing.assert_close(grid_positions((1, 3, 1), like)[1], middle)
