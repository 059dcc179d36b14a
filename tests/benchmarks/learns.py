"""Proof on one GPU that the three stages learn: backbones, stages and judging as processes of their own.

No cluster is started, no dataset read: `training.loop.worker` runs in this process, on a rendered world.
    python -m tests.benchmarks.learns backbones REQUEST.json --only autoencoder painter
    python -m tests.benchmarks.learns stage REQUEST.json --stage 3 --seconds stage-3=120
    python -m tests.benchmarks.learns judge MODEL OUT image think --limit 48

`python -m tests.benchmarks.proof` runs all of it. What starts before that which it needs can `--wait` for
files, its imports and scenes behind it. Backbones trained by name are not put together; `backbones REQUEST
--only` does that alone, also for a request whose folder links to another's backbones. Stage 1 reads no
painter: with `early` put in its place it runs beside the painter's lesson, and `late` gives the painter to
what came of it. Workers that share a stage are told of each other by RANK, WORLD_SIZE and MASTER_PORT.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

START = time.monotonic()
KEPT = 24  # samples of each part whose frames are written


def main() -> None:
    """Do what the arguments ask."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("backbones")
    one.add_argument("request")
    one.add_argument("--only", nargs="*")
    one.add_argument(
        "--wait", nargs="*", default=[], type=Path, help="until these are there, scenes rendered"
    )
    one.add_argument("--quick", action="store_true", help="reports of next to nothing, for a rehearsal")
    one = commands.add_parser("early")
    one.add_argument("request")
    one = commands.add_parser("late")
    one.add_argument("request")
    one.add_argument("model", nargs="+", help="whose painter is not there yet")
    one = commands.add_parser("stage")
    one.add_argument("request")
    one.add_argument("--stage", default=None)
    one.add_argument("--wait", nargs="*", default=[], type=Path, help="until these are there, samples read")
    one.add_argument("--seconds", nargs="*", default=[], help="PHASE=SECONDS, the most that it takes")
    one.add_argument("--apart", action="store_true", help="each batch of one task alone: no hybrid batching")
    one = commands.add_parser("judge")
    one.add_argument("model")
    one.add_argument("out")
    one.add_argument("parts", nargs="+")
    one.add_argument("--wait", action="store_true", help="until the model is there")
    one.add_argument("--limit", type=int)
    one.add_argument("--samples", type=int, default=4)
    one.add_argument("--batch", type=int, default=128)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--guidance", type=float, default=None)
    asked = parser.parse_args()
    import torch

    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    else:
        torch.set_num_threads(1)
    commands_known = (backbones, early, late, stage, judge)
    {one.__name__: one for one in commands_known}[asked.command](asked)
    print(f"{asked.command}: {time.monotonic() - START:.0f} s in all", flush=True)


def wait_for(*files: Path) -> None:
    """Return when these are there; whoever waits has its imports behind it."""
    while not all(file.exists() for file in files):
        time.sleep(0.2)


def team() -> Any:
    """Join a group of one."""
    import torch

    from training.parallel.engine import join
    from training.parallel.team import Team

    if "RANK" not in os.environ:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        os.environ.update({"MASTER_PORT": str(port), "RANK": "0", "WORLD_SIZE": "1"})
    os.environ.update({"MASTER_ADDR": "127.0.0.1", "LOCAL_RANK": "0"})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    join(device)
    return Team.current(device)


def read(path: str) -> Any:
    """The request."""
    from training.config import TrainRequest

    return TrainRequest.model_validate_json(Path(path).read_text())


def backbones(asked: Any) -> None:
    """Train some backbones, or all and put the model together."""
    import training.backbones.painter
    import training.backbones.stage
    from training.backbones.stage import LESSONS, Backbones
    from training.run import Run

    class After(Backbones):
        def _worlds(self, settings: Any) -> Any:
            worlds = super()._worlds(settings)
            wait_for(*asked.wait)
            return worlds

        def _assemble(self) -> None:
            if not asked.only:
                super()._assemble()

    if asked.quick:
        training.backbones.stage.UNSEEN, training.backbones.painter.STEPS = 4, 2
        training.backbones.painter.CATEGORIES = ("color_attr",)
    request = read(asked.request)
    only = LESSONS if asked.only is None else asked.only
    After(request, Run(Path(request.out).resolve()), team()).train(only)


def early(asked: Any) -> None:
    """Put a model together whose painter is yet to come."""
    from diffusers import AutoencoderKLWan

    from omnivideo.build import build_part
    from omnivideo.released import assemble
    from omnivideo.tokens import learned_tokenizer
    from training.backbones.folders import save_wan
    from training.backbones.words import said_in_the_world
    from training.checkpoints.atomic import write_folder
    from training.model.origin import configuration
    from training.run import Run

    request = read(asked.request)
    run, base = Run(Path(request.out).resolve()), configuration(request.model)
    wait_for(*(run.backbones / f"{name}.json" for name in ("autoencoder", "reader")))
    folder = run.root / "early"
    vae = AutoencoderKLWan.from_pretrained(run.backbones / "autoencoder")
    tokenizer = learned_tokenizer(said_in_the_world(), base.text_encoder.vocab_size, append_eos=True)
    dit, text_encoder = (build_part(name, base, 0) for name in ("dit", "text_encoder"))
    save_wan(folder, base, dit, vae, text_encoder, tokenizer)
    model = assemble(base, run.backbones / "vila", run.backbones / "siglip2", folder, request.backbones.seed)
    write_folder(run.init, model.save_pretrained)


def late(asked: Any) -> None:
    """Give models the painter, once it is there."""
    import shutil

    from training.run import Run

    run = Run(Path(read(asked.request).out).resolve())
    wait_for(run.backbones / "painter.json")
    for model in map(Path, asked.model):
        for part, theirs in (("dit", "transformer"), ("text_encoder", "text_encoder")):
            shutil.rmtree(model / part)
            shutil.copytree(run.backbones / "wan" / theirs, model / part)


def stage(asked: Any) -> None:
    """Train one stage, or all; a phase that has used its seconds takes no further steps."""
    import training.batches.phase_plan
    import training.loop.stage
    import training.loop.worker
    from training.data.rendered import open_data
    from training.data.samples import read_samples
    from training.loop.phase import PhaseLoop
    from training.loop.worker import train

    limits = {name: float(value) for name, value in (pair.split("=") for pair in asked.seconds)}

    class Limited(PhaseLoop):
        begun = 0.0

        def _step(self, step: int) -> None:
            self.begun = self.begun or time.monotonic()
            used = max(self.context.team.gather(time.monotonic() - self.begun))
            if used < limits.get(self.phase.name, 1e9):
                super()._step(step)
                if step % 50 == 0 and self.context.team.rank == 0:
                    entry = json.loads(self.context.run.metrics.read_text().rsplit("\n", 2)[-2])
                    losses = {name: round(loss, 4) for name, loss in entry["tasks"].items()}
                    print(f"{self.phase.name} {step} {used:.0f} s {losses}", flush=True)

    training.loop.stage.PhaseLoop = Limited  # type: ignore[attr-defined]
    if asked.apart:
        training.batches.phase_plan.BatchPlan = apart()  # type: ignore[attr-defined]
    request = read(asked.request).model_copy(update={"only_stage": asked.stage, "backbones": None})
    one, samples = team(), read_samples(open_data(request.data))
    training.loop.worker.read_samples = lambda dataset: samples  # type: ignore[attr-defined]
    wait_for(*asked.wait)
    train(request, one)


def apart() -> Any:
    """The plan of batches without hybrid batching: tasks in turn, as often as the mix has it."""
    from training.batches.batch_plan import Batch, BatchPlan, apportion, spread

    class Apart(BatchPlan):
        def batch(self, step: int) -> Batch:
            counts = apportion(self._shares, 64, 1)
            round_, place = divmod(step, sum(counts.values()))
            order = spread(counts, (*self._key, round_))
            stream = order[place]
            before = round_ * counts[stream] + order[:place].count(stream)
            draws = range(before * self.batch_size, (before + 1) * self.batch_size)
            return Batch(step, stream[0], tuple(self._draw(stream, 0, number) for number in draws))

    return Apart


def judge(asked: Any) -> None:
    """Judge a model, write the scores and some of what it made."""
    import numpy as np
    import torch

    from omnivideo.evaluation.run import Plan, evaluate
    from omnivideo.evaluation.scores import summarise
    from omnivideo.pipeline import OmniVideoPipeline

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if asked.wait:
        wait_for(Path(asked.model, "model_index.json"))
    pipeline = OmniVideoPipeline.from_pretrained(asked.model).to(device)
    pipeline.set_progress_bar_config(disable=True)
    shape = pipeline.omni_config.generation
    out = Path(asked.out)
    out.mkdir(parents=True, exist_ok=True)
    for part in asked.parts:
        plan = Plan(
            *(shape.height, max(5, shape.num_frames), (part,), asked.limit, asked.samples),
            batch=asked.batch,
            seed=asked.seed,
            guidance_scale=asked.guidance,
        )
        with torch.autocast(device, torch.bfloat16, enabled=False):
            records = list(evaluate(pipeline, plan))
        scores = summarise(records)
        (out / f"{part}.json").write_text(json.dumps(scores, indent=1))
        print(f"{part} after {time.monotonic() - START:.0f} s: {json.dumps(scores)}", flush=True)
        chosen = list(kept(records))
        told = [
            {
                "group": r.group,
                "prompt": r.prompt,
                "correct": r.correct,
                "reason": r.reason,
                "psnr": r.outside_psnr,
            }
            for r in chosen
        ]
        (out / f"{part}-samples.json").write_text(json.dumps(told))
        frames = {f"made{i}": r.frames for i, r in enumerate(chosen) if r.frames is not None}
        frames |= {f"source{i}": r.source for i, r in enumerate(chosen) if r.source is not None}
        np.savez_compressed(out / f"{part}-samples.npz", **frames)


def kept(records: Any) -> Iterator[Any]:
    """Some of each group, right ones and wrong ones."""
    seen: dict[tuple[str, bool], int] = {}
    groups = {record.group for record in records}
    most = max(1, KEPT // (2 * len(groups)))
    for record in records:
        key = (record.group, record.correct)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= most:
            yield record


if __name__ == "__main__":
    main()
