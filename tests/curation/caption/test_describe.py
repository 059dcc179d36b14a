from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.caption import CaptionConfig, load
from curation.caption.describe import Describe
from curation.filters import parse
from curation.media.records import ScanRequest
from curation.media.scan import scan


def row(**changes: Any) -> dict[str, Any]:
    """Facts of a clip."""
    facts: dict[str, Any] = {
        "sample_id": "a",
        "kind": "video",
        "start_s": 1.0,
        "end_s": 4.44,
        "width": 640,
        "height": 272,
        "fps": 25.0,
        "num_frames": 86,
        "scores": {"motion_mean_flow": 2.0, "text_overlay_text_area": 0.01},
        "signals": {"luma": 0.7, "change": 0.02, "colours": ["dark green", "grey"]},
    }
    return facts | changes


def text(**changes: Any) -> str:
    """The caption of these facts."""
    return Describe().caption([row(**changes)])["a"]


def test_a_sentence_says_what_was_measured() -> None:
    """Length, shape, size, rate, motion, colours, light and text, in words and numbers."""
    assert text() == (
        "A 3.4-second landscape video, 640\N{MULTIPLICATION SIGN}272 at 25 fps, moderate motion, "
        "dominated by dark green and grey, bright, little text."
    )


def test_a_picture_has_no_motion() -> None:
    """An image is described without length, rate or motion."""
    facts = row(kind="image", end_s=1.0, width=500, height=500, fps=None, scores={})
    assert (
        Describe()
        .caption([facts])["a"]
        .startswith("A square image, 500\N{MULTIPLICATION SIGN}500, dominated")
    )


@pytest.mark.parametrize(
    ("end", "begin"), [(9.2, "An 8.2-second"), (12.5, "An 11.5-second"), (2.0, "A 1.0-second")]
)
def test_articles_are_right(end: float, begin: str) -> None:
    """The sentence begins as it is spoken."""
    assert text(end_s=end).startswith(begin)


def test_nothing_is_said_that_was_not_measured() -> None:
    """Without scores of motion and text, motion comes from the pictures and text is not spoken of."""
    found = text(scores={})
    assert "some change" in found
    assert "text" not in found


def test_captions_are_bound_to_their_clips() -> None:
    """Each text comes back under its clip's id, whatever the order."""
    rows = [row(sample_id="x", height=640), row(sample_id="y", height=2000)]
    captions = Describe().caption(rows)
    assert captions == Describe().caption(rows[::-1])
    assert "square" in captions["x"]
    assert "portrait" in captions["y"]


def test_real_clips_get_captions(videos: Path) -> None:
    """What a scan returns is all that the captioner needs, and it says the same each time."""
    request = ScanRequest(filters=parse(["motion"]))
    clips = scan(videos / "bikes.mp4", request, 10**8).clips
    rows = [{**clip, "sample_id": str(index)} for index, clip in enumerate(clips)]
    captioner = load(CaptionConfig())
    assert captioner is not None
    first = captioner.caption(rows)
    assert first == captioner.caption(rows)
    assert len(set(first.values())) == len(rows)
    assert captioner.name == "omnivideo/describe@1"


def test_captions_can_be_left_out() -> None:
    """No captioner is one of the choices."""
    assert load(CaptionConfig(captioner="none")) is None
