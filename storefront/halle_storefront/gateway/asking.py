"""What a request asks a gateway for: the name, the form of the answer, and which part of a graph.

Spec: IPFS Trustless Gateway (IPIP-402, 412, 523).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from aiohttp import web

from halle_node.blocks.dag import ByteRange, Scope, read_name
from halle_protocol.cid import CID, CID_BYTES, PREFIX_SET

from .answers import Wrong

RAW_TYPE = "application/vnd.ipld.raw"
CAR_TYPE = "application/vnd.ipld.car"
RECORD_TYPE = "application/vnd.ipfs.ipns-record"
FORMATS = {"raw": RAW_TYPE, "car": CAR_TYPE, "ipns-record": RECORD_TYPE}
# What other gateways unpack for browsers; a trustless one never does.
UNPACKED = frozenset({"dag-json", "dag-cbor", "json", "cbor", "tar", "html"})
MAX_NAME = 200
MAX_IDENTITY = 128
IDENTITY_HASH = 0x00
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Content:
    """A CID as asked. `cid` is None when it is well-formed but of a kind that is never stored here."""

    text: str
    binary: bytes
    cid: CID | None = None
    identity: bytes | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The form of the answer. `named` says whether the address itself names it, so that caches can tell."""

    mime: str
    named: bool
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CarForm:
    """Which blocks a CAR holds."""

    scope: Scope
    part: ByteRange | None
    repeats: bool

    @property
    def mime(self) -> str:
        return f"{CAR_TYPE}; version=1; order=dfs; dups={'y' if self.repeats else 'n'}"

    @property
    def tag(self) -> str:
        """What tells this form from others of the same graph."""
        part = f".{self.part.first}_{'*' if self.part.last is None else self.part.last}" if self.part else ""
        return f"{self.scope}{part}.{'y' if self.repeats else 'n'}"


def wanted(request: web.Request) -> Wanted:
    """The form asked for; the address wins over the header. Raises: Wrong 400, 406."""
    offers = _accepted(request.headers.getall("Accept", []))
    name = request.query.get("format")
    if name is not None:
        mime = FORMATS.get(name)
        if mime is None:
            raise Wrong(
                406 if name in UNPACKED else 400, f"format={name[:40]} is not given here: raw, car or ipns-record."
            )
        return Wanted(mime, True, next((found for kind, found in offers if kind == mime), {}))
    for kind, found in offers:
        if kind in FORMATS.values():
            return Wanted(kind, False, found)
    known = [kind for kind, _ in offers if kind != "*/*"]
    raise Wrong(
        406 if known else 400,
        f"This is a trustless gateway: ask with ?format=raw or ?format=car, or with Accept: {RAW_TYPE} or {CAR_TYPE}.",
    )


def _accepted(values: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """Media types of an Accept header, the most wanted first; those with q=0 left out."""
    found: list[tuple[float, str, dict[str, str]]] = []
    for part in ",".join(values).split(",")[:32]:
        kind, *texts = (one.strip().lower() for one in part.split(";"))
        parameters = dict(text.split("=", 1) for text in texts if "=" in text)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        if kind and quality > 0:
            found.append((quality, kind, parameters))
    found.sort(key=lambda one: -one[0])
    return [(kind, parameters) for _, kind, parameters in found]


def car_form(request: web.Request, parameters: Mapping[str, str]) -> CarForm:
    """The CAR asked for. Raises: Wrong 400."""
    query = request.query
    _one_of("car-version", query.get("car-version") or parameters.get("version") or "1", ("1",))
    _one_of("car-order", query.get("car-order") or parameters.get("order") or "dfs", ("dfs", "unk"))
    repeats = _one_of("car-dups", query.get("car-dups") or parameters.get("dups") or "n", ("y", "n"))
    part = _byte_range(query["entity-bytes"]) if "entity-bytes" in query else None
    asked = _one_of("dag-scope", query.get("dag-scope", "all"), ("block", "entity", "all"))
    scope: Scope = "entity" if part is not None or asked == "entity" else "block" if asked == "block" else "all"
    return CarForm(scope, part, repeats == "y")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise Wrong(400, f"{name}={value[:40]} is not understood: {', '.join(choices)}.")
    return value


def _byte_range(text: str) -> ByteRange:
    found = re.fullmatch(r"(-?\d{1,18}):(-?\d{1,18}|\*)", text)
    if found is None:
        raise Wrong(400, "entity-bytes is FROM:TO, with * for the end.")
    return ByteRange(int(found[1]), None if found[2] == "*" else int(found[2]))


def segments(request: web.Request) -> list[str]:
    """The parts of the path behind the CID."""
    return [part for part in request.match_info.get("path", "").split("/") if part]


def parse_content(text: str) -> Content:
    """Read a CID in any usual spelling. Raises: Wrong 400."""
    try:
        binary = decode_cid(text)
    except (ValueError, IndexError, binascii.Error):
        raise Wrong(400, "This is not a CID.") from None
    if len(binary) == 34 and binary.startswith(b"\x12\x20"):
        return Content(text, binary, read_name(binary))
    codec_end = _varint_end(binary, 1)
    if binary[codec_end] == IDENTITY_HASH:
        return Content(text, binary, identity=binary[codec_end + 2 :])
    if len(binary) == CID_BYTES and binary[:4] in PREFIX_SET:
        return Content(text, binary, CID(binary))
    return Content(text, binary)


def decode_cid(text: str) -> bytes:
    """Return the bytes of a CID. Raises: ValueError, IndexError, binascii.Error."""
    if not 2 <= len(text) <= MAX_NAME or not text.isascii():
        raise ValueError("length")
    if len(text) == 46 and text.startswith("Qm"):
        binary = base58(text)
        if len(binary) != 34 or not binary.startswith(b"\x12\x20"):
            raise ValueError("version 0")
        return binary
    binary = _multibase(text)
    if binary[0] != 1:
        raise ValueError("version")
    hash_at = _varint_end(binary, 1)
    length_at = _varint_end(binary, hash_at)
    end = _varint_end(binary, length_at)
    if binary[length_at] != len(binary) - end or len(binary) - end > MAX_IDENTITY:
        raise ValueError("digest")
    return binary


def _multibase(text: str) -> bytes:
    prefix, rest = text[0], text[1:]
    if prefix in "bB":
        rest = rest.upper()
        binary = base64.b32decode(rest + "=" * (-len(rest) % 8))
        if base64.b32encode(binary).decode().rstrip("=") != rest:
            raise ValueError("padding")
        return binary
    if prefix == "z":
        return base58(rest)
    if prefix in "kK":
        number = 0
        for letter in rest.lower():
            number = number * 36 + _BASE36.index(letter)
        return number.to_bytes((number.bit_length() + 7) // 8, "big")
    if prefix in "fF":
        return bytes.fromhex(rest)
    if prefix == "u":
        return base64.b64decode(rest + "=" * (-len(rest) % 4), b"-_", validate=True)
    raise ValueError("multibase")


def base58(text: str) -> bytes:
    """Raises: ValueError."""
    number = 0
    for letter in text:
        number = number * 58 + _BASE58.index(letter)
    return b"\0" * (len(text) - len(text.lstrip("1"))) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _varint_end(binary: bytes, start: int) -> int:
    while binary[start] & 0x80:
        start += 1
    return start + 1


def disposition(request: web.Request, default: str) -> str:
    """A download under the name asked for, spelled for old and new readers."""
    name = request.query.get("filename", "")[:MAX_NAME] or default
    plain = re.sub(r'[^\x20-\x7e]|["\\]', "_", name)
    exact = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{exact}'


def location(request: web.Request, form: str) -> str:
    """The address that names this very answer, form included."""
    return f"{request.rel_url.raw_path}?{urlencode([*request.query.items(), ('format', form)])}"
