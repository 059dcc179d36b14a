"""The curation job: `python -m curation.job REQUEST.json`, inside a Ray Job or by itself.

Prints events (curation.events). Exit code 0: published, or nothing new; 1: failed; 2: the input is wrong.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from pydantic import ValidationError

from curation.config import CurateRequest
from curation.errors import InputError
from curation.events import emit


def main(arguments: list[str]) -> int:
    """Run the request in the one file that `arguments` name."""
    try:
        from curation.run import curate

        emit({"event": "result", **curate(_request(arguments), emit)})
    except InputError as error:
        _tell("input", error.what, error.step, error.next_step)
        return 2
    except Exception as error:  # noqa: BLE001 - the last line of defence: the caller gets one event, the log all
        traceback.print_exc()
        what = getattr(error, "what", f"{type(error).__name__}: {error}".splitlines()[0])
        step = getattr(error, "step", "curating")
        _tell("failure", what, step, getattr(error, "next_step", "run the same command again to go on"))
        return 1
    return 0


def _request(arguments: list[str]) -> CurateRequest:
    if len(arguments) != 1:
        raise InputError(
            "expected one argument, REQUEST.json", "starting", "python -m curation.job REQUEST.json"
        )
    try:
        return CurateRequest.model_validate_json(Path(arguments[0]).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{arguments[0]} cannot be read: {error.strerror}", "starting", "check it"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"{arguments[0]}: {where}: {first['msg']}"
        raise InputError(what, "reading the request", "correct it") from error


def _tell(kind: str, what: str, step: str, next_step: str) -> None:
    emit({"event": "error", "kind": kind, "what": what, "step": step, "next": next_step})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
