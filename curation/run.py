"""One curation run, from sources to a published version. Killed and started again, it goes on."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from curation import caption, edits, engine
from curation.config import CurateRequest
from curation.dataset import VERDICTS, Dataset
from curation.events import Emit, Stage
from curation.sources import DatasetSource, Item, list_items
from curation.steps import cutter
from curation.steps.assemble import SHARD, Assembler, pack
from curation.steps.carry import carry
from curation.steps.cuts import CUT
from curation.steps.finishing import finish
from curation.steps.judge import JUDGED, KNOWN, Outcome
from curation.steps.judging import judge_all
from curation.steps.links import stage_known
from curation.steps.losses import StoppedError, check_read
from curation.steps.ordering import settle
from curation.steps.plan import PUBLISHED, Plan, Planner, Row
from curation.steps.published import published, slim
from curation.steps.redecide import Decided, redecide
from curation.steps.restage import DECIDED, MEASURED, restage
from curation.store.commits import newest
from curation.store.lease import Lease, leased, leased_if_free
from curation.store.lineage import lineage
from curation.store.publish import Change, ConflictError, check_output, discard, existing, publish
from curation.store.rows import JUDGED as JUDGED_ROWS
from curation.store.seen import Seen
from curation.store.shard import ShardFile
from curation.store.staging import Staging

TRIES = 5  # at publishing, when other runs publish in between
ATTEMPT = "attempt"  # the stage that names the attempts that may have written data files
FEW_ROWS = 512  # are written in this process, which is faster than starting workers; it need not grow
ABANDONED_HOURS = 24.0  # what a killed run of another recipe has staged is kept so long, to go on with
WAITING_SECONDS = 5.0  # between two events of a run that waits for another
NAMED = ("sample_id", "uri", "verdict", "filter", "reason", "detail")  # what is told of an error's row
COMPARED = ("scores", "fingerprint")  # of a row: what only the search for duplicates looks at
MB = 1e6


def curate(request: CurateRequest, emit: Emit) -> dict[str, Any]:
    """Run it; return the result of the command (DESIGN: `curate`), with the number of reused inputs.

    Raises InputError before any work if a filter's model is missing or the sources or the output cannot be
    used, after the work if none of them could be read; StoppedError if a step loses too much.
    """
    began = time.monotonic()
    for rule in request.rules():
        rule.check()
    check_output(request.out)
    items = list_items(request.sources, request.out, request.limit)
    staging = Staging(request.out, request.recipe_sha256())
    with leased(request.out, staging.key, _Waiting(emit)) as lease:
        if request.fresh:
            staging.clear()
        version, plan = _publish_once(request, items, staging, emit, lease)
        _clear(staging)
    for other in staging.others(ABANDONED_HOURS):
        with leased_if_free(other.dataset, other.key) as free:
            if free:
                _clear(other)
    check_read(plan.rows, len(items), f"{request.out} version {version}")
    return {
        "dataset": request.out,
        "version": version,
        "funnel": plan.funnel(len(items)).as_json(),
        "seconds": round(time.monotonic() - began, 1),
        "reused": plan.reused_inputs,
        "published": plan.changes,
    }


def _publish_once(
    request: CurateRequest, items: list[Item], staging: Staging, emit: Emit, lease: Lease
) -> tuple[int, Plan]:
    for _ in range(TRIES):
        try:
            return _Run(request, items, staging, emit, lease).go()
        except ConflictError:
            continue
    what = f"{TRIES} other runs have published before this one could"
    raise StoppedError(what, "publishing", "run the same command again: nothing finished is lost")


class _Waiting:
    """Tells that another run of the same recipe works on the same dataset."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._began = self._told = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._told >= WAITING_SECONDS:
            self._told = time.monotonic()
            seconds = round(self._told - self._began, 1)
            counts = {"in": 0, "total": None, "seconds": seconds, "done": False}
            self._emit({"event": "progress", "stage": "waiting", **counts})


def _clear(staging: Staging) -> None:
    _discard_attempts(staging)
    staging.clear()


def _discard_attempts(staging: Staging) -> None:
    """Remove data files of runs that were killed, or beaten, before they could publish them."""
    for attempt in staging.names(ATTEMPT):
        discard(staging.dataset, attempt)


class _Run:
    """One pass over all steps on top of one version; what is staged already is not done again."""

    def __init__(
        self, request: CurateRequest, items: list[Item], staging: Staging, emit: Emit, lease: Lease
    ) -> None:
        self._request = request
        self._items = items
        self._staging = staging
        self._emit = emit
        self._lease = lease
        self._known: set[str] = set()  # hashes of files that need no decoding
        self._base: Dataset | None = existing(request.out)
        before = published(self._base) if self._base else []
        self._planner = Planner(before, request.recipe_sha256(), request.fresh)
        known = self._base is not None and not request.fresh
        history = self._base.history() if self._base else []
        seen = (row["uri"] for row in before)
        self._order = settle(request, items, staging, newest(history).get("cascade"), seen, engine.each)
        names = self._order.names
        self._decided = redecide(before, history, request, names) if known else Decided()

    def go(self) -> tuple[int, Plan]:
        """Judge, plan, finish and publish; if nothing changes, the version stays what it is."""
        plan, hashes = self._settle(self._know())
        for row in plan.new:
            if row["verdict"] == "error":
                self._emit({"event": "sample", "stage": row["filter"], **{one: row[one] for one in NAMED}})
        _discard_attempts(self._staging)
        if not plan.changes and self._base is not None:
            return self._base.version, plan
        self._restage(plan)
        if self._base is not None:
            carry(self._base, self._staging, self._request.caption, plan.new, self._decided.carried())
        finish(self._request, plan, self._staging, self._emit)
        attempt = uuid.uuid4().hex[:12]
        self._staging.write(ATTEMPT, attempt, pa.table({"attempt": [attempt]}))
        shards = self._write(plan, attempt)
        told = lineage(self._request, hashes, plan.funnel(len(self._items)))
        told |= {"confirms": sorted(plan.confirmed), "cascade": self._order.as_json()}
        if self._lease.lost:
            what = "another run took this one for dead and has gone on with its work"
            raise StoppedError(what, "publishing", "look at its result, or run the same command again")
        change = Change(attempt, shards, plan.replaced, self._score_names(), told)
        return publish(self._request.out, self._base, change).version, plan

    def _settle(self, known: str | None) -> tuple[Plan, set[str]]:
        """What becomes of each input, and the hashes of all; what the workers said of them is let go."""
        seen = Seen(self._request.out)
        unread = {} if self._request.fresh else seen.recall(self._items)
        settled = {uri: sha256 for uri, sha256 in unread.items() if sha256 in self._known}
        names = self._order.names
        outcomes = judge_all(self._request, self._items, self._staging, known, settled, names, self._emit)
        seen.keep(self._items, {uri: outcome["sha256"] for uri, outcome in outcomes.items()})
        plan = self._plan(outcomes)
        for row in plan.new:
            for name in COMPARED:
                row.pop(name, None)
        return plan, {outcome["sha256"] or outcome["uri"] for outcome in outcomes.values()}

    def _know(self) -> str | None:
        """Tell the workers which files, and which clips of others, need no decoding."""
        if self._base is None:
            return None
        name = str(self._base.version)
        hashes = self._known = {*self._planner.all_settled(), *self._decided.whole}
        self._staging.write(KNOWN, name, pa.table({"source_sha256": pa.array(sorted(hashes), pa.string())}))
        stage_known(self._staging, name, self._planner.standing())
        listed = {item.uri for item in self._items}
        for stage, files in ((DECIDED, self._decided.partly), (MEASURED, self._decided.measured)):
            wanted = {one: c for one, c in files.items() if any(clip["uri"] in listed for clip in c)}
            restage(self._base, self._staging, stage, wanted)
        return name

    def _restage(self, plan: Plan) -> None:
        """Stage the files that were decided without a worker and have rows that change."""
        changed = {row["source_sha256"] for row in plan.new if row["staged"]}
        files = {one: clips for one, clips in self._decided.whole.items() if one in changed}
        if self._base is not None:
            restage(self._base, self._staging, JUDGED, files)

    def _plan(self, outcomes: Mapping[str, Outcome]) -> Plan:
        planner = self._planner
        hashes = {o["sha256"] for o in outcomes.values() if o["sha256"] and not planner.settled(o["sha256"])}
        judged = self._judged(sorted(hashes))
        stage = Stage("dedup", self._emit)
        plan = planner.plan(self._items, outcomes, judged, self._request.dedup)
        came_with = {item.uri: item.caption for item in self._items}
        for row in plan.new:
            row["caption_original"] = came_with[row["uri"]]
        verdicts = [row["verdict"] for row in plan.new]
        kept, twice = verdicts.count("kept"), verdicts.count("duplicate")
        stage.add(kept + twice, kept=kept, rejected=twice)
        stage.done()
        return plan

    def _judged(self, hashes: list[str]) -> dict[str, list[Row]]:
        """The clips of files, each with what is known of its published row."""
        columns = [name for name in PUBLISHED if name in JUDGED_ROWS.names]
        scanned = [sha256 for sha256 in hashes if sha256 not in self._decided.whole]
        tables = self._staging.read(JUDGED, scanned, columns)
        found = dict(self._decided.whole)
        for sha256, table in zip(scanned, tables, strict=True):
            decided = {clip["sample_id"]: clip for clip in self._decided.partly.get(sha256, ())}
            clips = (row | {"source_sha256": sha256} for row in table.to_pylist())  # one string for all
            found[sha256] = [decided.get(row["sample_id"]) or slim(row) for row in clips]
        return found

    def _write(self, plan: Plan, attempt: str) -> list[ShardFile]:
        config = self._request.shards
        packed = pack(plan.new, self._staging.names(CUT), config.target_mb * MB, config.row_group_mb * MB)
        names = []
        for number, planned in enumerate(packed):
            names.append(f"{attempt}-{number:05d}")
            self._staging.write(SHARD, names[-1], planned)
        lineage, asked = self._lineage(), self._request.caption.asks_a_model
        make = partial(Assembler, self._staging, attempt, self._score_names(), lineage, asked)
        few = len(plan.new) <= FEW_ROWS and len(names) <= len(VERDICTS)
        written = map(make(), names) if few else engine.each(make, names)
        stage = Stage("shards", self._emit, len(plan.new))
        shards = []
        for shard in written:
            shards.append(ShardFile(*shard))
            stage.add(shards[-1].rows, kept=shards[-1].rows)
        stage.done()
        return shards

    def _score_names(self) -> list[str]:
        known = self._base.score_names if self._base else []
        rules = self._request.rules()
        captions = caption.SCORES if self._request.caption.asks_a_model else ()
        scores = (f"{rule.name()}_{score}" for rule in rules for score in rule.scores)
        pairs = edits.SCORES if any(isinstance(one, DatasetSource) for one in self._request.sources) else ()
        return sorted({*known, *cutter.SCORES, *captions, *pairs, *scores})

    def _lineage(self) -> dict[str, str]:
        return {"run_id": self._request.run_id, "recipe_sha256": self._request.recipe_sha256()}
