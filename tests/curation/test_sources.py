"""Listing inputs: what counts, what is refused, and that nothing depends on chance."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from curation.errors import InputError
from curation.sources import Item, Source, from_string, list_items

source = TypeAdapter(Source).validate_python


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A folder with files at several depths, a hidden file and a hidden folder."""
    root = tmp_path / "media"
    for name in ("b.mp4", "a.png", "deep/er/c.mp4", "deep/.hidden", ".git/config", "notes.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def names(items: list[Item], root: Path) -> list[str]:
    """Paths of items below `root`."""
    return [str(Path(item.uri).relative_to(root)) for item in items]


def test_folder_lists_every_visible_file_in_order(media: Path) -> None:
    """All files but hidden ones are inputs, media or not, sorted by their path."""
    (first, *_) = items = list_items([source({"folder": str(media), "licence": "CC0"})])
    assert names(items, media) == ["a.png", "b.mp4", "deep/er/c.mp4", "notes.txt"]
    assert first._replace(stamp=None) == Item(str(media / "a.png"), "media", "CC0", 5)


@pytest.mark.parametrize(("glob", "count"), [("*.mp4", 1), ("**/*.mp4", 2), ("deep/**", 1)])
def test_glob_chooses(media: Path, glob: str, count: int) -> None:
    """A glob is relative to the folder; ** crosses folders and * does not."""
    assert len(list_items([source({"folder": str(media), "glob": glob})])) == count


def test_memory_urls_list_like_folders() -> None:
    """A source may be any URL that fsspec opens, listed with full URLs."""
    import fsspec

    fs = fsspec.filesystem("memory")
    fs.pipe({"/bucket/x/b.mp4": b"bb", "/bucket/x/.hidden": b"", "/bucket/a.png": b"a"})
    items = list_items([from_string("memory://bucket")])
    assert [(item.uri, item.size) for item in items] == [
        ("memory:///bucket/a.png", 1),
        ("memory:///bucket/x/b.mp4", 2),
    ]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"folder": "/nowhere"}, "does not exist"),
        ({"folder": "{media}/a.png"}, "is not a folder"),
        ({"folder": "{media}", "glob": "*.mkv"}, "no files in"),
        ({"file": "{media}/nope.mp4"}, "does not exist"),
        ({"file": "{media}/deep"}, "is a folder"),
        ({"list": "{media}/nope.txt"}, "does not exist"),
        ({"folder": "nosuchprotocol://x/y"}, "cannot be listed"),
    ],
)
def test_what_cannot_be_listed_is_an_input_error(media: Path, config: dict[str, str], message: str) -> None:
    """A missing or empty source is one clear line that names it and says what to do."""
    config = {key: value.format(media=media) for key, value in config.items()}
    with pytest.raises(InputError, match=message) as caught:
        list_items([source(config)])
    assert caught.value.step == "listing sources"
    assert caught.value.next_step


def test_list_names_files_below_its_folder(media: Path) -> None:
    """Lines are paths relative to the list; comments, empty lines and repeated ones add nothing."""
    (media / "list.txt").write_text("# mine\n\nb.mp4\n  deep/er/c.mp4 \ngone.mp4\nb.mp4\n")
    items = list_items([source({"list": str(media / "list.txt")})])
    assert names(items, media) == ["b.mp4", "deep/er/c.mp4", "gone.mp4"]


@pytest.mark.parametrize(
    "line", ["../secret", "/etc/passwd", "deep/../../secret", "link.mp4", "linked/secret"]
)
def test_list_cannot_leave_its_root(media: Path, line: str) -> None:
    """A line that leads out of the root by .., an absolute path or a link is refused with its number."""
    (media.parent / "secret").write_text("secret")
    (media / "link.mp4").symlink_to(media.parent / "secret")
    (media / "linked").symlink_to(media.parent)
    (media / "list.txt").write_text(f"b.mp4\n{line}\n")
    with pytest.raises(InputError, match=r"line 2 of .* leaves"):
        list_items([source({"list": str(media / "list.txt")})])


def test_remote_list_cannot_leave_its_root() -> None:
    """The same holds for lists in buckets."""
    import fsspec

    fs = fsspec.filesystem("memory")
    for line in ("../x", "/x", "file:///etc/passwd", "memory://other/x", "a/../../x"):
        fs.pipe("/lists/list.txt", line.encode())
        with pytest.raises(InputError, match="leaves"):
            list_items([source({"list": "memory://lists/list.txt"})])
    fs.pipe("/lists/list.txt", b"a/b.mp4\nmemory://lists/c.mp4")
    items = list_items([source({"list": "memory://lists/list.txt"})])
    assert [item.uri for item in items] == ["memory://lists/a/b.mp4", "memory://lists/c.mp4"]


def test_link_out_of_a_folder_is_listed_but_not_to_be_read(media: Path) -> None:
    """It counts as an input, so that the funnel closes; a link inside the folder is an ordinary file."""
    (media.parent / "secret").write_text("secret")
    (media / "out.mp4").symlink_to(media.parent / "secret")
    (media / "in.mp4").symlink_to(media / "b.mp4")
    problems = {Path(item.uri).name: item.problem for item in list_items([source({"folder": str(media)})])}
    assert problems["out.mp4"] == "outside_root"
    assert problems["in.mp4"] is None


def test_name_that_is_no_text_is_listed_but_not_to_be_read(media: Path) -> None:
    """A file name that is not UTF-8 cannot be written in a column; its input says so."""
    (media / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"x")
    (media / "caf\u00e9 #1 100%.mp4").write_bytes(b"x")
    problems = {Path(item.uri).name: item.problem for item in list_items([source({"folder": str(media)})])}
    assert problems["caf\\xe9.mp4"] == "bad_name"
    assert problems["caf\u00e9 #1 100%.mp4"] is None


def test_limit_output_and_repeats(media: Path) -> None:
    """A file that two sources list counts once, the dataset's own files never, and a limit cuts the list."""
    sources = [source({"file": str(media / "b.mp4")}), source({"folder": str(media)})]
    items = list_items(sources, out=str(media / "deep"))
    assert names(items, media) == ["b.mp4", "a.png", "notes.txt"]
    assert list_items(sources, limit=2) == list_items(sources)[:2]


@pytest.mark.parametrize(
    "config", [{"fold": "x"}, {"folder": "x", "glb": "*"}, {"sample": False}, {"file": ""}]
)
def test_unknown_keys_are_refused(config: dict[str, Any]) -> None:
    """A source has one of four keys and nothing that is not known."""
    with pytest.raises(ValidationError):
        source(config)


def test_strings_become_sources(media: Path) -> None:
    """A path on the command line is a folder or a file, `sample` the sample, anything else an input error."""
    assert from_string(str(media)) == source({"folder": str(media)})
    assert from_string(str(media / "b.mp4")) == source({"file": str(media / "b.mp4")})
    assert from_string("sample") == source({"sample": True})
    with pytest.raises(InputError, match="no such file or folder"):
        from_string(str(media / "nope"))


def test_relative_paths_are_those_of_the_command(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job runs elsewhere, so a relative path becomes absolute when the recipe is read."""
    monkeypatch.chdir(media.parent)
    assert source({"folder": "media"}) == source({"folder": str(media)})


def test_sample_has_real_media_and_two_bad_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample is the packages' media, with licences, one truncated video and one text called .mp4."""
    monkeypatch.setenv("OMNIVIDEO_HOME", str(tmp_path))
    items = list_items([source({"sample": True})])
    found = {Path(item.uri).name: item for item in items}
    assert {"bikes.mp4", "bigbuckbunny.mp4", "astronaut.png", "rocket.jpg"} <= found.keys()
    assert found["bigbuckbunny.mp4"].licence == "CC-BY-3.0"
    assert all(item.licence and item.problem is None and item.source == "sample" for item in items)
    assert Path(found["truncated.mp4"].uri).parent == tmp_path / "sample"
    assert found["truncated.mp4"].size < found["bigbuckbunny.mp4"].size
    assert Path(found["not-media.mp4"].uri).read_text().startswith("This is a text")
    assert list_items([source({"sample": True})]) == items


def test_sample_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is an input error that names the extra."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="not installed") as caught:
        list_items([source({"sample": True})])
    assert "omnivideo[sample]" in caught.value.next_step
