"""What a run leaves in Prefect's UI: progress, the funnel, and links, one keyed artifact each.

An artifact that cannot be written is a line in the log: the work itself does not depend on the UI.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from pipelines import funnel, scores

Event = dict[str, Any]
SECONDS_GONE = 300.0  # until a server that did not answer is asked again
SECONDS_BETWEEN = 3.0  # updates of a progress artifact; each is a call to the server
PUBLISHED = "omnivideo.dataset.published"  # the event that a new version gives off


class Progress:
    """Hands a job's progress events on, and keeps one progress artifact up to date with them."""

    def __init__(self, module: str, listener: Callable[[Event], None]) -> None:
        self._key = f"{module.replace('.', '-').removesuffix('-job')}-progress"
        self._listener = listener
        self._artifact: UUID | None = None
        self._told = 0.0
        self._last: tuple[float, str] | None = None

    def __call__(self, event: Event) -> None:
        """Take one progress event."""
        self._listener(event)
        found = progress_of(event)
        if found:
            self._last = found
            if time.monotonic() - self._told >= SECONDS_BETWEEN:
                self._tell(*found)

    def close(self) -> None:
        """Tell the last state, however soon after the one before."""
        if self._last and self._told <= time.monotonic():
            self._tell(*self._last)

    def _tell(self, percent: float, text: str) -> None:
        # Prefect's client takes a minute to give up on a server that is gone; the job's events would wait.
        self._told = time.monotonic() + SECONDS_GONE
        with _best_effort("progress"):
            if self._artifact is None:
                self._artifact = create_progress_artifact(percent, key=self._key, description=text)  # type: ignore[assignment]
            else:
                update_progress_artifact(self._artifact, percent, description=text)
            self._told = time.monotonic()


def progress_of(event: Event) -> tuple[float, str] | None:
    """Percent done and one line for people, or None where an event does not say how much there is."""
    done, total = event.get("step", event.get("in")), event.get("steps", event.get("total"))
    if not total or done is None:
        return None
    return min(100.0, 100.0 * done / total), f"{event['stage']}: {done:,} of {total:,}"


def is_cancelled() -> bool:
    """Whether somebody asked to cancel this flow run, or the one that it is a part of."""
    with get_client(sync_client=True) as client:
        states = [
            client.read_flow_run(UUID(one)).state for one in {flow_run.id, flow_run.root_flow_run_id} if one
        ]
    return any(state is not None and (state.is_cancelling() or state.is_cancelled()) for state in states)


def show_curated(result: Mapping[str, Any]) -> None:
    """The funnel as a table, the version in a few lines, and an event that automations can wait for."""
    dataset, version = str(result["dataset"]), result["version"]
    counts = result["funnel"]
    name = slug(dataset)
    rows = [{"clips": "kept", "count": counts["kept"]}]
    rows += [{"clips": f"rejected: {by}", "count": count} for by, count in counts["rejected"].items()]
    rows += [{"clips": kind, "count": counts[kind]} for kind in ("duplicate", "error")]
    with _best_effort("funnel"):
        create_table_artifact(rows, key=f"funnel-{name}", description=f"{counts['inputs']:,} inputs")
        text = "\n".join(["```", *funnel.lines(dict(result)), "```"])
        create_markdown_artifact(f"# {dataset}\n\nversion **{version}**\n\n{text}", key=f"dataset-{name}")
        emit_event(
            PUBLISHED,
            resource={"prefect.resource.id": resource(dataset), "prefect.resource.name": dataset},
            payload={"version": version, "kept": counts["kept"], "clips": counts["clips"]},
        )


def show_audit(result: Mapping[str, Any]) -> None:
    """The audit page, linked, with its verdict and the gates."""
    page = str(result["html"])
    gates = [f"{gate['name']} {'open' if gate['holds'] else '**shut**'}" for gate in result["gates"]]
    text = ". ".join([result["verdict"]["sentence"].rstrip("."), *gates])
    with _best_effort("audit"):
        create_link_artifact(
            _link(page), key=f"audit-{slug(result['dataset'])}", link_text=page, description=text
        )


def show_evaluated(result: Mapping[str, Any]) -> None:
    """The scores as a table, and the page with what was generated, linked."""
    model, page = str(result["model"]), str(result["page"])
    rows = [{"part": part, **found} for part, found in scores.figures(result["scores"])]
    with _best_effort("scores"):
        create_table_artifact(
            rows, key=f"scores-{slug(model)}", description=f"{model}, seed {result['seed']}"
        )
        create_link_artifact(_link(page), key=f"evaluation-{slug(model)}", link_text=page)


def _link(page: str) -> str:
    return page if "://" in page else Path(page).absolute().as_uri()


def slug(location: str) -> str:
    """The last two parts of a path or URL as an artifact's key may have them: lowercase, digits, dashes."""
    last = "-".join(location.rstrip("/").split("/")[-2:]).lower()
    return re.sub(r"[^a-z0-9]+", "-", last).strip("-") or "dataset"


def resource(dataset: str) -> str:
    """The id by which events and automations know a dataset."""
    return f"omnivideo.dataset.{slug(dataset)}"


@contextmanager
def _best_effort(what: str) -> Iterator[None]:
    try:
        yield
    except Exception:  # noqa: BLE001 - the run's work is done or goes on; only its display is missing
        get_run_logger().warning("the %s artifact could not be written", what, exc_info=True)
