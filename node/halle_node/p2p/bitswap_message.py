"""Bitswap messages: what a peer wants, what it sends, and the same from us. The library gives only the protobuf."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from google.protobuf.message import DecodeError
from libp2p.bitswap.pb.bitswap_pb2 import Message

from halle_protocol.cid import CID, DAG_PB, RAW, cid_of
from halle_protocol.errors import RemoteProtocolError

V100, V110, V120 = (f"/ipfs/bitswap/1.{minor}.0" for minor in range(3))
PROTOCOLS = (V120, V110, V100)
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_ENTRIES = 1024
MAX_PARTS = 16_384

_SHA256 = b"\x12\x20"
_RAW_PREFIX = bytes(cid_of(RAW, b""))[:4]
_V0_PREFIX = bytes((0, DAG_PB)) + _SHA256
_PRIORITY = 1
_WANTLIST = 1


@dataclass(frozen=True, slots=True)
class Want:
    """One wanted block. `key` is the CID as the peer spelled it; `prefix` is empty when we cannot have it."""

    key: bytes
    prefix: bytes
    digest: bytes
    have: bool
    tell: bool

    @property
    def cid(self) -> CID:
        """Return the raw CID of the digest: blocks are stored by digest, so it finds any codec."""
        return CID(_RAW_PREFIX + self.digest)


@dataclass(frozen=True, slots=True)
class Received:
    """One message, read. `blocks` are bytes that nobody has hashed yet; `absent` are digests."""

    wants: tuple[Want, ...]
    blocks: tuple[bytes, ...]
    absent: tuple[bytes, ...]


def parse(frame: bytes) -> Received:
    """Read one message; entries beyond `MAX_ENTRIES` and cancelled wants are passed over.

    Raises: RemoteProtocolError "bitswap-shape".
    """
    _count_parts(frame)
    message = Message()
    try:
        message.ParseFromString(frame)
    except DecodeError as exc:
        raise RemoteProtocolError("A bitswap message is not a protobuf of its kind.", code="bitswap-shape") from exc
    entries = message.wantlist.entries[:MAX_ENTRIES]
    wants = tuple(_want(entry) for entry in entries if not entry.cancel)
    blocks = (*message.blocks, *(block.data for block in message.payload))
    presences = message.blockPresences[:MAX_ENTRIES]
    absent = tuple(_split(entry.cid)[1] for entry in presences if entry.type == Message.DontHave)
    return Received(wants, blocks, absent)


def _count_parts(frame: bytes) -> None:
    """Return for a message of at most `MAX_PARTS`: two bytes make a part, and the library makes a hundred of each."""
    count = 0
    for number, part in _parts(memoryview(frame)):
        count += 1
        if number == _WANTLIST:
            # One more than allowed is enough to know.
            count += sum(1 for _ in islice(_parts(part), MAX_PARTS + 1))
        if count > MAX_PARTS:
            raise RemoteProtocolError(f"A bitswap message has over {MAX_PARTS} parts.", code="bitswap-shape")


def _parts(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the fields of a protobuf that hold bytes; stop where it is malformed, which the library then says."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, after = _varint(data, at)
        kind = tag & 7
        if kind == 2:
            yield tag >> 3, data[after : after + value]
            at = after + value
        elif kind == 0:
            at = after
        else:
            return


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data) and shift < 64:
        number |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            break
    return number, at


def _want(entry: Message.Wantlist.Entry) -> Want:
    key = bytes(entry.block)
    prefix, digest = _split(key)
    have = entry.wantType == Message.Wantlist.Have
    return Want(key, prefix, digest, have, bool(entry.sendDontHave))


def _split(key: bytes) -> tuple[bytes, bytes]:
    """Return what a block message says instead of the CID, and the sha2-256 digest; both empty for other CIDs."""
    if len(key) == 34 and key.startswith(_SHA256):
        return _V0_PREFIX, key[2:]
    if len(key) >= 36 and key[0] == 1 and key[-34:-32] == _SHA256:
        return key[:-32], key[-32:]
    return b"", b""


def wants(cids: Iterable[CID], *, cancel: bool = False) -> bytes:
    """Return the message that asks for blocks, or takes the asking back."""
    message = Message()
    for cid in cids:
        entry = message.wantlist.entries.add()
        entry.block = bytes(cid)
        entry.priority = _PRIORITY
        entry.cancel = cancel
        entry.sendDontHave = not cancel
    return bytes(message.SerializeToString())


def blocks_frame(blocks: Sequence[tuple[bytes, bytes]], protocol: str) -> bytes:
    """Return the message that brings blocks. Shape: `blocks` are (prefix, bytes)."""
    message = Message()
    if protocol == V100:
        message.blocks.extend(data for _, data in blocks)
    else:
        for prefix, data in blocks:
            message.payload.add(prefix=prefix, data=data)
    return bytes(message.SerializeToString())


def presences_frame(presences: Sequence[tuple[bytes, bool]]) -> bytes:
    """Return the message that says of CIDs whether we have them."""
    message = Message()
    for key, has in presences:
        message.blockPresences.add(cid=key, type=Message.Have if has else Message.DontHave)
    return bytes(message.SerializeToString())


def digest_of(block: bytes) -> bytes:
    """Return the sha2-256 that names a block."""
    return hashlib.sha256(block).digest()
