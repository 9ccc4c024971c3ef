from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from halle_protocol import dagcbor
from halle_protocol.cid import CID, DAG_CBOR, DAG_PB, RAW, cid_of
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError

cids = st.builds(cid_of, st.sampled_from([RAW, DAG_PB, DAG_CBOR]), st.binary(max_size=8))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
scalars = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | texts | st.binary(max_size=80) | cids
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5), max_leaves=20
)


def same(a: Any, b: Any) -> bool:
    """Compare with types, since True == 1 and a CID equals its bytes."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


def assert_canonical_or_refused(data: bytes) -> None:
    try:
        value = dagcbor.decode(data)
    except RemoteProtocolError as refusal:
        code = refusal.code
    else:
        assert dagcbor.encode(value) == data
        return
    assert code.startswith("cbor-")


@given(values)
def test_dagcbor_decodes_what_it_encodes(value: Any) -> None:
    data = dagcbor.encode(value)
    again = dagcbor.decode(data)
    assert same(again, value)
    assert dagcbor.encode(again) == data


@given(values, st.data())
def test_dagcbor_reads_mutated_bytes_as_canonical_or_refuses_them(value: Any, draw: st.DataObject) -> None:
    data = bytearray(dagcbor.encode(value))
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(data)))
        match draw.draw(st.sampled_from(["flip", "cut", "insert", "double"])):
            case "flip" if at < len(data):
                data[at] ^= draw.draw(st.integers(1, 255))
            case "cut":
                del data[at:]
            case "insert":
                data[at:at] = draw.draw(st.binary(min_size=1, max_size=3))
            case _:
                data[at:at] = data[: draw.draw(st.integers(0, 10))]
    assert_canonical_or_refused(bytes(data))


@given(st.binary(max_size=60))
@example(b"\xd8\x2a\x58\x25\x00")
@example(b"\xd8")
@example(b"\xa1\x78")
def test_dagcbor_reads_any_bytes_as_canonical_or_refuses_them(data: bytes) -> None:
    assert_canonical_or_refused(data)


@given(st.dictionaries(texts, st.integers(0, 5), max_size=8))
def test_dagcbor_bytes_do_not_depend_on_the_order_of_keys(value: dict[str, int]) -> None:
    assert dagcbor.encode(dict(reversed(value.items()))) == dagcbor.encode(value)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1.0, "cbor-type"),
        (float("nan"), "cbor-type"),
        ({1: 1}, "cbor-type"),
        ({b"a": 1}, "cbor-type"),
        ({"a": {1, 2}}, "cbor-type"),
        (bytearray(b"a"), "cbor-type"),
        (2**64, "cbor-int-range"),
        (-(2**64) - 1, "cbor-int-range"),
        ("\ud800", "cbor-utf8"),
        ({"\ud800": 1}, "cbor-utf8"),
        (CID(b"\x01\x71"), "cid-malformed"),
        (CID(bytes(36)), "cid-malformed"),
    ],
)
def test_dagcbor_refuses_to_encode(value: Any, code: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        dagcbor.encode(value)
    assert caught.value.code == code


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_dagcbor_refuses_to_encode_too_deep(wrap: Callable[[Any], Any]) -> None:
    value: Any = 0
    for _ in range(32):
        value = wrap(value)
    assert same(dagcbor.decode(dagcbor.encode(value)), value)
    with pytest.raises(LocalProtocolError) as caught:
        dagcbor.encode(wrap(value))
    assert caught.value.code == "cbor-too-deep"
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(LocalProtocolError):
        dagcbor.encode(endless)


@pytest.mark.parametrize("pattern", [b"\x81", b"\xa1\x61a", b"\x82\x00", b"\xd8\x2a"])
def test_dagcbor_refuses_deep_nesting_whatever_limit_is_asked_for(pattern: bytes) -> None:
    data = pattern * (60_000 // len(pattern))
    for max_depth in (1, 32, 10**9):
        with pytest.raises(RemoteProtocolError):
            dagcbor.decode(data, max_depth=max_depth)


def test_dagcbor_takes_a_size_limit() -> None:
    data = dagcbor.encode(b"a" * 100)
    assert dagcbor.decode(data, max_bytes=len(data)) == b"a" * 100
    with pytest.raises(RemoteProtocolError) as caught:
        dagcbor.decode(data, max_bytes=len(data) - 1)
    assert caught.value.code == "cbor-too-large"


def test_dagcbor_does_not_keep_keys_without_end() -> None:
    for i in range(dagcbor.KNOWN_KEYS + 100):
        dagcbor.decode(dagcbor.encode({f"key {i}": 1}))
    assert len(dagcbor._known_keys) <= dagcbor.KNOWN_KEYS
    assert len(dagcbor._known_heads) <= dagcbor.KNOWN_KEYS
    assert dagcbor.decode(dagcbor.encode({"another key": 1})) == {"another key": 1}


def test_dagcbor_refuses_hostile_counts_at_once() -> None:
    started = time.perf_counter()
    for head in (b"\x9b", b"\xbb", b"\x5b", b"\x7b"):
        with pytest.raises(RemoteProtocolError):
            dagcbor.decode((head + b"\xff" * 8) * 7000)
    assert time.perf_counter() - started < 2
