"""secp256k1 keys and EVM addresses: an account is its 20-byte address, text form is EIP-55.

Spec: docs/spec/05-identity.md §1
"""

from __future__ import annotations

import re

import coincurve
from Crypto.Hash import keccak as _keccak

from halle_protocol.errors import LocalProtocolError, RemoteProtocolError

ADDRESS_BYTES = 20
ZERO_ADDRESS = bytes(ADDRESS_BYTES)
NO_CODE = bytes(32)
_ADDRESS_TEXT = re.compile(r"0x[0-9a-fA-F]{40}\Z")


def keccak256(data: bytes) -> bytes:
    """Return the Keccak-256 digest Ethereum uses (not NIST SHA3-256)."""
    return _keccak.Keccak_Hash(data, 32, False).digest()


def public_of(private: bytes) -> bytes:
    """Return the uncompressed public key, 64 bytes x‖y.

    Raises: LocalProtocolError `bad-private-key`.
    """
    try:
        return bytes(coincurve.PrivateKey(private).public_key.format(compressed=False)[1:])
    except (ValueError, TypeError) as exc:
        raise LocalProtocolError(
            "A secp256k1 private key is 32 bytes between 1 and the group order.",
            code="bad-private-key",
            hint="Make or restore the key again.",
        ) from exc


def address_of(private: bytes) -> bytes:
    """Return the 20-byte address of a private key."""
    return keccak256(public_of(private))[12:]


def to_checksum(address: bytes) -> str:
    """Return the EIP-55 text of an address."""
    if len(address) != ADDRESS_BYTES:
        raise LocalProtocolError(
            f"An address has 20 bytes, not {len(address)}.", code="bad-address", hint="Copy the address again, in full."
        )
    text = address.hex()
    nibbles = keccak256(text.encode()).hex()
    return "0x" + "".join(c.upper() if n >= "8" else c for c, n in zip(text, nibbles, strict=False))


def parse_address(text: str) -> bytes:
    """Read `0x…` text; mixed case must carry the right EIP-55 checksum.

    Raises: RemoteProtocolError `bad-address`.
    """
    if not _ADDRESS_TEXT.match(text):
        raise RemoteProtocolError(
            f"{text[:60]!r} is not an address.", code="bad-address", hint="Expected 0x and 40 hex digits."
        )
    address = bytes.fromhex(text[2:])
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and text != to_checksum(address):
        raise RemoteProtocolError(
            f"The checksum of {text} is wrong.", code="bad-address", hint="Copy the address again, in full."
        )
    return address


def delivery_code_hash(code: bytes) -> bytes:
    """Return keccak256(code), the value the Terms commit to; the code itself proves the hand-over.

    Raises: LocalProtocolError `weak-delivery-code` under 16 bytes (128 bits).
    """
    if len(code) < 16:
        raise LocalProtocolError(
            "A delivery code needs at least 16 bytes.",
            code="weak-delivery-code",
            hint="Draw it with a secure random generator.",
        )
    return keccak256(code)
