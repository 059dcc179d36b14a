"""Evaluation as a job: `python -m pipelines.evaluation_job REQUEST`, a JSON file or the JSON itself."""

from __future__ import annotations

import sys
import time
from typing import Any

from curation.answering import answer
from curation.errors import InputError
from curation.events import emit
from omnivideo.errors import InputError as ModelInputError
from pipelines.evaluation_config import EvaluationSection


class EvaluateRequest(EvaluationSection):
    """Which model to judge, and the folder for the scores and their page."""

    model: str
    out: str
    run_id: str = ""


def main(arguments: list[str]) -> int:
    """Judge as the request in `arguments` says; the result event is the report."""
    return answer(arguments, EvaluateRequest, _evaluate)


def _evaluate(request: EvaluateRequest) -> dict[str, Any]:
    from pipelines import evaluation

    told = _Parts(len(request.parts) or None)
    try:
        report = evaluation.evaluate(
            request.model, request.out, request.parts, told, request.seed, **request.plan()
        )
    except ModelInputError as error:
        raise InputError(error.what, error.step, error.next_step) from error
    told.done()
    return report


class _Parts:
    """Tells how many parts have begun: as progress, and as a line of the log."""

    def __init__(self, total: int | None) -> None:
        self._total, self._begun, self._started = total, 0, time.monotonic()

    def __call__(self, text: str) -> None:
        print(text, flush=True)
        self._emit(done=False)
        self._begun += 1

    def done(self) -> None:
        self._total = self._begun
        self._emit(done=True)

    def _emit(self, done: bool) -> None:
        seconds = round(time.monotonic() - self._started, 1)
        counts = {"in": self._begun, "total": self._total, "seconds": seconds}
        emit({"event": "progress", "stage": "evaluate", **counts, "done": done})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
