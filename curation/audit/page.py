"""The report as one offline page: templates, style and script in, HTML out.

Captions and file names are hostile until shown otherwise. They are escaped by Jinja2, their control and
direction characters made visible, and none comes near a script or a style; the policy in the page's head
allows only this very style and script, pictures out of the page itself, and nothing from anywhere else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from curation.audit.charts import bars, river
from curation.audit.samples import CAPTIONS, original
from curation.audit.scatter import drawn

_FOLDER = Path(__file__).parent
_LONGEST = 600  # characters of one value; longer ones are cut in the page, not in the figures
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # Unicode categories: controls, directions, surrogates
_HARMLESS = {"\n", "\t", "\u200c", "\u200d"}  # the last two join letters in Persian and Hindi, and emoji
_ODD = re.compile(r"[^\t\n\x20-\x7e]")


def render(report: Mapping[str, Any], images: Mapping[str, str]) -> str:
    """The page of a report, with thumbnails (sample id -> data URI)."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FORMATS)
    environment.globals.update(bars=bars, river=river, drawn=drawn, captions_shown=CAPTIONS)
    style, script = _asset("audit.css"), _asset("audit.js")
    from markupsafe import Markup

    return environment.get_template("audit.html.j2").render(
        report=report,
        images=images,
        bounds=_bounds(report),
        style=Markup(style),  # files of this folder, no data in them
        script=Markup(script),
        policy=policy(style, script),
    )


def policy(style: str, script: str) -> str:
    """Content-Security-Policy that allows this style, this script and embedded pictures."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8").strip()


def _bounds(report: Mapping[str, Any]) -> dict[str, list[tuple[str, float]]]:
    """Thresholds by score, so that a clip's card can mark what lies beyond."""
    found: dict[str, list[tuple[str, float]]] = {}
    for rule in report["filters"]:
        for threshold in rule["thresholds"]:
            found.setdefault(threshold["score"], []).append((threshold["side"], threshold["value"]))
    return found


class Whole(str):
    """A string that the page shows in full, such as a query."""


def shown(value: Any) -> Any:
    """A string fit to be read: control and direction characters as their code, cut at a sane length."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    if len(value) > _LONGEST and not isinstance(value, Whole):
        value = value[: _LONGEST - 1] + "…"
    return "".join(_visible(character) for character in value) if _ODD.search(value) else str(value)


def _visible(character: str) -> str:
    if character in _HARMLESS or unicodedata.category(character) not in _INVISIBLE:
        return character
    return f"⟨{ord(character):04X}⟩"


def count(value: float | None) -> str:
    """1234567 as 1,234,567; – for None."""
    return "–" if value is None else f"{value:,.0f}"


def signed(value: float) -> str:
    """A change: +1,234, −5, ±0."""
    return "±0" if value == 0 else f"{'+' if value > 0 else '−'}{abs(value):,.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    """0.617 as 61.7 %; what would round to nothing, or to all, is not shown as such."""
    if value is None:
        return "–"
    smallest = 10**-digits
    if 0 < value * 100 < smallest / 2:
        return f"<{smallest:g} %"
    if 100 - smallest / 2 < value * 100 < 100:
        return f">{100 - smallest:g} %"
    return f"{value * 100:.{digits}f} %"


def measure(value: float | None) -> str:
    """A score with four significant digits and no exponent where it can be avoided."""
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1e7:
        return f"{value:,.0f}"
    return (
        f"{value:.4g}"
        if 1e-4 <= abs(value) < 1e4
        else f"{value:,.0f}"
        if abs(value) >= 1e4
        else f"{value:.2e}"
    )


def span(seconds: float | None) -> str:
    """Seconds as 0.8 s, 42 s, 3 min 05 s or 7 h 12 min."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def clock(seconds: float | None) -> str:
    """A place in a video: 1:02:03.4 or 2:03.4."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def day(stamp: str | None) -> str:
    """An ISO time of the log, in UTC, as 22 November 2026, 07:44 UTC."""
    if stamp is None:
        return "–"
    moment = datetime.fromisoformat(stamp)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def moving_first(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Videos before images, so that cards of one height stand side by side."""
    return sorted(rows, key=lambda row: "image" in (row["task"] or ""))


def size(value: float) -> str:
    """Bytes in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def basename(uri: str | None) -> str:
    """Last part of a path or URL."""
    return (uri or "").rstrip("/").rpartition("/")[2] or (uri or "(no name)")


def pretty(value: Any) -> str:
    """JSON for reading; strings as they are."""
    return Whole(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


def beyond(value: float | None, bounds: list[tuple[str, float]]) -> bool:
    """Whether a score lies beyond one of its thresholds."""
    if value is None:
        return False
    return any(value < bound if side == "min" else value > bound for side, bound in bounds)


def edges(histogram: Mapping[str, Any]) -> str:
    """A histogram for the script: edges and the counts between them, as JSON."""
    cells = histogram["bins"]
    parts = {name: [cell[name] for cell in cells] for name in histogram["series"]}
    return Whole(json.dumps({"edges": [*(cell["from"] for cell in cells), histogram["to"]], **parts}))


FORMATS = {
    "basename": basename,
    "beyond": beyond,
    "clock": clock,
    "count": count,
    "day": day,
    "edges": edges,
    "literal": lambda value: Whole(repr(value)),
    "measure": measure,
    "moving_first": moving_first,
    "original": original,
    "percent": percent,
    "pretty": pretty,
    "signed": signed,
    "size": size,
    "span": span,
    "whole": Whole,
}
