from __future__ import annotations

from pathlib import Path

import pytest
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from curation.media.scenes import Position, QuickAdaptive, QuickContent

from .. import footage


@pytest.mark.parametrize(
    ("quick", "library"), [(QuickContent, ContentDetector), (QuickAdaptive, AdaptiveDetector)]
)
def test_quick_scores_are_the_librarys(videos: Path, quick: type, library: type) -> None:
    """On real frames, score by score and cut by cut, the quick detectors equal PySceneDetect's."""
    mine, theirs = quick(), library()
    for index, picture in enumerate(footage.fitted(footage.read(videos / "bikes.mp4"), 160, 68)):
        cuts = [int(cut.frame_num) for cut in mine.process_frame(Position(index, 25.0), picture)]
        expected = [int(cut.frame_num) for cut in theirs.process_frame(FrameTimecode(index, 25.0), picture)]
        assert cuts == expected
        assert mine._frame_score == pytest.approx(theirs._frame_score, abs=1e-9)
