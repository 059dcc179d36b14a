"""As many clips as wanted out of one short film: the same pictures in files that are not the same."""

from __future__ import annotations

from pathlib import Path


def repeat(film: Path, count: int, folder: Path) -> Path:
    """`count` files that decode alike; what tells them apart stands after the end of the film."""
    folder.mkdir()
    content = film.read_bytes()
    for number in range(count):
        mark = number.to_bytes(4, "big")
        (folder / f"{number:06d}{film.suffix}").write_bytes(content + b"\x00\x00\x00\x0cfree" + mark)
    return folder
