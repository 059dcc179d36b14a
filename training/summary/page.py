"""The page itself: a template, a style and data in; one HTML file out that needs nothing from anywhere.

Prompts, names and recipes are escaped, and characters that steer the text's direction shown as codes. The
policy in the page's head lets no script run and allows this style and embedded pictures alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.run import Run
from training.summary.chart import chart
from training.summary.story import gather

_FOLDER = Path(__file__).parent
_STEERING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # Unicode categories: controls, directions, surrogates
_LONGEST = 400  # characters of one value


def write_page(run: Run) -> Path:
    """Write the run's page, whole or not at all; return its path."""
    partial = run.page.with_suffix(".partial")
    partial.write_text(render(run), encoding="utf-8", errors="backslashreplace")
    return partial.replace(run.page)


def render(run: Run) -> str:
    """Return the page of a run as it stands."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=count, span=span, share=share, short=short, pretty=pretty)
    story, style = gather(run), (_FOLDER / "page.css").read_text(encoding="utf-8").strip()
    return environment.get_template("page.html.j2").render(
        story=story,
        chart=chart,
        pictures=_pictures(run, story),
        style=Markup(style),  # a file of this folder, no data in it
        policy=policy(style),
    )


def policy(style: str) -> str:
    """Return the Content-Security-Policy that allows this style and embedded pictures."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _pictures(run: Run, story: Mapping[str, Any]) -> dict[str, str]:
    """Return the clips to show, by file, as data URIs."""
    found = {}
    files = (c["file"] for phase in story["phases"] for made in phase["clips"] for c in made["clips"])
    for file in files:
        path = (run.clips / file).with_suffix(".webp")
        if path.exists():
            found[file] = "data:image/webp;base64," + base64.b64encode(path.read_bytes()).decode()
    return found


def shown(value: Any) -> Any:
    """Return a string with control and direction characters as their codes, cut at a sane length."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    text = value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    return "".join(_code(c) if unicodedata.category(c) in _STEERING and c not in "\n\t" else c for c in text)


def _code(character: str) -> str:
    return f"⟨{ord(character):04X}⟩"


def count(value: float | None) -> str:
    """Return 1234567 as 1,234,567; – for None."""
    return "–" if value is None else f"{value:,.0f}"


def short(value: float | None) -> str:
    """Return four significant digits."""
    return "–" if value is None else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def share(value: float | None) -> str:
    """Return 0.0123 as 1.2 %; what would round to nothing is not shown as such."""
    if value is None:
        return "–"
    return "<0.1 %" if 0 < value < 0.0005 else f"{value * 100:.1f} %"


def span(seconds: float | None) -> str:
    """Return seconds as 80 ms, 4.2 s, 3 min 05 s or 7 h 12 min."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def pretty(value: Any) -> Any:
    """Return JSON over several lines, in full: escaped, and shown as it is."""
    from markupsafe import escape

    return escape(json.dumps(value, indent=2, sort_keys=True, default=str))
