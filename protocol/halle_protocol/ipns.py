"""An IPNS record says where a key points, until when; only the V2 signature and the signed data count.

Records carry the V1 fields as well, so that every reader of the public network accepts them; a reader here
checks that they repeat the signed data and trusts nothing outside it. Names are Ed25519 keys, written in
base36 (k51…). The clock is an argument. Spec: docs/spec/02-ipns.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from halle_protocol import dagcbor
from halle_protocol.cid import LIBP2P_KEY, varint
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError

MAX_RECORD_BYTES: Final = 10240
MAX_SEQUENCE: Final = (1 << 64) - 1
_NANOSECONDS: Final = 1_000_000_000
_SIGNED_PREFIX: Final = b"ipns-signature:"
_KEY_PROTOBUF: Final = b"\x08\x01\x12\x20"  # libp2p PublicKey{Type: Ed25519, Data: 32 bytes}
_NAME_PREFIX: Final = bytes((1, LIBP2P_KEY, 0, 36)) + _KEY_PROTOBUF  # CIDv1, libp2p-key, identity multihash
_BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_NAME_LENGTH: Final = 62

# Protobuf fields of an IpnsEntry and the signed map's key each of them repeats.
_VALUE, _SIGNATURE_V1, _VALIDITY_TYPE, _VALIDITY, _SEQUENCE, _TTL, _PUBLIC_KEY, _SIGNATURE_V2, _DATA = range(1, 10)
_REPEATS: Final = {
    _VALUE: "Value",
    _VALIDITY_TYPE: "ValidityType",
    _VALIDITY: "Validity",
    _SEQUENCE: "Sequence",
    _TTL: "TTL",
}


@dataclass(frozen=True, slots=True)
class Record:
    """What a verified record says. Units: `expires_at` in unix seconds, `ttl_s` in seconds."""

    value: str
    sequence: int
    expires_at: int
    ttl_s: int


def name_of(public: bytes) -> str:
    """Return the IPNS name (k51…) of a raw Ed25519 public key of 32 bytes."""
    if len(public) != 32:
        raise LocalProtocolError(
            f"An Ed25519 public key has 32 bytes, not {len(public)}.",
            code="ipns-key",
            hint="Pass the raw public bytes.",
        )
    number = int.from_bytes(_NAME_PREFIX + public, "big")
    digits = []
    while number:
        number, digit = divmod(number, 36)
        digits.append(_BASE36[digit])
    return "k" + "".join(reversed(digits))


def parse_name(name: str) -> bytes:
    """Return the raw public key in a name, given with or without a leading /ipns/.

    Raises: RemoteProtocolError "ipns-name".
    """
    text = name.removeprefix("/ipns/")
    if len(text) == _NAME_LENGTH and text[0] == "k" and all(c in _BASE36 for c in text[1:]):
        number = int(text[1:], 36)
        binary = number.to_bytes((number.bit_length() + 7) // 8, "big")
        if len(binary) == len(_NAME_PREFIX) + 32 and binary.startswith(_NAME_PREFIX):
            return binary[len(_NAME_PREFIX) :]
    raise RemoteProtocolError(
        f"{name[:100]!r} is not the IPNS name of an Ed25519 key.",
        code="ipns-name",
        hint="Expected base36 text that starts with k51.",
    )


def create(private: Ed25519PrivateKey | bytes, value: str, sequence: int, expires_at: int, ttl_s: int = 300) -> bytes:
    """Return the signed record that points the key's name to `value`, such as /ipfs/bafy….

    Units: `expires_at` in unix seconds. The sequence must grow with every new value.
    Raises: LocalProtocolError "ipns-sequence", "ipns-value", "ipns-too-large".
    """
    key = private if isinstance(private, Ed25519PrivateKey) else Ed25519PrivateKey.from_private_bytes(private)
    _check_before_signing(value, sequence)
    path, validity = value.encode(), _validity_text(expires_at).encode()
    ttl = ttl_s * _NANOSECONDS
    data = dagcbor.encode({"Value": path, "Validity": validity, "ValidityType": 0, "Sequence": sequence, "TTL": ttl})
    record = b"".join(
        (
            _bytes_field(_VALUE, path),
            _bytes_field(_SIGNATURE_V1, key.sign(path + validity + b"EOL")),
            _number_field(_VALIDITY_TYPE, 0),
            _bytes_field(_VALIDITY, validity),
            _number_field(_SEQUENCE, sequence),
            _number_field(_TTL, ttl),
            _bytes_field(_SIGNATURE_V2, key.sign(_SIGNED_PREFIX + data)),
            _bytes_field(_DATA, data),
        )
    )
    if len(record) > MAX_RECORD_BYTES:
        raise LocalProtocolError(
            f"The IPNS record has {len(record)} bytes.", code="ipns-too-large", hint="Use a shorter path."
        )
    return record


def verify(record: bytes, name: str, *, now: int | None = None) -> Record:
    """Return what a record says for a name; with `now` (unix seconds), refuse it once it has expired.

    Raises: RemoteProtocolError "ipns-…".
    """
    if len(record) > MAX_RECORD_BYTES:
        _refuse("ipns-too-large", f"The IPNS record has {len(record)} bytes, over {MAX_RECORD_BYTES}.")
    public = parse_name(name)
    fields = _read_fields(record)
    data, signature = fields.get(_DATA), fields.get(_SIGNATURE_V2)
    if not data or not signature:
        _refuse("ipns-unsigned", "The record has no V2 signature; V1 alone is not trusted.")
    _check_signature(public, signature, _SIGNED_PREFIX + data)
    signed = _signed_data(data)
    if fields.get(_PUBLIC_KEY, _KEY_PROTOBUF + public) != _KEY_PROTOBUF + public:
        _refuse("ipns-key", "The record carries a public key that is not the name's.")
    if _VALUE in fields or _SIGNATURE_V1 in fields:
        for number, key in _REPEATS.items():
            if number in fields and fields[number] != signed[key]:
                _refuse("ipns-mismatch", f"The unsigned {key} differs from the signed one.")
    result = _record_of(signed)
    if now is not None and now >= result.expires_at:
        _refuse("ipns-expired", f"The record expired at {result.expires_at}, now is {now}.")
    return result


def _check_before_signing(value: str, sequence: int) -> None:
    if not 0 <= sequence <= MAX_SEQUENCE:
        raise LocalProtocolError(
            f"The sequence {sequence} is not a 64-bit number.", code="ipns-sequence", hint="Count up from 0."
        )
    if not value.startswith("/"):
        raise LocalProtocolError(
            f"{value!r} is not a content path.", code="ipns-value", hint="Write /ipfs/ and the CID."
        )


def _check_signature(public: bytes, signature: bytes, message: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as exc:
        raise RemoteProtocolError(
            "The IPNS record is not signed by its name's key.",
            code="ipns-signature",
            hint="Ask another source for the record.",
        ) from exc


def _signed_data(data: bytes) -> dict[str, Any]:
    signed = dagcbor.decode(data, max_bytes=MAX_RECORD_BYTES)
    if not isinstance(signed, dict):
        _refuse("ipns-malformed", "The signed data is not a map.")
    for key in ("Value", "Validity"):
        if type(signed.get(key)) is not bytes:
            _refuse("ipns-malformed", f"The signed {key} is not bytes.")
    for key in ("ValidityType", "Sequence", "TTL"):
        if type(signed.get(key)) is not int or signed[key] < 0:
            _refuse("ipns-malformed", f"The signed {key} is not a natural number.")
    if signed["ValidityType"] != 0:
        _refuse("ipns-malformed", f"The validity type {signed['ValidityType']} is not known.")
    return signed


def _record_of(signed: dict[str, Any]) -> Record:
    try:
        value = signed["Value"].decode()
        expires_at = _parse_validity(signed["Validity"].decode("ascii"))
    except (UnicodeDecodeError, ValueError, OverflowError) as exc:
        raise RemoteProtocolError(
            "The signed value or validity is not readable.",
            code="ipns-malformed",
            hint="Expected UTF-8 and an RFC 3339 time.",
        ) from exc
    return Record(value, signed["Sequence"], expires_at, signed["TTL"] // _NANOSECONDS)


def _validity_text(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")


def _parse_validity(text: str) -> int:
    """Read an RFC 3339 time; the fraction is dropped, so that a record never lives longer."""
    head, rest = text[:19], text[19:]
    if rest.startswith("."):
        rest = rest[1:].lstrip("0123456789")
    if not rest or not head.isascii():
        raise ValueError("no time zone")
    return int(datetime.fromisoformat(head + rest).timestamp())


def _read_fields(record: bytes) -> dict[int, Any]:
    fields: dict[int, Any] = {}
    i = 0
    while i < len(record):
        tag, i = _read_varint(record, i)
        number, wire = tag >> 3, tag & 7
        value: Any
        value, i = _read_varint(record, i)
        if wire == 2:
            if i + value > len(record):
                _refuse("ipns-malformed", "A field of the record goes on after its end.")
            value, i = record[i : i + value], i + value
        elif wire != 0:
            _refuse("ipns-malformed", f"The wire type {wire} is not used in IPNS records.")
        if number in fields:
            _refuse("ipns-malformed", f"Field {number} appears twice.")
        fields[number] = value
    for number in (_VALUE, _SIGNATURE_V1, _VALIDITY, _PUBLIC_KEY, _SIGNATURE_V2, _DATA):
        if type(fields.get(number, b"")) is not bytes:
            _refuse("ipns-malformed", f"Field {number} of the record is not bytes.")
    return fields


def _read_varint(data: bytes, i: int) -> tuple[int, int]:
    number = shift = 0
    byte = 0x80
    while byte >= 0x80:
        if i >= len(data) or shift > 63:
            _refuse("ipns-malformed", "A number in the record is cut off or too long.")
        byte = data[i]
        i += 1
        number |= (byte & 0x7F) << shift
        shift += 7
    return number, i


def _bytes_field(number: int, data: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + varint(len(data)) + data


def _number_field(number: int, value: int) -> bytes:
    return bytes((number << 3,)) + varint(value)


def _refuse(code: str, message: str) -> NoReturn:
    raise RemoteProtocolError(message, code=code, hint="Ask another source for the record.")
