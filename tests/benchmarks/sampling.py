"""Time the whole model on a GPU with random weights, beside diffusers' own Wan pipeline in the same run.

    python tests/benchmarks/sampling.py [--preset omni-11b] [--out figures.json]

omni-11b at 81 frames of 480×832 takes about five minutes and 50 GiB of one H100. Each line is printed as soon
as it is measured. `--preset tiny` on a CPU shows that the script runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from diffusers import WanPipeline, WanTransformer3DModel
from transformers import DynamicCache

from omnivideo.build import PARTS, build_part
from omnivideo.config import OmniVideoConfig, preset
from omnivideo.decoder import build_scheduler
from omnivideo.model import OmniVideoModel
from omnivideo.pipeline import OmniVideoPipeline
from omnivideo.stepping import FixedSteps, GrowingSteps, begin
from omnivideo.tokens import byte_tokenizer

PROMPT = "a red kite rises over a grey sea while two children run along the beach"
FIGURES: dict[str, float | str] = {}


def note(name: str, value: float | str) -> None:
    """Print and keep one figure."""
    FIGURES[name] = value
    print(f"{name:<58} {value if isinstance(value, str) else round(value, 4)}", flush=True)


def clock(device: torch.device) -> float:
    """Seconds, after all work on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(device: torch.device, work: Callable[[], Any], repeat: int = 3) -> float:
    """The median of `repeat` timings, after one run to warm up."""
    work()
    seconds = []
    for _ in range(repeat):
        start = clock(device)
        work()
        seconds.append(clock(device) - start)
    return sorted(seconds)[repeat // 2]


def gibibytes(device: torch.device) -> float:
    """The most memory held since the last call."""
    if device.type != "cuda":
        return 0.0
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return peak


def halved(part: nn.Module) -> nn.Module:
    """Weights to bfloat16; buffers, and what diffusers keeps in float32, stay."""
    kept = getattr(part, "_keep_in_fp32_modules", None) or []
    for name, parameter in part.named_parameters():
        if not any(key in name for key in kept):
            parameter.data = parameter.data.to(torch.bfloat16)
    return part


def build(config: OmniVideoConfig, device: torch.device) -> OmniVideoModel:
    """Random weights, made on the device part by part; none is ever on the CPU."""
    parts = {}
    for name in PARTS:
        with torch.device(device):
            part = build_part(name, config)
        part.requires_grad_(False)
        parts[name] = part if name == "vae" or device.type == "cpu" else halved(part)
    scheduler = build_scheduler(config.scheduler)
    return OmniVideoModel(config, parts, byte_tokenizer(), byte_tokenizer(append_eos=True), scheduler)


@torch.no_grad()
def forwards(model: OmniVideoModel, device: torch.device) -> None:
    """One forward of each half of the model: the MLLM with its heads, and the decoder at full length."""
    settings = model.config.generation
    note("weights, GiB", sum(p.nbytes for p in model.parameters()) / 2**30)
    frames = torch.rand(1, model.config.mllm.max_frames, 3, 384, 384, device=device) * 2 - 1
    targets = model.vision_targets(frames).to(model.vision_head.dtype)
    gibibytes(device)
    seconds = timed(device, lambda: model.text_logits(["What happens?"], ["a kite rises"], frames))
    note(f"text head, {frames.shape[1]} frames and a question, s", seconds)
    seconds = timed(device, lambda: model.stage1_forward([PROMPT], targets, "video", frames))
    note(f"vision head, teacher forced, {targets.shape[1]} tokens, s", seconds)
    note("MLLM forwards, peak GiB", gibibytes(device))
    embedded = model.encode_text([PROMPT])
    c, mask = model.condition(targets, *embedded)
    shape = ((settings.num_frames - 1) // 4 + 1, settings.height // 8, settings.width // 8)
    x = torch.randn(1, 16, *shape, device=device)
    seconds = timed(device, lambda: model.velocity(x, torch.full((1,), 0.5, device=device), c, mask))
    note(f"transformer, {c.shape[1]} condition tokens, batch 1, s", seconds)
    note("transformer forward, peak GiB", gibibytes(device))


@torch.no_grad()
def visual_tokens(model: OmniVideoModel, device: torch.device) -> None:
    """The vision head's steps with a growing cache, and with a fixed one (a CUDA graph on a GPU)."""
    texts = [model.config.generation.negative_prompt, PROMPT]
    prompt = model.visual_prompt(texts, "video")
    for cudnn in (True, False):
        torch.backends.cuda.enable_cudnn_sdp(cudnn)
        cache: Any = DynamicCache()
        hidden = model.mllm(prompt.embeds, prompt.mask, cache)[:, -1:]
        growing = GrowingSteps(model.mllm, cache, prompt)
        seconds = timed(device, lambda step=growing, first=hidden: step(first), 5)
        note(f"visual token, growing cache, cuDNN {'on' if cudnn else 'off'}, batch 2, s", seconds)
    torch.backends.cuda.enable_cudnn_sdp(True)
    fixed = FixedSteps(model.mllm, cache, prompt, 8)
    note("visual token, fixed cache, no graph, batch 2, s", timed(device, lambda: fixed(hidden), 5))
    first, captured = begin(model.mllm, prompt, 8)
    note("visual token, as used, batch 2, s", timed(device, lambda: captured(first), 5))
    count = model.config.vision_head.num_tokens("video")
    tokens = model.predict_visual(texts, "video")
    forced = model.stage1_forward(texts, tokens, "video")
    note("|generated − teacher forced| / |forced|", float((tokens - forced).norm() / forced.norm()))
    seconds = timed(device, lambda: model.predict_visual(texts, "video"), 1)
    note(f"all {count} visual tokens of 2 prompts, capture included, s", seconds)


@torch.no_grad()
def offloading(device: torch.device) -> None:
    """The preset small, with one part at a time on the device: the same frames from less memory."""
    ours = OmniVideoPipeline.of(build(preset("small"), device))
    ours.set_progress_bar_config(disable=True)

    def run() -> Any:
        seeded = torch.Generator().manual_seed(0)
        return ours(PROMPT, num_frames=5, steps=2, generator=seeded, output_type="pt").frames

    gibibytes(device)
    plain = run()
    note("small, all on the device, peak GiB", gibibytes(device))
    if device.type != "cuda":
        return
    ours.enable_model_cpu_offload()
    gibibytes(device)
    moved = run()
    note("small, offloaded, peak GiB", gibibytes(device))
    note("|offloaded − plain| / |plain|", float((moved - plain).norm() / plain.norm()))
    ours.vae.enable_tiling(128, 128, 96, 96)
    note("small, offloaded, tiles, finite", str(bool(torch.isfinite(run()).all())))


class StepClock:
    """A diffusers callback that notes when each step ends."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.times = device, [clock(device)]

    def __call__(self, _: Any, __: int, ___: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Note the time."""
        self.times.append(clock(self.device))
        return tensors

    @property
    def step(self) -> float:
        """Mean seconds a step, the first left out."""
        return (self.times[-1] - self.times[1]) / (len(self.times) - 2)


def diffusers_pipeline(model: OmniVideoModel, device: torch.device) -> Any:
    """WanPipeline around the same weights, in a transformer of its own."""
    with torch.device(device):
        twin = WanTransformer3DModel.from_config(model.dit.config)
    twin.load_state_dict(model.dit.state_dict(), assign=True)
    pipeline = WanPipeline(None, None, model.vae, build_scheduler(model.config.scheduler), twin.eval())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def run_diffusers(pipeline: Any, model: OmniVideoModel, steps: int, device: torch.device) -> float:
    """Seconds a step of WanPipeline under its own text condition."""
    text, _ = model.encode_text([PROMPT, model.config.generation.negative_prompt])
    settings, ticks = model.config.generation, StepClock(device)
    pipeline(
        prompt_embeds=text[:1],
        negative_prompt_embeds=text[1:],
        height=settings.height,
        width=settings.width,
        num_frames=settings.num_frames,
        num_inference_steps=steps,
        guidance_scale=settings.video_guidance,
        callback_on_step_end=ticks,
        output_type="latent",
    )
    return ticks.step


def run_ours(
    pipeline: OmniVideoPipeline, steps: int, device: torch.device, output: str = "latent", **more: Any
) -> StepClock:
    """The clock of one whole call, from the prompt on; its first time is the call's start."""
    ticks = StepClock(device)
    pipeline(PROMPT, steps=steps, callback_on_step_end=ticks, output_type=output, **more)
    return ticks


def compare(model: OmniVideoModel, device: torch.device, steps: int, short: int) -> None:
    """Ours and diffusers' own, plain and with each faster setting."""
    theirs = diffusers_pipeline(model, device)
    run_diffusers(theirs, model, 3, device)
    base = run_diffusers(theirs, model, steps, device)
    note(f"diffusers WanPipeline as it comes, {steps} steps, s a step", base)
    ours = OmniVideoPipeline.of(model)
    ours.set_progress_bar_config(disable=True)
    run_ours(ours, 3, device)
    plain = run_ours(ours, short, device).step
    note("ours as it comes, s a step", plain)
    note("ours / diffusers, both as they come", plain / base)
    source = torch.rand(1, 3, model.config.generation.num_frames, 64, 112, device=device) * 2 - 1
    note("ours as it comes, editing a video, s a step", run_ours(ours, short, device, source=source).step)
    start = clock(device)
    ours.quicken()
    run_ours(ours, 3, device)
    note("first call with compiled blocks, 3 steps, s", clock(device) - start)
    gibibytes(device)
    ticks = run_ours(ours, steps, device, output="np")
    end = clock(device)
    note(f"ours, fastest settings, {steps} steps, s a step", ticks.step)
    note("ours fastest / diffusers as it comes", ticks.step / base)
    note("whole call: conditions and first step, s", ticks.times[1] - ticks.times[0])
    note("whole call: autoencoder, s", end - ticks.times[-1])
    note("whole call, s", end - ticks.times[0])
    note("whole call, peak GiB", gibibytes(device))


def same_result(model: OmniVideoModel, device: torch.device) -> None:
    """The relative difference of both pipelines' latents under one condition, after four steps."""
    from omnivideo.sampling import denoise, settle

    fields = dict.fromkeys(("height", "width", "num_frames", "guidance_scale", "flow_shift"))
    settings = settle(model.config, None, steps=4, **fields)
    text, mask = model.encode_text([model.config.generation.negative_prompt, PROMPT])
    noise = torch.randn(1, 16, *settings.latent_shape, device=device)
    with torch.no_grad():
        ours: Tensor = denoise(model, noise, (text, torch.ones_like(mask)), settings)
    pipeline = diffusers_pipeline(model, device)
    theirs = pipeline(
        prompt_embeds=text[1:],
        negative_prompt_embeds=text[:1],
        latents=noise,
        height=settings.height,
        width=settings.width,
        num_frames=settings.num_frames,
        num_inference_steps=4,
        guidance_scale=settings.guidance_scale,
        output_type="latent",
    ).frames
    note("|ours − diffusers| / |diffusers|, 4 steps", float((ours - theirs).norm() / theirs.norm()))


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--preset", default="omni-11b")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--short", type=int, default=6, help="steps of the settings that are only compared")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--part", choices=["all", "language", "sampling"], default="all")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    note("torch", torch.__version__)
    note("device", torch.cuda.get_device_name() if device.type == "cuda" else "cpu")
    start = clock(device)
    model = build(preset(options.preset), device)
    note("building, s", clock(device) - start)
    if options.part in {"all", "language"}:
        forwards(model, device)
        visual_tokens(model, device)
        offloading(device)
    if options.part in {"all", "sampling"}:
        same_result(model, device)
        compare(model, device, options.steps, options.short)
    if options.out:
        options.out.write_text(json.dumps(FIGURES, indent=1) + "\n")


if __name__ == "__main__":
    main()
