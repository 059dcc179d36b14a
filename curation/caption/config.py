"""How captions are written: by whom, from which frames, asked how, and what is not accepted."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from curation.caption.prompt import DEFAULT, check_template, prompt_hash
from curation.weights import is_path, located

COMMIT = re.compile(r"[0-9a-f]{40}")


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http:// or https:// URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("no keys in a URL: name the environment variable that holds it in api_key_env")
    return url.rstrip("/")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class HttpConfig(_Section):
    """An OpenAI-compatible endpoint for chat completions, such as vLLM's."""

    base_url: Annotated[str, AfterValidator(_endpoint)] = Field(description="ends in /v1 as a rule")
    model: str = Field(min_length=1, description="as the endpoint calls it")
    revision: str | None = Field(default=None, description="of the model, for the captioner column")
    api_key_env: str | None = Field(
        default=None,
        pattern=r"^[A-Z_][A-Z0-9_]*$",
        description="name of the environment variable that holds the key, on the nodes; never the key",
    )
    concurrency: int = Field(default=8, ge=1, le=256, description="requests under way at once, in all")
    requests_per_minute: float | None = Field(default=None, gt=0, description="at most so many are begun")
    timeout_seconds: float = Field(default=120.0, gt=0, description="for one whole answer")
    max_retries: int = Field(default=5, ge=0, description="of a request that the endpoint could not serve")
    backoff_seconds: float = Field(default=1.0, gt=0, description="before a first retry; then twice as long")
    max_wait_seconds: float = Field(
        default=120.0, gt=0, description="before a retry; one that is told to wait longer is given up"
    )
    max_tokens: int = Field(default=512, ge=16, description="of one answer")


class TransformersConfig(_Section):
    """A model of the image-text-to-text class, in the worker's own process, from safetensors only."""

    model: Annotated[str, AfterValidator(located)] = Field(
        min_length=1, description="a folder (starts with / . or ~), or a hub id"
    )
    revision: str | None = Field(default=None, description="commit of a hub id: 40 hex digits")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    batch_size: int = Field(default=4, ge=1, description="windows in one pass")
    max_new_tokens: int = Field(default=512, ge=1, description="of one answer")
    gpus_per_worker: float | None = Field(
        default=None, ge=0, description="left out: one if cluster.use_gpu, else none"
    )
    workers: int | None = Field(
        default=None, ge=1, description="models loaded at once; left out: as many as GPUs, without GPUs one"
    )

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if not is_path(self.model) and not COMMIT.fullmatch(self.revision or ""):
            raise ValueError("a model from a hub needs its revision, a commit of 40 hex digits")
        return self


class FramesConfig(_Section):
    """Which frames of a clip a model sees. A clip is cut into windows of equal length, each asked for."""

    window_seconds: float = Field(default=16.0, gt=0, description="longest window")
    max_windows: int = Field(default=8, ge=1, description="of one clip; a longer clip has longer windows")
    per_window: int = Field(default=8, ge=1, le=64, description="frames, evenly spaced")
    long_side: int = Field(default=448, ge=32, le=2048, description="pixels; never enlarged")
    jpeg_quality: int = Field(default=88, ge=30, le=100)


class ChecksConfig(_Section):
    """What is not accepted as a caption; such an answer is asked for again with another seed."""

    attempts: int = Field(default=3, ge=1, le=10, description="at one window, in all")
    retry_temperature: float = Field(default=0.7, gt=0, le=2, description="the first attempt is greedy")
    min_words: int = Field(default=5, ge=1, description="of one window's text")
    max_words: int = Field(default=300, ge=1, description="of one window's text")
    max_repeated_share: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="words in 5-grams that occur again (Gopher, Rae et al. 2021, table A1)",
    )
    max_copied_share: float = Field(
        default=0.5, ge=0, le=1, description="words in 3-grams that stand in the frames, or in the prompt"
    )
    read_text: bool = Field(
        default=True, description="read the text in the frames (needs the 'ocr' extra) to find copies of it"
    )


class CaptionConfig(_Section):
    """Who writes captions, if anybody, and how."""

    captioner: Literal["describe", "http", "transformers", "none"] = Field(
        default="describe",
        description="describe: a sentence from measured signals only, no model; http: an endpoint; "
        "transformers: a model in process; none: no caption",
    )
    http: HttpConfig | None = None
    transformers: TransformersConfig | None = None
    frames: FramesConfig = FramesConfig()
    prompt: Annotated[str, AfterValidator(check_template)] = Field(
        default=DEFAULT, min_length=1, description="template; its fields: see curation/caption/prompt.py"
    )
    checks: ChecksConfig = ChecksConfig()
    keep_original: bool = Field(
        default=False, description="a clip that came with a caption keeps it as its caption, too"
    )
    on_failure: Literal["error", "original"] = Field(
        default="error",
        description="a clip without an acceptable caption is an error; original: unless it came with one",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.asks_a_model and getattr(self, self.captioner) is None:
            raise ValueError(f"captioner {self.captioner} needs the section caption.{self.captioner}")
        return self

    @property
    def asks_a_model(self) -> bool:
        """Whether captions come from a model that looks at frames."""
        return self.captioner in ("http", "transformers")

    def identity(self) -> dict[str, Any]:
        """All that determines the texts; where a model is served and how fast it is asked does not."""
        plain: dict[str, Any] = {"captioner": self.captioner, "keep_original": self.keep_original}
        if not self.asks_a_model:
            return plain
        told = {"frames", "prompt", "checks", "on_failure"}
        return {**plain, **self.model_dump(include=told), "model": self._model()}

    def _model(self) -> dict[str, Any]:
        if self.http is not None and self.captioner == "http":
            return self.http.model_dump(include={"model", "revision", "max_tokens"})
        assert self.transformers is not None
        return self.transformers.model_dump(include={"model", "revision", "dtype", "max_new_tokens"})

    def signed(self, model: str, revision: str | None) -> str:
        """The `captioner` column: who, model, revision and a hash of the prompt."""
        return f"{self.captioner}/{model}@{revision or 'unpinned'}#{prompt_hash(self.prompt)}"
