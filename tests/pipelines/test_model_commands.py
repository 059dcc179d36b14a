"""`generate`, `ask` and `doctor --model` on the tiny preset, as a user runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnivideo import media
from omnivideo.evaluation.shapes_judge import judge_frames
from omnivideo.pipeline import OmniVideoPipeline
from tests.pipelines.in_process import ask, refused, say

QUICK = ("--steps", "2")


def test_a_video_is_written_at_its_size(model: str, tmp_path: Path) -> None:
    """A prompt gives an mp4 of the frames, size and rate asked for, and the JSON says where."""
    out = tmp_path / "clip.mp4"
    sizes = ("--frames", "5", "--height", "32", "--width", "48", "--fps", "12")
    result = ask("generate", model, "a cat", "--out", str(out), *sizes, *QUICK)
    assert result == {"file": str(out), "prompt": "a cat", "seed": 0}
    assert media.load(out).shape == (5, 32, 48, 3)


def test_an_image_is_one_frame(model: str, tmp_path: Path) -> None:
    """A picture's name as output gives one frame, and the same seed the same pixels."""
    files = [tmp_path / f"{i}.png" for i in range(2)]
    for file in files:
        assert say("generate", model, "a cat", "--out", str(file), *QUICK).strip() == str(file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert media.load(files[0]).shape == (1, 64, 64, 3)


def test_images_and_videos_are_edited(model: str, tmp_path: Path, images: Path, videos: Path) -> None:
    """With a source, a picture becomes a picture and a clip a clip as long as the source allows."""
    picture, clip = tmp_path / "edit.png", tmp_path / "edit.mp4"
    say("generate", model, "paint it", "--source", str(images / "coffee.png"), "--out", str(picture), *QUICK)
    assert media.load(picture).shape == (1, 64, 64, 3)
    source = media.save(media.load(videos / "bikes.mp4", 7, 64, 64), tmp_path / "source.mp4", 8)
    say("generate", model, "blue", "--source", str(source), "--out", str(clip), *QUICK)
    assert media.load(clip).shape == (5, 64, 64, 3)


def test_think_mode_shows_the_rewrite(model: str, tmp_path: Path) -> None:
    """With `--think` the prompt that was rendered is printed, and it is not the one that was given."""
    result = ask("generate", model, "a cat", "--think", "--out", str(tmp_path / "cat.png"), *QUICK)
    assert result["prompt"] != "a cat"


def test_questions_are_answered(model: str, images: Path, videos: Path) -> None:
    """An image and a video each get an answer in text."""
    for file in (images / "coffee.png", videos / "carphone_pristine.mp4"):
        assert isinstance(ask("ask", model, str(file), "What is this?")["answer"], str)


def test_the_shipped_model_paints_and_answers(tmp_path: Path) -> None:
    """Right after installing, a red circle is one to the judge, and the model says its colour."""
    out = tmp_path / "circle.png"
    say("generate", "shapes-tiny", "a red circle", "--out", str(out))
    claims = {"include": [{"class": "circle", "color": "red", "count": 1}]}
    assert judge_frames(claims, media.load(out)).correct
    assert ask("ask", "shapes-tiny", str(out), "What color is the circle?")["answer"] == "red"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("generate", "MODEL", ""), "the prompt is empty"),
        (("generate", "MODEL", "a cat", "--height", "50"), "height is 50"),
        (("generate", "MODEL", "a cat", "--width", "8"), "width is 8"),
        (("generate", "MODEL", "a cat", "--frames", "8"), "num_frames is 8"),
        (("generate", "MODEL", "a cat", "--out", "clip.xyz"), "no writer for 'clip.xyz'"),
        (("generate", "MODEL", "a cat", "--out", "cat.png", "--frames", "5"), "5 frames do not fit"),
        (("generate", "MODEL", "a cat", "--source", "notes.mp4"), "notes.mp4 does not open as a video"),
        (("generate", "MODEL", "a cat", "--source", "notes.png"), "notes.png does not open as a picture"),
        (("generate", "MODEL", "a cat", "--source", "none.mp4"), "no source none.mp4"),
        (("ask", "MODEL", "notes.txt", "why?"), "notes.txt does not open as a video"),
        (("ask", "MODEL", "none.png", "why?"), "no media none.png"),
        (("ask", "MODEL", "notes.mp4", ""), "the question is empty"),
        (("ask", "empty", "notes.mp4", "why?"), "no model in empty"),
        (("doctor", "--model", "huge"), "tiny, small, omni-11b"),
    ],
)
def test_what_the_user_got_wrong_is_one_line(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    """No media, an impossible size, no words and no model each give one clear line and exit code 2."""
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    for name in ("notes.mp4", "notes.png", "notes.txt"):
        Path(name).write_text("not media at all")
    assert said in refused(*(model if part == "MODEL" else part for part in arguments))


def test_a_missing_weight_file_is_one_line(model: str, tmp_path: Path) -> None:
    """A model folder without one part's weights is bad input that names the file."""
    OmniVideoPipeline.from_pretrained(model).save_pretrained(tmp_path)
    (tmp_path / "adapter" / "diffusion_pytorch_model.safetensors").unlink()
    for command in (("generate", str(tmp_path), "a cat"), ("ask", str(tmp_path), __file__, "why?")):
        assert "adapter" in refused(*command)


@pytest.mark.parametrize("name", ["tiny", "omni-11b"])
def test_doctor_counts_a_presets_parameters(name: str) -> None:
    """Each part's parameters are listed, and their sum with the preset's name."""
    found = {f["what"]: f["found"] for f in ask("doctor", "--model", name)["findings"]}
    counts = {part: int(text.split()[0].replace(",", "")) for part, text in found.items()}
    total = counts.pop(name)
    assert {"mllm", "vision_head", "adapter", "dit", "vae", "text_encoder"} < set(counts)
    assert sum(counts.values()) == total
