"""The curation job: `python -m curation.job REQUEST`, a JSON file or the JSON itself.

Runs inside a Ray Job or by itself and prints events (curation.events). Exit code 0: published, or nothing
new; 1: failed; 2: the input is wrong.
"""

from __future__ import annotations

import sys
from typing import Any

from curation.answering import answer
from curation.config import CurateRequest
from curation.events import emit


def main(arguments: list[str]) -> int:
    """Run the request that `arguments` hold."""
    return answer(arguments, CurateRequest, _curate)


def _curate(request: CurateRequest) -> dict[str, Any]:
    from curation.metrics import Counted
    from curation.run import curate

    return curate(request, Counted(emit))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
