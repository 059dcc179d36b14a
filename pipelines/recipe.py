"""A recipe: one YAML file, read strictly. Each section's model stands beside the code that it configures."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.caption import CaptionConfig
from curation.config import DedupConfig, ShardsConfig
from curation.edits import EditsConfig
from curation.errors import InputError
from curation.filters import parse as parse_filters
from curation.gates import GatesConfig
from curation.sources import Source, from_string
from curation.split import SplitConfig
from pipelines.evaluation_config import EvaluationSection
from pipelines.schedule import ScheduleConfig
from training.backbones.config import BackbonesSection
from training.config import ClusterSection, MixSection, ModelSection, StagesSection

BUILT_IN = Path(__file__).parent / "recipes"
FIX = "correct it, or override it with --set KEY=VALUE"


class Recipe(BaseModel):
    """What to read, how to judge it, what to train. An unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: list[Source] = Field(min_length=1)
    split: SplitConfig = SplitConfig()
    filters: list[str | dict[str, dict[str, Any] | None]] = Field(default_factory=list)
    dedup: DedupConfig = DedupConfig()
    edits: EditsConfig = EditsConfig()
    caption: CaptionConfig = CaptionConfig()
    shards: ShardsConfig = ShardsConfig()
    gates: GatesConfig = GatesConfig()
    backbones: BackbonesSection | None = None
    mix: MixSection = MixSection()
    model: ModelSection = ModelSection()
    stages: StagesSection = StagesSection()
    evaluation: EvaluationSection = EvaluationSection()
    cluster: ClusterSection = ClusterSection()
    schedule: ScheduleConfig | None = None


def load(path: str, overrides: list[str] | None = None, sources: list[str] | None = None) -> Recipe:
    """Read the recipe at `path` with `KEY=VALUE` overrides by dotted path; `sources` replace its own.

    `path` may also be a built-in recipe's bare name. Raises InputError with one line that names the key, and
    its near match where there is one, for anything that does not fit.
    """
    file = _find(path)
    document = _read(file)
    for assignment in overrides or []:
        override(document, assignment)
    if sources:
        document["sources"] = [from_string(text).model_dump(exclude_unset=True) for text in sources]
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        raise InputError(_explain(error), step=f"reading recipe {file}", next_step=FIX) from None
    try:
        parse_filters(recipe.filters)
    except InputError as error:
        raise InputError(error.what, f"reading recipe {file}", error.next_step) from None
    return recipe


def override(document: dict[str, Any], assignment: str) -> None:
    """Set one key of a recipe's document in place: `split.max_seconds=10`, `filters.motion.min_flow=0.3`.

    In a list, a part of the path is an index or the name of the entry; `dark` is that of `./dark.py`, too.
    The value is read as YAML.
    """
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise InputError(
            f"--set {assignment!r} is not KEY=VALUE", "reading --set", "write --set split.max_seconds=10"
        )
    *way, last = key.split(".")
    at: Any = document
    for part in way:
        at = _step_into(at, part, assignment)
    if isinstance(at, list):
        index, value = _index(at, last, assignment), _value(text, assignment)
        at[index] = value if last.isdigit() else {_entry(at[index]): value}
    else:
        at[last] = _value(text, assignment)


def _value(text: str, assignment: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(
            f"--set {assignment!r}: the value is not YAML", "reading --set", "quote it"
        ) from None


def _step_into(at: Any, part: str, assignment: str) -> Any:
    if isinstance(at, list):
        index = _index(at, part, assignment)
        name = part if part.isdigit() else _entry(at[index])
        if isinstance(at[index], str) or at[index].get(name, at[index]) is None:
            at[index] = {name: {}}
        return at[index].get(name, at[index])
    if not isinstance(at.get(part), dict | list):
        at[part] = {}
    return at[part]


def _index(entries: list[Any], part: str, assignment: str) -> int:
    if part.isdigit() and int(part) < len(entries):
        return int(part)
    named = [_entry(entry) for entry in entries]
    called = [Path(name).stem if str(name).endswith(".py") else name for name in named]
    for names in (named, called):
        if part in names:
            return names.index(part)
    present = ", ".join(str(n) for n in called if isinstance(n, str))
    raise InputError(
        f"--set {assignment!r}: no entry {part!r} in the list (there are: {present})", "reading --set", FIX
    )


def _entry(entry: Any) -> Any:
    """The name of a list's entry `name` or `{name: …}`; an entry of another form is its own."""
    return next(iter(entry)) if isinstance(entry, dict) and len(entry) == 1 else entry


def _find(path: str) -> Path:
    for candidate in (Path(path), BUILT_IN / f"{path}.yaml"):
        if candidate.is_file():
            return candidate
    built_in = ", ".join(sorted(p.stem for p in BUILT_IN.glob("*.yaml")))
    what = f"{path} is a folder, not a recipe" if Path(path).is_dir() else f"no recipe {path}"
    raise InputError(what, "reading the recipe", f"give a YAML file, or a built-in one: {built_in}")


def _read(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where, why = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line = f" (line {where.line + 1}{f': {why}' if why else ''})" if where else ""
        raise InputError(f"{file} is not YAML{line}", "reading the recipe", "correct it there") from None
    except OSError as error:
        raise InputError(
            f"{file} cannot be read: {error.strerror}", "reading the recipe", "check it"
        ) from None
    if not isinstance(document, dict):
        raise InputError(
            f"{file} holds no keys", "reading the recipe", "start from pipelines/recipes/tiny.yaml"
        )
    return document


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] != "extra_forbidden":
        return f"{where}: {first['msg']}{more}"
    *way, unknown = first["loc"]
    near = difflib.get_close_matches(
        str(unknown), sorted(_fields(Recipe, [str(p) for p in way])), n=1, cutoff=0.5
    )
    return f"unknown key {where!r}" + (f"; did you mean {near[0]!r}?" if near else "") + more


def _fields(model: type[BaseModel], way: list[str]) -> set[str]:
    """Names of the keys allowed at the end of `way` (list indexes and union tags in it are passed over)."""
    models = [model]
    for part in way:
        inside = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        if inside:
            holders = [m for m in models if part in m.model_fields]  # of a union, the one that a tag means
            models = [found for annotation in inside for found in _models_in(annotation)] or holders
    return {name for found in models for name in found.model_fields}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
