"""Motion vectors are read from frames that are let go at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from av.video.frame import VideoFrame

from curation.media.vectors import EXPORT, VectorReader


@pytest.fixture
def _uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_uncollected")
def test_no_frame_outlives_its_vectors(videos: Path) -> None:
    """What is kept of vectors is a copy: no picture waits in memory for a garbage collector."""
    found, before = 0, _frames()
    with av.open(str(videos / "bikes.mp4")) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = EXPORT
        reader, kept = VectorReader(25.0), []
        for frame in container.decode(stream):
            kept.append(reader.read(frame, reader.distance(frame)))
            found += kept[-1] is not None
        del frame
        assert found > 100
        left = _frames() - before
    assert left <= 1  # the decoder's next


def _frames() -> int:
    """Of the whole process: other tests may have left some."""
    return sum(type(one) is VideoFrame for one in gc.get_objects())
