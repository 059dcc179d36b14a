"""The datasets of the paper's Table 1 as released, one module each: what it reads is in its docstring.

A module whose name does not begin with an underscore is a dataset, and has a READER. Records are listed by
where they lie; each is read, and its media looked for, once its turn comes.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from curation.sources._source import Item, Location, SourceConfig
from curation.sources.datasets._sample import Reader


@functools.cache
def names() -> tuple[str, ...]:
    """The datasets that there are readers for."""
    return tuple(one.name for one in pkgutil.iter_modules(__path__) if not one.name.startswith("_"))


def reader_of(name: str) -> Reader:
    """How a dataset is read."""
    found: Reader = importlib.import_module(f"{__name__}.{name}").READER
    return found


def _known(text: str) -> str:
    """A dataset's name, however its words are joined."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower().replace("ñ", "n")).strip("_")
    if name in names():
        return name
    near = difflib.get_close_matches(name, names(), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names())}"
    raise ValueError(f"no dataset {text!r}; {hint}")


class DownloadConfig(BaseModel):
    """How media is downloaded that a dataset has only the addresses of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_agent: str = Field(default="omnivideo/0.1 (dataset curation)", min_length=1)
    seconds_between: float = Field(
        default=1.0, ge=0, description="requests to one host, over all workers of a machine"
    )
    timeout_seconds: float = Field(default=30.0, gt=0, description="without a byte")
    attempts: int = Field(default=3, ge=1, description="at what may come later: timeouts, 429, 5xx")
    max_mb: float = Field(default=200.0, gt=0, description="larger files are not downloaded, in 10^6 bytes")
    robots: bool = Field(default=True, description="ask each host's robots.txt")
    allow_private: bool = Field(
        default=False,
        description="also from addresses of this machine and its network: for tests and mirrors",
    )


class DatasetSource(SourceConfig):
    """One of the paper's datasets as it is released, below a folder."""

    dataset: Annotated[str, AfterValidator(_known)] = Field(
        description="which; see curation/sources/datasets"
    )
    root: Location = Field(description="path or fsspec URL of the folder that it was downloaded to")
    annotations: tuple[str, ...] | None = Field(
        default=None, description="glob patterns below the root; default: the released names"
    )
    media: Location | None = Field(
        default=None, description="the folder that media paths are relative to; default: the root"
    )
    download: DownloadConfig = DownloadConfig()

    def where(self) -> str:
        """The root."""
        return self.root

    def label(self) -> str:
        """The `source` column, unless `name` says otherwise: the dataset's name."""
        return self.name or self.dataset

    def items(self) -> Iterator[Item]:
        """All records, file by file. Raises InputError if there are no annotations."""
        from curation.sources.datasets import _listing

        reader = reader_of(self.dataset)
        origin = (self.dataset, self.media or self.root, self.download.model_dump_json(exclude_defaults=True))
        blank = Item("", self.label(), self.licence or reader.licence, 0, reader=origin)
        for file in _listing.annotation_files(self.root, self.annotations or reader.annotations):
            if reader.links:
                yield from _listing.links(file, reader.links, self.media or self.root, blank)
            else:
                yield from _listing.items(file, blank)
