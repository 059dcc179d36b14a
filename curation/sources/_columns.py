"""Which column of a table, or field of a JSON object, is which: as the recipe says, or by its usual name."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from curation.errors import InputError
from curation.sources._source import STEP

SHOWN = 12  # column names in a message

USUAL = {
    "path": (
        *("path", "file_name", "filename", "file", "file_path", "filepath", "uri", "url", "video", "image"),
        *("video_path", "image_path", "media", "media_path", "key"),
    ),
    "media": ("media", "image", "video", "bytes", "img", "jpg", "png", "webp", "mp4", "content", "data"),
    "caption": ("caption", "text", "captions", "prompt", "description", "txt", "alt_text", "alt"),
    "licence": ("licence", "license"),
}


class TextColumns(BaseModel):
    """Columns of what comes along with the media; one that is not named is looked for by its usual names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    caption: str | None = Field(default=None, min_length=1, description="default: caption, text, prompt, ...")
    licence: str | None = Field(default=None, min_length=1, description="default: licence or license")
    source: str | None = Field(
        default=None, min_length=1, description="for the `source` column; default: the source's name, for all"
    )

    def roles(self, present: Iterable[str], where: str) -> dict[str, str | None]:
        """The column of each role, None where there is none.

        Raises InputError, with the near match, for a column that the recipe names and that is not there.
        """
        names = list(present)
        return {role: self._column(role, names, where) for role in type(self).model_fields}

    def _column(self, role: str, names: Sequence[str], where: str) -> str | None:
        asked: str | None = getattr(self, role)
        if asked is None:
            return usual(role, names)
        if asked in names:
            return asked
        near = difflib.get_close_matches(asked, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        what = f"{where} has no column {asked!r}{hint}"
        raise InputError(what, STEP, f"set columns.{role} to one of: {listed(names)}")


def usual(role: str, names: Sequence[str]) -> str | None:
    """The first usual name of a role that is there, whatever its case."""
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[one] for one in USUAL.get(role, ()) if one in lower), None)


def listed(names: Sequence[str]) -> str:
    """Column names for a message."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more if names else "(there are none)"


def texts(fields: Mapping[str, Any], roles: Mapping[str, str | None]) -> dict[str, str | None]:
    """Caption, licence and source of a record, where it has them. Raises ValueError for what is no text."""
    wanted = ("caption", "licence", "source")
    found = {role: text(role, fields.get(str(roles[role]))) for role in wanted if roles.get(role)}
    shared = {role: sys.intern(said) for role, said in found.items() if said and role != "caption"}
    return found | shared  # a million records have few licences and sources: each is in memory once


def text(role: str, value: Any) -> str | None:
    """A value as text: of several texts the first. Raises ValueError for what is none."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = next(iter(value), None)
    if value is None or (isinstance(value, float) and value != value):  # pandas writes a missing one as NaN
        return None
    if not isinstance(value, str):
        raise ValueError(f"its {role} is no text but {type(value).__name__}")
    # Half a surrogate pair, as JSON can hold it, is no character and fits in no column.
    whole = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.strip() or None
