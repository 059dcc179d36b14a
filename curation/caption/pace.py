"""When the next request may begin: a rate, and a pause when the endpoint asks for one. Shared by threads."""

from __future__ import annotations

import threading
import time


class Pace:
    """Spaces the beginnings of requests evenly; `pause` holds back all of them."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._lock = threading.Lock()
        self._next = 0.0  # monotonic seconds

    def wait(self) -> None:
        """Return when a request may begin."""
        while True:
            with self._lock:
                now = time.monotonic()
                if now >= self._next:
                    self._next = now + self._gap
                    return
                left = self._next - now
            time.sleep(left)

    def pause(self, seconds: float) -> None:
        """Begin no request for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
