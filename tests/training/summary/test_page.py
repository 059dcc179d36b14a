"""A run with clips of its own, and the page that shows it."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from tests.training.conftest import tiny_request
from training import lineage
from training.loop.worker import train
from training.parallel.team import Team
from training.run import TIMED, Run, entries
from training.summary.page import render, write_page

HOSTILE = "<script>alert(1)</script> \u202eevil"


@pytest.fixture(scope="module")
def run(dataset: str, team: Team, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Stage 3 alone, two steps, with clips after each."""
    run = Run(tmp_path_factory.mktemp("clips") / "run<b>")
    request = tiny_request(dataset, run.root, 2, cluster={"num_workers": 1}, only_stage="3")
    clips = {"prompts": ("a square", HOSTILE), "every": 1, "sampling_steps": 1}
    section = request.stages.clips.model_copy(update=clips)
    stages = request.stages.model_copy(update={"clips": section, "checkpoint_every": 2})
    request = request.model_copy(update={"stages": stages, "recipe": {"note": "</pre><img src=x>"}})
    run.root.mkdir()
    lineage.write(run, request, 0, {})
    train(request, team)
    return run


def steps_of(run: Run) -> list[dict[str, Any]]:
    """The log without clips and what depends on the clock."""
    log = (entry for entry in entries(run.metrics) if entry["kind"] != "clips")
    return [{k: v for k, v in entry.items() if k not in TIMED} for entry in log]


def test_clips_are_made_from_fixed_prompts(run: Run) -> None:
    """Every so many steps and at the phase's end: an mp4 and a small animation of each, named in the log."""
    made = [entry for entry in entries(run.metrics) if entry["kind"] == "clips"]
    assert [entry["step"] for entry in made] == [1, 2]
    assert [clip["prompt"] for clip in made[0]["clips"]] == ["a square", HOSTILE]
    for clip in made[0]["clips"]:
        with av.open(str(run.clips / clip["file"])) as container:
            stream = container.streams.video[0]
            assert (stream.frames, stream.average_rate, stream.width) == (13, 12, 64)
        with Image.open((run.clips / clip["file"]).with_suffix(".webp")) as image:
            assert getattr(image, "n_frames", 1) > 5


def test_clips_leave_training_as_it_is(run: Run, dataset: str, team: Team, tmp_path: Path) -> None:
    """Without them, the same losses and the same model to the last bit."""
    request = tiny_request(dataset, tmp_path, 2, cluster={"num_workers": 1}, only_stage="3")
    train(request, team)
    assert steps_of(run) == steps_of(Run(tmp_path))
    names = [path.relative_to(tmp_path) for path in tmp_path.glob("model/dit/*.safetensors")]
    assert names
    assert all((run.root / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)


def test_tensorboard_shows_the_clips(run: Run) -> None:
    """As animated pictures, under the phase and the prompt."""
    found = []
    for file in run.curves.glob("events.*"):
        data, place = file.read_bytes(), 0
        while place < len(data):
            length = int.from_bytes(data[place : place + 8], "little")
            event = Event.FromString(data[place + 12 : place + 12 + length])
            place += 16 + length
            found += [(v.tag, event.step, v.image.encoded_image_string[:3]) for v in event.summary.value]
    assert ("stage-3/clips/a square", 2, b"GIF") in found


class Reader(html.parser.HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take one tag."""
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_nothing_and_runs_nothing(run: Run) -> None:
    """No script, no address, pictures inside; what a recipe or prompt says is text."""
    page = run.page.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(page)
    tags = {tag for tag, _ in reader.tags}
    assert "script" not in tags
    assert "b" in tags  # of the charts' keys, not of the run's name
    assert "<h1><bdi>run&lt;b&gt;</bdi></h1>" in page
    pictures = [attributes["src"] or "" for tag, attributes in reader.tags if tag == "img"]
    assert len(pictures) == 4
    assert all(source.startswith("data:image/webp;base64,") for source in pictures)
    assert not re.search(r"(?:src|href|url)\W{1,2}https?:", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; ⟨202E⟩evil" in page
    assert "default-src 'none'" in page.replace("&#39;", "'")


def test_the_page_tells_the_run(run: Run) -> None:
    """Charts by task and quartile, counts of parts, checkpoints, lineage; of a run not begun, that."""
    page = run.page.read_text(encoding="utf-8")
    for part in (
        "Loss by quartile",
        "Gradient norm",
        "6 text to image",
        "408,848",
        "0.50-0.75",
        "stage-3-00000002",
    ):
        assert part in page
    assert lineage.code_version() in page
    empty = Run(run.root / "empty")
    empty.root.mkdir()
    assert "Nothing has been trained yet" in render(empty)
    assert write_page(empty).read_text(encoding="utf-8") == render(empty)
