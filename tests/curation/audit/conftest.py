"""One audited dataset for the tests that only look at it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from curation.audit import build_audit

from .synthetic_dataset import Spec, build


@dataclass(frozen=True)
class Audited:
    """A dataset, what the audit returned, and what it wrote."""

    dataset: str
    summary: dict[str, Any]
    page: str
    figures: dict[str, Any]


def audit(dataset: str, out: Path, **options: int) -> Audited:
    """Audit a dataset; JSON is read strictly, without NaN or infinities."""
    summary = build_audit(dataset, out, **options)
    text = (out / "audit.json").read_text(encoding="utf-8")
    page = (out / "audit.html").read_text(encoding="utf-8")
    return Audited(dataset, summary, page, json.loads(text, parse_constant=_refuse))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Audited:
    """Four hundred clips of all verdicts, with all scores stored."""
    folder = tmp_path_factory.mktemp("audited dataset")  # the space is meant
    return audit(build(folder / "dataset", images, Spec(clips=400)), folder / "out")
