from __future__ import annotations

import pytest
import torch

from omnivideo.config import OmniVideoConfig, preset
from omnivideo.losses import vision_loss
from omnivideo.model import OmniVideoModel

PROMPTS = ["a cat", "a much longer prompt about two dogs"]


@pytest.fixture(scope="module")
def query_model() -> OmniVideoModel:
    """The tiny preset with learned queries."""
    dump = preset("tiny").model_dump()
    dump["vision_head"]["mode"] = "query"
    return OmniVideoModel.build(OmniVideoConfig.model_validate(dump))


@pytest.mark.parametrize("kind", ["image", "video"])
def test_teacher_forcing_on_its_own_output_is_free_running(model: OmniVideoModel, kind: str) -> None:
    """Fed the tokens that it generated, the teacher-forced pass predicts exactly those tokens."""
    generated = model.predict_visual(PROMPTS, kind)  # type: ignore[arg-type]
    with torch.no_grad():
        forced = model.stage1_forward(PROMPTS, generated, kind)  # type: ignore[arg-type]
    torch.testing.assert_close(forced, generated, atol=1e-5, rtol=1e-4)


def test_counts_follow_the_configuration(model: OmniVideoModel) -> None:
    """An image gets one frame's tokens, a video those of its frames, unless told otherwise."""
    head = model.config.vision_head
    assert model.predict_visual(PROMPTS, "image").shape == (2, head.tokens_per_frame, 64)
    assert model.predict_visual(PROMPTS, "video").shape == (2, head.num_tokens("video"), 64)
    assert model.predict_visual(PROMPTS, "video", 3).shape == (2, 3, 64)


def test_predictions_see_only_earlier_targets(model: OmniVideoModel) -> None:
    """Changing the last targets leaves the predictions up to and including the first changed one."""
    targets = torch.randn(2, 8, 64)
    changed = torch.cat([targets[:, :5], torch.randn(2, 3, 64)], dim=1)
    with torch.no_grad():
        before = model.stage1_forward(PROMPTS, targets, "video")
        after = model.stage1_forward(PROMPTS, changed, "video")
    torch.testing.assert_close(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


def test_prompt_and_marker_matter(model: OmniVideoModel) -> None:
    """Another prompt, and the image's marker instead of the video's, give other tokens."""
    a, b = model.predict_visual(PROMPTS, "video", 4)
    assert not torch.allclose(a, b)
    assert not torch.allclose(model.predict_visual(PROMPTS, "image", 4)[0], a)


def test_batching_changes_nothing(model: OmniVideoModel) -> None:
    """A prompt gets the same tokens alone as beside a longer one."""
    alone = model.predict_visual(PROMPTS[:1], "video")
    torch.testing.assert_close(model.predict_visual(PROMPTS, "video")[:1], alone, atol=1e-5, rtol=1e-4)


def test_source_frames_are_seen_only_where_there_are_some(model: OmniVideoModel, clip: torch.Tensor) -> None:
    """In a mixed batch the sample with a source follows its frames; the other is as without any."""
    targets = torch.randn(2, 8, 64)
    with torch.no_grad():
        plain = model.stage1_forward(PROMPTS, targets, "video")
        mixed = model.stage1_forward(PROMPTS, targets, "video", clip, torch.tensor([True, False]))
    assert not torch.allclose(mixed[0], plain[0])
    torch.testing.assert_close(mixed[1], plain[1], atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_weight_through_the_frozen_mllm() -> None:
    """With the MLLM frozen, Eq. 1 trains each weight of the vision head and nothing else."""
    model = OmniVideoModel.build(preset("tiny"), seed=1).requires_grad_(False)
    model.vision_head.requires_grad_(True)
    targets = torch.randn(2, 8, 64)
    vision_loss(model.stage1_forward(PROMPTS, targets, "video"), targets).backward()
    trained = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert trained == {name for name, _ in model.named_parameters() if name.startswith("vision_head.")}


def test_query_mode_needs_no_targets(query_model: OmniVideoModel) -> None:
    """With learned queries, training and generation predict the same whatever the targets are."""
    with torch.no_grad():
        forced = query_model.stage1_forward(PROMPTS, torch.randn(2, 8, 64), "video")
    torch.testing.assert_close(query_model.predict_visual(PROMPTS, "video"), forced)
