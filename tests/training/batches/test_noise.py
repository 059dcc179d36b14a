from __future__ import annotations

import pytest
import torch

from omnivideo.flow import sample_time
from training.batches.noise import Ahead, Chances, Key, Kind, chances, generator


def chance(shape: tuple[int, ...], key: Key, shift: float = 1.0, dropout: float = 0.0) -> Chances:
    """One sample's."""
    return chances([key], Kind(shape, shift, dropout))


def test_chances_are_drawn_in_their_order() -> None:
    """Of many keys at once each gets its time, then whether it goes without text, then its noise."""
    keys: list[Key] = [(0, name, epoch) for name in "abc" for epoch in range(2)]
    made = chances(keys, Kind((4, 3, 8), 3.0, 0.5))
    for key, noise, time, without_text in zip(keys, *made, strict=True):
        source = generator(*key)
        assert torch.equal(time, sample_time((), source, 3.0))
        assert without_text == bool(torch.rand((), generator=source) < 0.5)
        assert torch.equal(noise, torch.randn((4, 3, 8), generator=source))


def test_chances_follow_seed_sample_and_epoch() -> None:
    """The same key gives the same noise, time and dropout; another epoch, sample or seed gives others."""
    first, again = chance((2, 3), (0, "a", 0)), chance((2, 3), (0, "a", 0))
    assert torch.equal(first.noise, again.noise)
    assert torch.equal(first.time, again.time)
    for key in ((1, "a", 0), (0, "b", 0), (0, "a", 1)):
        assert not torch.equal(chance((2, 3), key).noise, first.noise)


def test_the_time_does_not_depend_on_the_resolution() -> None:
    """A sample of another shape meets the same time and dropout."""
    small, large = chance((1,), (0, "a", 0), 3.0, 0.5), chance((4, 8), (0, "a", 0), 3.0, 0.5)
    assert torch.equal(small.time, large.time)
    assert small.without_text == large.without_text


def test_captions_drop_as_often_as_asked() -> None:
    """Over many samples the share without text is the one configured."""
    dropped = sum(chance((1,), (0, str(i), 0), 1.0, 0.1).without_text[0] for i in range(2000))
    assert dropped / 2000 == pytest.approx(0.1, abs=0.03)


def test_the_flow_shift_draws_noisier_times() -> None:
    """Shift 3 moves times towards 0, which is noise (Eq. 4)."""
    times = [torch.stack([chance((1,), (i,), shift).time for i in range(500)]).mean() for shift in (1.0, 3.0)]
    assert times[0] == pytest.approx(0.5, abs=0.05)
    assert times[1] < times[0] - 0.1


def test_times_are_distributed_as_asked() -> None:
    """Logit-normal times are those of the same draw, farther from both ends; noise and dropout stay."""
    keys: list[Key] = [(i,) for i in range(500)]
    even, middle = (chances(keys, Kind((1,), 3.0, 0.5, how)) for how in ("uniform", "logit_normal"))
    assert torch.equal(even.noise, middle.noise)
    assert even.without_text == middle.without_text
    assert middle.time.std() < even.time.std()
    assert torch.equal(middle.time.argsort(), even.time.argsort())


def test_chances_drawn_ahead_are_the_same() -> None:
    """Begun before, let go of, or never begun: the arguments alone decide."""
    keys: list[Key] = [(0, name, 0) for name in "abcd"]
    kind, ahead = Kind((2, 3), 3.0, 0.5), Ahead()
    ahead.begin(keys[2:], kind)
    ahead.begin(keys[:3], kind)
    for asked in (keys[:2], keys[2:3], keys[1:], keys[3:], keys[1::-1]):
        found, expected = ahead.take(asked, kind), chances(asked, kind)
        assert torch.equal(found.noise, expected.noise)
        assert torch.equal(found.time, expected.time)
        assert found.without_text == expected.without_text
    assert not torch.equal(
        ahead.take(keys[:2], kind._replace(shift=1.0)).time, ahead.take(keys[:2], kind).time
    )
