"""What an examination of this machine finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Status = Literal["ok", "missing", "note", "failed"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `meaning` says what its state means for the user."""

    what: str
    status: Status
    found: str
    meaning: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding as plain JSON."""
        return asdict(self)
