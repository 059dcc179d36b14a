"""Ray Train, here alone: a group of workers that each run the loop, started again if one dies."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from training.checkpoints.atomic import write_json
from training.config import TrainRequest
from training.errors import TrainingError
from training.run import Run


def launch(request: TrainRequest, run: Run) -> None:
    """Train with Ray Train v2 on the Ray cluster that this process is connected to.

    Controller and driver take no CPU, so that as many workers fit as there are. Checkpoints are the run
    folder's own (see training/checkpoints): they outlive workers, controller and cluster alike, and a run
    started again in the same folder needs nothing of Ray's. Raises Ray's TrainingFailedError when restarts
    run out.
    """
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    os.environ.setdefault("RAY_TRAIN_METRICS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")  # it says everything twice
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    cluster = request.cluster
    resources = {"CPU": float(cluster.cpus_per_worker), **({"GPU": 1.0} if cluster.use_gpu else {})}
    TorchTrainer(
        work,
        train_loop_config={"request": request.model_dump(mode="json"), "run": str(run.root)},
        torch_config=TorchConfig(backend="nccl" if cluster.use_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=cluster.num_workers, use_gpu=cluster.use_gpu, resources_per_worker=resources
        ),
        run_config=RunConfig(
            name=f"{request.run_id}-{time.time_ns()}",
            storage_path=str(run.root / ".ray"),
            failure_config=FailureConfig(max_failures=cluster.max_failures),
        ),
    ).fit()


def work(config: dict[str, Any]) -> None:
    """Be one worker. What will not go better on a second try is written down, and not tried again."""
    request, run = TrainRequest.model_validate(config["request"]), Run(Path(config["run"]))
    if run.failure.exists():
        return
    # Before any import that would have DeepSpeed choose for itself.
    os.environ["DS_ACCELERATOR"] = "cuda" if request.cluster.use_gpu else "cpu"
    import ray.train.torch
    import torch

    from training.loop.worker import train
    from training.parallel.engine import join
    from training.parallel.team import Team
    from training.stop import Stopped

    torch.set_num_threads(request.cluster.cpus_per_worker)
    device = ray.train.torch.get_device() if request.cluster.use_gpu else torch.device("cpu")
    join(device)
    team = Team.current(device)
    try:
        train(request, team)
    except Stopped as error:  # not raised: Ray would start the workers again
        if team.rank == 0:
            write_json(run.failure, describe(error))
    except (ValueError, TrainingError) as error:
        if (said := describe(error)) is not None:
            write_json(run.failure, said)
        raise


def describe(error: Exception) -> dict[str, str] | None:
    """Return an error event's fields for what the user or the run got wrong, None for anything else."""
    from training.stop import Stopped

    if isinstance(error, Stopped):
        again = "run the same command again: it goes on from there"
        return {"kind": "stopped", "what": str(error), "step": error.phase, "next": again}
    if isinstance(error, TrainingError):
        return {"kind": "failure", "what": str(error), "step": "train", "next": "see the run's metrics.jsonl"}
    if hasattr(error, "next_step"):  # InputError: curation's has the same fields as the model's
        fields: Any = error
        return {"kind": "input", "what": fields.what, "step": fields.step, "next": fields.next_step}
    return None
