"""How well thresholds agree with labels, and which values would agree best."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from curation.dataset import open_dataset
from curation.errors import InputError
from curation.questions.thresholds import Threshold, rules_of
from curation.store.commits import newest

STEP = "reading the labels"
WORDS = {
    **dict.fromkeys(("1", "true", "yes", "y", "keep", "kept"), True),
    **dict.fromkeys(("0", "false", "no", "n", "drop", "reject", "rejected"), False),
}


class Label(NamedTuple):
    """A line of the CSV."""

    key: str  # a sample id, a file's name or its uri
    keep: bool
    line: int


class Agreement(NamedTuple):
    """Clips that a bound lets pass against clips labelled `keep`; F1 is the first two's harmonic mean."""

    precision: float | None  # of what passes, the share labelled keep; None if nothing passes
    recall: float | None  # of what is labelled keep, the share that passes
    f1: float
    wrongly_passed: int
    wrongly_rejected: int


def calibrate(uri: str, labels: str | Path, version: int | None = None) -> dict[str, Any]:
    """Each threshold of the newest recipe against a CSV of (file or sample_id, keep).

    A file's label holds for each of its clips. Clips without the score, since an earlier filter rejected
    them, are counted and left out. Raises InputError if a line cannot be read or nothing in it is labelled.
    """
    dataset = open_dataset(uri, version)
    commit = newest(dataset.history())
    rules = rules_of(commit.get("recipe") or {}, dataset.score_names)
    lines = list(_read(Path(labels)))
    told = _agreed(lines, labels)
    rows = dataset.table(["sample_id", "uri", "verdict", "scores"]).to_pylist()
    labelled = [(row, keep) for row in rows if (keep := _label(row, told, labels)) is not None]
    if not labelled:
        what = f"no clip of {uri} is named in {labels}"
        raise InputError(what, STEP, "name files as in the dataset's uri column, or by sample_id")
    used = {key for row, _ in labelled for key in _keys(row)}
    return {
        "dataset": uri,
        "version": dataset.version,
        "labelled": len(labelled),
        "keep": sum(keep for _, keep in labelled),
        "repeated": len(lines) - len(told),
        "unknown": sorted(set(told) - used),
        "verdicts": agreement([(row["verdict"] == "kept", keep) for row, keep in labelled])._asdict(),
        "thresholds": [_compare(one, labelled) for rule in rules for one in rule.thresholds],
    }


def agreement(pairs: Sequence[tuple[bool, bool]]) -> Agreement:
    """Of pairs (passes, labelled keep)."""
    both = sum(passes and keep for passes, keep in pairs)
    passed, keep = sum(passes for passes, _ in pairs), sum(keep for _, keep in pairs)
    f1 = 2 * both / (passed + keep) if passed + keep else 0.0
    precision, recall = (round(both / whole, 4) if whole else None for whole in (passed, keep))
    return Agreement(precision, recall, round(f1, 4), passed - both, keep - both)


def suggest(scored: Sequence[tuple[float, bool]], side: str) -> tuple[float | None, Agreement]:
    """The bound with the best F1 of (score, labelled keep), and that agreement; None: no bound is as good.

    Bounds lie halfway between neighbouring scores; of equally good ones the loosest is taken.
    """
    values = sorted({score for score, _ in scored}, reverse=side == "max")  # from loose to strict
    bounds = [(a + b) / 2 for a, b in pairwise(values)]
    best, found = None, agreement([(True, keep) for _, keep in scored])
    for bound in bounds:
        passing = [((score >= bound) if side == "min" else (score <= bound), keep) for score, keep in scored]
        one = agreement(passing)
        if one.f1 > found.f1:
            best, found = bound, one
    return best, found


def _compare(one: Threshold, labelled: Sequence[tuple[dict[str, Any], bool]]) -> dict[str, Any]:
    scores = [((row["scores"] or {}).get(one.score), keep) for row, keep in labelled]
    scored = [(score, keep) for score, keep in scores if score is not None]
    now = agreement([(not one.rejects(score), keep) for score, keep in scored])
    value, best = suggest(scored, one.side)
    if best.f1 <= now.f1:
        value, best = one.value, now
    return {
        **{key: getattr(one, key) for key in ("filter", "field", "score", "side", "value")},
        "scored": len(scored),
        "not_scored": len(scores) - len(scored),
        "now": now._asdict(),
        "suggested": value if value is None or value == one.value else float(f"{value:.6g}"),
        "then": best._asdict(),
        "gain": round(best.f1 - now.f1, 4),  # 0: the bound stays as it is
    }


def _read(path: Path) -> Iterator[Label]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            key = next((name for name in ("sample_id", "file") if name in columns), None)
            if key is None or "keep" not in columns:
                what = f"{path} has no columns file (or sample_id) and keep"
                raise InputError(what, STEP, "name them in its first line")
            for line in reader:
                number = reader.line_num
                yield Label((line[key] or "").strip(), _keep(line["keep"], path, number), number)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}", STEP, "check the path") from error


def _keep(text: str | None, path: Path, line: int) -> bool:
    word = (text or "").strip().lower()
    if word not in WORDS:
        raise InputError(f"{path}, line {line}: keep is {text!r}", STEP, f"write one of {', '.join(WORDS)}")
    return WORDS[word]


def _keys(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["sample_id"], row["uri"] or "", (row["uri"] or "").rpartition("/")[2]


def _agreed(lines: Sequence[Label], labels: str | Path) -> dict[str, Label]:
    """The first label of each key. Raises InputError if a later one contradicts it."""
    told: dict[str, Label] = {}
    for label in lines:
        _same(told.setdefault(label.key, label), label, labels)
    return told


def _label(row: dict[str, Any], told: dict[str, Label], labels: str | Path) -> bool | None:
    """By sample id; else by the whole uri or the file's name, which must agree; None without a label."""
    sample_id, *names = _keys(row)
    if sample_id in told:
        return told[sample_id].keep
    found = [told[name] for name in names if name in told]
    if found:
        _same(found[0], found[-1], labels)
    return found[0].keep if found else None


def _same(label: Label, other: Label, labels: str | Path) -> None:
    if label.keep != other.keep:
        first, second = sorted((label, other), key=lambda one: one.line)
        what = f"{labels}, lines {first.line} and {second.line}: {second.key} is both to be kept and not"
        raise InputError(what, STEP, "leave one of them, or name files of the same name by their path")
