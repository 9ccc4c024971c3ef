"""HPKE (RFC 9180) to a recipient's rotating prekey; lengths are padded so that size tells little.

The only place of this library with randomness of its own: HPKE's ephemeral key is drawn by `cryptography`
from the operating system. Key generation takes its 32-byte seed from the caller.
Spec: docs/spec/08-messages.md §1
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from halle_protocol import dagcbor
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.wire import decode_map, expect_keys, take_bytes, take_text

HYBRID = "mlkem768-x25519"
X25519 = "x25519"
SUITES = (HYBRID, X25519)
SEED_BYTES = 32
PUBLIC_BYTES = {HYBRID: 1216, X25519: 32}
MAX_ENVELOPE_BYTES = 256 * 1024
ENVELOPE_TYPE = "halle/envelope/1"

_KIB = 1024
BUCKETS = tuple(n * _KIB for n in (4, 16, 64, 224))
"""Plaintext sizes on the wire, length prefix included. Few and wide, so that a chat, a request, a quote and a
shipment look alike."""
MAX_PLAINTEXT_BYTES = BUCKETS[-1] - 4

_ENGINES = {
    HYBRID: Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305),
    X25519: Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305),
}


@dataclass(frozen=True)
class Prekey:
    """A public key to seal to, as published in a profile.

    Units: not_after in unix seconds; senders choose another prekey after it.
    """

    id: str
    suite: str
    public: bytes
    not_after: int

    def to_body(self) -> dict[str, Any]:
        """Return the map a profile carries."""
        return {"id": self.id, "suite": self.suite, "public": self.public, "not_after": self.not_after}


@dataclass(frozen=True)
class Envelope:
    """One sealed message: who it is for, which prekey opens it, and nothing about who sent it."""

    to: bytes
    prekey_id: str
    ciphertext: bytes

    def encode(self) -> bytes:
        """Return the canonical DAG-CBOR bytes.

        Raises: LocalProtocolError `envelope-too-large`.
        """
        data = dagcbor.encode(
            {"type": ENVELOPE_TYPE, "to": self.to, "prekey": self.prekey_id, "ciphertext": self.ciphertext}
        )
        if len(data) > MAX_ENVELOPE_BYTES:
            raise LocalProtocolError(
                f"An envelope may have {MAX_ENVELOPE_BYTES} bytes.",
                code="envelope-too-large",
                hint="Send less in one message.",
            )
        return data

    @staticmethod
    def decode(data: bytes) -> Envelope:
        """Read an envelope.

        Raises: RemoteProtocolError `envelope-shape`, `envelope-too-large`, `cbor-…`.
        """
        kind = "envelope"
        value = decode_map(data, kind=kind, max_bytes=MAX_ENVELOPE_BYTES)
        expect_keys(value, frozenset(("type", "to", "prekey", "ciphertext")), kind=kind)
        sealed = value["ciphertext"]
        if value["type"] != ENVELOPE_TYPE or type(sealed) is not bytes or not sealed:
            raise RemoteProtocolError(
                f"Not a {ENVELOPE_TYPE}.",
                code="envelope-shape",
                hint="The sender must follow docs/spec/08-messages.md.",
            )
        to = take_bytes(value, "to", 20, kind=kind)
        return Envelope(to, take_text(value, "prekey", kind=kind, max_chars=64), sealed)


def generate_keypair(seed: bytes, suite: str = HYBRID) -> tuple[bytes, bytes]:
    """Return (private, public) for `suite` from 32 uniformly random bytes; the private key is the seed.

    The hybrid expands the seed as X-Wing does: SHAKE256(seed, 96) = ML-KEM seed 64 ‖ X25519 scalar 32.
    Raises: LocalProtocolError `bad-seed`, `suite-unknown`.
    """
    _check_suite(suite)
    if len(seed) != SEED_BYTES:
        raise LocalProtocolError(
            f"A key seed has 32 bytes, not {len(seed)}.",
            code="bad-seed",
            hint="Draw 32 bytes from a secure random generator.",
        )
    if suite == X25519:
        return seed, X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    kem, dh = _expand(seed)
    return seed, kem.public_key().public_bytes_raw() + dh.public_key().public_bytes_raw()


def make_prekey(seed: bytes, not_after: int, suite: str = HYBRID) -> tuple[bytes, Prekey]:
    """Return (private, prekey); the id is the first 16 hex digits of the public key's sha2-256."""
    private, public = generate_keypair(seed, suite)
    return private, Prekey(hashlib.sha256(public).hexdigest()[:16], suite, public, not_after)


def choose_prekey(prekeys: tuple[Prekey, ...] | list[Prekey], at: int) -> Prekey:
    """Return the prekey to seal to: unexpired, hybrid before plain, longest life first.

    Raises: RemoteProtocolError `no-prekey`.
    """
    fit = [key for key in prekeys if key.suite in SUITES and key.not_after >= at]
    if not fit:
        raise RemoteProtocolError(
            "The recipient publishes no prekey that is still valid.",
            code="no-prekey",
            hint="Ask them to start their node so that it renews its keys.",
        )
    return min(fit, key=lambda key: (SUITES.index(key.suite), -key.not_after, key.id))


def seal(plaintext: bytes, prekey: Prekey, info: bytes) -> bytes:
    """Return HPKE `enc ‖ ciphertext` of the padded plaintext.

    Raises: LocalProtocolError `plaintext-too-large`, `suite-unknown`; RemoteProtocolError `bad-prekey`.
    """
    _check_suite(prekey.suite)
    key = _public_key(prekey)
    try:
        return _ENGINES[prekey.suite].encrypt(_pad(plaintext), key, info)
    except ValueError as exc:  # a low-order X25519 point
        raise RemoteProtocolError(
            "The prekey cannot be sealed to.", code="bad-prekey", hint="The recipient must publish new prekeys."
        ) from exc


def unseal(ciphertext: bytes, private: bytes, suite: str, info: bytes) -> bytes:
    """Return the plaintext.

    Raises: RemoteProtocolError `unseal-failed` (wrong key, wrong info, altered, or wrong padding).
    """
    _check_suite(suite)
    try:
        padded = _ENGINES[suite].decrypt(ciphertext, _private_key(private, suite), info)
    except (InvalidTag, ValueError) as exc:
        raise _failed() from exc
    size = int.from_bytes(padded[:4], "big")
    if len(padded) not in BUCKETS or size > len(padded) - 4 or any(padded[4 + size :]):
        raise _failed()
    return padded[4 : 4 + size]


def envelope_info(to: bytes, prekey_id: str) -> bytes:
    """Return the HPKE info of an envelope: it binds the recipient and the prekey to the ciphertext."""
    return ENVELOPE_TYPE.encode() + b"\x00" + to + prekey_id.encode()


def seal_envelope(plaintext: bytes, to: bytes, prekey: Prekey) -> Envelope:
    """Seal a message for `to`."""
    return Envelope(to, prekey.id, seal(plaintext, prekey, envelope_info(to, prekey.id)))


def open_envelope(envelope: Envelope, private: bytes, suite: str) -> bytes:
    """Return the message inside.

    Raises: RemoteProtocolError `unseal-failed`.
    """
    info = envelope_info(envelope.to, envelope.prekey_id)
    return unseal(envelope.ciphertext, private, suite, info)


def _pad(plaintext: bytes) -> bytes:
    size = len(plaintext) + 4
    for bucket in BUCKETS:
        if size <= bucket:
            return len(plaintext).to_bytes(4, "big") + plaintext + bytes(bucket - size)
    raise LocalProtocolError(
        f"A message may have {MAX_PLAINTEXT_BYTES} bytes; this one has {len(plaintext)}.",
        code="plaintext-too-large",
        hint="Publish large content as blocks and send its CID.",
    )


def _expand(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    wide = hashlib.shake_256(seed).digest(96)
    return MLKEM768PrivateKey.from_seed_bytes(wide[:64]), X25519PrivateKey.from_private_bytes(wide[64:])


def _private_key(private: bytes, suite: str) -> Any:
    if suite == X25519:
        return X25519PrivateKey.from_private_bytes(private)
    if len(private) != SEED_BYTES:
        raise ValueError("private key size")
    return MLKEM768X25519PrivateKey(*_expand(private))


def _public_key(prekey: Prekey) -> Any:
    try:
        if prekey.suite == X25519:
            return X25519PublicKey.from_public_bytes(prekey.public)
        kem = MLKEM768PublicKey.from_public_bytes(prekey.public[:1184])
        return MLKEM768X25519PublicKey(kem, X25519PublicKey.from_public_bytes(prekey.public[1184:]))
    except ValueError as exc:
        raise RemoteProtocolError(
            "The prekey is malformed.", code="bad-prekey", hint="The recipient must publish new prekeys."
        ) from exc


def _check_suite(suite: str) -> None:
    if suite not in SUITES:
        raise LocalProtocolError(
            f"Unknown sealing suite {suite!r}.", code="suite-unknown", hint="Choose another prekey of the recipient."
        )


def _failed() -> RemoteProtocolError:
    return RemoteProtocolError(
        "The envelope cannot be opened with this key.",
        code="unseal-failed",
        hint="The sender should fetch the current profile and seal again.",
    )
