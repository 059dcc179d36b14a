"""The child's side: limits first, then one request after another until the parent goes away."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any

GRACE = 10.0  # seconds after which a hung child ends itself, if its parent no longer does


def main() -> None:
    """Serve on the socket whose number and limits are in the first argument, as JSON."""
    settings = json.loads(sys.argv[1])
    os.dup2(2, 1)  # whatever prints must not mix with the parent's standard output
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (settings["memory_bytes"], settings["memory_bytes"]))
    with socket.socket(fileno=settings["channel"]) as channel:
        _serve(channel, settings["timeout_seconds"], settings["max_pixels"])


def _serve(channel: socket.socket, timeout: float, max_pixels: int) -> None:
    from curation.media import pulse, wire

    _warm()
    wire.send(channel, {"ready": True})
    while True:
        try:
            message, _ = wire.receive(channel)
        except (EOFError, ConnectionError):
            return
        _alive(channel, timeout)
        pulse.watch(lambda: _alive(channel, timeout), timeout / 4)
        answer, blob = _answer(message, max_pixels, channel)
        pulse.watch(None, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        wire.send(channel, answer, blob)


def _alive(channel: socket.socket, timeout: float) -> None:
    """Tell the parent, and put off the end that comes if both it and this process hang."""
    from curation.media import wire

    signal.setitimer(signal.ITIMER_REAL, timeout + GRACE)
    wire.send(channel, {"alive": True})


def _warm() -> None:
    """Load everything that decoding needs, so that no file's time limit pays for it."""
    import cv2

    from curation.media import cut, scan  # noqa: F401

    cv2.setNumThreads(1)


def _answer(message: dict[str, Any], max_pixels: int, channel: socket.socket) -> tuple[dict[str, Any], bytes]:
    from curation.errors import InputError, MediaError

    try:
        return _do(message, max_pixels, channel)
    except MediaError as error:
        return {"slug": error.slug, "message": error.message}, b""
    except InputError as error:
        return {"what": error.what, "step": error.step, "next_step": error.next_step}, b""
    except MemoryError:
        return {"slug": "out_of_memory", "message": "MemoryError"}, b""
    except Exception as error:  # noqa: BLE001 - decoders raise anything; each is one file's error
        return {"slug": "undecodable", "message": f"{type(error).__name__}: {error}"}, b""


def _do(message: dict[str, Any], max_pixels: int, channel: socket.socket) -> tuple[dict[str, Any], bytes]:
    path = Path(message["path"])
    if message["do"] == "scan":
        from curation.media import wire
        from curation.media.apart import HandedOver
        from curation.media.delivery import Delivery
        from curation.media.records import ClipRecord, ScanRequest, ScanResult
        from curation.media.scan import scan

        def hand_over(clips: list[ClipRecord]) -> None:
            wire.send(channel, {"part": True}, ScanResult("video", clips, {}).to_json().encode())

        request = ScanRequest.from_json(message["request"])
        delivery = Delivery(hand_over, message["every_seconds"])
        return {}, scan(path, request, max_pixels, HandedOver(channel), delivery).to_json().encode()
    if message["do"] == "compare":
        from curation.media.pairs import compare

        return {"told": compare(path, Path(message["target"]), max_pixels)}, b""
    if message["do"] == "windows":
        from curation.media.windows import Windows, take

        windows, seen_text = take(path, Windows(**message["wanted"]), max_pixels)
        told = [[one.start_s, one.end_s, [len(frame) for frame in one.frames]] for one in windows]
        blob = b"".join(frame for one in windows for frame in one.frames)
        return {"windows": told, "seen_text": seen_text}, blob
    from curation.media.cut import cut
    from curation.media.records import Finish

    kind, start_s, end_s, num_frames = message["span"]
    done = cut(path, kind, start_s, end_s, num_frames, max_pixels, Finish.from_json(message["finish"]))
    return {"format": done.media_format, "copied": done.copied, "hidden": done.hidden}, done.data


if __name__ == "__main__":
    main()
