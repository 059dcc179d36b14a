"""Recipes are read strictly, and errors say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.errors import InputError
from pipelines import recipe

MINIMAL = "sources:\n  - folder: media\nfilters:\n  - motion\n  - duration: {min_seconds: 1.0}\n"


@pytest.fixture
def written(tmp_path: Path) -> str:
    """A small recipe's path."""
    path = tmp_path / "small.yaml"
    path.write_text(MINIMAL)
    return str(path)


def test_tiny_is_valid() -> None:
    """The built-in recipe loads by its bare name."""
    assert recipe.load("tiny").model.preset == "tiny"


def test_unknown_key_names_its_near_match(tmp_path: Path) -> None:
    """A misspelt key is an error that suggests the right one."""
    path = tmp_path / "r.yaml"
    path.write_text(MINIMAL + "split:\n  max_second: 4\n")
    with pytest.raises(InputError, match=r"unknown key 'split.max_second'; did you mean 'max_seconds'"):
        recipe.load(str(path))


def test_unknown_section_names_its_near_match(tmp_path: Path) -> None:
    """A misspelt section is an error that suggests the right one."""
    path = tmp_path / "r.yaml"
    path.write_text(MINIMAL + "stage: []\n")
    with pytest.raises(InputError, match="did you mean 'stages'"):
        recipe.load(str(path))


def test_unknown_filter_is_refused(tmp_path: Path) -> None:
    """A filter that does not exist is an error before anything runs."""
    path = tmp_path / "r.yaml"
    path.write_text("sources: [{folder: media}]\nfilters: [motoin]\n")
    with pytest.raises(InputError, match="motoin") as caught:
        recipe.load(str(path))
    assert str(path) in caught.value.step


def test_set_overrides_by_dotted_path(written: str) -> None:
    """--set reaches sections, and filters by their names, whether they have fields yet or not."""
    loaded = recipe.load(
        written, ["split.max_seconds=3", "filters.motion.method=farneback", "filters.duration.min_seconds=2"]
    )
    assert loaded.split.max_seconds == 3
    assert loaded.filters == [{"motion": {"method": "farneback"}}, {"duration": {"min_seconds": 2}}]


def test_set_reaches_a_filter_of_ones_own_by_its_files_name() -> None:
    """`./dark.py` is `dark` to --set, as it is to every other command, with fields and without."""
    entries: list[object] = ["duration", "./dark.py"]
    document: dict[str, object] = {"filters": entries}
    recipe.override(document, "filters.dark.min_luma=38")
    recipe.override(document, "filters.dark.max_luma=200")
    assert entries == ["duration", {"./dark.py": {"min_luma": 38, "max_luma": 200}}]
    recipe.override(document, "filters.0={resolution: {min_short_side: 64}}")
    assert entries[0] == {"resolution": {"min_short_side": 64}}


@pytest.mark.parametrize(
    "assignment", ["split", "=3", "filters.nothing.x=1", "split.method=[", "split.nosuch=1"]
)
def test_bad_set_is_one_clear_error(written: str, assignment: str) -> None:
    """A --set that cannot be applied is refused as the user's mistake."""
    with pytest.raises(InputError):
        recipe.load(written, [assignment])


def test_sources_replace_the_recipes_own(written: str, tmp_path: Path) -> None:
    """--source stands in place of every source of the recipe."""
    loaded = recipe.load(written, sources=[str(tmp_path)])
    assert len(loaded.sources) == 1
    assert str(tmp_path) in str(loaded.sources[0])


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "sources: []\n"])
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    """Empty files, lists, broken YAML and no sources are the user's mistakes, not crashes."""
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(InputError):
        recipe.load(str(path))


def test_missing_recipe_lists_the_built_in_ones() -> None:
    """A path that is not there names what can be used instead."""
    with pytest.raises(InputError) as error:
        recipe.load("nosuch.yaml")
    assert "tiny" in error.value.next_step
