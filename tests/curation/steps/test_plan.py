"""Planning a version: whatever the workers report, each input ends as rows and the funnel closes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from curation.config import DedupConfig
from curation.sources import Item
from curation.steps.judge import Outcome
from curation.steps.plan import PUBLISHED, Plan, Planner
from curation.store import rows

VERDICTS = ("kept", "rejected", "error")
FLAT = bytes(40)


class World:
    """Files with contents, and the dataset that runs over them have made."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []

    def run(
        self, files: dict[str, str | None], recipe: str, verdicts: dict[str, list[str]], fresh: bool
    ) -> Plan:
        """One run over `files` (uri -> content, None: unreadable), whose clips get `verdicts` by content."""
        items = [Item(uri, "test", None, 0) for uri in sorted(files)]
        outcomes = {uri: outcome(uri, content) for uri, content in files.items()}
        planner = Planner(self.published, recipe, fresh)
        contents = {content for content in files.values() if content and not planner.settled(content)}
        judged = {content: judged_rows(content, verdicts[content]) for content in contents}
        plan = planner.plan(items, outcomes, judged, DedupConfig())
        stay = [row for row in self.published if row["sample_id"] not in plan.replaced]
        blank = dict.fromkeys(PUBLISHED)
        self.published = stay + [{**blank, **row, "recipe_sha256": recipe} for row in plan.new]
        return plan


def outcome(uri: str, content: str | None) -> Outcome:
    """What a worker says of a file."""
    state = "judged" if content else "failed"
    problem = {"step": "sources", "reason": "missing", "detail": "gone"} if content is None else {}
    plain = {"step": None, "reason": None, "detail": None, "kept": 0, "rejected": 0, "errors": 0}
    found: Any = {"uri": uri, "sha256": content, "state": state, **plain, **problem}
    return found  # type: ignore[no-any-return]


def judged_rows(content: str, verdicts: list[str]) -> list[dict[str, Any]]:
    """The staged rows of a file with one clip a verdict; a file that fails has one row."""
    if "error" in verdicts:
        return rows.failed(content, "decode", "truncated", "MediaError: x").to_pylist()
    found = [
        {
            "sample_id": rows.sample_id(content, f"{n}-{n + 1}", "text_to_video"),
            "source_sha256": content,
            "task": "text_to_video",
            "start_s": n,
            "end_s": n + 1,
            "verdict": verdict,
            "filter": "motion" if verdict == "rejected" else None,
            "fingerprint": FLAT,
        }
        for n, verdict in enumerate(verdicts)
    ]
    return [dict.fromkeys(rows.JUDGED.names) | row for row in found]


contents = st.sampled_from(["x", "y", "z", None])
run = st.tuples(
    st.dictionaries(st.sampled_from(["/a", "/b", "/c", "/d"]), contents, min_size=1),
    st.sampled_from(["recipe 1", "recipe 2"]),
    st.fixed_dictionaries({c: st.lists(st.sampled_from(VERDICTS), min_size=1, max_size=4) for c in "xyz"}),
    st.booleans(),
)


@given(st.lists(run, min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_every_input_ends_as_rows_and_the_funnel_closes(runs: list[Any]) -> None:
    """After any runs: ids once, a row an input or more, clips = kept + duplicate + error + rejected."""
    world = World()
    for files, recipe, verdicts, fresh in runs:
        plan = world.run(files, recipe, verdicts, fresh)
        ids = Counter(row["sample_id"] for row in world.published)
        assert max(ids.values()) == 1
        assert {(row["uri"], row["source_sha256"]) for row in plan.rows} == set(files.items())
        assert {id(row) for row in plan.reused} <= {id(row) for row in world.published}
        funnel = plan.funnel(len(files))
        lost = funnel.duplicate + funnel.error + sum(funnel.rejected.values())
        assert funnel.inputs == len(files)
        assert funnel.clips == funnel.kept + lost == len(plan.rows)


@given(run)
@settings(max_examples=100, deadline=None)
def test_second_run_changes_nothing(one: Any) -> None:
    """The same recipe over the same files reuses every input, and its funnel is the same."""
    files, recipe, verdicts, fresh = one
    world = World()
    first = world.run(files, recipe, verdicts, fresh)
    again = world.run(files, recipe, verdicts, fresh=False)
    assert not again.changes
    assert again.reused_inputs == len(files)
    assert again.funnel(len(files)) == first.funnel(len(files))


def test_copies_are_rows_of_their_own() -> None:
    """Of files with the same bytes the first is judged; any other is an exact duplicate that names it."""
    plan = World().run({"/b": "x", "/a": "x", "/c": "x"}, "recipe", {"x": ["kept", "rejected"]}, False)
    found = [(row["uri"], row["verdict"], row["reason"], row["detail"]) for row in plan.new]
    assert found == [
        ("/a", "kept", None, None),
        ("/a", "rejected", None, None),
        ("/b", "duplicate", "exact_duplicate", "same bytes as /a"),
        ("/c", "duplicate", "exact_duplicate", "same bytes as /a"),
    ]


def test_copy_of_a_published_file_is_appended() -> None:
    """A new name for bytes that an earlier version has judged adds one row and replaces none."""
    world = World()
    world.run({"/a": "x"}, "recipe", {"x": ["kept"]}, False)
    plan = world.run({"/a": "x", "/new": "x"}, "recipe", {"x": ["kept"]}, False)
    assert [(row["uri"], row["reason"]) for row in plan.new] == [("/new", "exact_duplicate")]
    assert plan.replaced == set()
    assert plan.reused_inputs == 1


def test_new_recipe_replaces_the_rows_of_its_files_only() -> None:
    """Another recipe judges its inputs again; rows of files that it does not list stay."""
    world = World()
    verdicts = {"x": ["kept"], "y": ["kept"]}
    world.run({"/a": "x", "/b": "y"}, "recipe 1", verdicts, False)
    plan = world.run({"/a": "x"}, "recipe 2", verdicts, False)
    assert plan.replaced == {plan.new[0]["sample_id"]}
    assert {row["uri"]: row["recipe_sha256"] for row in world.published} == {
        "/a": "recipe 2",
        "/b": "recipe 1",
    }


def test_file_that_becomes_readable_leaves_its_error_behind() -> None:
    """The error row of a file that could not be read goes when the file can be."""
    world = World()
    world.run({"/a": None}, "recipe", {}, False)
    assert [row["verdict"] for row in world.published] == ["error"]
    world.run({"/a": "x"}, "recipe", {"x": ["kept"]}, False)
    assert [row["verdict"] for row in world.published] == ["kept"]
