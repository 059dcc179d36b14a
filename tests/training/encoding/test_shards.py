from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from omnivideo.errors import InputError
from training.data.samples import Bucket, View
from training.encoding.shards import Place, Shards, describe, packed, unpacked
from training.encoding.values import Value

VIEW = View("a", "text_to_video", Bucket("video", 64, 64, 9), 8.0)
VALUE = Value("latents", VIEW)


def written(folder: Path, value: Value = VALUE, tensor: torch.Tensor | None = None) -> Shards:
    """Shards with one value."""
    shards = Shards(str(folder))
    shards.write(
        [
            {
                **describe(value, "e", "float32"),
                **packed(torch.ones(2) if tensor is None else tensor, "float32"),
            }
        ]
    )
    return shards


@given(st.lists(st.integers(1, 4), max_size=4), st.sampled_from(["float32", "bfloat16", "float16"]))
def test_a_tensor_comes_back_as_it_was_stored(shape: list[int], dtype: str) -> None:
    """Any shape; to the last bit in float32, and in the types that take half the room as they round."""
    tensor = torch.randn(shape)
    row = packed(tensor, dtype)
    assert torch.equal(unpacked(row["data"], row["shape"], dtype), tensor.to(getattr(torch, dtype)).float())


def test_pixels_are_stored_as_the_bytes_that_they_were() -> None:
    """All 256 values of a decoded frame come back to the last bit."""
    frames = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).float() / 127.5 - 1
    row = packed(frames, "uint8")
    assert len(row["data"]) == 256
    assert torch.equal(unpacked(row["data"], row["shape"], "uint8"), frames)


@given(
    st.sampled_from(["sample", "task", "bucket", "fps", "words", "name", "encoder", "dtype"]),
    st.integers(0, 2**31),
)
def test_an_address_tells_apart_all_that_a_value_depends_on(what: str, number: int) -> None:
    """Another sample, task, bucket, rate, wording, encoder or type is another value."""
    views = {
        "sample": View(f"b{number}", "text_to_video", VIEW.bucket, 8.0),
        "task": View("a", "video_edit", VIEW.bucket, 8.0),
        "bucket": View("a", "text_to_video", Bucket("video", 64, 64, 13 + number), 8.0),
        "fps": View("a", "text_to_video", VIEW.bucket, 12.0 + number),
    }
    words = (f"w{number}",) if what == "words" else ()
    other = Value("source_latents" if what == "name" else "latents", views.get(what, VIEW), words)
    encoder, dtype = f"f{number}" if what == "encoder" else "e", "float16" if what == "dtype" else "float32"
    assert other.address(encoder, dtype) != VALUE.address("e", "float32")
    assert Value("latents", View(*VIEW)).address("e", "float32") == VALUE.address("e", "float32")


def test_a_shard_is_named_by_its_bytes_and_read_by_row(tmp_path: Path) -> None:
    """Written twice it is one file; each row is a row group of its own."""
    shards = written(tmp_path)
    written(tmp_path)
    (name,) = shards.names()
    assert shards.index() == {VALUE.address("e", "float32"): Place(name, 0)}
    assert pq.ParquetFile(tmp_path / "shards" / name).num_row_groups == 1
    assert not list(tmp_path.rglob("*.partial"))


def test_shards_may_lie_in_an_object_store() -> None:
    """Any address that fsspec opens: written at once, listed, indexed and read."""
    shards = Shards("memory://bucket/encoded")
    shards.write([{**describe(VALUE, "e", "float32"), **packed(torch.ones(3), "float32")}])
    place = shards.index()[VALUE.address("e", "float32")]
    row = shards.open(place.shard).read_row_group(place.row)
    assert torch.equal(unpacked(row["data"][0].as_buffer(), [3], "float32"), torch.ones(3))
    assert next(shards.described())["sample_id"] == "a"


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    """What was cut short by other hands is one clear line, with what to do."""
    shards = written(tmp_path, tensor=torch.from_numpy(np.ones(5000, np.float32)))
    path = tmp_path / "shards" / shards.names()[0]
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"encoded shard .*parquet is damaged") as caught:
        shards.index()
    assert "omnivideo encode" in caught.value.next_step
