from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache

from omnivideo.mllm import MEDIA, Merge2x2
from omnivideo.model import OmniVideoModel


@pytest.mark.parametrize("side", [4, 5])
def test_merge_keeps_the_released_order(side: int) -> None:
    """Merged tokens run column after column, each with its patches row after row, zeros past an odd edge."""
    patches = torch.randn(2, side * side, 3)
    grid = torch.zeros(2, side + side % 2, side + side % 2, 3)
    grid[:, :side, :side] = patches.view(2, side, side, 3)
    merged = Merge2x2()(patches)
    half = grid.shape[1] // 2
    for column in range(half):
        for row in range(half):
            block = grid[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten(1)
            assert torch.equal(merged[:, column * half + row], block)


def test_nvilas_merge_runs_row_after_row() -> None:
    """With `2x2_fix` the same merged tokens come row after row."""
    patches = torch.randn(1, 36, 3)
    columns = Merge2x2()(patches).view(1, 3, 3, 12)
    assert torch.equal(Merge2x2(row_major=True)(patches).view(1, 3, 3, 12), columns.transpose(1, 2))


def test_media_places_take_projected_patches_in_order(model: OmniVideoModel) -> None:
    """Each MEDIA position holds the next projected token, and words keep their embeddings."""
    ids = torch.tensor([[5] + [MEDIA] * 9 + [6], [7, *[MEDIA] * 9, 8]])
    patches = torch.randn(2, 25, 64)
    embeds = model.mllm.embed(ids, patches)
    assert torch.equal(embeds[:, 1:10], model.mllm.projector(patches))
    assert torch.equal(embeds[1, 0], model.mllm.body.embed_tokens.weight[7])


def test_hidden_states_are_causal(model: OmniVideoModel) -> None:
    """A changed later embedding leaves earlier hidden states as they were."""
    embeds, mask = torch.randn(1, 8, 128), torch.ones(1, 8, dtype=torch.bool)
    changed = torch.cat([embeds[:, :5], torch.randn(1, 3, 128)], dim=1)
    with torch.no_grad():
        before, after = model.mllm(embeds, mask), model.mllm(changed, mask)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_left_padding_changes_nothing(model: OmniVideoModel) -> None:
    """A row padded on the left gives the hidden states of the row alone."""
    embeds = torch.randn(1, 6, 128)
    padded = torch.cat([torch.randn(1, 3, 128), embeds], dim=1)
    mask = torch.tensor([[False] * 3 + [True] * 6])
    with torch.no_grad():
        alone, beside = model.mllm(embeds, mask[:, 3:]), model.mllm(padded, mask)
    torch.testing.assert_close(beside[:, 3:], alone, atol=1e-5, rtol=1e-4)


def test_cache_gives_the_same_states(model: OmniVideoModel) -> None:
    """Reading a padded sequence piece by piece with a cache equals reading it at once."""
    embeds = torch.randn(2, 7, 128)
    mask = torch.tensor([[True] * 7, [False] * 2 + [True] * 5])
    cache = DynamicCache()
    with torch.no_grad():
        whole = model.mllm(embeds, mask)
        model.mllm(embeds[:, :4], mask[:, :4], cache)
        later = [model.mllm(embeds[:, i : i + 1], mask[:, : i + 1], cache) for i in range(4, 7)]
    torch.testing.assert_close(torch.cat(later, dim=1), whole[:, 4:], atol=1e-5, rtol=1e-4)
