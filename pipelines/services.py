"""What this machine works with: Ray, Prefect, stores, disks; whether they are there, and ask who calls."""

from __future__ import annotations

import base64
import os
import shutil
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.findings import Finding

REFUSED = (401, 403)
ENOUGH_GB = 10.0  # of free disk: a run stages media, and Ray spills to disk what memory does not hold
RAY_FULL = 0.95  # of a disk in use, from which on Ray writes nothing there


def examine(ray: str | None, stores: Sequence[str]) -> Iterator[Finding]:
    """Yield what is found of the Ray cluster at `ray` (else this machine's), Prefect, `stores` and disks."""
    yield from _ray(ray)
    yield from _prefect()
    for store in stores:
        yield _store(store)
    yield from _disks()


def _ray(address: str | None) -> Iterator[Finding]:
    from pipelines import cluster

    cluster.use_token()
    address = address or cluster.current()
    if os.environ["RAY_AUTH_MODE"] != "token":
        open_to_all = "whoever reaches the cluster runs code on it: unset RAY_AUTH_MODE"
        yield Finding("Ray token", "missing", "off", open_to_all)
    if address is None:
        yield Finding("Ray", "ok", "starts with a command, on loopback, with a token")
        return
    yield _guarded("Ray", f"{address.rstrip('/')}/api/jobs/", _ray_credentials(), _RAY)


def _prefect() -> Iterator[Finding]:
    from pipelines import server

    url = os.environ.get("PREFECT_API_URL") or server.served()
    if url is None:
        yield Finding("Prefect", "ok", "embedded server, on loopback while a command runs")
        return
    yield _guarded("Prefect", f"{url.rstrip('/')}/admin/version", _prefect_credentials(url), _PREFECT)


_RAY = {
    "open": "whoever reaches it runs code on it: start every node with RAY_AUTH_MODE=token and a token",
    "refused": "set RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to the cluster's token",
    "silent": "start the cluster, or correct cluster.address",
}
_PREFECT = {
    "open": "whoever reaches it starts runs: set PREFECT_SERVER_API_AUTH_STRING where the server starts",
    "refused": "set PREFECT_API_AUTH_STRING to the server's USER:PASSWORD",
    "silent": "start the server, or correct PREFECT_API_URL",
}


def _guarded(what: str, url: str, credentials: str | None, advice: dict[str, str]) -> Finding:
    """Call with nothing to show, then with what we have."""
    where = url.split("/api")[0]
    bare = _status(url, None)
    if bare is None:
        return Finding(what, "failed", f"{where} does not answer", advice["silent"])
    if bare not in REFUSED:
        return Finding(what, "failed", f"{where} answers without credentials ({bare})", advice["open"])
    ours = _status(url, credentials) if credentials else bare
    if ours in REFUSED:
        return Finding(what, "failed", f"{where} refuses us ({ours})", advice["refused"])
    return Finding(what, "ok", f"{where}, refuses calls without credentials ({bare})")


def _status(url: str, credentials: str | None) -> int | None:
    """The HTTP status of a GET; None if nothing answers."""
    request = urllib.request.Request(url)
    if credentials:
        request.add_header("Authorization", credentials)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)
    except (OSError, ValueError):
        return None


def _ray_credentials() -> str | None:
    token = os.environ.get("RAY_AUTH_TOKEN")
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if not token and path.is_file():
        token = path.read_text().strip()
    return f"Bearer {token}" if token else None


def _prefect_credentials(url: str) -> str | None:
    from pipelines import server

    password = os.environ.get("PREFECT_API_AUTH_STRING")
    if not password and url == server.served():
        password = server.password_file().read_text().strip()
    return "Basic " + base64.b64encode(password.encode()).decode() if password else None


def _store(uri: str) -> Finding:
    """Whether datasets can be written there, and two runs at once stay apart."""
    from curation.stores import StoreError, asking, is_local, make_folder, place

    path = f"{uri.rstrip('/')}/_doctor-{uuid.uuid4().hex}"
    try:
        with asking():
            fs, at = place(path)
            make_folder(uri, place(uri))
            fs.pipe_file(at, b"", **({} if is_local(uri) else {"mode": "create"}))
            again = is_local(uri) or _takes_twice(fs, at)
            fs.rm_file(at)
    except StoreError as error:
        said = error.as_input_error(uri, "doctor")
        return Finding("store", "failed", said.what, said.next_step)
    if again and not is_local(uri):
        meaning = "it has no conditional writes: two runs at once may lose rows; use one that has"
        return Finding("store", "failed", f"{uri} writes an object that is there already", meaning)
    return Finding("store", "ok", f"{uri} is written and read")


def _takes_twice(fs: object, path: str) -> bool:
    try:
        fs.pipe_file(path, b"2", mode="create")  # type: ignore[attr-defined]
    except OSError:
        return False
    return True


def _disks() -> Iterator[Finding]:
    from pipelines import cluster
    from pipelines.home import home

    ray = cluster.folder().parent
    for what, path in (("disk, here", Path.cwd()), ("disk, state", home()), ("disk, Ray", ray)):
        total, used, free = shutil.disk_usage(path)
        found = f"{free / 1e9:,.0f} GB free at {path}"
        if used > RAY_FULL * total:
            yield Finding(what, "missing", found, f"over {RAY_FULL:.0%} full: Ray stops writing; make room")
        elif free < ENOUGH_GB * 1e9:
            yield Finding(
                what, "note", found, "little for media and checkpoints; make room before a large run"
            )
        else:
            yield Finding(what, "ok", found)
