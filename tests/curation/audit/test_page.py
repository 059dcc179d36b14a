"""The page as a browser and a hostile caption meet it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.audit import page

from .conftest import Audited, audit
from .synthetic_dataset import Spec, build

HOSTILE = "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)> {{7*7}} </details></style>"


class Parsed(HTMLParser):
    """Elements with their attributes, and the text inside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember the element."""
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave the element."""
        self._open = ""

    def handle_data(self, data: str) -> None:
        """Remember what a script or a style holds."""
        if self._open in self.inside:
            self.inside[self._open][-1] += data


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _is_inert(text: str) -> None:
    parsed = Parsed(text)
    assert len(parsed.inside["script"]) == len(parsed.inside["style"]) == 1
    policy = next(
        str(attributes["content"])
        for tag, attributes in parsed.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert f"script-src '{_hash(parsed.inside['script'][0])}'" in policy
    assert f"style-src '{_hash(parsed.inside['style'][0])}'" in policy
    for tag, attributes in parsed.elements:
        assert tag not in {"iframe", "object", "embed", "base", "link", "form", "foreignobject"}
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, attributes)
            assert name != "style", (tag, attributes)
            if name in {"src", "href", "srcset", "xlink:href", "action"}:
                assert str(value).startswith(("#", "data:image/")), (tag, name, value)


def test_the_page_loads_nothing_and_runs_only_its_own_script(audited: Audited) -> None:
    """Every link stays inside the page; the policy names the hashes of its one script and one style."""
    _is_inert(audited.page)
    assert "http://" not in audited.page
    assert "https://" not in audited.page


def test_hostile_words_stay_words(tmp_path: Path, images: Path) -> None:
    """Markup in any text column is shown as text, in the page's every section."""
    words = dict.fromkeys(
        ("uri", "caption", "caption_original", "captioner", "instruction", "source", "licence", "run_id"),
        HOSTILE,
    )
    changes = {
        0: {**words, "verdict": "kept", "filter": None, "reason": None, "media": b"x"},
        1: {**words, "verdict": "rejected", "filter": HOSTILE, "reason": HOSTILE},
        2: {**words, "verdict": "error", "filter": HOSTILE, "reason": HOSTILE, "detail": HOSTILE},
        3: {**words, "verdict": "duplicate", "filter": "dedup", "reason": HOSTILE, "task": HOSTILE},
        4: {
            **words,
            "verdict": "kept",
            "filter": None,
            "reason": None,
            "task": HOSTILE,
            "sample_id": HOSTILE,
        },
    }
    metadata = {
        "code_version": HOSTILE,
        "model_revisions": f'{{"caption": "{HOSTILE.replace(chr(34), "")}"}}',
    }
    spec = Spec(clips=30, changes=changes, metadata=metadata)
    found = audit(build(tmp_path / "d", images, spec), tmp_path / "out")
    _is_inert(found.page)
    assert "<script>document" not in found.page
    assert found.page.count("&lt;script&gt;") > 10
    assert "49" not in re.findall(r"&lt;img src=x onerror=alert\(1\)&gt; (\S+)", found.page)


def test_a_thumbnail_that_is_no_picture_is_left_out(tmp_path: Path, images: Path) -> None:
    """Only JPEG, PNG and WebP bytes become pictures."""
    changes = {index: {"thumbnail": b"<svg onload='alert(1)'/>"} for index in range(20)}
    found = audit(build(tmp_path / "d", images, Spec(clips=20, changes=changes)), tmp_path / "out")
    assert "<img" not in found.page


def test_direction_and_control_characters_are_visible(tmp_path: Path, images: Path) -> None:
    """A file name that pretends another ending by reversing its direction is seen through."""
    change = {
        "uri": "file:///data/holiday\u202egpj.exe",
        "verdict": "kept",
        "media": b"x",
        "filter": None,
        "reason": None,
    }
    found = audit(build(tmp_path / "d", images, Spec(clips=1, changes={0: change})), tmp_path / "out")
    assert "\u202e" not in found.page
    assert "holiday⟨202E⟩gpj.exe" in found.page


def test_very_long_words_are_cut_in_the_page(tmp_path: Path, images: Path) -> None:
    """A caption and a file name of a million characters leave the page readable in size."""
    change = {"caption": "long " * 200_000, "uri": "x" * 1_000_000, "verdict": "kept", "media": b"x"}
    spec = Spec(clips=1, changes={0: change | {"filter": None, "reason": None}})
    found = audit(build(tmp_path / "d", images, spec), tmp_path / "out")
    assert len(found.page) < 200_000
    assert "…" in found.page


@given(st.text())
def test_shown_text_has_no_invisible_character(text: str) -> None:
    """Whatever a dataset holds, what is shown has no control or direction character in it."""
    assert not set(page.shown(text)) & set(
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\x00\x1b\x7f"
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (page.count(1234567), "1,234,567"),
        (page.signed(-5), "−5"),
        (page.percent(0.61703), "61.7 %"),
        (page.percent(0.00001), "<0.1 %"),
        (page.percent(0.99999), ">99.9 %"),
        (page.measure(0.30000001), "0.3"),
        (page.measure(0.00001234), "1.23e-05"),
        (page.measure(1080.0), "1,080"),
        (page.span(4405), "1 h 13 min"),
        (page.span(0.84), "0.8 s"),
        (page.clock(3723.44), "1:02:03.4"),
        (page.clock(59.97), "1:00.0"),
        (page.size(1_400_000_000), "1.4 GB"),
        (page.day("2026-11-22T07:44:47Z"), "22 November 2026, 07:44 UTC"),
        (page.basename("s3://bucket/a/b.mp4"), "b.mp4"),
    ],
)
def test_numbers_are_written_for_reading(value: str, words: str) -> None:
    """Counts, shares, scores, times and sizes have one way to be written."""
    assert value == words
