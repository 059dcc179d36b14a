from __future__ import annotations

from pathlib import Path

import pytest
from scenedetect import FrameTimecode, detect
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from curation.media.records import ScanRequest
from curation.media.scan import scan
from curation.media.scenes import Position, QuickAdaptive, QuickContent
from curation.split import SplitConfig

from .. import footage


@pytest.mark.parametrize(
    ("quick", "library"), [(QuickContent, ContentDetector), (QuickAdaptive, AdaptiveDetector)]
)
def test_quick_scores_are_the_librarys(videos: Path, quick: type, library: type) -> None:
    """On real frames, score by score and cut by cut, the quick detectors equal PySceneDetect's."""
    mine, theirs = quick(), library()
    for index, picture in enumerate(footage.fitted(footage.read(videos / "bikes.mp4"), 160, 68)):
        cuts = [int(cut.frame_num) for cut in mine.process_frame(Position(index), picture)]
        expected = [int(cut.frame_num) for cut in theirs.process_frame(FrameTimecode(index, 25.0), picture)]
        assert cuts == expected
        assert mine._frame_score == pytest.approx(theirs._frame_score, abs=1e-9)


@pytest.mark.parametrize("method", ["content", "adaptive"])
@pytest.mark.parametrize("film", ["bikes", "uneven", "rotated", "jumps"])
def test_cuts_equal_those_of_the_library(
    tmp_path: Path, videos: Path, uneven: tuple[Path, list[float]], rotated: Path, method: str, film: str
) -> None:
    """Whatever the frame rate, the turn and the motion, cuts are those that PySceneDetect finds by itself."""
    path = {"bikes": videos / "bikes.mp4", "uneven": uneven[0], "rotated": rotated}.get(film)
    if path is None:  # frames left out, for scores near the thresholds and cuts that are merged
        whole = footage.read(videos / "bikes.mp4")
        path = footage.write(tmp_path / "jumps.mp4", [*whole[:80:3], *whole[80:180:7], *whole[180::11]])
    split = SplitConfig.model_validate({"method": method, "min_seconds": 0})
    alone = detect(str(path), {"content": ContentDetector, "adaptive": AdaptiveDetector}[method]())
    starts = [clip["start_s"] for clip in scan(path, ScanRequest(split=split), 10**8).clips]
    assert starts == pytest.approx([scene[0].seconds for scene in alone] or [0.0], abs=1e-3)
