"""The configurations that have names; every shape that is not a default stands here."""

from __future__ import annotations

from omnivideo.config import (
    AdapterConfig,
    DitConfig,
    GenerationConfig,
    LlmConfig,
    MllmConfig,
    OmniVideoConfig,
    SchedulerConfig,
    SiglipConfig,
    TextEncoderConfig,
    VaeConfig,
    VisionHeadConfig,
)
from omnivideo.errors import InputError

# Wan2.1's own universal negative prompt in its English wording (diffusers, `WanPipeline` documentation).
NEGATIVE_PROMPT = (
    "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, "
    "overall gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, "
    "poorly drawn hands, poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, "
    "still picture, messy background, three legs, many people in the background, walking backwards"
)
# 256 bytes, <pad> </s> <s> <unk> and the four markers: see omnivideo/tokens.py.
BYTE_VOCABULARY = 264

# Wan2.1 T2V 14B; the defaults of DitConfig are the 1.3B. Released folders bring their own shapes.
WAN_14B = DitConfig(num_attention_heads=40, ffn_dim=13_824, num_layers=40)

# What the world of shapes asks for, and its frames' size.
SHAPES = GenerationConfig(
    height=64,
    width=64,
    num_frames=9,
    fps=8,
    image_steps=25,
    video_steps=25,
    image_guidance=4.0,
    video_guidance=4.0,
    max_new_tokens=64,
    negative_prompt="",
)


def _tiny() -> OmniVideoConfig:
    siglip = SiglipConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=70,  # a 5×5 grid: odd, like the 27×27 of so400m
    )
    llm = LlmConfig(
        vocab_size=BYTE_VOCABULARY,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return OmniVideoConfig(
        mllm=MllmConfig(llm=llm, vision=siglip, max_frames=2),
        vision_head=VisionHeadConfig(target=siglip, tokens_per_frame=4, video_frames=2),
        adapter=AdapterConfig(depth=1, hidden_size=128, source_width=48),
        dit=DitConfig(
            num_attention_heads=4, attention_head_dim=24, text_dim=64, freq_dim=32, ffn_dim=192, num_layers=2
        ),
        vae=VaeConfig(base_dim=8, num_res_blocks=1),
        text_encoder=TextEncoderConfig(
            vocab_size=BYTE_VOCABULARY,
            d_model=64,
            d_kv=16,
            d_ff=128,
            num_layers=2,
            num_heads=4,
            max_tokens=256,
        ),
        condition_budget=384,
        generation=GenerationConfig(
            height=64,
            width=64,
            num_frames=9,
            fps=8,
            image_steps=8,
            video_steps=8,
            max_new_tokens=32,
            negative_prompt="blurred, low quality, static",
        ),
    )


def _small() -> OmniVideoConfig:
    siglip = SiglipConfig(
        hidden_size=384, intermediate_size=1536, num_hidden_layers=8, num_attention_heads=6, image_size=224
    )
    llm = LlmConfig(
        vocab_size=BYTE_VOCABULARY,
        hidden_size=512,
        intermediate_size=1536,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
    )
    return OmniVideoConfig(
        mllm=MllmConfig(llm=llm, vision=siglip, max_frames=4),
        vision_head=VisionHeadConfig(target=siglip, tokens_per_frame=16, video_frames=4),
        adapter=AdapterConfig(depth=2, hidden_size=1024, source_width=384),
        dit=DitConfig(
            num_attention_heads=6,
            attention_head_dim=64,
            text_dim=512,
            freq_dim=128,
            ffn_dim=1536,
            num_layers=12,
        ),
        vae=VaeConfig(base_dim=32),
        text_encoder=TextEncoderConfig(
            vocab_size=BYTE_VOCABULARY, d_model=512, d_kv=64, d_ff=1024, num_layers=8, num_heads=8
        ),
        condition_budget=2048,
        generation=GenerationConfig(
            height=256, width=256, num_frames=17, max_new_tokens=256, negative_prompt=NEGATIVE_PROMPT
        ),
    )


def _omni_11b() -> OmniVideoConfig:
    llm = LlmConfig(  # Llama-3-VILA1.5-8B: 128,256 rows and the four markers
        vocab_size=128_260,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
    )
    return OmniVideoConfig(
        mllm=MllmConfig(llm=llm, vision=SiglipConfig()),
        vision_head=VisionHeadConfig(target=SiglipConfig()),
        adapter=AdapterConfig(),
        dit=DitConfig(),
        vae=VaeConfig(),
        text_encoder=TextEncoderConfig(),
        generation=GenerationConfig(negative_prompt=NEGATIVE_PROMPT),
    )


def _shapes() -> OmniVideoConfig:
    """For the world of shapes at 64 pixels: learns in minutes on one GPU."""
    vision = SiglipConfig(
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=5,
        num_attention_heads=4,
        image_size=64,
        patch_size=8,
    )
    llm = LlmConfig(
        vocab_size=512,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    )
    target = vision.model_copy(update={"num_hidden_layers": 4})
    return OmniVideoConfig(
        mllm=MllmConfig(llm=llm, vision=vision, max_frames=3),
        vision_head=VisionHeadConfig(target=target, tokens_per_frame=16, video_frames=2),
        adapter=AdapterConfig(depth=2, hidden_size=1024, source_width=256, source_patch=2),
        dit=DitConfig(
            num_attention_heads=6,
            attention_head_dim=64,
            text_dim=256,
            freq_dim=256,
            ffn_dim=1536,
            num_layers=8,
        ),
        vae=VaeConfig(
            base_dim=24, dim_mult=(1, 2, 4), num_res_blocks=1, temperal_downsample=(True, True), patch_size=2
        ),
        text_encoder=TextEncoderConfig(
            vocab_size=512, d_model=256, d_kv=64, d_ff=512, num_layers=3, num_heads=4, max_tokens=40
        ),
        scheduler=SchedulerConfig(flow_shift=2.0, flow_shift_720p=2.0),
        condition_budget=256,
        generation=SHAPES,
    )


def _shapes_tiny() -> OmniVideoConfig:
    """For the world of shapes at 64 pixels, images alone: learns in half an hour on two CPU cores, and is
    small enough to come with the package, trained.
    """
    vision = SiglipConfig(
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=64,
        patch_size=8,
    )
    llm = LlmConfig(
        vocab_size=512,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    )
    target = vision.model_copy(update={"num_hidden_layers": 2})
    return OmniVideoConfig(
        mllm=MllmConfig(llm=llm, vision=vision, max_frames=2),
        vision_head=VisionHeadConfig(target=target, tokens_per_frame=4, video_frames=2),
        adapter=AdapterConfig(depth=1, hidden_size=256, source_width=64, source_patch=2),
        dit=DitConfig(
            num_attention_heads=4, attention_head_dim=32, text_dim=96, freq_dim=64, ffn_dim=384, num_layers=5
        ),
        vae=VaeConfig(
            base_dim=8, dim_mult=(1, 2, 4), num_res_blocks=1, temperal_downsample=(True, True), patch_size=2
        ),
        text_encoder=TextEncoderConfig(
            vocab_size=512, d_model=96, d_kv=24, d_ff=192, num_layers=2, num_heads=4, max_tokens=16
        ),
        scheduler=SchedulerConfig(flow_shift=1.5, flow_shift_720p=1.5),
        condition_budget=96,
        # Guidance of 4 is too much for what so few steps teach: 0.42 of colours right, against 0.71.
        generation=SHAPES.model_copy(
            update={"num_frames": 1, "image_steps": 20, "video_steps": 20, "image_guidance": 2.5}
        ),
    )


_BUILDERS = {
    **{"tiny": _tiny, "small": _small, "omni-11b": _omni_11b},
    **{"shapes": _shapes, "shapes-tiny": _shapes_tiny},
}


def preset(name: str) -> OmniVideoConfig:
    """The named configuration, one of `_BUILDERS`. Raises InputError for another name."""
    if name not in _BUILDERS:
        raise InputError(f"no preset is called {name!r}", "model", f"Choose one of {', '.join(_BUILDERS)}")
    return _BUILDERS[name]()
