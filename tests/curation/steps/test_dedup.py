"""Near duplicates: found among many, best one stays, flat frames say nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.config import DedupConfig
from curation.media.child import MediaWorker
from curation.media.records import ScanRequest
from curation.split import SplitConfig
from curation.steps.dedup import HASHES, Candidate, Match, find_duplicates


def a_print(random_: random.Random, flips: int = 0, like: bytes | None = None) -> bytes:
    """A fingerprint of five balanced hashes, or one that differs from `like` in `flips` bits of each hash."""
    hashes = []
    for place in range(HASHES):
        if like is None:
            bits = set(random_.sample(range(64), 32))
        else:
            old = int.from_bytes(like[place * 8 : place * 8 + 8])
            bits = {bit for bit in range(64) if old >> bit & 1} ^ set(random_.sample(range(64), flips))
        hashes.append(sum(1 << bit for bit in bits).to_bytes(8))
    return b"".join(hashes)


def clip(name: str, fingerprint: bytes, **other: object) -> Candidate:
    """A candidate of its own source."""
    plain = Candidate(name, "video", name, 2.0, 100, None, 0.0, name, 0.0, False, fingerprint)
    return plain._replace(**other)  # type: ignore[arg-type]


def scan_prints(paths: list[Path]) -> list[Candidate]:
    """One candidate a file, with the fingerprint that the media child takes of the whole of it."""
    request = ScanRequest(split=SplitConfig(method="none"))
    found = []
    with MediaWorker() as worker:
        for path in paths:
            one = worker.scan(path, request).clips[0]
            seconds = one["end_s"] - one["start_s"]
            found.append(
                clip(
                    path.name, one["fingerprint"], kind=one["kind"], seconds=seconds, rate=path.stat().st_size
                )
            )
    return found


def test_better_clip_wins() -> None:
    """The larger picture wins, then the higher quality, the less compressed source, the first uri."""
    print_ = a_print(random.Random(0))
    better = {"area": 200}, {"area": 100, "quality": 0.9}, {"rate": 5.0}, {"uri": "a"}
    for other in better:
        pair = [clip("x", print_, quality=0.1 if "quality" in other else None), clip("y", print_)]
        pair[1] = pair[1]._replace(**{"uri": "z", **other})
        assert find_duplicates(pair, DedupConfig()) == {"x": Match("y", 0.0)}


def test_published_clip_stays() -> None:
    """A clip of an earlier version is never marked, however much better the new one is."""
    print_ = a_print(random.Random(0))
    clips = [
        clip("old", print_, published=True),
        clip("new", print_, area=10**6),
        clip("old2", print_, published=True),
    ]
    assert find_duplicates(clips, DedupConfig()) == {"new": Match("old", 0.0)}


def test_likeness_does_not_run_in_chains() -> None:
    """If b resembles a, and c only b, then c stays: nothing that is kept resembles it."""
    generator = random.Random(1)
    a = a_print(generator)
    b = a_print(generator, 4, a)
    c = a_print(generator, 4, b)
    clips = [clip("a", a, area=3), clip("b", b, area=2), clip("c", c, area=1)]
    assert find_duplicates(clips, DedupConfig(max_hamming=5)).keys() == {"b"}


def test_small_crops_are_near_by_default() -> None:
    """Seven bits apart, as a picture cropped by some percent is, makes a duplicate; ten do not."""
    generator = random.Random(5)
    a = a_print(generator)
    clips = [clip("a", a), clip("b", a_print(generator, 7, a)), clip("c", a_print(generator, 10, a))]
    assert find_duplicates(clips, DedupConfig()).keys() == {"b"}


@given(st.integers(0, 10**6), st.integers(0, 11), st.sampled_from(["image", "video"]))
@settings(max_examples=25, deadline=None)
def test_every_close_pair_is_found(seed: int, flips: int, kind: str) -> None:
    """The index misses no pair: it is marked if and only if its distance is within the limit."""
    generator = random.Random(seed)
    first = a_print(generator)[:8] * HASHES if kind == "image" else a_print(generator)
    second = a_print(generator, flips, first)
    second = second[:8] * HASHES if kind == "image" else second
    crowd = [clip(f"other{n}", a_print(generator), kind=kind) for n in range(20)]
    clips = [clip("a", first, kind=kind), clip("b", second, kind=kind), *crowd]
    for limit in (0, 3, 5, 8, 11):
        found = find_duplicates(clips, DedupConfig(max_hamming=limit))
        assert found == ({"b": Match("a", float(flips))} if flips <= limit else {})


@pytest.mark.parametrize("bits", [0, 1, 63, 64])
def test_flat_frames_pair_with_nothing(bits: int) -> None:
    """Clips of which most frames are flat (a hash with hardly a bit, or all) are never near duplicates."""
    flat = ((1 << bits) - 1).to_bytes(8) * 3 + a_print(random.Random(2))[:16]
    assert find_duplicates([clip(str(n), flat) for n in range(5)], DedupConfig()) == {}


def test_only_clips_of_one_kind_length_and_other_source_are_compared() -> None:
    """An image is no copy of a video, nor a clip of one of another length or of the same take."""
    print_ = a_print(random.Random(3))
    one = clip("a", print_)
    for other in ({"kind": "image"}, {"seconds": 2.6}, {"source": "a"}):
        assert find_duplicates([one, clip("b", print_, **other)], DedupConfig()) == {}
    alike = [one, clip("b", print_, source="a")]
    assert find_duplicates(alike, DedupConfig(within_source=True)).keys() == {"b"}
    assert find_duplicates([one, clip("b", print_)], DedupConfig(perceptual=False)) == {}


def test_many_clips_take_seconds() -> None:
    """Among 20,000 clips the planted pairs are found, and a crowd with one fingerprint does not blow up."""
    generator = random.Random(4)
    clips = [clip(f"{n:05}", a_print(generator), area=100) for n in range(10_000)]
    planted = [clip(f"p{n}", a_print(generator, 4, clips[n].fingerprint), area=50) for n in range(50)]
    crowd = [clip(f"z{n}", clips[99].fingerprint, area=10) for n in range(10_000)]
    found = find_duplicates([*clips, *planted, *crowd], DedupConfig())
    assert {name: match.winner for name, match in found.items() if name.startswith("p")} == {
        f"p{n}": f"{n:05}" for n in range(50)
    }
    assert len(found) == 50 + 10_000


def test_real_pairs_are_found_and_nothing_else(videos: Path, images: Path) -> None:
    """Of the sample, a badly compressed clip, a stereo pair and a chessboard in gray and RGB are pairs."""
    pictures = [path for path in images.iterdir() if path.suffix in (".png", ".jpg")]
    found = find_duplicates(scan_prints([*videos.glob("*.mp4"), *pictures]), DedupConfig())
    pairs = {frozenset((name, match.winner)) for name, match in found.items()}
    assert pairs == {
        frozenset(("carphone_distorted.mp4", "carphone_pristine.mp4")),
        frozenset(("motorcycle_left.png", "motorcycle_right.png")),
        frozenset(("chessboard_GRAY.png", "chessboard_RGB.png")),
    }
    assert "carphone_distorted.mp4" in found
