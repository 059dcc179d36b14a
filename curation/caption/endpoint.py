"""Captions from an OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp's server, or a service.

https://platform.openai.com/docs/api-reference/chat/create: frames go as base64 JPEG data URLs. The key
comes from an environment variable of the worker and goes nowhere but into the request's header.
"""

from __future__ import annotations

import base64
import json
import os
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from curation.caption.asking import Ask, Failure
from curation.caption.config import CaptionConfig
from curation.caption.pace import Pace
from curation.caption.post import Reply, post
from curation.caption.prompt import CLOSE, OPEN, SYSTEM
from curation.errors import InputError

STEP = "captioning"
MISCONFIGURED = {401: "refuses the key", 403: "refuses the key", 404: "knows no such path or model"}
BUSY = frozenset((408, 409, 425, 429))  # and all from 500 on: worth another try
SHOWN = 200  # characters of an answer in a row's detail


class Endpoint:
    """Asks for all windows at once, `concurrency` under way; retries what the endpoint could not serve."""

    def __init__(self, config: CaptionConfig) -> None:
        assert config.http is not None
        self._config = config.http
        self._key = _key(config.http.api_key_env)
        self._pace = Pace(config.http.requests_per_minute)
        self.name = config.signed(config.http.model, config.http.revision)

    def answer(self, asks: Sequence[Ask]) -> list[str | Failure]:
        """Texts or failures, in order. Raises InputError if the endpoint cannot be used at all."""
        with ThreadPoolExecutor(min(self._config.concurrency, max(1, len(asks)))) as threads:
            running = [threads.submit(self._ask, ask) for ask in asks]
            try:
                return [one.result() for one in running]
            except InputError:
                threads.shutdown(cancel_futures=True)
                raise

    def _ask(self, ask: Ask) -> str | Failure:
        payload = body(ask, self._config.model, self._config.max_tokens)
        reply = Reply(0)
        for retry in range(self._config.max_retries + 1):
            self._pace.wait()
            reply = self._post(payload)
            if not _worth_another(reply):
                break
            pause = self._pause(reply, retry)
            if retry == self._config.max_retries or pause > self._config.max_wait_seconds:
                break
            time.sleep(pause)
        return self._hide(self._result(reply))

    def _post(self, payload: dict[str, Any]) -> Reply:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        url = f"{self._config.base_url}/chat/completions"
        return post(url, payload, headers, self._config.timeout_seconds)

    def _pause(self, reply: Reply, retry: int) -> float:
        """Seconds: as told, else twice as long each time, half of it by chance lest all come at once."""
        if reply.retry_after is not None:
            if reply.retry_after <= self._config.max_wait_seconds:
                self._pace.pause(reply.retry_after)
            return reply.retry_after
        longest: float = min(self._config.backoff_seconds * 2.0**retry, self._config.max_wait_seconds)
        return longest * (0.5 + random.random() / 2)

    def _result(self, reply: Reply) -> str | Failure:
        if reply.status == 200:
            return _text(reply.body)
        if reply.problem == "unreachable":
            raise self._refusal(f"cannot be reached ({reply.detail})", "start it, then run the same command")
        if reply.status in MISCONFIGURED:
            raise self._refusal(
                f"{MISCONFIGURED[reply.status]} (HTTP {reply.status})",
                "check caption.http.base_url, model and api_key_env",
            )
        if reply.problem:
            return Failure("timeout" if reply.problem == "timeout" else "bad_answer", reply.detail)
        return Failure(_slug(reply.status), f"HTTP {reply.status}: {_shown(reply.body)}")

    def _refusal(self, what: str, next_step: str) -> InputError:
        return InputError(self._scrub(f"the endpoint {self._config.base_url} {what}"), STEP, next_step)

    def _hide(self, result: str | Failure) -> str | Failure:
        """What an endpoint sends back must not bring the key into a row."""
        if isinstance(result, Failure):
            return result._replace(detail=self._scrub(result.detail))
        return self._scrub(result)

    def _scrub(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def body(ask: Ask, model: str, max_tokens: int) -> dict[str, Any]:
    """A request for one window."""
    frames = [{"type": "image_url", "image_url": {"url": _data_url(frame)}} for frame in ask.frames]
    content = [_said(OPEN), *frames, _said(CLOSE), _said(ask.prompt)]
    return {
        "model": model,
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}],
        "max_tokens": max_tokens,
        "temperature": ask.temperature,
        "seed": ask.seed,
    }


def _said(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _data_url(frame: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(frame).decode()


def _slug(status: int) -> str:
    if status == 429:
        return "rate_limited"
    return "server_error" if status >= 500 else "bad_request"


def _worth_another(reply: Reply) -> bool:
    if reply.status == 200:
        return isinstance(_text(reply.body), Failure)
    return reply.problem in ("timeout", "unreachable") or reply.status in BUSY or reply.status >= 500


def _text(answer: bytes) -> str | Failure:
    """The first choice's text (a refusal is one, too, which the checks know), or what is wrong."""
    try:
        message = json.loads(answer)["choices"][0]["message"]
        text = message.get("content") or message.get("refusal")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return Failure("bad_answer", f"no chat completion: {_shown(answer)}")
    return text if isinstance(text, str) else Failure("bad_answer", "a chat completion without text")


def _shown(answer: bytes) -> str:
    return repr(answer[:SHOWN].decode("utf-8", "replace"))


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(
            f"the environment variable {variable} is not set where captions are written",
            STEP,
            "set it before the cluster starts, or remove caption.http.api_key_env",
        )
    return key
