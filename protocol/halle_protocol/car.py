"""A CAR is a list of roots and then blocks; a reader hands out only verified blocks, within budgets.

CARv1: `varint(length) header`, then `varint(length) CID data` for each block. The order of blocks is the
writer's.
Spec: docs/spec/01-bytes.md, section CAR.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from halle_protocol import dagcbor
from halle_protocol.cid import CID, CID_BYTES, PREFIX_SET, varint, verify
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError

MAX_BLOCK_BYTES: Final = 1 << 20
MAX_HEADER_BYTES: Final = 1 << 16
_MAX_VARINT_BYTES: Final = 4  # 28 bits: more than any block may have


@dataclass(frozen=True)
class Car:
    """The roots of a CAR and its verified blocks, which are read as they are asked for."""

    roots: list[CID]
    blocks: Iterator[tuple[CID, bytes]]


def write(roots: Sequence[CID], blocks: Iterable[tuple[CID, bytes]]) -> Iterator[bytes]:
    """Yield a CARv1 piece by piece: the header, then one piece for each block.

    Raises: LocalProtocolError "block-too-large".
    """
    header = dagcbor.encode({"roots": list(roots), "version": 1})
    yield varint(len(header)) + header
    for cid, data in blocks:
        if len(data) > MAX_BLOCK_BYTES:
            raise LocalProtocolError(
                f"The block {cid} has {len(data)} bytes; the limit is {MAX_BLOCK_BYTES}.",
                code="block-too-large",
                hint="Chunk files with build_file.",
            )
        yield b"".join((varint(CID_BYTES + len(data)), cid, data))


def read(data: bytes | Iterable[bytes], *, max_blocks: int, max_bytes: int) -> Car:
    """Return the roots now and the blocks lazily; the whole input must be a well-formed CAR.

    Raises: RemoteProtocolError "car-…", "cid-mismatch", "block-too-large", here or while iterating.
    """
    pieces = iter((data,) if isinstance(data, bytes) else data)
    reader = CarReader(max_blocks=max_blocks, max_bytes=max_bytes)
    first: list[tuple[CID, bytes]] = []
    for piece in pieces:
        first = reader.feed(piece)
        if reader.roots is not None:
            break
    if reader.roots is None:
        reader.finish()
    return Car(reader.roots or [], _remaining(reader, first, pieces))


class CarReader:
    """Read a CAR from pieces of any size, holding at most one unfinished block.

    Units: `max_bytes` counts every byte fed, framing included.
    """

    def __init__(self, *, max_blocks: int, max_bytes: int) -> None:
        self.roots: list[CID] | None = None
        self._blocks_left = max_blocks
        self._bytes_left = max_bytes
        self._pending = bytearray()

    def feed(self, piece: bytes) -> list[tuple[CID, bytes]]:
        """Return the blocks that this piece completes, each verified.

        Raises: RemoteProtocolError "car-too-large", "car-too-many-blocks", "car-malformed", "cid-mismatch", …
        """
        self._bytes_left -= len(piece)
        if self._bytes_left < 0:
            _refuse("car-too-large", "The CAR has more bytes than were allowed.")
        self._pending += piece
        out = []
        start = 0
        while True:
            section = self._section(start)
            if section is None:
                break
            body, start = section
            if self.roots is None:
                self.roots = _decode_header(body)
            else:
                out.append(self._block(body))
        del self._pending[:start]
        return out

    def finish(self) -> None:
        """Return only when the input ended at the end of a section.

        Raises: RemoteProtocolError "car-truncated".
        """
        if self._pending or self.roots is None:
            _refuse("car-truncated", f"The CAR ends {len(self._pending)} bytes into a section.")

    def _section(self, start: int) -> tuple[bytes, int] | None:
        """Return the next whole section and the position after it, or None while bytes are missing."""
        length = shift = 0
        i = start
        while True:
            if i >= len(self._pending):
                return None
            byte = self._pending[i]
            i += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift >= 7 * _MAX_VARINT_BYTES:
                _refuse("car-malformed", "The length of a CAR section is over any limit.")
        if byte == 0:
            _refuse("car-malformed", "A CAR section is empty, or its length is not in the shortest form.")
        self._check_length(length)
        end = i + length
        if end > len(self._pending):
            return None
        return bytes(memoryview(self._pending)[i:end]), end

    def _check_length(self, length: int) -> None:
        # Checked before the body arrives: a large claim is refused, not waited for.
        if self.roots is None:
            if length > MAX_HEADER_BYTES:
                _refuse("car-header", f"A CAR header of {length} bytes is over {MAX_HEADER_BYTES}.")
        elif length > MAX_BLOCK_BYTES + CID_BYTES:
            _refuse("block-too-large", f"A CAR block of {length} bytes is over {MAX_BLOCK_BYTES}.")
        elif self._blocks_left <= 0:
            _refuse("car-too-many-blocks", "The CAR has more blocks than were allowed.")

    def _block(self, body: bytes) -> tuple[CID, bytes]:
        self._blocks_left -= 1
        if len(body) < CID_BYTES or body[:4] not in PREFIX_SET:
            _refuse("car-cid", "A CAR section does not start with a CIDv1, sha2-256 and a known codec.")
        cid, data = CID(body[:CID_BYTES]), body[CID_BYTES:]
        verify(cid, data)
        return cid, data


def _remaining(
    reader: CarReader, first: list[tuple[CID, bytes]], pieces: Iterator[bytes]
) -> Iterator[tuple[CID, bytes]]:
    yield from first
    for piece in pieces:
        yield from reader.feed(piece)
    reader.finish()


def _decode_header(body: bytes) -> list[CID]:
    header = dagcbor.decode(body)
    if not isinstance(header, dict) or set(header) != {"roots", "version"} or header["version"] != 1:
        _refuse("car-header", "The CAR header is not version 1 with roots.")
    roots = header["roots"]
    if type(header["version"]) is not int or not isinstance(roots, list):
        _refuse("car-header", "The CAR header is not version 1 with roots.")
    if not all(isinstance(root, CID) for root in roots):
        _refuse("car-header", "A root in the CAR header is not a CID.")
    return roots


def _refuse(code: str, message: str) -> NoReturn:
    raise RemoteProtocolError(message, code=code, hint="Fetch the blocks again, from another peer.")
