"""How parent and child talk: JSON and raw bytes on a socket.

Never pickle: the child handles untrusted media, and what it sends back must not be able to run in the
parent.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

HEAD = struct.Struct(">QQ")
LARGEST = 16 << 30  # bytes of one message


def send(channel: socket.socket, message: dict[str, Any], blob: bytes = b"") -> None:
    """One message with its bytes."""
    text = json.dumps(message).encode()
    channel.sendall(HEAD.pack(len(text), len(blob)) + text)
    channel.sendall(blob)


def receive(channel: socket.socket) -> tuple[dict[str, Any], bytes]:
    """The next message. Raises EOFError if the other side is gone."""
    text_size, blob_size = HEAD.unpack(_exactly(channel, HEAD.size))
    if text_size + blob_size > LARGEST:
        raise EOFError("a message of impossible size")
    return json.loads(_exactly(channel, text_size)), bytes(_exactly(channel, blob_size))


def _exactly(channel: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        count = channel.recv_into(view[got:])
        if count == 0:
            raise EOFError("the other side closed the connection")
        got += count
    return data
