"""The encoding step from a dataset to a run that trains from its shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from curation.dataset import open_dataset, schema
from omnivideo.errors import InputError
from tests.training.conftest import TASKS, row, tiny_request, write_dataset
from training.config import TrainRequest
from training.data.samples import read_samples
from training.encoding import engine, job
from training.encoding.engine import Answer, Work
from training.loop.worker import train
from training.parallel.team import Team
from training.readiness import check
from training.run import TIMED, Run, entries

COUNTS = {"text_to_image": 3, "text_to_video": 2, "image_edit": 1, "video_edit": 1, "video_understanding": 2}
WEIGHTS = dict.fromkeys(TASKS, 1.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two or three samples of most tasks."""
    return write_dataset(tmp_path_factory.mktemp("encoding") / "table", COUNTS)


def request_to(data: str, out: Path | str, folder: Path | None, **changes: Any) -> TrainRequest:
    """A request of two steps a phase, by one worker, from shards in `folder` if given."""
    encoded = {} if folder is None else {"encoded": {"folder": str(folder), **changes.pop("encoded", {})}}
    mix = {"weights": WEIGHTS, **encoded}
    request = tiny_request(data, Path("unused"), 2, cluster={"num_workers": 1}, mix=mix, **changes)
    return request.model_copy(update={"out": str(out), "version": None})


@pytest.fixture(scope="module")
def encoded(ray_session: None, data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards that Ray Data's workers wrote."""
    folder = tmp_path_factory.mktemp("encoding") / "shards"
    result = job.run(request_to(data, "", folder))
    assert set(result["made"]) == {"latents", "source_latents", "source_shown", "states", "targets", "text"}
    assert result["reused"] == {}
    assert result["bytes"] == sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    return folder


@pytest.fixture
def serially(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in this process: what Ray Data would do with the same pieces."""

    def each(make: Any, pieces: list[str], cluster: Any) -> Iterator[Answer]:
        work: Work = make()
        return (work(piece) for piece in pieces)

    monkeypatch.setattr(engine, "each", each)
    monkeypatch.setattr(engine, "connect", lambda: None)


def steps_of(run: Run) -> list[dict[str, Any]]:
    """The log without what depends on the clock."""
    return [{k: v for k, v in e.items() if k not in TIMED} for e in entries(run.metrics)]


def pinned(request: TrainRequest) -> TrainRequest:
    """The request at the dataset's newest version, as the job hands it to workers."""
    return request.model_copy(update={"version": open_dataset(request.data).version})


def test_training_from_shards_is_training_on_the_fly(
    data: str, encoded: Path, serially: None, team: Team, tmp_path: Path
) -> None:
    """Every loss of all stages and the final model are the same to the last bit.

    Once its first stage is done, the run's vision head is asked too, with and without text.
    """
    fly, stored = pinned(request_to(data, tmp_path / "a", None)), request_to(data, tmp_path / "b", encoded)
    train(fly, team)
    train(pinned(stored).model_copy(update={"only_stage": "1"}), team)
    assert set(job.run(stored.model_copy(update={"only_stage": "2"}))["made"]) == {"visual"}
    train(pinned(stored), team)
    runs = [Run(tmp_path / name) for name in ("a", "b")]
    assert steps_of(runs[0]) == steps_of(runs[1])
    assert len(steps_of(runs[0])) == 4 * 4
    models = [{f.parent.name: f.read_bytes() for f in run.model.glob("*/*.safetensors")} for run in runs]
    assert models[0] == models[1]


def test_only_what_is_missing_is_encoded(
    data: str, encoded: Path, serially: None, tmp_path: Path, team: Team
) -> None:
    """Again: nothing. After a shard is lost: what was in it. For a new dataset version: the new sample's."""
    folder = tmp_path / "shards"
    for path in encoded.rglob("*.parquet"):
        (folder / "shards").mkdir(parents=True, exist_ok=True)
        (folder / "shards" / path.name).write_bytes(path.read_bytes())
    table = write_dataset(tmp_path / "table", COUNTS)
    assert job.run(request_to(table, "", folder))["made"] == {}
    shards = (folder / "shards").iterdir()  # a vision head's tokens, the least of them, are not always needed
    max(shards, key=lambda path: path.stat().st_size).unlink()
    again = job.run(request_to(table, "", folder))
    assert 0 < sum(again["made"].values()) < sum(again["reused"].values())
    new = pa.Table.from_pylist([row("text_to_image", 7)], schema(["quality_technical"]))
    write_deltalake(table, new, mode="append")
    grown = job.run(request_to(table, "", folder))
    assert grown["version"] == 1
    assert grown["made"] == {"latents": 1, "states": 2, "targets": 1, "text": 1}


def refusal(request: TrainRequest) -> InputError:
    """What a run says before it starts."""
    dataset = open_dataset(request.data)
    with pytest.raises(InputError) as caught:
        check(Run(Path(request.out)), request, read_samples(dataset), dataset.version)
    assert "omnivideo encode" in caught.value.next_step
    return caught.value


def test_shards_that_do_not_fit_say_what_differs(data: str, encoded: Path, tmp_path: Path) -> None:
    """Another model, bucket, type or dataset is one line, before any worker starts."""
    fits = request_to(data, tmp_path, encoded)
    check(Run(tmp_path), fits, read_samples(open_dataset(data)), 0)
    other = fits.model_copy(update={"model": fits.model.model_copy(update={"seed": 1})})
    assert "they are by another encoder (" in refusal(other).what
    longer = fits.stages.model_copy(update={"image_sizes": ((64, 96),)})
    assert "they are of 1 frames of 64×64, the recipe asks for 1 frames of 64×96" in (
        refusal(fits.model_copy(update={"stages": longer})).what
    )
    halved = request_to(data, tmp_path, encoded, encoded={"dtype": "bfloat16"})
    assert "they are float32, mix.encoded.dtype is bfloat16" in refusal(halved).what
    nowhere = request_to(data, tmp_path, tmp_path / "nowhere")
    assert "was never encoded" in refusal(nowhere).what
    assert not list(tmp_path.iterdir())


def test_a_request_without_a_folder_is_bad_input(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The job says so in one event and ends with 2."""
    assert job.main([request_to(data, "", None).model_dump_json()]) == 2
    event = json.loads(capsys.readouterr().out.removeprefix("@omnivideo "))
    assert "mix.encoded.folder" in event["next"]
