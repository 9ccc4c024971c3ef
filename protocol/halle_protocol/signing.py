"""Fixed-layout EIP-712: every signature of Halle is over one of the structs in TYPES and nothing else.

Three domains: `Halle` v1 without a chain (grants, documents, heads, messages), and bound to a chain and contract
`Halle Escrow` v1 (terms, settlements, releases, operators) and `Halle Warranty` v1 (offers of certificates).
Spec: docs/spec/05-identity.md §2
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import coincurve

from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.keys import keccak256

TYPES: dict[str, str] = {
    "OperatorGrant": (
        "OperatorGrant(address store,address operator,string peerId,string[] scopes,"
        "uint64 notBefore,uint64 notAfter,uint64 sequence)"
    ),
    "Document": "Document(string type,address store,uint64 seq,uint64 issued,bytes32 body)",
    "Head": ("Head(address store,uint64 seq,bytes catalog,bytes site,uint64 issued,uint64 expires,bytes grant)"),
    "Message": ("Message(bytes16 id,bytes32 thread,string type,address sender,address to,uint64 issued,bytes32 body)"),
    "Collect": "Collect(address store,string mailbox,string collector,bytes32 nonce)",
    "Acknowledgement": "Acknowledgement(address store,bytes32 envelope,string outcome)",
    "Terms": (
        "Terms(address merchant,address buyer,address token,uint256 amount,address arbiter,"
        "address backupArbiter,uint16 arbiterFeeBps,uint16 defaultBuyerBps,uint40 validUntil,"
        "uint32 acceptWithin,uint32 shipWithin,uint32 deliverWithin,uint32 inspectWithin,"
        "uint32 arbiterWithin,address carrier,bytes32 deliveryCode,bool proofRequired,bytes32 orderHash)"
    ),
    "Settlement": "Settlement(bytes32 orderId,uint256 buyerShare,uint256 paidOut)",
    "Release": "Release(bytes32 orderId,uint256 amount,uint256 paidOut,uint256 deadline)",
    "SetOperator": ("SetOperator(address merchant,address operator,uint64 until,uint256 nonce,uint256 deadline)"),
    "CertificateOffer": "CertificateOffer(uint256 id,uint256 deadline)",
}
"""Every struct that is ever signed. Changing one character is a new protocol version."""

SIGNATURE_BYTES = 65
MAX_ACCOUNT_SIGNATURE_BYTES = 1024
WRAPPED = bytes.fromhex("6492") * 16
"""The end of an ERC-6492 signature: one of an account that may not be on its chain yet."""
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HALF_ORDER = (_ORDER // 2).to_bytes(32, "big")
_Encoder = Callable[[Any], bytes]


def _uint(bits: int) -> _Encoder:
    limit = 1 << bits

    def encode(value: int) -> bytes:
        if not 0 <= value < limit:
            raise LocalProtocolError(
                f"{value} does not fit uint{bits}.", code="out-of-range", hint="Check the value before signing."
            )
        return value.to_bytes(32, "big")

    return encode


def _fixed(size: int) -> _Encoder:
    padding = bytes(32 - size)

    def encode(value: bytes) -> bytes:
        if len(value) != size:
            raise LocalProtocolError(
                f"bytes{size} cannot hold {len(value)} bytes.",
                code="out-of-range",
                hint="Check the value before signing.",
            )
        return value + padding

    return encode


def _bool(value: bool) -> bytes:
    return bytes(31) + (b"\x01" if value else b"\x00")


def _address(value: bytes) -> bytes:
    if len(value) != 20:
        raise LocalProtocolError(
            f"An address has 20 bytes, not {len(value)}.", code="bad-address", hint="Copy the address again, in full."
        )
    return bytes(12) + value


@lru_cache(maxsize=4096)
def _string(value: str) -> bytes:
    return keccak256(value.encode())


def _strings(values: tuple[str, ...]) -> bytes:
    return keccak256(b"".join(map(_string, values)))


_FIXED_ENCODERS: dict[str, _Encoder] = {
    "address": _address,
    "bool": _bool,
    "bytes": keccak256,
    "bytes16": _fixed(16),
    "bytes32": _fixed(32),
    "string": _string,
    "string[]": _strings,
}
_UINT_ENCODERS = {f"uint{bits}": _uint(bits) for bits in (8, 16, 32, 40, 64, 128, 256)}
_ENCODERS = _FIXED_ENCODERS | _UINT_ENCODERS


def _layout(type_string: str) -> tuple[bytes, tuple[_Encoder, ...]]:
    fields = type_string[type_string.index("(") + 1 : -1].split(",")
    return keccak256(type_string.encode()), tuple(_ENCODERS[field.split(" ")[0]] for field in fields)


_LAYOUTS = {name: _layout(text) for name, text in TYPES.items()}


def type_hash(name: str) -> bytes:
    """Return keccak256 of the struct's type string."""
    return _LAYOUTS[name][0]


def struct_hash(name: str, *values: Any) -> bytes:
    """Return the EIP-712 hashStruct of `values` in the order of TYPES[name].

    Raises: LocalProtocolError `out-of-range`.
    """
    head, encoders = _LAYOUTS[name]
    return keccak256(head + b"".join([encode(value) for encode, value in zip(encoders, values, strict=True)]))


@lru_cache(maxsize=256)
def domain_separator(name: str, version: str, chain_id: int | None = None, contract: bytes | None = None) -> bytes:
    """Return the EIP-712 domain separator; fields that are None are left out of the domain type."""
    fields = ["string name", "string version"]
    words = [_string(name), _string(version)]
    if chain_id is not None:
        fields.append("uint256 chainId")
        words.append(chain_id.to_bytes(32, "big"))
    if contract is not None:
        fields.append("address verifyingContract")
        words.append(_address(contract))
    return keccak256(keccak256(f"EIP712Domain({','.join(fields)})".encode()) + b"".join(words))


HALLE_DOMAIN = domain_separator("Halle", "1")


def escrow_domain(chain_id: int, escrow: bytes) -> bytes:
    """Return the domain separator of one Escrow contract on one chain."""
    return domain_separator("Halle Escrow", "1", chain_id, escrow)


def typed_digest(domain: bytes, struct: bytes) -> bytes:
    """Return keccak256(0x19 0x01 ‖ domain ‖ struct), the 32 bytes that are signed."""
    return keccak256(b"\x19\x01" + domain + struct)


def sign(private: bytes, digest: bytes) -> bytes:
    """Return r‖s‖v, 65 bytes, deterministic (RFC 6979), low s, v 27 or 28."""
    try:
        signature = coincurve.PrivateKey(private).sign_recoverable(digest, hasher=None)
    except (ValueError, TypeError) as exc:
        raise LocalProtocolError(
            "Signing needs a 32-byte key and a 32-byte digest.",
            code="bad-private-key",
            hint="Make or restore the key again.",
        ) from exc
    return bytes(signature[:64]) + bytes([27 + signature[64]])


def recover(digest: bytes, signature: bytes) -> bytes:
    """Return the address that signed `digest`; only one encoding of each signature is accepted.

    Raises: RemoteProtocolError `bad-signature` (length, v, high s, or no such point).
    """
    if len(signature) != SIGNATURE_BYTES or signature[64] not in (27, 28):
        raise _bad("It must be 65 bytes ending in 27 or 28.")
    if signature[32:64] > _HALF_ORDER:
        raise _bad("Its s is in the upper half; the malleable twin of a signature is refused.")
    compact = signature[:64] + bytes([signature[64] - 27])
    try:
        public = coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as exc:  # coincurve raises bare Exception when no point matches
        raise _bad("No key can have made it.") from exc
    return keccak256(public.format(compressed=False)[1:])[12:]


@dataclass(frozen=True)
class ChainCheck:
    """A signature that no key explains: only the chain of the account can say whether it is good.

    Shape: `signature` is what ERC-1271 or ERC-6492 takes for `digest`.
    """

    signer: bytes
    digest: bytes
    signature: bytes


def chain_check(signer: bytes, digest: bytes, signature: bytes) -> ChainCheck | None:
    """Return what to ask a chain; None when 65 bytes say that a key signed, which `recover` judges.

    Raises: RemoteProtocolError `bad-signature` (shorter than a key's, or longer than an account's may be).
    """
    if len(signature) == SIGNATURE_BYTES:
        return None
    if not SIGNATURE_BYTES < len(signature) <= MAX_ACCOUNT_SIGNATURE_BYTES:
        raise _bad(f"A key's has 65 bytes, a contract account's 66 to {MAX_ACCOUNT_SIGNATURE_BYTES}.")
    return ChainCheck(signer, digest, signature)


def _bad(why: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"The signature is not valid. {why}", code="bad-signature", hint="Its author must sign again."
    )
