"""The stage before the paper's three: an autoencoder, a reader and a painter, then the model made of them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

import torch

from omnivideo import shipped
from omnivideo.build import build_part
from omnivideo.config import LlmConfig, MllmConfig, OmniVideoConfig, SiglipConfig
from omnivideo.errors import InputError
from omnivideo.shapes.sampling import Split
from training.backbones import folders
from training.backbones.autoencoder import AutoencoderLesson, begin
from training.backbones.config import BackbonesSection, LessonName, LessonSection
from training.backbones.fitting import Fit, Lesson, learning
from training.backbones.nearby import look_nearby
from training.backbones.painter import Painter, PainterLesson
from training.backbones.planar import planar
from training.backbones.reader import Reader, ReaderLesson
from training.backbones.unchunked import unchunked
from training.backbones.words import said_in_the_world
from training.backbones.world import View, World, make_world
from training.checkpoints.atomic import write_folder, write_json
from training.config import TrainRequest
from training.model.origin import configuration
from training.parallel.team import Team
from training.run import Run
from training.speed.attention import choose_without_cudnn
from training.speed.blocks import Blocks

LESSONS: tuple[LessonName, ...] = get_args(LessonName)
UNSEEN = 192  # scenes of each kind that reports are of
RECORD = "backbones.json"
STEP = "backbones"


def train_backbones(
    request: TrainRequest, run: Run, team: Team, only: Iterable[LessonName] = LESSONS
) -> None:
    """Train the backbones that are not there yet, then write the run's initial model. All workers call this.

    Raises InputError for a recipe without `backbones`, or whose model is not VILA's shape.
    """
    Backbones(request, run, team).train(only)


class Backbones:
    """The backbones of one run, in its folder `backbones`."""

    def __init__(self, request: TrainRequest, run: Run, team: Team) -> None:
        if request.backbones is None:
            raise InputError("the recipe has no backbones", STEP, "add a section `backbones`")
        self.settings: BackbonesSection = request.backbones
        self.base: OmniVideoConfig = configuration(request.model)
        self.run, self.team, self.folder = run, team, run.backbones
        _check(self.base)

    def train(self, only: Iterable[LessonName]) -> None:
        """Train those of `only` that are not done; once all are, write the model."""
        self.folder.mkdir(parents=True, exist_ok=True)
        teach: dict[LessonName, Callable[[], dict[str, Any]]] = {
            **{"autoencoder": self._autoencoder, "reader": self._reader, "painter": self._painter}
        }
        choose_without_cudnn()  # the reader has masks, and the text encoder adds its positions as one
        with planar(), unchunked():
            for name in only:
                if not self._done(name):
                    started = time.monotonic()
                    record = teach[name]()
                    self._finish(name, {**record, "seconds": round(time.monotonic() - started, 1)})
        self.team.wait()
        if self.team.rank == 0 and all(map(self._done, LESSONS)) and not self.run.init.exists():
            self._assemble()
        self.team.wait()

    def _done(self, name: LessonName) -> bool:
        return (self.folder / f"{name}.json").exists()

    def _finish(self, name: LessonName, record: dict[str, Any]) -> None:
        if self.team.rank == 0:
            write_json(self.folder / f"{name}.json", record)
            (self.folder / f"{_phase(name)}.safetensors").unlink(missing_ok=True)
        self.team.wait()

    # --- the three

    def _autoencoder(self) -> dict[str, Any]:
        settings = self.settings.autoencoder
        if settings.path is not None:
            return self._taken(settings.path)
        vae: Any = build_part("vae", self.base, self.settings.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            begin(vae)
        lesson = AutoencoderLesson(vae, settings, self._worlds(settings), self._unseen(), self.team.device)
        report = self._fit("autoencoder", lesson, settings)
        self._write("autoencoder", lambda folder: vae.save_pretrained(folder, safe_serialization=True))
        return report

    def _taken(self, path: str) -> dict[str, Any]:
        """Copy a trained autoencoder; return what the summary says of it."""
        folder = Path(path) if Path(path, "config.json").is_file() else shipped.folder(path) / "vae"
        if not (folder / "config.json").is_file():
            known = ", ".join(shipped.names())
            raise InputError(f"no autoencoder at {path}", STEP, f"give its folder, or one of {known}")
        self._write("autoencoder", lambda target: shutil.copytree(folder, target))
        return {
            **{"name": _phase("autoencoder"), "steps": 0, "trainable": 0, "frozen": 0},
            **{"first_loss": 0.0, "last_loss": 0.0, "taken": str(folder)},
        }

    def _reader(self) -> dict[str, Any]:
        from omnivideo.tokens import learned_tokenizer

        settings = self.settings.reader
        tokenizer = learned_tokenizer(said_in_the_world(chat=True), settings.vocabulary)
        config = _with_vocabulary(self.base, len(tokenizer))
        names = ("vision_tower", "mllm", "text_head")
        parts: list[Any] = [build_part(name, config, self.settings.seed) for name in names]
        reader = Reader(*parts)
        lesson = ReaderLesson(
            *(reader, tokenizer, settings, self._worlds(settings), self._unseen(), self.team.device),
            config.mllm.max_frames,
        )
        report = self._fit("reader", lesson, settings)
        tower, mllm, text_head = parts
        self._write("vila", lambda folder: folders.save_vila(folder, tower, mllm, text_head, tokenizer))
        self._write("siglip2", lambda folder: folders.save_siglip(folder, tower))
        return report

    def _painter(self) -> dict[str, Any]:
        from diffusers import AutoencoderKLWan

        from omnivideo.tokens import learned_tokenizer

        settings, worlds = self.settings.painter, self._worlds(self.settings.painter)
        entries = self.base.text_encoder.vocab_size
        tokenizer = learned_tokenizer(said_in_the_world(), entries, append_eos=True)
        vae = AutoencoderKLWan.from_pretrained(self.folder / "autoencoder").float()
        vae.requires_grad_(False).eval()
        names = ("text_encoder", "dit")
        parts: list[Any] = [build_part(name, self.base, self.settings.seed) for name in names]
        look_nearby(parts[0])
        lesson = PainterLesson(
            *(Painter(*parts), vae, tokenizer, settings, worlds, self.team.device),
            *(self.base.text_encoder.max_tokens, self.base.scheduler.flow_shift),
            self.base.generation.image_guidance,
        )
        text_encoder, dit = parts
        cuda = self.team.device.type == "cuda"
        blocks = Blocks(dit, "none", cuda if settings.compile is None else settings.compile, len(worlds))
        report = self._fit("painter", lesson, settings)
        blocks.remove()
        self._write(
            "wan", lambda folder: folders.save_wan(folder, self.base, dit, vae, text_encoder, tokenizer)
        )
        return report

    def _fit(self, name: LessonName, lesson: Lesson, settings: LessonSection) -> dict[str, Any]:
        with learning(lesson.module):
            fit = Fit(_phase(name), lesson, settings, self.team, self.folder, self.settings.seed)
            return fit.run()

    # --- worlds and folders

    def _worlds(self, settings: LessonSection) -> list[World]:
        return [make_world(view, settings.scenes, self._processes()) for view in self._views("train")]

    def _unseen(self) -> list[World]:
        return [make_world(view, UNSEEN) for view in self._views("test")]

    def _views(self, split: Split) -> list[View]:
        settings = self.settings
        lengths = dict.fromkeys((1, settings.num_frames))
        purpose = "learning" if split == "train" else "report"
        return [
            View(settings.size, frames, settings.seed, purpose, split, settings.simple) for frames in lengths
        ]

    def _processes(self) -> int:
        return self.settings.processes or len(os.sched_getaffinity(0))

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        if self.team.rank == 0:
            write_folder(self.folder / name, write)
        self.team.wait()

    def _assemble(self) -> None:
        """Put the folders together as released ones are, and write the model that the stages start from."""
        from omnivideo.released import assemble
        from training.checkpoints import export

        vila, siglip2, wan = (self.folder / name for name in ("vila", "siglip2", "wan"))
        model = assemble(self.base, vila, siglip2, wan, self.settings.seed)
        write_folder(self.run.init, model.save_pretrained)
        export.copy(self.run.init, self.run.model)


def _phase(name: LessonName) -> str:
    return f"backbone-{name}"


def _check(base: OmniVideoConfig) -> None:
    if not isinstance(base.mllm, MllmConfig) or base.mllm.select_layer != -2:
        raise InputError("the reader must be of VILA's shape", STEP, "choose another model.preset")


def _with_vocabulary(base: OmniVideoConfig, rows: int) -> OmniVideoConfig:
    """The configuration with the reader's vocabulary, and the smallest target: nothing reads it yet."""
    assert isinstance(base.mllm, MllmConfig)
    llm: LlmConfig = base.mllm.llm.model_copy(update={"vocab_size": rows})
    vision: SiglipConfig = base.mllm.vision
    return base.model_copy(
        update={
            "mllm": base.mllm.model_copy(update={"llm": llm}),
            "vision_head": base.vision_head.model_copy(update={"target": vision}),
        }
    )
