"""The three text filters on real clips with planted overlays, and on writing that is part of the scene."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from curation.errors import InputError
from curation.filters import parse
from curation.marks import classifier, constancy, overlay, tiling
from curation.media.picture import PictureClip
from curation.media.records import ClipRecord, ScanRequest
from curation.media.scan import scan
from curation.split import SplitConfig
from curation.text import names
from curation.text.ocr import Line

from .. import drawn, footage, planted

pytest.importorskip("rapidocr_onnxruntime")
FILTERS = ("text_overlay", "subtitles", "watermark")
LIMIT = 0.92  # of the network's score


@pytest.fixture(scope="module")
def pan(images: Path) -> footage.Pictures:
    """Two seconds of a camera that passes over a real photograph."""
    photo = cv2.resize(footage.read(images / "chelsea.png")[0], (902, 600))
    return [np.ascontiguousarray(photo[100:460, 5 * i : 5 * i + 640]) for i in range(50)]


@pytest.fixture(scope="module")
def animals(videos: Path) -> footage.Pictures:
    """The first three seconds of a real film, at 640x360."""
    return footage.fitted(footage.read(videos / "bigbuckbunny.mp4", 72), 640, 360)


def judged(path: Path, frames: Any) -> ClipRecord:
    """The verdict of all three on one clip."""
    request = ScanRequest(filters=parse(FILTERS), score_all=True, split=SplitConfig(method="none"))
    return scan(footage.write(path, frames), request, 10**8).clips[0]


def rejecting(clip: ClipRecord) -> set[str]:
    """The filters that reject a clip by their defaults."""
    told = {}
    for rule in parse(FILTERS):
        head = f"{rule.name()}_"
        own = {
            name.removeprefix(head): value for name, value in clip["scores"].items() if name.startswith(head)
        }
        told[rule.name()] = rule.decide(own)
    return {name for name, reason in told.items() if reason}


def test_clean_clips_pass(tmp_path: Path, pan: Any, animals: Any) -> None:
    """Without an overlay, no filter rejects a film or a pan."""
    assert rejecting(judged(tmp_path / "a.mp4", animals)) == set()
    assert rejecting(judged(tmp_path / "b.mp4", pan)) == set()


@pytest.mark.parametrize("name", ["subtitle_white", "subtitle_boxed", "ticker", "credits"])
def test_running_and_changing_lines_are_found(tmp_path: Path, animals: Any, name: str) -> None:
    """Subtitles, tickers and rolling credits over a film are rejected by subtitles."""
    make, finders = planted.VIDEO_PLANTS[name]
    clip = judged(tmp_path / "a.mp4", make(animals, 25.0, Random(3)))
    assert rejecting(clip) & set(finders), clip["scores"]


@pytest.mark.parametrize("name", ["logo", "logo_half", "name", "timestamp", "tiled"])
def test_marks_are_found(tmp_path: Path, pan: Any, name: str) -> None:
    """Logos, names, clocks, and words across the picture are rejected by watermark while the camera moves."""
    make, finders = planted.VIDEO_PLANTS[name]
    clip = judged(tmp_path / "a.mp4", make(pan, 25.0, Random(2)))
    assert rejecting(clip) & set(finders), clip["scores"]


def test_a_sign_in_the_scene_is_no_subtitle(tmp_path: Path, images: Path) -> None:
    """A printed page under a moving camera is writing in the scene: none of its lines stays on the screen."""
    page = cv2.cvtColor(cv2.imread(str(images / "page.png"), cv2.IMREAD_GRAYSCALE), cv2.COLOR_GRAY2RGB)
    large = cv2.resize(page, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    frames = [np.ascontiguousarray(large[3 * i : 3 * i + 360, 5 * i : 5 * i + 640]) for i in range(50)]
    scores = judged(tmp_path / "a.mp4", frames)["scores"]
    assert scores["subtitles_scene_text"] >= 2
    assert scores["subtitles_subtitle_share"] == 0


def test_a_line_that_ends_before_a_still_scene_is_found(tmp_path: Path, images: Path) -> None:
    """Nothing moves but the line: that it goes while all else stays tells that it was laid over."""
    still = footage.noisy_still(cv2.resize(footage.read(images / "coffee.png")[0], (600, 400)), 75)
    for frame in still[:40]:
        cv2.putText(frame, "tomorrow we leave", (40, 250), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255,) * 3, 2)
    scores = judged(tmp_path / "a.mp4", still)["scores"]
    assert 0.4 < scores["subtitles_subtitle_share"] < 0.7


@pytest.mark.parametrize(("left", "found"), [(14, True), (-20, False)])
def test_what_the_border_cuts_is_no_logo(pan: footage.Pictures, left: int, found: bool) -> None:
    """A sign that stands still inside a corner is a mark; one that runs out of the picture is scene."""
    layer = drawn.layer(640, 360)
    layer.paste(drawn.mark(50, Random(1)), (left, 14))
    marked = [cv2.cvtColor(drawn.over(one, layer), cv2.COLOR_RGB2GRAY) for one in pan[::3]]
    assert (constancy.score(constancy.measure(np.array(marked))) > 0.93) is found


def test_a_tiled_mark_stands_out(images: Path) -> None:
    """Of a photograph, only the copy with a name all over it has peaks that repeat."""
    photo = footage.read(images / "chelsea.png")[0]
    marked = planted.tiled([photo], 0, Random(1), alpha=0.4)[0]
    plain, tiles = (tiling.score(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY)[None]) for one in (photo, marked))
    assert plain < 2 < 20 < tiles


def test_faint_tiles_stand_out_of_what_moves(images: Path) -> None:
    """The frames of a moving picture show together a faint tiled name that none of them shows alone."""
    photo = cv2.resize(footage.read(images / "astronaut.png")[0], (902, 600))
    moving = [photo[50 + 9 * i : 410 + 9 * i, 15 * i : 15 * i + 640] for i in range(17)]
    both = moving, planted.tiled(moving, 0, Random(2), alpha=0.06)
    plain, tiled = (np.array([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in frames]) for frames in both)
    assert tiling.score(plain) < 2
    assert tiling.score(tiled) > 12
    assert max(tiling.score(one[None]) for one in tiled) < 8


@pytest.mark.parametrize("still", [False, True])
def test_a_faint_word_is_found(pan: footage.Pictures, still: bool) -> None:
    """The network finds a word of a quarter's opacity amid a picture, whether the camera moves or not."""
    frames = [pan[0]] * 12 if still else pan[::4]
    layer = drawn.layer(640, 360)
    ImageDraw.Draw(layer).text((190, 150), "DEMO", (255, 255, 255, 64), drawn.font("DejaVuSans-Bold", 80))
    plain, marked = overlaid(frames), overlaid([drawn.over(one, layer) for one in frames])
    assert plain < 0.5 < LIMIT < marked


def overlaid(frames: footage.Pictures) -> float:
    """What the network says of frames."""
    maps = constancy.measure(np.array([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in frames]))
    return overlay.score(np.mean(frames, axis=0), maps.change)


def test_what_stands_still_beside_what_moves_is_no_overlay(images: Path, animals: footage.Pictures) -> None:
    """A still part of the scene is not laid over it, however much moves elsewhere."""
    photo = footage.read(images / "astronaut.png")[0][:360, :360]
    beside = [one.copy() for one in animals[::5]]
    for one in beside:
        one[:, :360] = photo
    assert overlaid(beside) < LIMIT


def test_a_logo_is_found_on_photographs(images: Path) -> None:
    """Without any writing, a drawn mark in a photograph's corner is found, the photograph is not."""
    found = []
    for name in ("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg"):
        photo = footage.read(images / name)[0]
        layer = drawn.layer(photo.shape[1], photo.shape[0])
        layer.paste(drawn.mark(round(0.14 * min(photo.shape[:2])), Random(1)), (12, 12))
        both = photo, drawn.over(photo, layer)
        found.append([overlay.score(one) for one in both])
    assert all(plain < LIMIT < marked for plain, marked in found), found


@pytest.mark.parametrize("shape", [(1, 1), (40, 3), (3, 900), (2000, 1500)])
def test_pictures_of_any_shape_have_a_score(shape: tuple[int, int]) -> None:
    """Tiny, narrow and large pictures are told like any."""
    assert 0 <= overlay.score(np.full((*shape, 3), 90, np.uint8)) < 0.5


def test_names_in_corners_of_photographs(images: Path) -> None:
    """A name in a photograph's corner is rejected, the photograph is not."""
    photo = footage.read(images / "astronaut.png")[0]
    (rule,) = parse(["watermark"])
    assert rule.judge(PictureClip(photo)).reason is None
    assert rule.judge(PictureClip(planted.name_in_corner([photo], 0, Random(4))[0])).reason


@pytest.mark.parametrize(
    ("place", "degrees", "found"), [((256, 300), 0, True), ((256, 256), 30, True), ((330, 300), 0, False)]
)
def test_words_across_photographs(images: Path, place: tuple[int, int], degrees: int, found: bool) -> None:
    """A large word amid a photograph or on a slant is read as a name, one beside its middle is not."""
    photo = footage.read(images / "astronaut.png")[0]
    layer = drawn.layer(512, 512)
    font = drawn.font("DejaVuSans-Bold", 60)
    ImageDraw.Draw(layer).text(place, "Holiday", (255, 255, 255, 200), font, anchor="mm")
    turned = layer.rotate(degrees, resample=Image.Resampling.BICUBIC)
    (rule,) = parse(["watermark"])
    assert rule.measure(PictureClip(drawn.over(photo, turned)))["constant_text"] == found


@pytest.mark.parametrize(("middle", "degrees", "found"), [(256, 0, True), (80, 3, True), (80, 12, False)])
def test_captions_and_names_that_lean_a_little(images: Path, middle: int, degrees: int, found: bool) -> None:
    """A caption below a photograph counts, and a name in its corner that leans as boxes do."""
    photo = footage.read(images / "astronaut.png")[0]
    layer = drawn.layer(512, 512)
    font = drawn.font("DejaVuSans-Bold", 24)
    ImageDraw.Draw(layer).text((middle, 480), "PixWorld", (255, 255, 255, 255), font, anchor="mm")
    leaning = layer.rotate(degrees, resample=Image.Resampling.BICUBIC, center=(middle, 480))
    (rule,) = parse(["watermark"])
    assert rule.measure(PictureClip(drawn.over(photo, leaning)))["constant_text"] == found


@pytest.mark.parametrize(
    ("texts", "stock", "repeated"),
    [
        (["shutterstock"], 1, 1),
        (["Shutterst0ck"], 1, 1),
        (["www.example.com", "hello there"], 1, 1),
        (["EXIT", "Station Road"], 0, 1),
        (["ClipBank", "ClipBank", "lipBank"], 0, 3),
    ],
)
def test_what_names_say(texts: list[str], stock: int, repeated: int) -> None:
    """Agencies are known though misread, addresses by their form, repeats though cut off."""
    lines = [Line(text, 0.9) for text in texts]
    assert (names.stock_words(lines), names.repeats(lines)) == (stock, repeated)


def _classifier(folder: Path, labels: dict[int, str]) -> str:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=8,
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
    )
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


def test_a_classifier_takes_part_where_there_is_one(tmp_path: Path, images: Path) -> None:
    """The class is found by its label; without weights there is no such score, and none is made up."""
    photo = PictureClip(footage.read(images / "rocket.jpg")[0])
    (plain,) = parse(["watermark"])
    assert "classifier" not in plain.judge(photo).scores
    weights = _classifier(tmp_path / "model", {0: "no_watermark", 1: "watermark"})
    (rule,) = parse([{"watermark": {"weights": weights, "max_classifier": 0.0}}])
    found = rule.judge(photo)
    assert 0 < found.scores["classifier"] < 1
    assert found.reason == "watermarked"
    assert str(rule.revision()).endswith(str(classifier.revision(weights)))


def test_a_classifier_without_the_class_is_the_users_error(tmp_path: Path) -> None:
    """Weights that are not there, or know no watermark, are named before any work."""
    with pytest.raises(InputError, match="no config"):
        parse([{"watermark": {"weights": str(tmp_path)}}])[0].check()
    weights = _classifier(tmp_path / "model", {0: "cat", 1: "dog"})
    assert json.loads((tmp_path / "model" / "config.json").read_text())["id2label"]
    with pytest.raises(InputError, match="cat, dog"):
        parse([{"watermark": {"weights": weights}}])[0].check()
