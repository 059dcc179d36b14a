"""Media from the web, politely: what a host does not want taken is not, and no host is asked too often.

A site's robots.txt is heeded (RFC 9309), so are the opt-outs of its answers: `X-Robots-Tag` with noai,
noimageai, noindex or noimageindex (as img2dataset reads it), and `tdm-reservation: 1` (W3C TDMRep). Only
http and https are asked, and no address of this machine or its network, whatever a name resolves to or a
redirect leads to: the connection goes to the very address that was checked.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from curation.errors import MediaError
from curation.sources.datasets import DownloadConfig
from curation.sources.pacing import turn_at

REDIRECTS = 5
CHUNK = 1 << 16
ROBOTS_BYTES = 500 << 10  # of a robots.txt; RFC 9309 asks for as many
OPT_OUTS = frozenset(("noai", "noimageai", "noindex", "noimageindex", "none"))
LATER = frozenset((408, 425, 429, 500, 502, 503, 504))
WAIT_SECONDS, LONGEST_WAIT = 1.0, 120.0


class Downloaded(NamedTuple):
    """A file that has been written, and the hash of its bytes."""

    path: Path
    sha256: str


class _LaterError(Exception):
    """What may come if it is asked for again, after so many seconds."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class Downloader:
    """Downloads for one worker; workers of a machine take turns at each host."""

    def __init__(self, config: DownloadConfig) -> None:
        self._config = config
        self._robots: dict[str, RobotFileParser] = {}

    def fetch(self, url: str, path: Path, sha256: str | None = None) -> Downloaded:
        """Download to `path`. With `sha256`, bytes of another hash are an error.

        Raises MediaError: "refused", "opted_out", "too_large", "missing", "incomplete" or "unreachable".
        """
        for attempt in range(1, self._config.attempts + 1):
            try:
                found = self._follow(url, path)
                if sha256 is not None and found.sha256 != sha256:
                    raise MediaError("changed", f"its bytes have another hash: {found.sha256}")
                return found
            except _LaterError as error:
                if attempt == self._config.attempts:
                    raise MediaError("unreachable", str(error)) from error
                time.sleep(min(LONGEST_WAIT, max(error.after, WAIT_SECONDS * 2 ** (attempt - 1))))
        raise AssertionError("unreachable")

    def _follow(self, url: str, path: Path) -> Downloaded:
        for _ in range(REDIRECTS + 1):
            self._ask_robots(url)
            with _Answer(url, self._config) as answer:
                if answer.redirect is None:
                    self._check(answer.headers)
                    return answer.save(path, int(self._config.max_mb * 1e6))
                url = urljoin(url, answer.redirect)
        raise MediaError("refused", f"more than {REDIRECTS} redirects")

    def _check(self, headers: Mapping[str, str]) -> None:
        if opted_out(headers, self._config.user_agent):
            raise MediaError("opted_out", "its server asks not to use it for training")

    def _ask_robots(self, url: str) -> None:
        if not self._config.robots:
            return
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        if site not in self._robots:
            self._robots[site] = self._read_robots(site)
        if not self._robots[site].can_fetch(self._config.user_agent, url):
            raise MediaError("opted_out", f"the robots.txt of {parts.netloc} does not allow it")

    def _read_robots(self, site: str) -> RobotFileParser:
        """The rules of a site; one without any allows all."""
        found, url = RobotFileParser(), f"{site}/robots.txt"
        for _ in range(REDIRECTS + 1):
            with _Answer(url, self._config, any_status=True) as answer:
                if answer.redirect is not None:
                    url = urljoin(url, answer.redirect)
                    continue
                if answer.status >= 500:
                    raise _LaterError(f"{url} answers {answer.status}")
                text = answer.text(ROBOTS_BYTES) if answer.status < 300 else ""
                found.parse(text.splitlines())
                return found
        found.parse([])
        return found


def opted_out(headers: Mapping[str, str], user_agent: str) -> bool:
    """Whether an answer's headers ask not to be used; a tag may be meant for another agent by name."""
    if headers.get("tdm-reservation", "").strip() == "1":
        return True
    ours = user_agent.partition("/")[0].strip().lower()
    agent = ""
    for part in headers.get("x-robots-tag", "").lower().split(","):
        name, colon, tag = part.rpartition(":")
        agent = name.strip() if colon else agent
        if tag.strip() in OPT_OUTS and agent in ("", ours):
            return True
    return False


def checked_address(host: str, port: int, allow_private: bool) -> str:
    """The address to connect to. Raises MediaError "refused" if any that a name has is not of the public."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise _LaterError(f"{host} cannot be found: {error}") from error
    for address in found:
        if not allow_private and not _is_public(address):
            raise MediaError("refused", f"{host} is at {address}, which is no public address")
    return min(found, key=lambda one: ":" in one)  # IPv4 first: it is there on every machine


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return address.is_global and not address.is_multicast and (inner is None or inner.is_global)


class _Answer:
    """A request that has been answered: its status and headers; the body comes when it is asked for."""

    def __init__(self, url: str, config: DownloadConfig, any_status: bool = False) -> None:
        self._url, self._config, self._any = url, config, any_status
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise MediaError("refused", f"{url!r} is no plain address of http or https")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise MediaError("refused", f"{url!r}: {error}") from error
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._host, self._netloc = parts.hostname, parts.netloc
        address = checked_address(parts.hostname, port, config.allow_private)
        self._connection = _connect(parts.scheme, parts.hostname, address, port, config.timeout_seconds)

    def __enter__(self) -> _Answer:
        headers = {"Host": self._netloc, "User-Agent": self._config.user_agent, "Accept-Encoding": "identity"}
        turn_at(self._netloc, self._config.seconds_between)
        try:
            self._connection.request("GET", _quoted(self._target), headers=headers)
            self._response = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise _LaterError(f"{self._host}: {type(error).__name__}: {error}") from error
        self.status = self._response.status
        joined: dict[str, str] = {}
        for name, value in self._response.getheaders():
            joined[name.lower()] = f"{joined[name.lower()]}, {value}" if name.lower() in joined else value
        self.headers: Mapping[str, str] = joined
        self.redirect = joined.get("location") if self.status in (301, 302, 303, 307, 308) else None
        try:
            self._refuse()
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _refuse(self) -> None:
        if self._any or self.redirect is not None or self.status == 200:
            return
        if self.status in LATER:
            raise _LaterError(
                f"{self._host} answers {self.status}", _seconds(self.headers.get("retry-after"))
            )
        raise MediaError("missing", f"{self._host} answers {self.status}")

    def save(self, path: Path, most: int) -> Downloaded:
        """Write the body to a file; one that is cut short, or goes beyond `most` bytes, is an error."""
        announced = self.headers.get("content-length", "")
        length = int(announced) if announced.isdigit() else None
        if length is not None and length > most:
            raise MediaError("too_large", f"{length:,} bytes")
        digest, count = hashlib.sha256(), 0
        try:
            with path.open("wb") as file:
                while chunk := self._response.read(CHUNK):
                    count += len(chunk)
                    if count > most:
                        raise MediaError("too_large", f"more than {most:,} bytes")
                    digest.update(chunk)
                    file.write(chunk)
        except (OSError, http.client.HTTPException) as error:
            raise _LaterError(f"{self._host} broke off: {type(error).__name__}: {error}") from error
        if length is not None and count != length:
            raise _LaterError(f"{self._host} sent {count:,} of {length:,} bytes")
        return Downloaded(path, digest.hexdigest())

    def text(self, most: int) -> str:
        """The first bytes of the body, as text."""
        try:
            return self._response.read(most).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise _LaterError(f"{self._host}: {type(error).__name__}: {error}") from error


def _connect(scheme: str, host: str, address: str, port: int, timeout: float) -> http.client.HTTPConnection:
    """A connection to `address`; of https, its certificate has to be the host's."""
    if scheme == "http":
        return http.client.HTTPConnection(address, port, timeout=timeout)
    connection = http.client.HTTPSConnection(host, port, timeout=timeout)
    context = ssl.create_default_context()

    def connect() -> None:
        raw = socket.create_connection((address, port), timeout)
        connection.sock = context.wrap_socket(raw, server_hostname=host)

    connection.connect = connect  # type: ignore[method-assign]
    return connection


def _quoted(target: str) -> str:
    from urllib.parse import quote

    return quote(target, safe="/?&=%+,:;@!$'()*~-._#[]")


def _seconds(text: str | None) -> float:
    """What Retry-After says, a number of seconds or a date."""
    if not text:
        return 0.0
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0
