"""What every job of curation does around its work: read the request, and end with one event."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from curation.errors import InputError
from curation.events import emit, speak_for

Request = TypeVar("Request", bound=BaseModel)


def answer(arguments: list[str], kind: type[Request], work: Callable[[Request], dict[str, Any]]) -> int:
    """Emit the result of `work` on the request, or what went wrong; return the exit code."""
    try:
        request = _request(arguments, kind)
        speak_for(str(getattr(request, "run_id", "")))
        emit({"event": "result", **work(request)})
    except InputError as error:
        _tell("input", error.what, error.step, error.next_step)
        return 2
    except Exception as error:  # noqa: BLE001 - the last line of defence: the caller gets one event, the log all
        traceback.print_exc()
        what = getattr(error, "what", f"{type(error).__name__}: {error}".splitlines()[0])
        step = getattr(error, "step", "curating")
        _tell("failure", what, step, getattr(error, "next_step", "run the same command again to go on"))
        return 1
    return 0


def _request(arguments: list[str], kind: type[Request]) -> Request:
    if len(arguments) != 1:
        raise InputError("expected one argument, REQUEST.json", "starting", "give a file, or the JSON itself")
    (given,) = arguments
    inline = given.lstrip().startswith("{")
    try:
        return kind.model_validate_json(given if inline else Path(given).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{given} cannot be read: {error.strerror}", "starting", "check it") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"{'the request' if inline else given}: {where}: {first['msg']}"
        raise InputError(what, "reading the request", "correct it") from error


def _tell(kind: str, what: str, step: str, next_step: str) -> None:
    emit({"event": "error", "kind": kind, "what": what, "step": step, "next": next_step})
