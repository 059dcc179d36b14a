"""Tar shards: every media member is an input, read from where it lies; what is wrong with a shard is told."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from curation.errors import InputError, MediaError
from curation.sources import Item, Source, from_string, list_items
from curation.sources.members import TarMember, parse
from curation.steps.fetch import fetched

source = TypeAdapter(Source).validate_python


def shard(path: Path, members: list[tuple[str, bytes]], kind: int = tarfile.GNU_FORMAT) -> Path:
    """Write a tar of files."""
    with tarfile.open(path, "w", format=kind) as tar:
        for name, content in members:
            told = tarfile.TarInfo(name)
            told.size = len(content)
            tar.addfile(told, io.BytesIO(content))
    return path


def listed(where: Path | str, **more: Any) -> list[Item]:
    """The inputs of shards."""
    return list_items([source({"webdataset": str(where), **more})])


def names(items: list[Item]) -> list[str]:
    """What members are called, of usable ones."""
    places = [parse(item.uri) for item in items if not item.problem]
    return [place.name for place in places if isinstance(place, TarMember)]


def content(uri: str) -> bytes:
    """The bytes that an input has."""
    with fetched(uri) as file:
        return file.path.read_bytes()


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_samples_carry_captions_and_licences(tmp_path: Path, pictures: list[Path], kind: int) -> None:
    """A key's .txt and .json speak of all its media, in each tar format, with long and odd names."""
    coins, rocket, text = (path.read_bytes() for path in pictures)
    told = json.dumps({"caption": "from json", "license": "CC0"}).encode()
    long = f"{'d' * 90}/{'n' * 60} \u00fc"
    members = [("./1.left.png", coins), ("1.right.png", text), ("1.txt", b" two views\n"), ("1.json", told)]
    members += [
        (f"{long}.jpg", rocket),
        (f"{long}.json", told),
        ("2.data", coins),
        ("2.cls", b"7"),
        (".x.png", b""),
    ]
    items = listed(shard(tmp_path / "a #1 100%.tar", members, kind))
    assert names(items) == ["1.left.png", "1.right.png", f"{long}.jpg", "2.data"]
    said = [(item.caption, item.licence) for item in items]
    assert said == [("two views", "CC0"), ("two views", "CC0"), ("from json", "CC0"), (None, None)]
    assert [content(item.uri) for item in items] == [coins, text, rocket, coins]
    assert [item.size for item in items] == [len(coins), len(text), len(rocket), len(coins)]


def test_patterns_folders_and_missing_shards(tmp_path: Path, pictures: list[Path]) -> None:
    """Braces, globs, lists and folders name shards; one that is missing is an error row."""
    for number in range(3):
        shard(tmp_path / f"s-{number:03d}.tar", [("1.png", pictures[0].read_bytes())])
    items = listed(tmp_path / "s-{000..003}.tar")
    assert [item.problem for item in items] == [None, None, None, "missing"]
    usable = items[:3]
    for where in (tmp_path, tmp_path / "s-*.tar", tmp_path / "s-00{0,1,2}.tar"):
        assert [item.uri for item in listed(where)] == [item.uri for item in usable]
    both = source({"webdataset": [str(tmp_path / "s-000.tar"), str(tmp_path / "s-001.tar")]})
    assert [item.uri for item in list_items([both])] == [item.uri for item in usable[:2]]


def test_what_could_lead_out_of_a_shard_is_an_error_row(tmp_path: Path, pictures: list[Path]) -> None:
    """Links, devices and names with .. or a root are not read; the member beside them is."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            told = tarfile.TarInfo(f"{kind.decode()}.jpg")
            told.type, told.linkname = kind, "/etc/passwd"
            tar.addfile(told)
        for name in ("../up.jpg", "/root.jpg", "a/../../up.jpg"):
            tar.addfile(tarfile.TarInfo(name))
        tar.add(pictures[0], "good.png")
    items = listed(path)
    assert names(items) == ["good.png"]
    assert [item.problem for item in items if item.problem] == ["bad_member"] * 7


def test_samples_without_media_and_bad_texts_are_told(tmp_path: Path, pictures: list[Path]) -> None:
    """A sample of texts alone, and JSON that is none, are error rows; the media beside them is used."""
    members = [("1.txt", b"alone"), ("2.png", pictures[0].read_bytes()), ("2.json", b"{no"), ("3.xyz", b"?")]
    items = listed(shard(tmp_path / "a.tar", members))
    assert names(items) == ["2.png"]
    assert sorted(str(item.problem) for item in items if item.problem) == [
        "bad_record",
        "no_media",
        "no_media",
    ]


@given(cut=st.integers(min_value=0))
def test_cut_shard_loses_no_member_before_the_cut(
    tmp_path_factory: pytest.TempPathFactory, images: Path, cut: int
) -> None:
    """Wherever a shard is cut: the whole members before are used, and exactly one error row says the rest."""
    folder = tmp_path_factory.mktemp("cut")
    pictures = [(f"{n}.png", (images / "text.png").read_bytes()[: 700 * (n + 1)]) for n in range(4)]
    whole = shard(folder / "whole.tar", pictures).read_bytes()
    ends, at = [], 0
    for _, data in pictures:
        ends.append(at + 512 + len(data))
        at += 512 + -(-len(data) // 512) * 512
    cut %= at + 512  # up to the whole first block of the end mark
    (folder / "cut.tar").write_bytes(whole[:cut])
    shard(folder / "other.tar", pictures[:1])
    items = [item for item in listed(folder / "{cut,other}.tar") if "cut.tar" in item.uri]
    before = sum(end <= cut for end in ends)
    assert names(items) == [name for name, _ in pictures[:before]]
    assert [item.problem for item in items if item.problem] == ["broken_shard"]
    assert len({item.uri for item in items}) == len(items)


def test_broken_middle_and_tars_in_a_row_are_told(tmp_path: Path, pictures: list[Path]) -> None:
    """A damaged header, and members after an end mark, do not vanish without a word."""
    one = shard(
        tmp_path / "one.tar", [("1.png", pictures[2].read_bytes()), ("2.png", b"x" * 600)]
    ).read_bytes()
    second = one.index(b"2.png")
    (tmp_path / "bad.tar").write_bytes(one[:second] + b"\xff" * 512 + one[second + 512 :])
    (tmp_path / "twice.tar").write_bytes(one + one)
    items = listed(tmp_path / "bad.tar")
    assert (names(items), items[-1].problem) == (["1.png"], "broken_shard")
    items = listed(tmp_path / "twice.tar")
    assert names(items) == ["1.png", "2.png"]
    assert "something follows the end mark" in str(items[-1].detail)


def test_shard_that_changed_is_not_read(tmp_path: Path, pictures: list[Path]) -> None:
    """Bytes at the old place of a member that has moved are not taken for it."""
    path = shard(tmp_path / "a.tar", [("1.png", pictures[0].read_bytes())])
    (item,) = listed(path)
    shard(path, [("0.txt", b"new"), ("1.png", pictures[0].read_bytes())])
    with pytest.raises(MediaError, match="has changed") as caught:
        content(item.uri)
    assert caught.value.slug == "missing"


@pytest.mark.parametrize(
    ("name", "data", "config", "what"),
    [
        ("a.tar", b"\x1f\x8b" + b"\0" * 600, {}, "is compressed"),
        ("a.tar", b"no tar at all" * 100, {}, "no media in .*no header"),
        ("a.tar", b"", {}, "without an end mark"),
        ("other.tar", b"", {}, "a.tar is not there"),
    ],
)
def test_useless_shards_are_one_error(
    tmp_path: Path, name: str, data: bytes, config: dict[str, Any], what: str
) -> None:
    """A shard that is compressed, no tar, empty or missing is named in one line."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=what):
        listed(tmp_path / "a.tar", **config)


def test_misspelt_field_is_an_error_with_its_near_match(tmp_path: Path, pictures: list[Path]) -> None:
    """A caption's field that no sample's JSON has is an error, not a dataset without captions."""
    members = [("1.png", pictures[0].read_bytes()), ("1.json", b'{"blip_caption": "x"}')]
    path = shard(tmp_path / "a.tar", members)
    with pytest.raises(InputError, match="did you mean 'blip_caption'"):
        listed(path, columns={"caption": "blip_captoin"})
    assert listed(path, columns={"caption": "blip_caption"})[0].caption == "x"
    assert from_string(str(tmp_path)) == source({"webdataset": str(tmp_path)})
