from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event

from training.monitoring.curves import Curves

LOSSES = {"loss": 2.0, "tasks": {"text_to_video": 2.0}, "losses": {"flow": 2.0}}


def step(number: int) -> dict[str, Any]:
    """A logged step."""
    flow = {**LOSSES, "quartiles": {"0.25-0.50": 2.0}, "tokens": 100, "seconds": 0.5, "data_wait": 0.1}
    head = {"kind": "step", "phase": "stage-3", "step": number, "grad_norm": 1.0, "learning_rate": 1e-4}
    head["grad_norms"] = {"adapter": 0.6, "dit": 0.8, "vision_head": None}
    return {**head, **flow, "memory_gib": 3.0, "mfu": 0.4, "tokens_per_second": 200.0}


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Points by curve, from the files that TensorBoard reads: length, checksum, event, checksum."""
    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.glob("events.*")):
        data, place = file.read_bytes(), 0
        while place < len(data):
            length = int.from_bytes(data[place : place + 8], "little")
            event = Event.FromString(data[place + 12 : place + 12 + length])
            place += 16 + length
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, round(value.simple_value, 6)))
    return found


def test_a_step_is_a_point_on_each_curve(tmp_path: Path) -> None:
    """Losses by task and quartile, gradient norms also by part, rate, waiting, tokens, seconds, memory."""
    curves = Curves(tmp_path / "tensorboard")
    curves.begin([])
    curves.add(step(1))
    curves.close()
    found = {name.removeprefix("stage-3/"): points for name, points in read(tmp_path / "tensorboard").items()}
    assert found == {
        "loss/train": [(1, 2.0)],
        "loss_by_task/train/text_to_video": [(1, 2.0)],
        "loss_by_kind/train/flow": [(1, 2.0)],
        "loss_by_quartile/train/0.25-0.50": [(1, 2.0)],
        "gradient_norm": [(1, 1.0)],
        "gradient_norm_by_part/adapter": [(1, 0.6)],
        "gradient_norm_by_part/dit": [(1, 0.8)],
        "learning_rate": [(1, 0.0001)],
        "memory_gib": [(1, 3.0)],
        "mfu": [(1, 0.4)],
        "seconds_per_step": [(1, 0.5)],
        "data_wait_share": [(1, 0.1)],
        "tokens_per_second": [(1, 200.0)],
    }


def test_a_resumed_run_goes_on_with_the_same_curves(tmp_path: Path) -> None:
    """What was drawn after the checkpoint is gone, what came before stands once."""
    killed = Curves(tmp_path)
    killed.begin([])
    for number in (1, 2, 3):
        killed.add(step(number))
    killed.close()
    again = Curves(tmp_path)
    again.begin([step(1), step(2)])
    again.begin([step(1), step(2)])
    again.add(step(3))
    again.close()
    assert [number for number, _ in read(tmp_path)["stage-3/loss/train"]] == [1, 2, 3]


def test_held_out_losses_and_skipped_steps_are_drawn(tmp_path: Path) -> None:
    """Each on curves of its own; what is not finite leaves a gap."""
    curves = Curves(tmp_path)
    head = {"phase": "stage-3", "step": 4}
    curves.begin([{**head, "kind": "held_out", **LOSSES, "times": {"0.1": 3.0}}])
    curves.add({**head, "kind": "skipped", "loss": None})
    curves.add({**head, "kind": "probe", "loss": None, "tasks": {}, "losses": {}})
    curves.close()
    found = read(tmp_path)
    assert found["stage-3/loss_by_time/held_out/0.1"] == [(4, 3.0)]
    assert found["stage-3/skipped"] == [(4, 1.0)]
    assert "stage-3/loss/probe" not in found
