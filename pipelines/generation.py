"""One prompt to one file, for the command line and for a look at a model just trained."""

from __future__ import annotations

from typing import Any


def generate(model: str, prompt: str, out: str, source: str | None = None, think: bool = False, **options: Any) -> str:
    """Generate an image or a video with the model folder `model` and write it to `out`; return that path.

    With `source` the call is an edit of that image or video. `options` are the pipeline's own (steps,
    num_frames, height, width, seed, guidance_scale).
    """
    raise NotImplementedError
