from __future__ import annotations

import pytest
import torch

from omnivideo.config import SchedulerConfig
from omnivideo.decoder import build_scheduler
from omnivideo.flow import interpolate, sample_time, velocity_target, wan_timestep
from omnivideo.model import OmniVideoModel


def test_the_target_leads_from_noise_to_data() -> None:
    """X_t plus the rest of the way at the target velocity is the data, at every t."""
    x1, x0, t = torch.randn(3, 2, 4), torch.randn(3, 2, 4), torch.tensor([0.0, 0.3, 1.0])
    reached = interpolate(x1, x0, t) + (1 - t).view(-1, 1, 1) * velocity_target(x1, x0)
    torch.testing.assert_close(reached, x1)


def test_times_are_uniform_without_shift() -> None:
    """Without a shift, t follows U(0, 1) as Eq. 4 says."""
    t = sample_time((20_000,), torch.Generator().manual_seed(0))
    assert abs(float(t.mean()) - 0.5) < 0.01
    assert abs(float(t.std()) - 12**-0.5) < 0.01


@pytest.mark.parametrize("distribution", ["uniform", "logit_normal"])
def test_shift_draws_noisier_times(distribution: str) -> None:
    """A flow shift of 3 moves each noise level σ to 3σ / (1 + 2σ) and stays within [0, 1]."""
    draw = lambda shift: sample_time((1000,), torch.Generator().manual_seed(1), shift, distribution)  # type: ignore[arg-type] # noqa: E731
    sigma, shifted = 1 - draw(1.0), 1 - draw(3.0)
    torch.testing.assert_close(shifted, 3 * sigma / (1 + 2 * sigma), atol=1e-6, rtol=1e-5)
    assert 0 <= shifted.min() <= shifted.max() <= 1


def test_logit_normal_times_keep_to_the_middle() -> None:
    """Of logit-normal times without shift two thirds lie where a logit is within 1, and the median is 1/2."""
    t = sample_time((20_000,), torch.Generator().manual_seed(0), distribution="logit_normal")
    assert abs(float(t.median()) - 0.5) < 0.01
    assert abs(float((torch.logit(t).abs() < 1).float().mean()) - 0.683) < 0.02


def test_scheduler_follows_the_same_direction() -> None:
    """UniPC with the true velocity, in Wan's sign, ends at the data."""
    x1, x0 = torch.randn(1, 16, 1, 4, 4), torch.randn(1, 16, 1, 4, 4)
    scheduler = build_scheduler(SchedulerConfig())
    scheduler.set_timesteps(6)
    x = x0
    for timestep in scheduler.timesteps:
        x = scheduler.step(-velocity_target(x1, x0), timestep, x, return_dict=False)[0]
    torch.testing.assert_close(x, x1, atol=1e-3, rtol=1e-3)


def test_noise_is_at_wans_last_timestep(model: OmniVideoModel) -> None:
    """The paper's t = 0 is Wan's timestep 1000, and velocity is the negative of Wan's output there."""
    assert wan_timestep(torch.tensor([0.0, 1.0])).tolist() == [1000.0, 0.0]
    x, c = torch.randn(1, 16, 1, 4, 4), torch.randn(1, 5, 64)
    with torch.no_grad():
        velocity = model.velocity(x, torch.zeros(1), c)
        flow = model.predict_flow(x, torch.tensor([1000.0]), c)
    assert torch.equal(velocity, -flow)
