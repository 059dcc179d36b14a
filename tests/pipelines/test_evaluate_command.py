"""`omnivideo evaluate` and `omnivideo shapes`, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from curation.errors import InputError
from omnivideo import media
from pipelines import jobs, requests
from pipelines import recipe as recipes
from tests.pipelines.in_process import ask, refused, say

QUICK = ("--limit", "1", "--samples", "1", "--steps", "1", "--size", "32", "--frames", "5")


def test_scores_are_written_beside_a_page(model: str, tmp_path: Path) -> None:
    """The JSON that is printed is the file's, and a page shows it."""
    report = ask("evaluate", model, "--part", "image", "--out", str(tmp_path), *QUICK)
    assert report["scores"]["image"]["overall"] == 0.0
    assert json.loads((tmp_path / "evaluation.json").read_text())["scores"] == report["scores"]
    assert "Text to image" in (tmp_path / "evaluation.html").read_text()


def test_a_recipe_asks_for_a_part_of_the_protocol(model: str, tmp_path: Path) -> None:
    """The job judges what the recipe's `evaluation` names, tells how far it is, and ends with the report."""
    asked = {"parts": ["image_questions"], "limit": 1, "size": 32, "num_frames": 5, "steps": 1}
    recipe = recipes.load("tiny", [f"evaluation={json.dumps(asked)}"])
    request = requests.evaluate(recipe, model, str(tmp_path), "one")
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.evaluation_job", json.dumps(request)],
        stdout=subprocess.PIPE,
        text=True,
    )
    events = [event for line in done.stdout.splitlines() if (event := jobs.parse_event(line))]
    assert [event["event"] for event in events] == ["progress", "progress", "result"]
    assert list(events[-1]["scores"]) == ["image_questions"]
    assert (tmp_path / "evaluation.html").is_file()


def test_a_recipe_with_an_unknown_part_is_refused() -> None:
    """The key and the parts that there are stand in the message."""
    with pytest.raises(InputError, match=r"evaluation\.parts.*'images'"):
        recipes.load("tiny", ["evaluation.parts=[images]"])


def test_videos_are_laid_out_for_vbench(model: str, tmp_path: Path) -> None:
    """Each prompt has five videos named after it, and the prompt file knows them all."""
    asked = tmp_path / "prompts.txt"
    asked.write_text("a dog / a cat\n\n")
    folder = tmp_path / "vbench"
    arguments = ("--export-vbench", str(folder), "--vbench-prompts", str(asked), "--out", str(tmp_path))
    say("evaluate", model, *arguments, *QUICK)
    told = json.loads((folder / "prompts.json").read_text())
    assert set(told.values()) == {"a dog / a cat"}
    assert [Path(path).name for path in told] == [f"a dog   a cat-{i}.mp4" for i in range(5)]
    assert media.load(next(iter(told))).shape == (5, 32, 32, 3)


def test_what_is_missing_is_said_first(model: str, tmp_path: Path) -> None:
    """An unknown part, a missing prompt file and missing weights are one line each."""
    assert "no part is called 'images'" in refused("evaluate", model, "--part", "images")
    assert "no prompt file" in refused("evaluate", model, "--geneval", str(tmp_path / "none.jsonl"))
    prompts = tmp_path / "geneval.jsonl"
    claims = {"tag": "single_object", "prompt": "a dog", "include": [{"class": "dog", "count": 1}]}
    prompts.write_text(json.dumps(claims))
    assert "needs its two models" in refused("evaluate", model, "--geneval", str(prompts))
    weights = ("--detector", str(tmp_path), "--clip", str(tmp_path))
    assert "no detector weights" in refused("evaluate", model, "--geneval", str(prompts), *weights)


def test_a_world_is_made(tmp_path: Path) -> None:
    """The command says how many rows each task has, and they are there."""
    made = ask("shapes", str(tmp_path / "world"), "--rows", "8", "--size", "32", "--fps", "8")
    assert sum(made["rows"].values()) == 8
    assert len((tmp_path / "world" / "generation.jsonl").read_text().splitlines()) == 4
