"""Length-prefixed frames on a stream, with a size limit and a deadline for every one of them.

A frame is an unsigned varint (at most 4 bytes) and that many bytes. A peer that stalls inside a frame, floods
or sends garbage costs its own stream and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio

from halle_protocol.errors import HalleError, RemoteProtocolError, Unavailable

MAX_PREFIX_BYTES = 4
_CHUNK_BYTES = 64 * 1024
_CLOSE_TIMEOUT_S = 2.0
_WRITE_BYTES = 256 * 1024


def prefix(size: int) -> bytes:
    """Encode an unsigned varint."""
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def parse_prefix(buffer: bytes | bytearray) -> tuple[int, int] | None:
    """Return (size, prefix length), or None while more bytes are needed.

    Raises: RemoteProtocolError "frame-prefix" for a prefix that is too long or not minimal.
    """
    value = 0
    for index, byte in enumerate(buffer[:MAX_PREFIX_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if byte == 0 and index > 0:
                raise RemoteProtocolError("A frame length is not minimal.", code="frame-prefix")
            return value, index + 1
    if len(buffer) >= MAX_PREFIX_BYTES:
        raise RemoteProtocolError("A frame length is longer than 4 bytes.", code="frame-prefix")
    return None


class Frames:
    """Frames in and out of one stream. `count(bytes_in, bytes_out)` sees the traffic."""

    def __init__(self, stream: Any, *, timeout_s: float, count: Callable[[int, int], None]) -> None:
        self._stream = stream
        self._timeout_s = timeout_s
        self._count = count
        self._buffer = bytearray()

    def allow(self, timeout_s: float) -> None:
        """Change the deadline of the frames to come."""
        self._timeout_s = timeout_s

    async def read(self, max_bytes: int) -> bytes:
        """Return the next frame.

        Raises: RemoteProtocolError "frame-too-large", "frame-prefix", "frame-truncated";
        Unavailable "peer-stalled", "peer-gone".
        """
        frame = await self.read_or_end(max_bytes)
        if frame is None:
            raise Unavailable("The peer ended the stream early.", code="peer-gone", hint="Retry later.")
        return frame

    async def read_or_end(self, max_bytes: int) -> bytes | None:
        """Return the next frame, or None when the peer closed its side between two frames."""
        with trio.move_on_after(self._timeout_s):
            return await self._next(max_bytes)
        raise Unavailable(
            f"The peer sent no complete frame in {self._timeout_s:g} s.",
            code="peer-stalled",
            hint="Retry later or with another peer.",
        )

    async def _next(self, max_bytes: int) -> bytes | None:
        head = parse_prefix(self._buffer)
        while head is None:
            if not await self._fill():
                if self._buffer:
                    raise self._truncated()
                return None
            head = parse_prefix(self._buffer)
        size, start = head
        if size > max_bytes:
            raise RemoteProtocolError(
                f"A frame of {size} bytes is over the limit of {max_bytes}.", code="frame-too-large"
            )
        while len(self._buffer) < start + size:
            if not await self._fill():
                raise self._truncated()
        frame = bytes(self._buffer[start : start + size])
        del self._buffer[: start + size]
        return frame

    def _truncated(self) -> HalleError:
        """Tell a peer that ends a frame early from a connection that broke: nobody is at fault for that."""
        connection = getattr(self._stream, "muxed_conn", None)
        if connection is not None and connection.event_shutting_down.is_set():
            return _gone(ConnectionError("the connection was lost"))
        return RemoteProtocolError("The stream ended inside a frame.", code="frame-truncated")

    async def _fill(self) -> bool:
        """Read what has arrived; False at the end of the stream."""
        try:
            data: bytes = await self._stream.read(_CHUNK_BYTES)
        except EOFError:
            return False
        except Exception as exc:  # libp2p raises a dozen kinds for one fact: the stream is dead
            raise _gone(exc) from exc
        self._count(len(data), 0)
        self._buffer += data
        return bool(data)

    def rest(self) -> bytes:
        """Return what has arrived beyond the last frame, for whoever takes the stream over."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    async def write(self, *frames: bytes) -> None:
        """Send frames in few writes. Raises: Unavailable "peer-stalled", "peer-gone"."""
        waiting = bytearray()
        for frame in frames:
            waiting += prefix(len(frame))
            waiting += frame
            if len(waiting) >= _WRITE_BYTES:
                await self._send(bytes(waiting))
                waiting.clear()
        if waiting:
            await self._send(bytes(waiting))

    async def _send(self, data: bytes) -> None:
        with trio.move_on_after(self._timeout_s):
            try:
                await self._stream.write(data)
            except Exception as exc:  # as in _fill
                raise _gone(exc) from exc
            self._count(0, len(data))
            return
        raise Unavailable(f"The peer did not read for {self._timeout_s:g} s.", code="peer-stalled", hint="Retry later.")

    async def finish(self) -> None:
        """Close our side and wait until the peer closed its own: a stream open on one side leaks."""
        await closed_quietly(self._stream)
        with trio.move_on_after(self._timeout_s) as scope:
            try:
                while await self._fill():
                    self._buffer.clear()
            except HalleError:
                return
        if scope.cancelled_caught:
            await reset_quietly(self._stream)


def _gone(cause: BaseException) -> Unavailable:
    return Unavailable(f"The peer's stream broke: {cause}.", code="peer-gone", hint="Retry later.")


async def closed_quietly(stream: Any) -> None:
    # Closing a dead stream has nothing left to tell.
    with trio.CancelScope(shield=True), trio.move_on_after(_CLOSE_TIMEOUT_S), suppress(Exception):
        await stream.close()


async def reset_quietly(stream: Any) -> None:
    with trio.CancelScope(shield=True), trio.move_on_after(_CLOSE_TIMEOUT_S), suppress(Exception):
        await stream.reset()


@asynccontextmanager
async def ended(stream: Any) -> AsyncIterator[None]:
    """Close the stream when the block succeeds, reset it when it fails or is cancelled."""
    try:
        yield
    except BaseException:
        await reset_quietly(stream)
        raise
    await closed_quietly(stream)
