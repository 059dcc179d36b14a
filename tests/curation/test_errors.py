from __future__ import annotations

import pickle

import pytest

from curation.errors import InputError, MediaError


def test_input_error_survives_workers() -> None:
    """An InputError crosses a process boundary with its three parts."""
    error = pickle.loads(pickle.dumps(InputError("no such key", "recipe", "remove it")))
    assert (str(error), error.step, error.next_step) == ("no such key", "recipe", "remove it")


def test_media_error_survives_workers() -> None:
    """A MediaError crosses a process boundary with its slug."""
    error = pickle.loads(pickle.dumps(MediaError("truncated", "3 of 5 frames")))
    assert (error.slug, error.message) == ("truncated", "3 of 5 frames")


def test_slugs_are_a_closed_list() -> None:
    """A slug that nobody documented is refused."""
    with pytest.raises(ValueError, match="unknown slug"):
        MediaError("oops", "")
