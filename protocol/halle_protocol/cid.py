"""A CID names exactly one sequence of bytes: version 1, sha2-256, one of three codecs; nothing else links.

One CID has one text (base32, lower case, no padding) and one binary form of 36 bytes, so that comparing bytes
is comparing identity. Spec: docs/spec/01-bytes.md, section CID.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from halle_protocol.errors import RemoteProtocolError

RAW: Final = 0x55
DAG_PB: Final = 0x70
DAG_CBOR: Final = 0x71
LIBP2P_KEY: Final = 0x72  # names a key, never content: only ipns.py uses it

CID_BYTES: Final = 36
TEXT_LENGTH: Final = 59
# version, codec, sha2-256, 32 bytes: every accepted link starts with one of these.
PREFIXES: Final[dict[int, bytes]] = {codec: bytes((1, codec, 0x12, 0x20)) for codec in (RAW, DAG_PB, DAG_CBOR)}
PREFIX_SET: Final = frozenset(PREFIXES.values())

_sha256 = hashlib.sha256


class CID(bytes):
    """The 36 binary bytes of a CIDv1; hashable, comparable, and the only value that encodes as a link.

    Make one with `parse`, `from_bytes` or `cid_of`: the bare constructor does not check.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> CID:
        """Read the base32 text of a CID.

        Raises: RemoteProtocolError "cid-malformed".
        """
        if len(text) != TEXT_LENGTH or text[0] != "b" or text != text.lower():
            raise _malformed(f"{text[:80]!r} is not the base32 text of a CIDv1.")
        try:
            binary = base64.b32decode(text[1:].upper() + "======")
        except (binascii.Error, ValueError) as exc:
            raise _malformed(f"{text!r} is not base32.") from exc
        cid = cls.from_bytes(binary)
        if str(cid) != text:  # the last letter carries two unused bits, which must be zero
            raise _malformed(f"{text!r} has non-zero padding bits.")
        return cid

    @classmethod
    def from_bytes(cls, binary: bytes) -> CID:
        """Return the CID with exactly these bytes.

        Raises: RemoteProtocolError "cid-malformed".
        """
        if len(binary) != CID_BYTES or bytes(binary[:4]) not in PREFIX_SET:
            raise _malformed(f"{bytes(binary[:40]).hex()} is not a CIDv1 with sha2-256 and a known codec.")
        return cls(binary)

    @property
    def codec(self) -> int:
        """Return RAW, DAG_PB or DAG_CBOR."""
        return self[1]

    @property
    def digest(self) -> bytes:
        """Return the 32 bytes of the sha2-256."""
        return self[4:]

    def __str__(self) -> str:
        return "b" + base64.b32encode(self).decode("ascii").rstrip("=").lower()

    def __repr__(self) -> str:
        return f"CID({self})" if len(self) == CID_BYTES else f"CID({bytes(self)!r})"


def cid_of(codec: int, data: bytes) -> CID:
    """Return the CID of a block. `codec` is RAW, DAG_PB or DAG_CBOR."""
    return CID(PREFIXES[codec] + _sha256(data).digest())


def verify(cid: CID, data: bytes) -> None:
    """Return only when `data` is the block that `cid` names.

    Raises: RemoteProtocolError "cid-mismatch".
    """
    if _sha256(data).digest() != cid[4:]:
        raise RemoteProtocolError(
            f"A block of {len(data)} bytes does not hash to its name {cid}.",
            code="cid-mismatch",
            hint="Fetch the block again, from another peer.",
        )


def _malformed(message: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        message, code="cid-malformed", hint="Expected CIDv1, sha2-256, raw, dag-pb or dag-cbor, in base32."
    )


def varint(number: int) -> bytes:
    """Return a whole number as an unsigned LEB128 varint, as CIDs, CARs and protobufs spell it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
