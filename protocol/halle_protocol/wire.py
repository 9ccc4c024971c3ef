"""Shape checks shared by every signed block: exact keys, right types, bounded sizes, one error per defect.

Spec: docs/spec/06-documents.md §1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from halle_protocol import dagcbor
from halle_protocol.errors import RemoteProtocolError

MAX_INT = 2**63 - 1
"""Counters and times stay below 2^63 so that every store can keep them in a signed 64-bit column."""


def decode_map(data: bytes, *, kind: str, max_bytes: int) -> dict[str, Any]:
    """Return the canonical DAG-CBOR map in `data`.

    Raises: RemoteProtocolError `<kind>-too-large`, `<kind>-shape`, or dagcbor's `cbor-…`.
    """
    if len(data) > max_bytes:
        raise RemoteProtocolError(
            f"A {kind} may have {max_bytes} bytes; this one has {len(data)}.",
            code=f"{kind}-too-large",
            hint="Its sender must make it smaller.",
        )
    value = dagcbor.decode(data, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise _shape(kind, f"A {kind} is a map.")
    return value


def expect_keys(
    value: Mapping[str, Any], keys: frozenset[str], *, kind: str, optional: frozenset[str] = frozenset()
) -> None:
    """Refuse missing and unknown keys.

    Raises: RemoteProtocolError `<kind>-shape`.
    """
    missing, unknown = keys - value.keys(), value.keys() - keys - optional
    if missing or unknown:
        raise _shape(kind, f"A {kind} has other fields: missing {sorted(missing)[:8]}, unknown {sorted(unknown)[:8]}.")


def take_bytes(value: Mapping[str, Any], key: str, size: int, *, kind: str) -> bytes:
    """Return exactly `size` bytes."""
    item = value[key]
    if type(item) is not bytes or len(item) != size:
        raise _shape(kind, f"{kind}.{key} must be {size} bytes.")
    return item


def take_signature(value: Mapping[str, Any], *, kind: str, most: int) -> bytes:
    """Return the 65 bytes of a key, or up to `most` of a contract account."""
    item = value["sig"]
    if type(item) is not bytes or not 65 <= len(item) <= most:
        raise _shape(kind, f"{kind}.sig must be 65 bytes, or up to {most} by a contract account.")
    return item


def take_int(value: Mapping[str, Any], key: str, *, kind: str, low: int = 0, high: int = MAX_INT) -> int:
    """Return an integer between `low` and `high`, both included."""
    item = value[key]
    if type(item) is not int or not low <= item <= high:
        raise _shape(kind, f"{kind}.{key} must be an integer {low}…{high}.")
    return item


def take_text(value: Mapping[str, Any], key: str, *, kind: str, max_chars: int) -> str:
    """Return a non-empty text of at most `max_chars` characters."""
    item = value[key]
    if type(item) is not str or not 0 < len(item) <= max_chars:
        raise _shape(kind, f"{kind}.{key} must be 1…{max_chars} characters.")
    return item


def _shape(kind: str, message: str) -> RemoteProtocolError:
    return RemoteProtocolError(message, code=f"{kind}-shape", hint="Its sender must follow docs/spec.")
