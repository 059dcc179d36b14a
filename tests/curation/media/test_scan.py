from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from curation.filters import parse
from curation.media.records import ClipRecord, ScanRequest, ScanResult
from curation.media.scan import scan
from curation.split import SplitConfig

from .. import footage

PIXELS = 10**8
CHEAP = parse(["resolution", "aspect_ratio", "duration", "motion", "quality"])


def clips(path: Path, **request: object) -> list[ClipRecord]:
    """The clips of a good file."""
    return scan(path, ScanRequest(**request), PIXELS).clips  # type: ignore[arg-type]


def test_clips_cover_the_film(videos: Path) -> None:
    """Each frame of a film is in one clip, and each clip says when it begins and ends."""
    found = clips(videos / "bikes.mp4")
    assert sum(clip["num_frames"] for clip in found) == 250
    assert found[0]["start_s"] == 0
    assert found[-1]["end_s"] == pytest.approx(10.0)
    for before, after in pairwise(found):
        assert before["end_s"] == after["start_s"]


def test_each_clip_gets_its_own_verdict(videos: Path) -> None:
    """A film's shots are judged one by one; short ones are rejected with their reason."""
    found = clips(videos / "bikes.mp4", filters=CHEAP)
    reasons = [(clip["filter"], clip["reason"]) for clip in found]
    assert reasons == [("duration", "too_short"), *[(None, None)] * 4, ("split", "too_short")]


@pytest.mark.parametrize("last", [13, 15, 20])
def test_a_short_last_shot_does_not_spoil_the_film(
    tmp_path: Path, shots: footage.Pictures, last: int
) -> None:
    """A last shot of half a second is judged or too short, whatever its length; the film is no error."""
    path = footage.write(tmp_path / "a.mp4", shots[: 30 + last])
    found = clips(path, filters=parse(["motion"]))
    assert [clip["num_frames"] for clip in found] == [30, last]
    assert found[1]["scores"].get("motion_mean_flow", 1) > 0


@pytest.mark.parametrize("longest", [1, 1.2, 3])
@pytest.mark.parametrize("method", ["content", "adaptive"])
def test_parts_of_any_length_are_judged(videos: Path, longest: float, method: str) -> None:
    """However short the parts of a film, each is judged or too short."""
    split = SplitConfig.model_validate({"method": method, "max_seconds": longest, "trim_frames": 4})
    found = clips(videos / "bikes.mp4", split=split, filters=CHEAP, score_all=True)
    assert {clip["filter"] for clip in found} <= {None, "split", "duration", "motion", "quality"}


def test_scores_carry_their_filters_name(videos: Path) -> None:
    """Scores are stored under the filter's and the score's name."""
    scores = clips(videos / "carphone_pristine.mp4", filters=CHEAP)[0]["scores"]
    assert {"resolution_short_side", "motion_mean_flow", "quality_sharpness"} <= set(scores)


def test_a_scan_is_repeatable(videos: Path) -> None:
    """Scanning twice gives the same clips, byte for byte."""
    request = ScanRequest(filters=CHEAP, score_all=True)
    first, second = (scan(videos / "bikes.mp4", request, PIXELS).clips for _ in range(2))
    assert first == second


def test_scores_do_not_depend_on_other_filters(videos: Path) -> None:
    """A filter's scores are the same alone and beside all others."""
    path = videos / "carphone_pristine.mp4"
    together = clips(path, filters=CHEAP, score_all=True)[0]["scores"]
    for rule in CHEAP:
        alone = clips(path, filters=(rule,))[0]["scores"]
        assert alone.items() <= together.items()


def test_a_file_rejected_by_its_header_is_one_row(videos: Path) -> None:
    """A film too small in its header is not decoded; its one row has its span, thumbnail and fingerprint."""
    rules = parse([{"resolution": {"min_short_side": 300}}, "motion"])
    result = scan(videos / "bikes.mp4", ScanRequest(filters=rules), PIXELS)
    (clip,) = result.clips
    assert (clip["filter"], clip["reason"]) == ("resolution", "too_small")
    assert (clip["num_frames"], clip["end_s"]) == (250, pytest.approx(10.0))
    assert clip["thumbnail"]
    assert len(clip["fingerprint"]) == 40
    assert result.seconds["decode"] < 0.1
    assert len(clips(videos / "bikes.mp4", filters=rules, score_all=True)) == 6


def test_known_spans_are_skipped(videos: Path) -> None:
    """Spans that were judged before are left out."""
    path = videos / "bikes.mp4"
    known = clips(path)[1]
    skip = frozenset({(round(known["start_s"] * 1000), round(known["end_s"] * 1000))})
    assert [clip["start_s"] for clip in clips(path, skip=skip)] == [
        clip["start_s"] for clip in clips(path) if clip["start_s"] != known["start_s"]
    ]


def test_rotated_films_are_judged_upright(rotated: Path) -> None:
    """Sizes and shapes are those that a person sees."""
    (clip,) = clips(rotated, filters=parse(["aspect_ratio"]))
    assert (clip["width"], clip["height"]) == (640, 272)
    assert clip["scores"]["aspect_ratio_ratio"] == pytest.approx(640 / 272)


def test_results_travel_as_json(videos: Path) -> None:
    """A result reads back from its JSON as it was, bytes included."""
    result = scan(videos / "carphone_pristine.mp4", ScanRequest(filters=CHEAP), PIXELS)
    assert ScanResult.from_json(result.to_json()) == result


def test_requests_travel_as_json() -> None:
    """A request reads back from its JSON as it was."""
    request = ScanRequest(SplitConfig(method="adaptive"), CHEAP, True, frozenset({(0, 1200)}))
    assert ScanRequest.from_json(request.to_json()) == request


MEMORY = """
import resource, sys
from pathlib import Path
from curation.filters import parse
from curation.media.records import ScanRequest
from curation.media.scan import scan
from curation.split import SplitConfig
request = ScanRequest(SplitConfig(max_seconds=5), parse(["motion", "quality"]))
clips = scan(Path(sys.argv[1]), request, 10**8).clips
print(len(clips), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_film(tmp_path: Path, videos: Path) -> None:
    """Two and a half minutes of one shot take hardly more memory than half a minute."""
    pan = footage.fitted(footage.read(videos / "bigbuckbunny.mp4", 25), 320, 180)
    peaks = []
    for seconds in (30, 150):
        path = footage.write(tmp_path / f"{seconds}.mp4", pan * seconds, options={"preset": "ultrafast"})
        command = [sys.executable, "-c", MEMORY, str(path)]
        count, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert int(count) >= seconds / 5
        peaks.append(int(peak) / 1024)
    assert peaks[1] - peaks[0] < 30


def test_without_the_loop_filter_cuts_stay(videos: Path) -> None:
    """Judged without deblocking, a film has the same clips; only what looks at pixels sees a difference."""
    asked = [{"split": SplitConfig(skip_loop_filter=skipped), "filters": CHEAP} for skipped in (False, True)]
    whole, quick = (clips(videos / "bikes.mp4", **one) for one in asked)
    spans = [
        [(clip["start_s"], clip["end_s"], clip["num_frames"]) for clip in found] for found in (whole, quick)
    ]
    assert spans[0] == spans[1]
    assert [clip["scores"] for clip in whole] != [clip["scores"] for clip in quick]
