"""One POST of JSON, with a limit on time and size, and no redirects: they would carry the key elsewhere."""

from __future__ import annotations

import email.utils
import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any, NamedTuple

LARGEST = 4 << 20  # bytes of an answer
CHUNK = 64 << 10


class Reply(NamedTuple):
    """What came back; `status` 0: nothing did, for the reason in `problem`."""

    status: int
    body: bytes = b""
    retry_after: float | None = None  # seconds
    problem: str = ""  # "timeout", "unreachable" or "too_large"
    detail: str = ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def post(url: str, payload: dict[str, Any], headers: dict[str, str], timeout: float) -> Reply:
    """Send and receive within `timeout` seconds in all. Never raises for what the other side does."""
    deadline = time.monotonic() + timeout
    request = urllib.request.Request(
        url, json.dumps(payload).encode(), {"Content-Type": "application/json", **headers}
    )
    try:
        with _OPENER.open(request, timeout=timeout) as response:
            return _read(response, response.status, deadline)
    except urllib.error.HTTPError as error:
        with error:
            try:
                return _read(error, error.code, deadline)._replace(retry_after=_wait(error.headers))
            except (OSError, http.client.HTTPException):
                return Reply(error.code, retry_after=_wait(error.headers))
    except TimeoutError:
        return Reply(0, problem="timeout", detail=f"no answer within {timeout:g} s")
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        if isinstance(cause, TimeoutError):
            return Reply(0, problem="timeout", detail=f"no connection within {timeout:g} s")
        return Reply(0, problem="unreachable", detail=f"{type(cause).__name__}: {cause}")


def _read(response: Any, status: int, deadline: float) -> Reply:
    """The body, chunk by chunk: a socket's own limit starts anew with every byte that drips in."""
    body = bytearray()
    while chunk := response.read1(CHUNK):
        body += chunk
        if len(body) > LARGEST:
            return Reply(0, problem="too_large", detail=f"an answer of more than {LARGEST} bytes")
        if time.monotonic() > deadline:
            return Reply(0, problem="timeout", detail="the answer came too slowly")
    return Reply(status, bytes(body))


def _wait(headers: Any) -> float | None:
    """Seconds of Retry-After (RFC 9110, 10.2.3), a number or a date; None if it is neither."""
    value = (headers.get("Retry-After") or "").strip()
    if value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())
