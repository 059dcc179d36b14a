"""Ray Jobs: submit under a deterministic id, find a running one again, follow it to its end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shlex
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.errors import InputError
from pipelines import cluster, endings
from pipelines.home import home
from pipelines.joblog import JobLog

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

Event = dict[str, Any]
EVENT_PREFIX = "@omnivideo "
ENDING = {"result", "error"}  # events; others tell how far it is, and of single samples
ENDED = {"SUCCEEDED", "FAILED", "STOPPED", endings.GONE}
SILENT_SECONDS = 15.0  # of a cluster that does not answer, until it counts as gone


class JobFailed(RuntimeError):
    """A Ray Job ended without a result; the message is one line: what happened, and what to do next."""


@dataclass(frozen=True)
class Job:
    """What runs where: `module` is called as `python -m module REQUEST` on the cluster at `address`."""

    module: str
    request: dict[str, Any]
    address: str | None = None

    def key(self) -> str:
        """Return what is the same for the same work: a hash of the request without its run id."""
        same = {name: value for name, value in self.request.items() if name not in {"run_id", "fresh"}}
        return hashlib.sha256(json.dumps(same, sort_keys=True, default=str).encode()).hexdigest()[:12]


def run(job: Job, on_event: Callable[[Event], None], log: Path) -> Event:
    """Run `job` to its end and return its result event; attach to it if it already runs.

    Each event goes to `on_event`, every line to `log`. Raises InputError if the job says that its input is
    bad, JobFailed if it ends otherwise. On KeyboardInterrupt the job is stopped.
    """
    with cluster.locked():
        address = job.address or cluster.ensure()
        cluster.use_token()
        client = _client(address)
        submission = _running(client, job) or _submit(client, job)
    try:
        with JobLog(log, job.module, str(job.request.get("run_id", ""))) as lines:
            return _follow(client, submission, on_event, lines, job.module)
    except KeyboardInterrupt:
        stop(job)  # what still runs would keep the cluster
        raise


def stop(job: Job) -> None:
    """Stop the work if it runs, and wait until it has ended: training saves first."""
    with cluster.locked():
        address = job.address or cluster.current()
    cluster.use_token()
    if address is None:
        return
    client = _client(address)
    submission = _running(client, job)
    if submission:
        client.stop_job(submission)
        _wait_ended(client, submission)


def warm(address: str | None) -> None:
    """Begin to start the local cluster in the background: Prefect's server takes as long."""

    def start() -> None:
        # A cluster that does not start is reported by `run`, which tries again.
        with contextlib.suppress(cluster.ClusterError), cluster.locked():
            cluster.ensure()

    if not address:
        threading.Thread(target=start, daemon=True).start()


def release(address: str | None) -> None:
    """Stop the local cluster unless another command's job still runs on it."""
    if address:
        return
    cluster.use_token()
    with cluster.locked():
        found = cluster.current()
        if found and not _busy(_client(found)):
            cluster.stop()


def _client(address: str) -> JobSubmissionClient:
    from ray.job_submission import JobSubmissionClient

    try:
        return JobSubmissionClient(address)
    except ConnectionError as error:
        advice = "start it, or correct cluster.address; then run the same command again"
        raise InputError(f"no Ray cluster answers at {address}", "connecting", advice) from error


def _prefix(job: Job) -> str:
    return f"{job.module.replace('.', '-')}-{job.key()}-"


def _running(client: JobSubmissionClient, job: Job) -> str | None:
    """Return the id of the same work's running job, left behind by a command that was killed."""
    for details in client.list_jobs():
        name = details.submission_id or ""
        if name.startswith(_prefix(job)) and details.status.value not in ENDED:
            return name
    return None


def _busy(client: JobSubmissionClient) -> bool:
    return any(details.status.value not in ENDED for details in client.list_jobs())


def _submit(client: JobSubmissionClient, job: Job) -> str:
    attempt = sum((d.submission_id or "").startswith(_prefix(job)) for d in client.list_jobs())
    request = _write_request(job)
    # `exec`: without it Ray watches a shell, which a signal ends before the driver has saved.
    # On a cluster elsewhere the interpreter is the image's own, here it is this one.
    python = "python" if job.address else shlex.quote(sys.executable)
    return str(
        client.submit_job(
            entrypoint=f"{_folder(job)}exec {python} -m {job.module} {shlex.quote(request)}",
            submission_id=f"{_prefix(job)}{attempt}",
            metadata={"run_id": str(job.request.get("run_id", ""))},
        )
    )


def _folder(job: Job) -> str:
    """Return what makes relative paths in a request mean what they meant to the user, on this machine."""
    return "" if job.address else f"cd {shlex.quote(str(Path.cwd()))} && "


def _write_request(job: Job) -> str:
    """Return the request as the job's one argument: a file's path here, the JSON itself elsewhere."""
    text = json.dumps(job.request, sort_keys=True, default=str)
    if job.address:
        return text
    folder = home() / "requests"
    folder.mkdir(exist_ok=True)
    path = folder / f"{_prefix(job)}{job.request.get('run_id', 'run')}.json"
    path.write_text(text)
    return str(path)


def _follow(
    client: JobSubmissionClient,
    submission: str,
    on_event: Callable[[Event], None],
    log: JobLog,
    module: str,
) -> Event:
    last: Event = {}
    stage = "starting"

    def take(line: str) -> None:
        nonlocal last, stage
        event = parse_event(line)
        log.write(line, event)
        if event is None:
            return
        if event["event"] == "progress":
            stage = str(event["stage"])
            on_event(event)
        elif event["event"] in ENDING:
            last = event

    ending = _tail(client, submission, take)
    if last.get("event") == "result" and ending.status in {"SUCCEEDED", endings.GONE}:
        return last
    if last.get("event") == "error" and last.get("kind") == "input":
        raise InputError(last["what"], step=last["step"], next_step=last["next"])
    raise JobFailed(endings.tell(module, ending, last, stage, log.path))


def parse_event(line: str) -> Event | None:
    """Return the event that a line of a job's output carries, or None if the line is noise."""
    if not line.startswith(EVENT_PREFIX):
        return None
    try:
        event = json.loads(line[len(EVENT_PREFIX) :])
    except json.JSONDecodeError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _tail(client: JobSubmissionClient, submission: str, take: Callable[[str], None]) -> endings.Ending:
    """Hand each line of the job's log to `take`, until the job ends; return how it did."""

    async def read() -> None:
        rest = ""
        async for chunk in client.tail_job_logs(submission):
            *lines, rest = (rest + chunk).split("\n")
            for line in lines:
                take(line)
        if rest:
            take(rest)

    while True:
        with contextlib.suppress(ConnectionError, OSError, RuntimeError):
            asyncio.run(read())
        # A socket may close early; events are cumulative: reading the log again from its start is harmless.
        ending = _ending(client, submission)
        if ending.status in ENDED:
            return ending
        time.sleep(1.0)


def _ending(client: JobSubmissionClient, submission: str) -> endings.Ending:
    """How it ended, or that it runs; a cluster that is silent or has forgotten the job is gone with it."""
    deadline = time.monotonic() + SILENT_SECONDS
    while True:
        try:
            found = client.get_job_info(submission)
        except (OSError, RuntimeError) as error:
            if time.monotonic() >= deadline:
                return endings.Ending(endings.GONE, message=str(error))
            time.sleep(1.0)
        else:
            return endings.Ending(str(found.status.value), found.driver_exit_code, found.message or "")


def _wait_ended(client: JobSubmissionClient, submission: str) -> None:
    while _ending(client, submission).status not in ENDED:
        time.sleep(0.2)
