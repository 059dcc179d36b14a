"""What is measured: the paper's transformer at its full length, or something tiny that shows that it runs."""

from __future__ import annotations

from typing import Any, NamedTuple

from omnivideo.config import OmniVideoConfig
from training.config import ModelSection
from training.data.samples import Bucket
from training.model.origin import configuration

TEXT = 512  # condition tokens of the text, and of the video's visual tokens: 768 together
WORDS = 120


class Size(NamedTuple):
    """A model by its recipe, and the one bucket that is trained."""

    model: ModelSection
    bucket: Bucket
    fps: float
    steps: int

    @property
    def config(self) -> OmniVideoConfig:
        """The model's shapes."""
        return configuration(self.model)

    @property
    def latents(self) -> tuple[int, int, int, int]:
        """Of a sample."""
        bucket = self.bucket
        return 16, (bucket.frames - 1) // 4 + 1, bucket.height // 8, bucket.width // 8

    @property
    def tokens(self) -> int:
        """Of a sample, in the transformer."""
        _, frames, rows, columns = self.latents
        return frames * rows * columns // 4

    @property
    def condition(self) -> int:
        """Tokens that cross-attention sees."""
        return self.config.vision_head.num_tokens("video") + self.config.text_encoder.max_tokens

    @property
    def seconds(self) -> float:
        """Length of the clips."""
        return (self.bucket.frames - 1) / self.fps


# Wan2.1-1.3B's transformer, the adapter, the vision head's output and the condition at their full size. What
# is frozen and stands before them is small: its word is in the encoded shards, or (the language model, which
# the vision head's gradient crosses in stage 3) measured by tests/benchmarks/sampling.py.
SMALL_BEFORE: dict[str, Any] = {
    **{"mllm.llm.vocab_size": 264, "mllm.llm.hidden_size": 512, "mllm.llm.intermediate_size": 1024},
    **{"mllm.llm.num_hidden_layers": 2, "mllm.llm.num_attention_heads": 8, "mllm.llm.num_key_value_heads": 4},
    **{"mllm.vision.num_hidden_layers": 2, "vision_head.target.num_hidden_layers": 2},
    **{"text_encoder.vocab_size": 264, "text_encoder.d_ff": 64, "text_encoder.num_layers": 1},
    **{"text_encoder.num_heads": 4, "vae.base_dim": 8, "vae.num_res_blocks": 1},
}
SIZES = {
    "wan-1.3b": Size(
        ModelSection(preset="omni-11b", overrides=SMALL_BEFORE), Bucket("video", 480, 832, 81), 12.0, 12
    ),
    "tiny": Size(ModelSection(preset="tiny"), Bucket("video", 64, 64, 9), 8.0, 4),
}
