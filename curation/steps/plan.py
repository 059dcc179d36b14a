"""What a run publishes, decided from what its workers found: every input ends as at least one row.

No reading or writing here: outcomes, judged clips and the rows of the version before come in, rows go out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from curation.config import DedupConfig
from curation.dataset import DEDUP_SCORE, Funnel, count_funnel
from curation.sources import Item
from curation.steps.dedup import Candidate, find_duplicates
from curation.steps.judge import Outcome
from curation.store import rows

Row = dict[str, Any]

# Of a published row, what planning needs.
PUBLISHED = (
    *("sample_id", "source_sha256", "uri", "task", "start_s", "end_s", "width", "height"),
    *("verdict", "filter", "reason", "detail", "scores", "fingerprint", "recipe_sha256"),
)
_FATE = ("verdict", "filter", "reason", "detail", "uri")
QUALITY = "quality_block_quality"  # of two equally large clips, the higher one is less compressed


@dataclass
class Plan:
    """The next version against the one before: rows that come, this run's rows that stay, ids that go.

    A new row has the columns that are known by now, and `staged`: whether a worker has judged it.
    """

    new: list[Row] = field(default_factory=list)
    reused: list[Row] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)
    reused_inputs: int = 0
    confirmed: set[str] = field(default_factory=set)  # recipes of rows that this run would judge alike

    @property
    def changes(self) -> bool:
        """Whether there is anything to publish."""
        return bool(self.new or self.replaced)

    @property
    def rows(self) -> list[Row]:
        """All rows of this run's inputs."""
        return [*self.new, *self.reused]

    def funnel(self, inputs: int) -> Funnel:
        """Where the clips of this run's inputs went, reused ones included."""
        names = ("uri", "verdict", "filter")
        columns = {name: pa.array([row[name] for row in self.rows], pa.string()) for name in names}
        return count_funnel(pa.table(columns))._replace(inputs=inputs)


class Planner:
    """Plans one run over the version before it (`published`: its rows, with the columns of PUBLISHED)."""

    def __init__(self, published: Sequence[Row], recipe_sha256: str, fresh: bool = False) -> None:
        self._published = published
        self._recipe = recipe_sha256
        self._by_hash: dict[str, list[Row]] = {}
        self._unread: dict[str, list[Row]] = {}  # by uri: files that could not be read last time
        for row in published:
            sha256 = row["source_sha256"]
            place = self._unread if sha256 is None else self._by_hash
            place.setdefault(row["uri"] if sha256 is None else sha256, []).append(row)
        self._fresh = fresh

    def settled(self, sha256: str) -> bool:
        """Whether a file's clips stand in the version before as this recipe judged them."""
        found = self._by_hash.get(sha256, ())
        recipes = {row["recipe_sha256"] for row in found if row["reason"] != rows.EXACT_DUPLICATE}
        return not self._fresh and recipes == {self._recipe}

    def all_settled(self) -> list[str]:
        """The hashes of all settled files."""
        return [sha256 for sha256 in self._by_hash if self.settled(sha256)]

    def standing(self) -> Iterator[Row]:
        """The published rows of settled files."""
        return (row for row in self._published if row["source_sha256"] and self.settled(row["source_sha256"]))

    def plan(
        self,
        items: Sequence[Item],
        outcomes: Mapping[str, Outcome],
        judged: Mapping[str, Sequence[Row]],
        dedup: DedupConfig,
    ) -> Plan:
        """Rows of `items`, in their order; `judged` has the clips of each file not settled, by its hash.

        A clip that was decided without its file has the published row `before`, which stays if it may.
        """
        plan = Plan()
        originals: dict[str, str] = {}
        listed = {item.uri for item in items}
        for item in items:
            sha256 = outcomes[item.uri]["sha256"]
            if sha256 is None:
                self._unreadable(plan, item, outcomes[item.uri])
                continue
            plan.replaced |= {row["sample_id"] for row in self._unread.get(item.uri, ())}
            if self.settled(sha256):
                self._settled(plan, item, sha256)
                continue
            original = originals.setdefault(sha256, _original(item, sha256, judged[sha256], outcomes))
            if item.uri != original:
                task = judged[sha256][0]["task"]
                copy = rows.copy(sha256, item.uri, task, original)
                plan.new.append(_row(item, copy | self._before(copy, sha256, judged), sha256))
            else:
                plan.replaced |= set(self._replaced(sha256, listed))
                seen = {"staged": True, "rate": _rate(item, judged[sha256])}
                plan.new += [_row(item, clip, sha256) | seen for clip in judged[sha256]]
        self._mark_near_duplicates(plan, dedup)
        _spare(plan)
        return plan

    def _before(self, copy: Row, sha256: str, judged: Mapping[str, Sequence[Row]]) -> Row:
        """The published row of a copy, if the clips of its file are decided without it."""
        if not any(clip.get("before") for clip in judged[sha256]):
            return {}
        known = (row for row in self._by_hash[sha256] if row["sample_id"] == copy["sample_id"])
        return {"before": next(known, None)}

    def _unreadable(self, plan: Plan, item: Item, outcome: Outcome) -> None:
        known = self._unread.get(item.uri, [])
        found = _unread(item.uri, outcome)
        same = [row for row in known if row["reason"] == found["reason"]]
        if same and not self._fresh:
            plan.reused += same
            plan.reused_inputs += 1
            return
        plan.replaced |= {row["sample_id"] for row in known}
        plan.new.append(_row(item, found, None))

    def _settled(self, plan: Plan, item: Item, sha256: str) -> None:
        found = self._by_hash[sha256]
        own = [row for row in found if row["uri"] == item.uri]
        if own:
            plan.reused += own
            plan.reused_inputs += 1
            return
        first = next((row for row in found if row["reason"] != rows.EXACT_DUPLICATE), found[0])
        plan.new.append(_row(item, rows.copy(sha256, item.uri, first["task"], first["uri"]), sha256))

    def _replaced(self, sha256: str, listed: set[str]) -> Iterable[str]:
        """Rows that a newly judged file takes the place of: its clips, and its copies if they are listed."""
        for row in self._by_hash.get(sha256, ()):
            if row["reason"] != rows.EXACT_DUPLICATE or row["uri"] in listed:
                yield row["sample_id"]

    def _mark_near_duplicates(self, plan: Plan, dedup: DedupConfig) -> None:
        kept = [row for row in plan.new if _is_compared(row)]
        if not kept:
            return
        standing = (row for row in self._published if _is_compared(row))
        old = [row for row in standing if row["sample_id"] not in plan.replaced]
        asked = [candidate(row, bool(row.get("standing"))) for row in kept]
        found = find_duplicates([*(candidate(row, True) for row in old), *asked], dedup)
        for row in kept:
            match = found.get(row["sample_id"])
            if match and not row.get("standing"):
                row |= {**rows.looks_like(match.winner, match.hamming), DEDUP_SCORE: match.hamming}


def _is_compared(row: Row) -> bool:
    """Whether a row may be a duplicate for its looks: a picture may well be asked about twice."""
    return row["verdict"] == "kept" and row["task"] in rows.GENERATION


def _unread(uri: str, outcome: Outcome) -> Row:
    """What says of an input without a hash why it has none."""
    detail = str(outcome["detail"])
    if outcome["state"] == "repeated":
        return rows.again(uri, detail)
    return rows.error(f"uri:{uri}", "sources", str(outcome["reason"]), detail)


def _original(item: Item, sha256: str, clips: Sequence[Row], outcomes: Mapping[str, Outcome]) -> str:
    """Of the files with the same bytes, the one whose clips they are: the first, or the published one."""
    before = next((clip["before"]["uri"] for clip in clips if clip.get("before")), item.uri)
    return before if before in outcomes and outcomes[before]["sha256"] == sha256 else item.uri


def _spare(plan: Plan) -> None:
    """Leave rows as they are published that were decided without their file and come out the same."""
    coming = [row for row in plan.new if not _same(row, row.get("before"))]
    staying = [row["before"] for row in plan.new if _same(row, row.get("before"))]
    plan.new, plan.reused = coming, [*plan.reused, *staying]
    plan.replaced -= {row["sample_id"] for row in staying}
    plan.confirmed |= {row["recipe_sha256"] for row in staying}
    plan.reused_inputs += len({row["uri"] for row in staying} - {row["uri"] for row in coming})


def _same(row: Row, before: Row | None) -> bool:
    again = row["verdict"] == "kept" and row.get("again")
    return before is not None and not again and all(row[key] == before[key] for key in _FATE)


def _row(item: Item, found: Mapping[str, Any], sha256: str | None) -> Row:
    where = {"uri": item.uri, "source": item.source, "licence": item.licence, "source_sha256": sha256}
    return {"task": None, "filter": None, "start_s": None, **found, **where, "staged": False}


def _rate(item: Item, clips: Sequence[Row]) -> float:
    """Bytes of the file for each second of its clips; of an image, all its bytes."""
    return item.size / (sum((clip["end_s"] or 0.0) - (clip["start_s"] or 0.0) for clip in clips) or 1.0)


def candidate(row: Row, published: bool) -> Candidate:
    """A row, with the columns of PUBLISHED, as deduplication compares it."""
    scores = dict(row["scores"] or {})
    start, end = row["start_s"] or 0.0, row["end_s"] or 0.0
    return Candidate(
        sample_id=row["sample_id"],
        kind="image" if "image" in row["task"] else "video",
        source=row["source_sha256"],
        seconds=end - start,
        area=(row["width"] or 0) * (row["height"] or 0),
        quality=scores.get(QUALITY),
        rate=row.get("rate", 0.0),
        uri=row["uri"],
        start_s=start,
        published=published,
        fingerprint=row["fingerprint"] or b"",
    )
