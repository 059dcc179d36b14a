"""What a curation run is asked to do. Each section's model stands beside the code that it configures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from curation.caption import CaptionConfig
from curation.edits import EditsConfig
from curation.filters import Filter, parse
from curation.sources import Source
from curation.sources._source import Location
from curation.split import SplitConfig


class DedupConfig(BaseModel):
    """When two clips are one. Exact copies of a file are always found, by the hash of their bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    perceptual: bool = Field(default=True, description="look for clips that look the same, too")
    max_hamming: float = Field(
        default=7.8,  # from 8 on, candidates cost five times as much
        ge=0,
        le=11,
        description="mean distance of the 64-bit perceptual hashes, in bits (Krawetz 2011, "
        "hackerfactor.com 'Looks Like It': up to 5 close enough, 10 or more another picture)",
    )
    max_seconds_apart: float = Field(
        default=0.5, ge=0, description="duplicates' durations differ by at most this"
    )
    within_source: bool = Field(
        default=False, description="compare clips of one file, too: parts of a long take look alike"
    )


class ShardsConfig(BaseModel):
    """How a version is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target_mb: float = Field(default=256.0, gt=0, description="bytes of rows in a Parquet file, in 10^6")
    row_group_mb: float = Field(default=32.0, gt=0, description="bytes of rows in a row group, in 10^6")
    max_error_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="a step that loses more of its (at least 10) inputs to errors stops the run unpublished",
    )


def _identity(filter_name: str, version: int) -> str:
    """A filter's name, of a later version with its number; of one in a file of the user's own, its name and
    contents, not where it lies.
    """
    if not filter_name.endswith(".py"):
        return filter_name if version == 1 else f"{filter_name}:{version}"
    path = Path(filter_name)
    return f"{path.name}:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _measuring(rule: Filter) -> dict[str, Any]:
    """All of a filter that determines its scores."""
    ((name, fields),) = rule.entry().items()
    how = {field: value for field, value in fields.items() if field not in rule.thresholds}
    return {"filter": _identity(name, rule.version), "revision": rule.revision(), **how}


def _sha256(part: Any) -> str:
    canonical = json.dumps(part, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class CurateRequest(BaseModel):
    """One run of `python -m curation.job`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[Source, ...] = Field(min_length=1)
    split: SplitConfig = SplitConfig()
    filters: tuple[str | dict[str, dict[str, Any] | None], ...] = ()
    dedup: DedupConfig = DedupConfig()
    edits: EditsConfig = EditsConfig()
    caption: CaptionConfig = CaptionConfig()
    shards: ShardsConfig = ShardsConfig()
    cluster: dict[str, Any] = Field(
        default_factory=dict, description="where the job runs; its caller's affair"
    )
    out: Location = Field(description="folder or URL of the dataset")
    limit: int | None = Field(default=None, ge=1, description="only the first inputs")
    fresh: bool = Field(default=False, description="judge again what is staged or published")
    score_all: bool = Field(default=False, description="run all filters on each clip, rejected or not")
    recipe: dict[str, Any] = Field(default_factory=dict, description="the whole, for the lineage")
    run_id: str = Field(default="run", min_length=1)

    @field_validator("filters")
    @classmethod
    def _known(cls, entries: tuple[str | dict[str, Any], ...]) -> tuple[str | dict[str, Any], ...]:
        parse(entries)
        return entries

    def rules(self) -> tuple[Filter, ...]:
        """The filters, with their defaults filled in."""
        return parse(self.filters)

    def recipe_sha256(self) -> str:
        """Hash of all that determines the rows of a source; the order of the filters does not."""
        rules = [(_identity(name, r.version), how) for r in self.rules() for name, how in r.entry().items()]
        parts = {
            "split": self.split.identity(),
            "filters": sorted(rules, key=lambda rule: rule[0]),
            "dedup": self.dedup.model_dump(),
            "caption": self.caption.identity(),
            "shards": self.shards.model_dump(exclude={"max_error_share"}),
            "score_all": self.score_all,
        }
        if self.edits != EditsConfig():  # recipes without it keep their hash
            parts["edits"] = self.edits.model_dump()
        return _sha256(parts)

    def measured(self) -> dict[str, Any]:
        """Hashes of what determines clips, duplicates, captions, pictures, and of what each filter measures.

        Thresholds are not in it: they decide, they do not measure.
        """
        parts: dict[str, Any] = {"split": self.split.identity(), "dedup": self.dedup.model_dump()}
        parts["caption"] = self.caption.identity()
        rules = self.rules()
        changing = [_measuring(rule) for rule in rules if rule.crops or rule.hides_faces]
        parts |= {"finish": changing} if changing else {}
        filters = {rule.name(): _sha256(_measuring(rule)) for rule in rules}
        return {**{name: _sha256(part) for name, part in parts.items()}, "filters": filters}
