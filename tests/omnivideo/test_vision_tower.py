from __future__ import annotations

import torch

from omnivideo.model import OmniVideoModel
from omnivideo.vision_tower import evenly_spaced


def test_the_mllm_reads_the_last_layer_but_one(model: OmniVideoModel) -> None:
    """Features are the output of the last layer but one, before the final norm, as VILA reads them."""
    frames = torch.rand(2, 3, 70, 70) * 2 - 1
    tower = model.vision_tower.understanding
    with torch.no_grad():
        states = tower.embeddings(frames)
        for layer in tower.encoder.layers[:-1]:
            states = layer(states, attention_mask=None)
    torch.testing.assert_close(model.vision_tower.features(frames), states)


def test_frames_of_any_size_are_seen(model: OmniVideoModel) -> None:
    """A frame that is larger and of another shape gives as many features as any other."""
    assert model.vision_tower.features(torch.rand(1, 3, 48, 112)).shape == (1, 25, 64)


def test_picked_frames_span_the_clip() -> None:
    """Evenly spaced frames include the first and the last; a short clip is kept whole."""
    frames = torch.arange(9.0).view(1, 9, 1, 1, 1)
    assert evenly_spaced(frames, 3).flatten().tolist() == [0, 4, 8]
    assert evenly_spaced(frames, 20) is frames
