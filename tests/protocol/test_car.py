from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halle_protocol import car
from halle_protocol.cid import CID, DAG_CBOR, RAW, cid_of
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError

blocks = st.lists(st.binary(max_size=200).map(lambda data: (cid_of(RAW, data), data)), max_size=8)


@given(blocks, st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_car_reads_what_it_wrote_from_pieces_of_any_size(written: list[tuple[CID, bytes]], cuts: list[int]) -> None:
    data = b"".join(car.write([cid for cid, _ in written[:1]], written))
    pieces = []
    while data:
        cut = cuts[len(pieces) % len(cuts)]
        pieces.append(data[:cut])
        data = data[cut:]
    read = car.read(pieces, max_blocks=8, max_bytes=10_000)
    assert read.roots == [cid for cid, _ in written[:1]]
    assert list(read.blocks) == written


@given(blocks, st.integers(0, 5000), st.integers(1, 255))
def test_car_with_one_byte_changed_never_gives_a_wrong_block(
    written: list[tuple[CID, bytes]], at: int, flip: int
) -> None:
    data = bytearray(b"".join(car.write([], written)))
    data[at % len(data)] ^= flip
    got: list[tuple[CID, bytes]] = []
    with contextlib.suppress(RemoteProtocolError):
        got.extend(car.read(bytes(data), max_blocks=8, max_bytes=10_000).blocks)
    assert all(cid_of(cid.codec, block) == cid for cid, block in got)


@given(blocks.filter(bool), st.data())
def test_car_cut_anywhere_inside_a_section_is_refused(written: list[tuple[CID, bytes]], draw: st.DataObject) -> None:
    pieces = list(car.write([], written))
    ends = {sum(map(len, pieces[: i + 1])) for i in range(len(pieces))}
    data = b"".join(pieces)
    cut = draw.draw(st.integers(0, len(data) - 1).filter(lambda at: at not in ends))
    with pytest.raises(RemoteProtocolError) as caught:
        list(car.read(data[:cut], max_blocks=8, max_bytes=10_000).blocks)
    assert caught.value.code == "car-truncated"


def test_car_reader_hands_out_each_block_as_it_is_complete() -> None:
    block = (cid_of(DAG_CBOR, b"\xa0"), b"\xa0")
    head, body = car.write([block[0]], [block])
    reader = car.CarReader(max_blocks=1, max_bytes=1000)
    assert reader.feed(head) == []
    assert reader.roots == [block[0]]
    assert reader.feed(body[:-1]) == []
    assert reader.feed(body[-1:]) == [block]
    reader.finish()


def test_car_refuses_to_write_a_block_over_1_mib() -> None:
    data = bytes(car.MAX_BLOCK_BYTES + 1)
    with pytest.raises(LocalProtocolError) as caught:
        list(car.write([], [(cid_of(RAW, data), data)]))
    assert caught.value.code == "block-too-large"


def test_car_carries_a_block_of_1_mib() -> None:
    data = bytes(car.MAX_BLOCK_BYTES)
    cid = cid_of(RAW, data)
    read = car.read(car.write([cid], [(cid, data)]), max_blocks=1, max_bytes=car.MAX_BLOCK_BYTES + 200)
    assert list(read.blocks) == [(cid, data)]
