"""One run at a time in one recipe's staging: a second one waits, and takes over from one that died.

On this machine's disks the kernel holds the lock and lets go of it when its process ends. A store has a small
object, written only where there is none, that its holder renews; one that is not renewed is free.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from curation.stores import Place, is_local, make_folder, place, scheme_of

LEASE = "_lease-"  # how such files are called; Delta passes over names that start with `_`
BEAT_SECONDS = 15.0
STALE_SECONDS = 90.0  # without a beat; by the clock of who waits, so that clocks need not agree
POLL_SECONDS = 0.5

UNANSWERED = (
    "the lease %s is not renewed: the store does not answer (%s); after %.0f s another run may take it"
)
logger = logging.getLogger(__name__)


class Lease(Protocol):
    """The right to work on one recipe's staging."""

    lost: bool  # whether another run has taken it over

    def take(self) -> bool:
        """Take it if it is free."""
        ...

    def release(self) -> None:
        """Give it back."""
        ...


@contextmanager
def leased(dataset: str, key: str, waiting: Callable[[], None]) -> Iterator[Lease]:
    """Hold the lease of `key` on a dataset while the block runs; call `waiting` before each further try."""
    lease = _lease(dataset, key)
    while not lease.take():
        waiting()
        time.sleep(POLL_SECONDS)
    try:
        yield lease
    finally:
        lease.release()


@contextmanager
def leased_if_free(dataset: str, key: str) -> Iterator[bool]:
    """Hold the lease while the block runs, if nobody else has it; yield whether it is held."""
    lease = _lease(dataset, key)
    if not lease.take():
        yield False
        return
    try:
        yield True
    finally:
        lease.release()


def _lease(dataset: str, key: str) -> Lease:
    if is_local(dataset):
        return _OnDisk(Path(dataset) / f"{LEASE}{key}")
    fs, path = at = place(dataset)
    make_folder(dataset, at)
    return _InStore(Place(fs, f"{path.rstrip('/')}/{LEASE}{key}"), scheme_of(dataset) in ("s3", "s3a"))


class _OnDisk:
    def __init__(self, path: Path) -> None:
        self.lost = False
        self._path = path
        self._handle: int | None = None

    def take(self) -> bool:
        """Lock the file; one that was removed between opening and locking it locks nothing."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle).st_ino == self._path.stat().st_ino:
                self._handle = handle
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(handle)
        return False

    def release(self) -> None:
        """Remove the file, then unlock it: who waits for it finds it gone and makes a new one."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None


class _InStore:
    def __init__(self, at: Place, conditional: bool) -> None:
        self.lost = False
        self._at = at
        self._conditional = conditional  # whether the store replaces an object only if it is the one we saw
        self._me = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}"
        self._beats = 0
        self._seen: tuple[str, float] = ("", 0.0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def take(self) -> bool:
        """Write the object if there is none, or if the one that is there has long been the same."""
        try:
            self._write(mode="create")
        except OSError:  # of a store that is down too: looking at what is there says so
            if not self._stale() or not self._take_over():
                return False
        self._thread.start()
        return True

    def release(self) -> None:
        """Stop renewing, and remove the object if it is ours."""
        self._stop.set()
        self._thread.join()
        if not self.lost:
            with suppress(Exception):  # of a store that is down, it goes stale; what was wrong before counts
                self._at.fs.rm_file(self._at.path)

    def _stale(self) -> bool:
        with suppress(FileNotFoundError):
            etag = self._tag()
            if etag != self._seen[0]:
                self._seen = (etag, time.monotonic())
        return time.monotonic() - self._seen[1] > STALE_SECONDS

    def _take_over(self) -> bool:
        try:
            self._write(**self._unless_changed(self._seen[0]))
        except OSError:  # another has been faster
            return False
        return True

    def _renew(self) -> None:
        silent = False  # a store that does not answer is told of once, until it answers again
        while not self._stop.wait(BEAT_SECONDS):
            try:
                etag = self._tag()
                if not self._at.fs.cat_file(self._at.path).startswith(self._me.encode()):
                    self.lost = True
                    return
                self._write(**self._unless_changed(etag))
            except FileNotFoundError:
                self.lost = True
                return
            except Exception as error:  # noqa: BLE001 - a store that does not answer is asked again next beat
                if not silent:
                    logger.warning(UNANSWERED, self._at.path, type(error).__name__, STALE_SECONDS)
                silent = True
            else:
                silent = False

    def _write(self, **how: Any) -> None:
        self._beats += 1
        self._at.fs.pipe_file(self._at.path, f"{self._me} {self._beats}\n".encode(), **how)

    def _unless_changed(self, etag: str) -> dict[str, Any]:
        return {"IfMatch": etag} if self._conditional else {}

    def _tag(self) -> str:
        self._at.fs.invalidate_cache()
        found = self._at.fs.info(self._at.path)
        return str(found.get("ETag") or found.get("etag") or found.get("mtime") or found.get("LastModified"))
