"""One value has one encoding, and every other spelling of it is refused, because signatures cover bytes.

Strict DAG-CBOR: shortest heads, definite lengths, text keys sorted by length and then by bytes, no
duplicate keys, valid UTF-8, links as tag 42 over a known CID; floats, undefined and every other tag do not
exist here. Decoding is one recursive function per value, bounded by `max_depth`, written for speed: it
reads forwards only, and a read past the end shows as an index error or as a final position beyond the end,
never as a short value.
Spec: docs/spec/01-bytes.md, section DAG-CBOR.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, NoReturn

from halle_protocol.cid import CID, CID_BYTES, PREFIX_SET
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError

MAX_DEPTH: Final = 32
MAX_BYTES: Final = 65536
DEPTH_CEILING: Final = 128  # far below the interpreter's own recursion limit

KNOWN_KEYS: Final = 4096  # a cap, so that a peer that sends new keys all the time fills nothing
_known_keys: dict[bytes, str] = {}
_known_heads: dict[str, bytes] = {}
_SHORT_TEXT: Final = tuple(bytes((0x60 | size,)) for size in range(24))
_LINK_HEAD: Final = b"\xd8\x2a\x58\x25\x00"  # tag 42, then 37 bytes: a zero (multibase identity) and the CID
_pack_u16 = struct.Struct(">H").pack
_pack_u32 = struct.Struct(">I").pack
_pack_u64 = struct.Struct(">Q").pack
_SIMPLE: Final = {0xF4: False, 0xF5: True, 0xF6: None}
_MINIMUM: Final = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}


def encode(value: object) -> bytes:
    """Return the one canonical encoding of None, bool, int, str, bytes, CID, list, tuple or dict.

    Raises: LocalProtocolError "cbor-type", "cbor-int-range", "cbor-utf8", "cbor-too-deep", "cid-malformed".
    """
    parts: list[bytes] = []
    try:
        _write(value, parts.append, MAX_DEPTH)
    except UnicodeEncodeError as exc:
        raise _unencodable("cbor-utf8", f"A text holds a lone surrogate: {exc.object[:40]!r}.") from exc
    return b"".join(parts)


def decode(data: bytes, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES) -> Any:
    """Return the value of canonical bytes; `encode` of the result gives the same bytes back.

    Raises: RemoteProtocolError with a code that starts with "cbor-".
    """
    if len(data) > max_bytes:
        _refuse("cbor-too-large", f"{len(data)} bytes of DAG-CBOR are more than the limit of {max_bytes}.")
    if type(data) is not bytes:
        data = bytes(data)
    try:
        value, end = _value(data, 0, min(max_depth, DEPTH_CEILING))
    except IndexError:
        _truncated(data)
    except UnicodeDecodeError as exc:
        raise RemoteProtocolError(
            "A text is not UTF-8.", code="cbor-utf8", hint="The sender must encode text as UTF-8."
        ) from exc
    if end != len(data):
        if end > len(data):
            _truncated(data)
        _refuse("cbor-trailing-bytes", f"{len(data) - end} bytes follow the value.")
    return value


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes((major | number,))
    if number < 0x100:
        return bytes((major | 24, number))
    if number < 0x10000:
        return bytes((major | 25,)) + _pack_u16(number)
    if number < 0x100000000:
        return bytes((major | 26,)) + _pack_u32(number)
    if number < 0x10000000000000000:
        return bytes((major | 27,)) + _pack_u64(number)
    raise _unencodable("cbor-int-range", "An integer needs more than 64 bits.")


def _write(value: object, out: Callable[[bytes], None], depth: int) -> None:
    # Exact types, so that bool is no int and CID no bytes; the type checker cannot narrow on `kind`.
    kind = type(value)
    if kind is str:
        text = value.encode()  # type: ignore[attr-defined]
        size = len(text)
        out(_SHORT_TEXT[size] if size < 24 else _head(0x60, size))
        out(text)
    elif kind is int:
        out(_head(0, value) if value >= 0 else _head(0x20, -1 - value))  # type: ignore[operator,arg-type]
    elif kind is dict:
        _write_map(value, out, depth)  # type: ignore[arg-type]
    elif kind is list or kind is tuple:
        if depth <= 0:
            raise _unencodable("cbor-too-deep", f"Values are nested more than {MAX_DEPTH} deep.")
        out(_head(0x80, len(value)))  # type: ignore[arg-type]
        for item in value:  # type: ignore[attr-defined]
            _write(item, out, depth - 1)
    elif kind is bytes:
        out(_head(0x40, len(value)))  # type: ignore[arg-type]
        out(value)  # type: ignore[arg-type]
    else:
        _write_rare(value, out)


def _write_rare(value: object, out: Callable[[bytes], None]) -> None:
    if value is None:
        out(b"\xf6")
    elif value is True:
        out(b"\xf5")
    elif value is False:
        out(b"\xf4")
    elif isinstance(value, CID):
        if len(value) != CID_BYTES or value[:4] not in PREFIX_SET:
            raise _unencodable("cid-malformed", f"{bytes(value[:40]).hex()} is not a CID that may be linked.")
        out(_LINK_HEAD)
        out(value)
    else:
        raise _unencodable("cbor-type", f"A {type(value).__name__} has no DAG-CBOR form here.")


def _write_map(value: dict[object, object], out: Callable[[bytes], None], depth: int) -> None:
    if depth <= 0:
        raise _unencodable("cbor-too-deep", f"Values are nested more than {MAX_DEPTH} deep.")
    pairs = []
    known = _known_heads.get
    for key, item in value.items():
        if type(key) is not str:
            raise _unencodable("cbor-type", f"A map key must be text, not {type(key).__name__}.")
        pairs.append((known(key) or _encode_key(key), item))
    pairs.sort(key=_encoded_key)  # shorter keys have smaller heads, so plain byte order is the DAG-CBOR order
    out(_head(0xA0, len(pairs)))
    for encoded, item in pairs:
        out(encoded)
        _write(item, out, depth - 1)


def _encode_key(key: str) -> bytes:
    text = key.encode()
    encoded = _head(0x60, len(text)) + text
    if len(text) < 24 and len(_known_heads) < KNOWN_KEYS:
        _known_heads[key] = encoded
    return encoded


def _encoded_key(pair: tuple[bytes, object]) -> bytes:
    return pair[0]


def _value(b: bytes, i: int, depth: int) -> tuple[Any, int]:
    """Read one value at `i`. Shape: (value, position after it); the position may lie beyond the end."""
    first = b[i]
    i += 1
    if first < 0x18:
        return first, i
    major = first & 0xE0
    number = first & 0x1F
    if major == 0xE0 or first == 0xD8:
        return _simple_or_link(b, i, first)
    if number > 23:
        number, i = _argument(b, i, number)
    if major == 0x60:
        end = i + number
        return str(b[i:end], "utf-8"), end
    if major == 0x40:
        end = i + number
        return b[i:end], end
    if major == 0xA0:
        return _map(b, i, number, depth)
    if major == 0x80:
        return _list(b, i, number, depth)
    if major == 0xC0:
        _refuse("cbor-tag", f"Tag {number} is not allowed; only links (42) are.")
    return (number if major == 0 else -1 - number), i


def _list(b: bytes, i: int, count: int, depth: int) -> tuple[list[Any], int]:
    if depth <= 0:
        _refuse("cbor-too-deep", "Values are nested too deep.")
    depth -= 1
    out = []
    for _ in range(count):
        value, i = _value(b, i, depth)
        out.append(value)
    return out, i


def _map(b: bytes, i: int, count: int, depth: int) -> tuple[dict[str, Any], int]:
    if depth <= 0:
        _refuse("cbor-too-deep", "Values are nested too deep.")
    depth -= 1
    out: dict[str, Any] = {}
    known = _known_keys.get
    last = b""
    for _ in range(count):
        first = b[i]
        start = i + 1
        if 0x60 <= first < 0x78:
            end = i + first - 0x5F
        else:
            start, end = _long_key(b, start, first)
        key = b[i:end]
        if key <= last:
            _misordered(key, last, end > len(b), b)
        last = key
        name = known(key) or _learn(key, b[start:end])
        first = b[end]
        # Short texts, maps and numbers are most of a listing: they are read with one call less.
        if 0x60 <= first < 0x78:
            i = end + first - 0x5F
            out[name] = str(b[end + 1 : i], "utf-8")
        elif 0xA0 <= first < 0xB8:
            out[name], i = _map(b, end + 1, first - 0xA0, depth)
        elif first < 0x18:
            i = end + 1
            out[name] = first
        else:
            out[name], i = _value(b, end, depth)
    return out, i


def _learn(encoded: bytes, text: bytes) -> str:
    """Return the text of a map key; short ones are kept, because documents share their few field names."""
    name = str(text, "utf-8")
    if len(text) < 24 and len(_known_keys) < KNOWN_KEYS:
        _known_keys[encoded] = name
    return name


def _long_key(b: bytes, i: int, first: int) -> tuple[int, int]:
    """Read the head of a map key of 24 bytes or more. Shape: (start of its text, end)."""
    if first & 0xE0 != 0x60:
        _refuse("cbor-key-type", "A map key is not text.")
    length, i = _argument(b, i, first & 0x1F)
    return i, i + length


def _argument(b: bytes, i: int, info: int) -> tuple[int, int]:
    if info > 27:
        code = "cbor-indefinite" if info == 31 else "cbor-reserved"
        _refuse(code, f"A head with additional information {info} is not allowed.")
    end = i + (1 << (info - 24))
    if end > len(b):
        _truncated(b)
    number = int.from_bytes(b[i:end], "big")
    if number < _MINIMUM[info]:
        _refuse("cbor-not-minimal", f"The number {number} is not written in its shortest form.")
    return number, end


def _simple_or_link(b: bytes, i: int, first: int) -> tuple[Any, int]:
    if first == 0xD8:
        return _link(b, i - 1)
    if first in _SIMPLE:
        return _SIMPLE[first], i
    if first in (0xF9, 0xFA, 0xFB):
        _refuse("cbor-float", "Floating point numbers are not allowed; use whole minor units.")
    if first == 0xFF:
        _refuse("cbor-indefinite", "A break without an indefinite-length value is not allowed.")
    raise _refusal("cbor-simple", f"The simple value 0x{first:02x} is not allowed.")


def _link(b: bytes, i: int) -> tuple[CID, int]:
    start = i + 5
    end = start + CID_BYTES
    if b[i + 1] != 42:
        _refuse("cbor-tag", f"Tag {b[i + 1]} is not allowed; only links (42) are.")
    head = b[i:start]
    if head != _LINK_HEAD[: len(head)]:
        _refuse("cbor-link", "A link is not a CIDv1 of 36 bytes.")
    if end > len(b):
        _truncated(b)
    if b[start : start + 4] not in PREFIX_SET:
        _refuse("cbor-link", "A link is not a CIDv1 with sha2-256 and a known codec.")
    return CID(b[start:end]), end


def _misordered(key: bytes, last: bytes, truncated: bool, b: bytes) -> NoReturn:
    if truncated:
        _truncated(b)
    if key == last:
        _refuse("cbor-key-duplicate", f"The map key {key[1:41]!r} appears twice.")
    _refuse("cbor-key-order", f"The map key {key[1:41]!r} is out of order.")


def _truncated(b: bytes) -> NoReturn:
    _refuse("cbor-truncated", f"The value goes on after the last of {len(b)} bytes.")


def _refuse(code: str, message: str) -> NoReturn:
    raise _refusal(code, message)


def _refusal(code: str, message: str) -> RemoteProtocolError:
    return RemoteProtocolError(message, code=code, hint="The sender must write canonical DAG-CBOR.")


def _unencodable(code: str, message: str) -> LocalProtocolError:
    return LocalProtocolError(message, code=code, hint="Use text keys, whole numbers, text, bytes, links and lists.")
