"""When an edit is one: a pair of the same shape that differs, but is not of two things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

FILTER = "edit_pair"  # who decides, in the ledger
SCORES = ("edit_pair_changed_share", "edit_pair_structure")


class EditsConfig(BaseModel):
    """Checks of editing pairs. Their scores are `edit_pair_changed_share` and `edit_pair_structure`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_changed_share: float = Field(
        default=0.001, ge=0, le=1, description="of pixels that change; below it nothing was done: `identical`"
    )
    max_changed_share: float = Field(
        default=0.6, ge=0, le=1, description="above it the edges have to agree, or it is another picture"
    )
    min_structure: float = Field(
        default=0.2, ge=-1, le=1, description="agreement of the edges where so much changes: `unrelated`"
    )

    def decide(self, instruction: str, told: Mapping[str, Any]) -> str | None:
        """The reason to reject a pair that was compared (curation.media.pairs), or None."""
        if not instruction.strip():
            return "no_instruction"
        if told["sizes"][0] != told["sizes"][1]:
            return "size_differs"
        if told["frames"][0] != told["frames"][1]:
            return "frame_count_differs"
        if told["changed_share"] < self.min_changed_share:
            return "identical"
        if told["changed_share"] > self.max_changed_share and told["structure"] < self.min_structure:
            return "unrelated"
        return None
