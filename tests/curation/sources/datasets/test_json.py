"""Where records lie in a file of JSON."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.sources.datasets import _json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, min_size=1, max_size=4), max_size=12)


def found(data: bytes) -> list[Any]:
    """All records, each from its own bytes; of a bad one its problem."""
    places = _json.find(io.BytesIO(data))
    return [one.problem or _json.parsed(data[one.offset : one.offset + one.size]) for one in places]


@given(RECORDS, st.sampled_from([None, 2]), st.booleans(), st.integers(1, 64))
def test_records_are_found_where_they_lie(
    records: list[Any], indent: int | None, escaped: bool, chunk: int
) -> None:
    """However a list is written, and wherever a chunk of it ends, each record's bytes are that record."""
    text = json.dumps(records, indent=indent, ensure_ascii=escaped)
    lines = "\n".join(json.dumps(one, ensure_ascii=escaped) for one in records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_json, "CHUNK_BYTES", chunk)
        assert found(text.encode("utf-8", "surrogatepass")) == records
        assert found(lines.encode("utf-8", "surrogatepass")) == records


@given(st.binary(max_size=200))
def test_no_bytes_stop_it(data: bytes) -> None:
    """Whatever a file holds, listing it ends, with places inside of it."""
    for start in (b"", b"[", b'[{"id": 1}, '):
        whole = start + data
        places = list(_json.find(io.BytesIO(whole)))
        assert all(0 <= one.offset <= one.offset + one.size <= len(whole) for one in places)
