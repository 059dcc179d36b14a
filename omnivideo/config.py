"""Shapes of every part of the model, as frozen data; imports pydantic only.

Sources: the paper (sections 3 and 5.1), the published configurations of Llama-3-VILA1.5-8B, SigLIP2 so400m
and Wan2.1-T2V-1.3B.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MediaKind = Literal["image", "video"]
ProjectorKind = Literal["mlp_downsample", "mlp_downsample_2x2_fix"]
TimeDistribution = Literal["uniform", "logit_normal"]  # of the times of Eq. 4, in training


class Frozen(BaseModel):
    """Immutable; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SiglipConfig(Frozen):
    """A SigLIP or fixed-size SigLIP2 vision transformer."""

    hidden_size: int = 1152
    intermediate_size: int = 4304
    num_hidden_layers: int = 27
    num_attention_heads: int = 16
    image_size: int = Field(default=384, description="pixels a side; frames are resized to it")
    patch_size: int = 14


class LlmConfig(Frozen):
    """The language model's body, without its text head."""

    model_type: Literal["llama", "qwen2"] = "llama"
    vocab_size: int = Field(description="rows of the input embedding, <BOI> <EOI> <BOV> <EOV> included")
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int = 8192
    rms_norm_eps: float = 1e-5
    rope_parameters: dict[str, Any] = {"rope_type": "default", "rope_theta": 500_000.0}


class MllmConfig(Frozen):
    """VILA: a language model that reads frames through a SigLIP tower and a downsampling projector."""

    llm: LlmConfig
    vision: SiglipConfig
    projector: ProjectorKind = Field(
        default="mlp_downsample", description="VILA 1.5's, or NVILA's, which merges patches row after row"
    )
    select_layer: int = Field(
        default=-2, description="which hidden state of the tower is read; VILA: the last but one"
    )
    max_frames: int = Field(
        default=8, description="frames of a clip shown to the language model, evenly spaced"
    )

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states that the heads read."""
        return self.llm.hidden_size

    @property
    def vocab_size(self) -> int:
        """Rows of the input embedding."""
        return self.llm.vocab_size


class TransformersConfig(Frozen):
    """Another image-text-to-text model of transformers in VILA's place, its own tower included."""

    model: dict[str, Any] = Field(description="its configuration, as transformers writes it")
    image_size: int = Field(description="pixels a side; frames are resized to it")
    image_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    image_std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    max_frames: int = 8

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states that the heads read."""
        return int(self.model["text_config"]["hidden_size"])

    @property
    def vocab_size(self) -> int:
        """Rows of the input embedding."""
        return int(self.model["text_config"]["vocab_size"])


class VisionHeadConfig(Frozen):
    """From hidden states to continuous SigLIP2 tokens (section 3.2)."""

    target: SiglipConfig
    mode: Literal["autoregressive", "query"] = Field(
        default="autoregressive",
        description="query: learned queries in one pass, instead of one token after another",
    )
    depth: int = Field(default=2, ge=1, description="linear layers of the head")
    tokens_per_frame: int = Field(default=64, description="a square number: the tower's grid is pooled to it")
    video_frames: int = Field(
        default=4, description="frames of a video that visual tokens stand for, evenly spaced"
    )

    @model_validator(mode="after")
    def _square(self) -> VisionHeadConfig:
        if round(self.tokens_per_frame**0.5) ** 2 != self.tokens_per_frame:
            raise ValueError(f"tokens_per_frame must be a square number, not {self.tokens_per_frame}")
        return self

    def frames(self, kind: MediaKind) -> int:
        """How many frames the visual tokens of an image or a video stand for."""
        return 1 if kind == "image" else self.video_frames

    def num_tokens(self, kind: MediaKind) -> int:
        """How many visual tokens the head predicts for an image or a video."""
        return self.frames(kind) * self.tokens_per_frame


class AdapterConfig(Frozen):
    """c = [v ‖ h ‖ t] into the decoder's condition space (sections 3.3 and 3.4)."""

    depth: int = Field(default=2, ge=0, description="residual blocks shared by all three kinds of token")
    hidden_size: int = 4096
    source_width: int = Field(
        default=1536, description="channels of the patch convolution over source latents"
    )
    source_patch: int = Field(default=4, description="latent pixels a side of one source patch")


class DitConfig(Frozen):
    """Wan2.1's video transformer."""

    num_attention_heads: int = 12
    attention_head_dim: int = 128
    text_dim: int = 4096
    freq_dim: int = 256
    ffn_dim: int = 8960
    num_layers: int = 30


class VaeConfig(Frozen):
    """Wan2.1's causal video autoencoder: 16 channels, strides 4×8×8.

    With `patch_size` it folds pixels into channels first, as Wan2.2's does: two levels then make the strides.
    """

    base_dim: int = 96
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    temperal_downsample: tuple[bool, ...] = Field(
        default=(False, True, True), description="levels that halve time, too; spelt as released"
    )
    patch_size: int | None = None

    @property
    def pixel_channels(self) -> int:
        """Of what enters the first convolution and leaves the last."""
        return 3 * (self.patch_size or 1) ** 2


class TextEncoderConfig(Frozen):
    """UMT5's encoder."""

    vocab_size: int = 256_384
    d_model: int = 4096
    d_kv: int = 64
    d_ff: int = 10_240
    num_layers: int = 24
    num_heads: int = 64
    max_tokens: int = Field(default=512, description="a text is padded with zeros to this length")


class SchedulerConfig(Frozen):
    """UniPC over flow sigmas."""

    flow_shift: float = 3.0
    flow_shift_720p: float = Field(
        default=5.0, description="used when the shorter side has 720 pixels or more"
    )


class GenerationConfig(Frozen):
    """Defaults of sampling (section 5.1)."""

    height: int = 480
    width: int = 832
    num_frames: int = 81
    fps: int = Field(default=12, description="stage 3 trains at 12 frames a second")
    image_steps: int = 50
    video_steps: int = 40
    image_guidance: float = 5.0
    video_guidance: float = 3.0
    negative_prompt: str
    top_p: float = 0.6
    temperature: float = 0.2
    max_new_tokens: int = 1024


class OmniVideoConfig(Frozen):
    """The whole model."""

    mllm: MllmConfig | TransformersConfig
    vision_head: VisionHeadConfig
    adapter: AdapterConfig
    dit: DitConfig
    vae: VaeConfig
    text_encoder: TextEncoderConfig
    scheduler: SchedulerConfig = SchedulerConfig()
    condition_budget: int = Field(
        default=4096, description="most tokens that the decoder's cross-attention is given"
    )
    generation: GenerationConfig

    @model_validator(mode="after")
    def _widths_agree(self) -> OmniVideoConfig:
        if self.text_encoder.d_model != self.dit.text_dim:
            raise ValueError(
                f"text_encoder.d_model ({self.text_encoder.d_model}) must equal "
                f"dit.text_dim ({self.dit.text_dim})"
            )
        return self


def preset(name: str) -> OmniVideoConfig:
    """The named configuration: `tiny`, `small` or `omni-11b`. Raises InputError for another name."""
    from omnivideo.presets import preset as find

    return find(name)
