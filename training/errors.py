"""How training fails by its own fault; what the user got wrong is the model's InputError."""

from __future__ import annotations


class TrainingError(RuntimeError):
    """A promise of the run is broken: a frozen part moved, or gradients stay without a finite value."""
