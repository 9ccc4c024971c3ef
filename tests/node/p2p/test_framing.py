"""Frames survive any chunking; what breaks the rules or stalls is refused with its code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from halle_node.p2p.framing import Frames, ended, parse_prefix, prefix
from halle_protocol.errors import HalleError, RemoteProtocolError, Unavailable


class Chunks:
    """A stream that yields given chunks, then ends, stalls or breaks."""

    def __init__(self, *chunks: bytes, then: str = "end") -> None:
        self.chunks, self.then = list(chunks), then
        self.written = bytearray()
        self.fate = "open"

    async def read(self, size: int) -> bytes:
        if self.chunks:
            return self.chunks.pop(0)
        if self.then == "stall":
            await trio.sleep_forever()
        if self.then == "break":
            raise ValueError("whatever libp2p raises")
        raise EOFError

    async def write(self, data: bytes) -> None:
        if self.then == "stall":
            await trio.sleep_forever()
        self.written += data

    async def close(self) -> None:
        self.fate = "closed"

    async def reset(self) -> None:
        self.fate = "reset"


def frames(stream: Chunks) -> Frames:
    return Frames(stream, timeout_s=0.05, count=lambda bytes_in, bytes_out: None)


def run(fn: Callable[[], Awaitable[Any]]) -> Any:
    return trio.run(fn)


def code_of(fn: Callable[[], Awaitable[Any]]) -> str:
    with pytest.raises(HalleError) as caught:
        run(fn)
    return caught.value.code


@settings(deadline=None)
@given(st.lists(st.binary(max_size=600), max_size=6), st.lists(st.integers(1, 500), max_size=20))
def test_frames_survive_any_chunking(messages: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(prefix(len(m)) + m for m in messages)
    chunks = []
    for cut in cuts:
        chunks.append(wire[:cut])
        wire = wire[cut:]
    reader = frames(Chunks(*[c for c in [*chunks, wire] if c]))

    async def read_all() -> list[bytes]:
        found = []
        while (frame := await reader.read_or_end(1000)) is not None:
            found.append(frame)
        return found

    assert run(read_all) == messages


@given(st.integers(0, 2**28 - 1))
def test_prefix_round_trips(size: int) -> None:
    assert parse_prefix(prefix(size)) == (size, len(prefix(size)))


@pytest.mark.parametrize(
    ("chunks", "then", "code"),
    [
        ((b"\xff\xff\xff\xff",), "end", "frame-prefix"),
        ((b"\x80\x00",), "end", "frame-prefix"),
        ((prefix(101),), "end", "frame-too-large"),
        ((prefix(50) + b"half",), "end", "frame-truncated"),
        ((b"\x80",), "end", "frame-truncated"),
        ((), "end", "peer-gone"),
        ((), "stall", "peer-stalled"),
        ((prefix(50) + b"half",), "stall", "peer-stalled"),
        ((), "break", "peer-gone"),
    ],
)
def test_bad_frame_is_refused_with_its_code(chunks: tuple[bytes, ...], then: str, code: str) -> None:
    reader = frames(Chunks(*chunks, then=then))
    assert code_of(lambda: reader.read(100)) == code


def test_write_gives_up_when_the_peer_does_not_read() -> None:
    writer = frames(Chunks(then="stall"))
    assert code_of(lambda: writer.write(b"x")) == "peer-stalled"


def test_many_frames_are_written_in_order() -> None:
    stream = Chunks()
    run(lambda: frames(stream).write(*[bytes([n]) * 100_000 for n in range(5)]))
    assert bytes(stream.written) == b"".join(prefix(100_000) + bytes([n]) * 100_000 for n in range(5))


@pytest.mark.parametrize(("failure", "fate"), [(None, "closed"), (ValueError(), "reset")])
def test_stream_is_ended_on_every_path(failure: Exception | None, fate: str) -> None:
    stream = Chunks()

    async def use() -> None:
        async with ended(stream):
            if failure:
                raise failure

    if failure:
        with pytest.raises(ValueError):
            run(use)
    else:
        run(use)
    assert stream.fate == fate


def test_finish_resets_a_peer_that_never_closes() -> None:
    stream = Chunks(then="stall")
    run(lambda: frames(stream).finish())
    assert stream.fate == "reset"


def test_errors_are_told_apart() -> None:
    assert issubclass(RemoteProtocolError, HalleError)
    assert not issubclass(Unavailable, RemoteProtocolError)
