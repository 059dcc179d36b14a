"""A store that stops answering: a proxy before it that takes what comes and passes nothing on."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Stalling:
    """A TCP proxy to a port of this machine; it stalls at the second object written whose key has `key`."""

    def __init__(self, target: int, key: bytes) -> None:
        self.stalled = threading.Event()
        self._target = target
        self._key = key
        self._written = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening and end what is open."""
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                behind = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, behind]
                for pair in ((client, behind), (behind, client)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._look(data)
                if not self.stalled.is_set():  # what comes meanwhile is lost, as behind a broken router
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _look(self, data: bytes) -> None:
        line = data[:1000].partition(b"\r\n")[0]
        if line.startswith(b"PUT ") and self._key in line:
            self._written += 1
            if self._written == 2:
                self.stalled.set()


@contextlib.contextmanager
def stalling(target: int, key: bytes) -> Iterator[Stalling]:
    """The proxy while the block runs."""
    proxy = Stalling(target, key)
    try:
        yield proxy
    finally:
        proxy.close()
