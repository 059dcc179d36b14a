from __future__ import annotations

import pickle

from omnivideo.errors import InputError


def test_an_input_error_travels_between_processes() -> None:
    """Ray pickles what a worker raises: all three fields arrive."""
    error = pickle.loads(pickle.dumps(InputError("no model at /m", "model", "give another path")))
    assert (error.what, error.step, error.next_step) == ("no model at /m", "model", "give another path")
    assert str(error) == "model: no model at /m. give another path"
