"""One prompt to one file, and one question to one answer: what the commands and the retrain flow call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnivideo import shipped
from omnivideo.errors import InputError

if TYPE_CHECKING:
    from omnivideo.pipeline import OmniVideoPipeline

PICTURES = {".png", ".jpg", ".jpeg", ".webp"}


def generate(
    model: str,
    prompt: str,
    out: str,
    source: str | None = None,
    think: bool = False,
    seed: int = 0,
    num_frames: int | None = None,
    lora: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Generate with the model folder `model`, write `out`, and return `file`, `prompt` and `seed`.

    A picture's suffix means one frame. With `source` the call edits that image or video. `options` are the
    pipeline's own (height, width, steps, guidance_scale, fps); None leaves its default. The `prompt` returned
    is the one that was rendered: with `think` the model's own. Raises InputError for a missing model or
    source, and for sizes that the model cannot make.
    """
    import torch

    from omnivideo import media

    if source and not Path(source).is_file():
        raise InputError(f"no source {source}", "generate", "Check the path")
    if num_frames is None and Path(out).suffix.lower() in PICTURES:
        num_frames = 1
    media.check_target(out, num_frames)
    pipeline = load(model)
    if lora:
        pipeline.add_lora(lora)
    result = pipeline(
        prompt,
        source=source,
        think=think,
        num_frames=num_frames,
        generator=torch.Generator().manual_seed(seed),
        **options,
    )
    file = media.save(result.frames[0], out, result.fps)
    return {"file": str(file), "prompt": result.prompts[0], "seed": seed}


def ask(model: str, source: str, question: str, seed: int = 0) -> dict[str, Any]:
    """Answer `question` about an image or a video with the model folder `model`; return `answer`."""
    import torch

    if not Path(source).is_file():
        raise InputError(f"no media {source}", "ask", "Check the path")
    return {"answer": load(model).ask(source, question, generator=torch.Generator().manual_seed(seed))}


def load(model: str) -> OmniVideoPipeline:
    """Return the pipeline of a model folder, or of a shipped model by its name, on a GPU in bfloat16 where
    there is one. Raises InputError.
    """
    where = shipped.folder(model)
    if not (where / "model_index.json").is_file():
        known = ", ".join(shipped.names())
        advice = f"Give a folder that `omnivideo train` exported, or the name of a shipped model: {known}"
        raise InputError(f"no model in {model}", "load the model", advice)
    import torch

    from omnivideo.pipeline import OmniVideoPipeline

    _hide_loading_bars()
    gpu = torch.cuda.is_available()
    pipeline = OmniVideoPipeline.from_pretrained(where, dtype=torch.bfloat16 if gpu else None)
    pipeline.set_progress_bar_config(disable=not sys.stderr.isatty())  # denoising steps, for who watches
    pipeline.to("cuda" if gpu else "cpu")
    return pipeline


def _hide_loading_bars() -> None:
    import diffusers.utils.logging
    import transformers.utils.logging

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
