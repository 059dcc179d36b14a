"""The audit as a job: `python -m curation.audit.job REQUEST`, a JSON file or the JSON itself."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import BaseModel, ConfigDict

from curation.answering import answer
from curation.audit.report import build_audit


class AuditRequest(BaseModel):
    """What to audit, and the folder for the page; a folder that whoever reads it can reach."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    out: str
    version: int | None = None
    against: int | None = None
    run_id: str = ""


def main(arguments: list[str]) -> int:
    """Audit as the request in `arguments` says; the result event is what `build_audit` returns."""
    return answer(arguments, AuditRequest, _audit)


def _audit(request: AuditRequest) -> dict[str, Any]:
    return build_audit(request.dataset, request.out, request.version, request.against)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
