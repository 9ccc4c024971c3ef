"""Cover by an underwriter: the certificate, its number on the chain, and the signature that offers it.

Spec: docs/spec/08-messages.md §8
"""

from __future__ import annotations

from typing import Any

from halle_protocol.documents.shape import Address, Amount, Hash32, Model, Seconds, UnixTime
from halle_protocol.keys import keccak256
from halle_protocol.signing import domain_separator, recover, sign, struct_hash, typed_digest
from halle_protocol.terms import OrderDocument, Terms

FULL_BPS = 10_000
_WORD = 32


class Certificate(Model):
    """The Solidity struct Certificate, field for field, in its order; the hash of it is the certificate's number.

    Units: cover and premium in the token's smallest unit; starts_at and ends_at in unix seconds; …_within in seconds.
    """

    underwriter: Address
    holder: Address
    token: Address
    cover: Amount
    premium: Amount
    starts_at: UnixTime
    ends_at: UnixTime
    respond_within: Seconds
    arbiter: Address
    arbiter_within: Seconds
    order_id: Hash32
    item_hash: Hash32
    serial_hash: Hash32 = bytes(32)
    terms_hash: Hash32 = bytes(32)

    def as_tuple(self) -> tuple[Any, ...]:
        """Return the values in Solidity's order."""
        values = [getattr(self, name) for name in Certificate.model_fields]
        return tuple(int(value) if isinstance(value, int) else value for value in values)

    def id(self, chain_id: int, contract: bytes) -> int:
        """Return its number in one Warranty contract on one chain."""
        words = (chain_id, contract, *self.as_tuple())
        return int.from_bytes(keccak256(b"".join(map(_word, words))), "big")

    def offer_digest(self, deadline: int, chain_id: int, contract: bytes) -> bytes:
        """Return what the underwriter signs so that anybody may pay the premium until `deadline` (unix seconds)."""
        hashed = struct_hash("CertificateOffer", self.id(chain_id, contract), deadline)
        return typed_digest(warranty_domain(chain_id, contract), hashed)


def warranty_domain(chain_id: int, contract: bytes) -> bytes:
    """Return the domain separator of one Warranty contract on one chain."""
    return domain_separator("Halle Warranty", "1", chain_id, contract)


def sign_offer(private: bytes, certificate: Certificate, deadline: int, chain_id: int, contract: bytes) -> bytes:
    """Return the underwriter's signature; the contract takes no operator's."""
    return sign(private, certificate.offer_digest(deadline, chain_id, contract))


def offer_signer(certificate: Certificate, deadline: int, sig: bytes, chain_id: int, contract: bytes) -> bytes:
    """Return the address that signed an offer.

    Raises: RemoteProtocolError `bad-signature`.
    """
    return recover(certificate.offer_digest(deadline, chain_id, contract), sig)


def item_hash(document: OrderDocument, line: int) -> bytes:
    """Return what names a line of an order on the chain; the document's salt keeps it from being guessed."""
    return keccak256(document.lines[line].sku.encode() + document.salt)


def line_price(terms: Terms, document: OrderDocument, line: int) -> int:
    """Return the line's part of what was paid, rounded down. Units: token's smallest unit."""
    return terms.amount * document.lines[line].total // document.total if document.total else 0


def premium_of(cover: int, fee_bps: int) -> int:
    """Return the premium, rounded up; never 0, which the contract takes for no premium at all."""
    return max(1, -(-cover * fee_bps // FULL_BPS))


def _word(value: int | bytes) -> bytes:
    """ABI-encode a number, an address or 32 bytes."""
    return value.to_bytes(_WORD, "big") if isinstance(value, int) else value.rjust(_WORD, b"\0")
