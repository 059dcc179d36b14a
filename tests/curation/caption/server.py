"""A real HTTP server on loopback that talks like a chat-completions endpoint, well or badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

GOOD = "A person rides a bicycle down a street lined with trees while the camera follows from behind."


class Reply(NamedTuple):
    """What to answer with."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    delay: float = 0.0  # seconds before it
    drip: float = 0.0  # seconds between its bytes


class Request(NamedTuple):
    """What was asked, and when."""

    path: str
    authorization: str | None
    payload: dict[str, Any]
    at: float


Behaviour = Callable[[int, Request], Reply]


class Server(NamedTuple):
    """Where it listens, what it has heard so far, and how many it served at once at most."""

    url: str
    heard: list[Request]
    at_once: list[int]


def said(text: str | None, **more: Any) -> Reply:
    """A chat completion."""
    message = {"role": "assistant", "content": text, **more}
    return Reply(200, json.dumps({"choices": [{"message": message}]}).encode())


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Server]:
    """Answer each request by `behaviour(number, request)`."""
    heard: list[Request] = []
    busy: list[int] = [0, 0]
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = Request(self.path, self.headers["Authorization"], json.loads(body), time.monotonic())
            with lock:
                number = len(heard)
                heard.append(asked)
                busy[0] += 1
                busy[1] = max(busy)
            reply = behaviour(number, asked)
            time.sleep(reply.delay)
            with lock:
                busy[0] -= 1  # before the client knows, or it might be served again in between
            with suppress(ConnectionError):  # the client has given up, which some tests are about
                self._send(reply)

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            step = 1 if reply.drip else max(1, len(reply.body))
            for start in range(0, len(reply.body), step):
                self.wfile.write(reply.body[start : start + step])
                self.wfile.flush()
                time.sleep(reply.drip)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}/v1", heard, busy)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
