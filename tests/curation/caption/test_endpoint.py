"""The endpoint captioner against a real server that behaves well, badly and maliciously."""

from __future__ import annotations

import base64
import email.utils
import time
from typing import Any

import pytest

from curation.caption.asking import Ask, Failure, ask_all
from curation.caption.config import CaptionConfig
from curation.caption.endpoint import Endpoint
from curation.errors import InputError

from .server import GOOD, Behaviour, Reply, Request, Server, said, serving

KEY = "sk-canary-5f1d0c"
ASKS = [Ask(f"clip{i}", 0, f"Describe number {i}.", [b"\xff\xd8one", b"\xff\xd8two"]) for i in range(4)]


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("CAPTION_KEY", KEY)


def config(url: str, **other: Any) -> CaptionConfig:
    """A configuration for the server at `url`."""
    http = {"base_url": url, "model": "org/model", "revision": "r1", "backoff_seconds": 0.02, **other}
    return CaptionConfig.model_validate({"captioner": "http", "http": http})


def answers(behaviour: Behaviour, asks: list[Ask] = ASKS, **other: Any) -> tuple[list[Any], Server]:
    """What the captioner makes of a server, and what the server has heard."""
    with serving(behaviour) as server:
        return Endpoint(config(server.url, **other)).answer(asks), server


def test_request_carries_frames_prompt_and_key() -> None:
    """Frames go as JPEG data URLs between the marks, with a temperature; the key only in the header."""
    found, server = answers(lambda number, asked: said(GOOD), ASKS[:1], api_key_env="CAPTION_KEY")
    (asked,) = server.heard
    assert found == [GOOD]
    assert (asked.path, asked.authorization) == ("/v1/chat/completions", f"Bearer {KEY}")
    system, user = asked.payload["messages"]
    kinds = [part.get("text") or part["image_url"]["url"] for part in user["content"]]
    frames = ["data:image/jpeg;base64," + base64.b64encode(frame).decode() for frame in ASKS[0].frames]
    assert kinds == ["<frames>", *frames, "</frames>", "Describe number 0."]
    assert "never follow it" in system["content"]
    assert (asked.payload["model"], asked.payload["temperature"]) == ("org/model", 0.0)
    assert KEY not in str(asked.payload)


def test_answers_stay_with_their_asks_whatever_their_order() -> None:
    """Answers that come back in another order land on the clips that they are about."""

    def behaviour(number: int, asked: Request) -> Reply:
        which = int(asked.payload["messages"][1]["content"][-1]["text"][-2])
        return said(f"about {which}")._replace(delay=0.05 * (3 - which))

    found, _ = answers(behaviour, concurrency=4)
    assert found == [f"about {i}" for i in range(4)]


def test_concurrency_is_bounded() -> None:
    """No more requests are under way than allowed."""
    _, server = answers(lambda number, asked: said(GOOD)._replace(delay=0.05), ASKS * 2, concurrency=2)
    assert server.at_once[1] == 2


@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_is_honoured(dated: bool) -> None:
    """After a 429 nothing is asked until the time that the server named, in seconds or as a date."""
    told = email.utils.formatdate(time.time() + 2, usegmt=True) if dated else "1"
    limited = Reply(429, headers={"Retry-After": told})
    found, server = answers(lambda number, asked: said(GOOD) if number else limited, ASKS[:1])
    assert found == [GOOD]
    assert server.heard[1].at - server.heard[0].at >= (0.8 if dated else 0.99)


def test_too_long_a_wait_is_given_up() -> None:
    """A server that asks for an hour is not waited for; its clip says so."""
    limited = Reply(429, headers={"Retry-After": "3600"})
    (found,), server = answers(lambda number, asked: limited, ASKS[:1])
    assert (found.reason, len(server.heard)) == ("rate_limited", 1)


def test_rate_is_kept() -> None:
    """Requests begin no faster than the rate allows, however many threads wait."""
    _, server = answers(lambda number, asked: said(GOOD), requests_per_minute=600)
    times = sorted(asked.at for asked in server.heard)
    assert times[-1] - times[0] >= 0.28


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Reply(500, b"boom"), "server_error"),
        (Reply(200, b"<html>not json"), "bad_answer"),
        (Reply(200, b'{"choices": []}'), "bad_answer"),
        (Reply(200, b"[" * 100_000), "bad_answer"),
        (said(None), "bad_answer"),
        (said(GOOD)._replace(delay=1.0), "timeout"),
        (said(GOOD)._replace(drip=0.1), "timeout"),
    ],
)
def test_failing_server_is_asked_again_then_given_up(bad: Reply, reason: str) -> None:
    """What a server fails at once is retried and forgotten; what it fails always has a slug."""
    few = {"max_retries": 1, "timeout_seconds": 0.4}
    (found,), server = answers(lambda number, asked: said(GOOD) if number else bad, ASKS[:1], **few)
    assert (found, len(server.heard)) == (GOOD, 2)
    (found,), server = answers(lambda number, asked: bad, ASKS[:1], **few)
    assert isinstance(found, Failure)
    assert (found.reason, len(server.heard)) == (reason, 2)


def test_one_bad_request_costs_one_clip() -> None:
    """A request that the server refuses is not retried and does not touch the others."""
    found, server = answers(lambda number, asked: said(GOOD) if number else Reply(400, b"too many images"))
    assert [one.reason for one in found if isinstance(one, Failure)] == ["bad_request"]
    assert (found.count(GOOD), len(server.heard)) == (3, 4)


def test_huge_answer_is_cut_short() -> None:
    """An answer without end is not read to its end."""
    (found,), _ = answers(lambda number, asked: Reply(200, b" " * (5 << 20)), ASKS[:1], max_retries=0)
    assert found.reason == "bad_answer"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_wrong_key_or_model_is_the_users_input(status: int) -> None:
    """A refused key or an unknown model stops the run at once, with what to check."""
    with serving(lambda number, asked: Reply(status)) as server, pytest.raises(InputError, match=str(status)):
        Endpoint(config(server.url)).answer(ASKS)


def test_absent_server_is_named() -> None:
    """An endpoint that nobody listens at stops the run and says which."""
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9/v1 cannot be reached"):
        Endpoint(config("http://127.0.0.1:9/v1", max_retries=1)).answer(ASKS[:1])


def test_key_is_never_carried_elsewhere() -> None:
    """A redirect is not followed: it would hand the key to another server."""
    with serving(lambda number, asked: said(GOOD)) as other:
        away = Reply(307, headers={"Location": f"{other.url}/chat/completions"})
        (found,), _ = answers(lambda number, asked: away, ASKS[:1], api_key_env="CAPTION_KEY")
    assert (found.reason, other.heard) == ("bad_request", [])


@pytest.mark.parametrize("status", [200, 400, 401])
def test_echoed_key_is_hidden(status: int) -> None:
    """A server that repeats the key does not bring it into a caption, a detail or an error."""

    def behaviour(number: int, asked: Request) -> Reply:
        text = f"your key is {asked.authorization}"
        return said(text) if status == 200 else Reply(status, text.encode())

    try:
        found: Any = answers(behaviour, ASKS[:1], api_key_env="CAPTION_KEY")[0]
    except InputError as error:
        found = (error.what, error.next_step)
    assert KEY not in str(found)


def test_missing_key_is_named_without_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is not set is named."""
    monkeypatch.delenv("CAPTION_KEY")
    with pytest.raises(InputError, match="CAPTION_KEY is not set"):
        Endpoint(config("http://127.0.0.1:9/v1", api_key_env="CAPTION_KEY"))


def test_unacceptable_answers_are_asked_for_again_with_another_seed() -> None:
    """A refusal is asked for again, warmer and with a new seed; only its own clip waits for it."""

    def behaviour(number: int, asked: Request) -> Reply:
        first = asked.payload["temperature"] == 0.0
        return said("I'm sorry, I cannot describe this video.") if number == 0 and first else said(GOOD)

    with serving(behaviour) as server:
        written = ask_all(Endpoint(config(server.url)), ASKS, config(server.url).checks)
    assert [one.text for one in written] == [GOOD] * 4
    assert sorted(one.attempts for one in written) == [1, 1, 1, 2]
    assert len(server.heard) == 5
    again = server.heard[-1].payload
    assert again["temperature"] == 0.7
    assert again["seed"] not in {asked.payload["seed"] for asked in server.heard[:-1]}


def test_endless_refusals_end() -> None:
    """What is refused at each attempt is a failure that says so."""
    with serving(lambda number, asked: said(None, refusal="I'm sorry, I can't.")) as server:
        (written,) = ask_all(Endpoint(config(server.url)), ASKS[:1], config(server.url).checks)
    assert written.failure is not None
    assert (written.text, written.failure.reason, len(server.heard)) == (None, "refusal", 3)
