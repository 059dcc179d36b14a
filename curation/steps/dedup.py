"""Clips that look the same: near neighbours among perceptual hashes, of which the best one stays.

A fingerprint is five 64-bit hashes, of frames at five fixed fractions of the clip; the distance of two clips
is the mean Hamming distance of the five. Candidates come from multi-index hashing (Norouzi, Punjani, Fleet,
"Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012): if two 64-bit hashes differ in at most d
bits, one of their four 16-bit quarters differs in at most d // 4. A mean of at most d means that one of the
five hashes differs in at most d.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from curation.config import DedupConfig

    Places = NDArray[np.int64]
    Pairs = tuple[Places, Places, NDArray[np.float64]]

HASHES = 5
QUARTERS = 4
# A hash of a flat frame has hardly a bit set (its DCT is zero but for the mean), one of a picture about half.
# Flat frames say nothing about what a clip shows; without this guard all fades to black would be one clip.
MIN_BITS, MAX_BITS = 8, 56
MIN_COMMON = 3  # of the five frames, that must not be flat in either clip
MAX_CANDIDATES = 1 << 21  # compared at once: bounds the memory to some 300 MB


class Candidate(NamedTuple):
    """One clip that may be, or be beaten by, a duplicate."""

    sample_id: str
    kind: str  # "image" or "video": they are never compared with each other
    source: str  # clips of one source are compared only if the configuration says so
    seconds: float
    area: int  # pixels of a frame
    quality: float | None  # higher is better
    rate: float  # bytes of the source for each second of it; with no better sign, more is less compressed
    uri: str
    start_s: float
    published: bool  # stands in an earlier version, and so stays
    fingerprint: bytes


class Match(NamedTuple):
    """The clip that stands for a duplicate, and how far they are apart in bits."""

    winner: str
    hamming: float


def find_duplicates(clips: Sequence[Candidate], config: DedupConfig) -> dict[str, Match]:
    """Duplicates among `clips` by sample id; a winner is never itself a duplicate.

    What stands in an earlier version wins, then the larger picture, the higher quality, the less compressed
    source, the first uri. A clip is a duplicate only of a winner that it resembles itself: likeness does not
    run in chains.
    """
    if not config.perceptual:
        return {}
    ranked = sorted((clip for clip in clips if _tells(clip.fingerprint)), key=_rank)
    found = _same_hashes(ranked, config)
    left = [clip for clip in ranked if clip.sample_id not in found]
    for kind in ("image", "video"):
        found |= _near_hashes([clip for clip in left if clip.kind == kind], config)
    return {one: _final(match, found) for one, match in found.items()}


def _rank(clip: Candidate) -> tuple[bool, int, float, float, str, float]:
    quality = -clip.quality if clip.quality is not None else 0.0
    return (not clip.published, -clip.area, quality, -clip.rate, clip.uri, clip.start_s)


def _tells(fingerprint: bytes) -> bool:
    """Whether enough of its frames show something."""
    if len(fingerprint) != 8 * HASHES:
        return False
    bits = [int.from_bytes(fingerprint[i : i + 8]).bit_count() for i in range(0, len(fingerprint), 8)]
    return sum(MIN_BITS <= count <= MAX_BITS for count in bits) >= MIN_COMMON


def _comparable(one: Candidate, other: Candidate, config: DedupConfig) -> bool:
    apart = abs(one.seconds - other.seconds)
    return apart <= config.max_seconds_apart and (config.within_source or one.source != other.source)


def _same_hashes(ranked: list[Candidate], config: DedupConfig) -> dict[str, Match]:
    """Clips whose fingerprint a better one has, too; a placeholder picture that stands a million times costs
    no million squared comparisons."""
    winners: dict[tuple[str, bytes], list[Candidate]] = {}
    found = {}
    for clip in ranked:
        same = winners.setdefault((clip.kind, clip.fingerprint), [])
        winner = next((better for better in same if _comparable(better, clip, config)), None)
        if winner is None or clip.published:
            same.append(clip)
        else:
            found[clip.sample_id] = Match(winner.sample_id, 0.0)
    return found


def _near_hashes(ranked: list[Candidate], config: DedupConfig) -> dict[str, Match]:
    """Clips of one kind that are close to a better one."""
    import numpy as np

    if len(ranked) < 2:
        return {}
    positions = 1 if ranked[0].kind == "image" else HASHES
    chunks = [pairs for pairs in _Group(ranked, config).pairs(positions) if len(pairs[0])]
    if not chunks:
        return {}
    better, worse, bits = (np.concatenate(part) for part in zip(*chunks, strict=True))
    order = np.lexsort((bits, better))
    better, worse, bits = better[order], worse[order], bits[order]
    beaten = np.zeros(len(ranked), dtype=bool)
    published = np.array([clip.published for clip in ranked])
    found = {}
    winners, starts = np.unique(better, return_index=True)
    for winner, places in zip(winners, np.split(np.arange(len(better)), starts[1:]), strict=True):
        if beaten[winner]:
            continue
        for place in places[~beaten[worse[places]] & ~published[worse[places]]]:
            beaten[worse[place]] = True
            found[ranked[worse[place]].sample_id] = Match(ranked[winner].sample_id, float(bits[place]))
    return found


def _final(match: Match, found: dict[str, Match]) -> Match:
    """A clip whose winner is beaten by a third one stands for that one's, too."""
    beaten_by = found.get(match.winner)
    return match if beaten_by is None else Match(beaten_by.winner, beaten_by.hamming)


class _Group:
    """Clips of one kind as arrays."""

    def __init__(self, clips: list[Candidate], config: DedupConfig) -> None:
        import numpy as np

        packed = b"".join(clip.fingerprint for clip in clips)
        hashes = np.frombuffer(packed, dtype=">u8").astype(np.uint64)
        self.hashes: NDArray[np.uint64] = hashes.reshape(-1, HASHES)
        bits = np.bitwise_count(self.hashes)
        self.telling = (bits >= MIN_BITS) & (bits <= MAX_BITS)
        self.seconds = np.array([clip.seconds for clip in clips])
        self.sources = np.unique([clip.source for clip in clips], return_inverse=True)[1]
        self.config = config

    def pairs(self, positions: int) -> Iterator[Pairs]:
        """(better, worse, distance) of places: each close pair once."""
        radius = int(self.config.max_hamming) // QUARTERS
        for position in range(positions):
            usable = self.telling[:, position].nonzero()[0]
            for quarter in range(QUARTERS):
                values = _quarter(self.hashes[usable, position], quarter)
                for left, right in _alike(values, radius):
                    yield self._near(usable[left], usable[right], position, quarter)

    def _near(self, left: Places, right: Places, position: int, quarter: int) -> Pairs:
        import numpy as np

        may = np.abs(self.seconds[left] - self.seconds[right]) <= self.config.max_seconds_apart
        if not self.config.within_source:
            may &= self.sources[left] != self.sources[right]
        left, right = left[may], right[may]
        both = self.telling[left] & self.telling[right]
        different = self.hashes[left] ^ self.hashes[right]
        common = both.sum(axis=1)
        mean = (np.bitwise_count(different) * both).sum(axis=1) / np.maximum(common, 1)
        near = (common >= MIN_COMMON) & (mean <= self.config.max_hamming)
        near &= ~self._found_before(different, both, position, quarter)
        return np.minimum(left, right)[near], np.maximum(left, right)[near], mean[near]

    def _found_before(
        self, different: NDArray[np.uint64], both: NDArray[np.bool_], position: int, quarter: int
    ) -> NDArray[np.bool_]:
        """Whether an earlier quarter has brought a pair up already."""
        import numpy as np

        radius = int(self.config.max_hamming) // QUARTERS
        earlier = np.zeros(len(different), dtype=bool)
        for place in range(position * QUARTERS + quarter):
            at = place // QUARTERS
            bits = np.bitwise_count(_quarter(different[:, at], place % QUARTERS))
            earlier |= (bits <= radius) & both[:, at]
        return earlier


def _quarter(hashes: NDArray[np.uint64], quarter: int) -> NDArray[np.uint16]:
    import numpy as np

    return ((hashes >> np.uint64(16 * quarter)) & np.uint64(0xFFFF)).astype(np.uint16)


def _alike(values: NDArray[np.uint16], radius: int) -> Iterator[tuple[Places, Places]]:
    """Places of all pairs of values that differ in at most `radius` bits, each pair once."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    ordered = values[order]
    for mask in _masks(radius):
        wanted = ordered ^ np.uint16(mask)
        first = np.searchsorted(ordered, wanted, side="left")
        last = np.searchsorted(ordered, wanted, side="right")
        for left, right in _expand(first, last):
            yield order[left], order[right]


def _masks(radius: int) -> list[int]:
    """All 16-bit numbers with at most `radius` bits set."""
    return [sum(1 << bit for bit in bits) for n in range(radius + 1) for bits in combinations(range(16), n)]


def _expand(first: Places, last: Places) -> Iterator[tuple[Places, Places]]:
    """Pairs (i, j) with first[i] <= j < last[i] and i < j, some millions at a time."""
    import numpy as np

    first = np.maximum(first, np.arange(len(first)) + 1)
    counts = np.maximum(last - first, 0)
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + MAX_CANDIDATES, side="right")))
        sizes = counts[start:stop]
        left = np.repeat(np.arange(start, stop), sizes)
        offsets = np.arange(len(left)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        yield left, first[left] + offsets
        start = stop
