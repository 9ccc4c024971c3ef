"""The terms of one order: exactly what the escrow contract enforces, and the order document they are
bound to.

Spec: docs/spec/09-terms.md
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, astuple, dataclass, fields, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from halle_protocol import dagcbor
from halle_protocol.documents.shape import (
    Address,
    Bps,
    Count,
    Country,
    Currency,
    Flag,
    Hash32,
    Link,
    Model,
    Positive,
    UnixTime,
)
from halle_protocol.documents.text import Handle, Sku, Wide, Word
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.keys import NO_CODE, ZERO_ADDRESS, keccak256
from halle_protocol.signing import escrow_domain, recover, sign, struct_hash, typed_digest
from halle_protocol.wire import decode_map, expect_keys

MAX_AMOUNT = 2**128 - 1
MAX_ARBITER_FEE_BPS = 1_000
MAX_WINDOW_S = 2**26 - 1
"""About 776 days; the escrow refuses longer windows."""
MAX_ORDER_BYTES = 64 * 1024
ORDER_TYPE = "halle/order/1"
_ADDRESSES = ("merchant", "buyer", "token", "arbiter", "backup_arbiter", "carrier")
_WINDOWS = ("accept_within", "ship_within", "deliver_within", "inspect_within", "arbiter_within")


@dataclass(frozen=True)
class Terms:
    """The Solidity struct Terms, field for field, in its order.

    Units: amount in the token's smallest unit; …_within in seconds; …_bps in 1/10,000; valid_until in
    unix seconds.
    """

    merchant: bytes
    buyer: bytes
    token: bytes
    amount: int
    arbiter: bytes
    backup_arbiter: bytes
    arbiter_fee_bps: int
    default_buyer_bps: int
    valid_until: int
    accept_within: int
    ship_within: int
    deliver_within: int
    inspect_within: int
    arbiter_within: int
    carrier: bytes
    delivery_code: bytes
    proof_required: bool
    order_hash: bytes

    def __post_init__(self) -> None:
        """Refuse terms the contract could not hold.

        Raises: LocalProtocolError `terms-invalid`.
        """
        for name, good in _checks(self):
            if not good:
                raise LocalProtocolError(
                    f"Terms.{name} is out of range.",
                    code="terms-invalid",
                    field=name,
                    hint="Correct the terms and sign them again.",
                )

    def struct_hash(self) -> bytes:
        """Return the EIP-712 hashStruct."""
        return struct_hash("Terms", *self.as_tuple())

    def digest(self, chain_id: int, escrow: bytes) -> bytes:
        """Return the 32 bytes the merchant signs for one escrow on one chain."""
        return typed_digest(escrow_domain(chain_id, escrow), self.struct_hash())

    def order_id(self, chain_id: int, escrow: bytes, buyer: bytes | None = None) -> bytes:
        """Return keccak256(abi.encode(digest, buyer)); `buyer` is needed when the terms leave it open.

        Raises: LocalProtocolError `buyer-unknown`.
        """
        actual = self.buyer if self.buyer != ZERO_ADDRESS else buyer
        if not actual or actual == ZERO_ADDRESS:
            raise LocalProtocolError(
                "These terms are open to any buyer; name one.", code="buyer-unknown", hint="Pass the buyer's address."
            )
        return keccak256(self.digest(chain_id, escrow) + bytes(12) + actual)

    def as_tuple(self) -> tuple[Any, ...]:
        """Return the values in Solidity's order."""
        return astuple(self)

    def to_body(self) -> dict[str, Any]:
        """Return the DAG-CBOR map; the amount is decimal text, as CBOR integers stop at 2^64."""
        return asdict(self) | {"amount": str(self.amount)}

    @staticmethod
    def from_body(body: object) -> Terms:
        """Read a map.

        Raises: RemoteProtocolError `terms-invalid`, `terms-shape`.
        """
        if not isinstance(body, dict):
            raise RemoteProtocolError("Terms are a map.", code="terms-shape", hint="Ask the merchant for a new quote.")
        expect_keys(body, _NAMES, kind="terms")
        amount = body["amount"]
        if not isinstance(amount, str) or not _AMOUNT.match(amount):
            raise RemoteProtocolError(
                "Terms.amount is decimal text.", code="terms-invalid", hint="Correct the terms and sign them again."
            )
        try:
            return Terms(**(body | {"amount": int(amount)}))
        except LocalProtocolError as exc:
            raise RemoteProtocolError(exc.message, code=exc.code, hint=exc.hint) from exc


_AMOUNT = re.compile(r"[1-9][0-9]{0,38}\Z", re.ASCII)
_NAMES = frozenset(field.name for field in fields(Terms))


def _checks(terms: Terms) -> list[tuple[str, bool]]:
    def uint(value: object, limit: int) -> bool:
        return type(value) is int and 0 <= value <= limit

    def octets(value: object, size: int) -> bool:
        return isinstance(value, bytes) and len(value) == size

    sides = (terms.merchant, terms.buyer)
    provable = terms.delivery_code != NO_CODE or terms.carrier != ZERO_ADDRESS
    checks = [(name, octets(getattr(terms, name), 20)) for name in _ADDRESSES]
    checks += [(name, uint(getattr(terms, name), MAX_WINDOW_S)) for name in _WINDOWS]
    checks += [(name, octets(getattr(terms, name), 32)) for name in ("delivery_code", "order_hash")]
    checks += [
        ("arbiter_fee_bps", uint(terms.arbiter_fee_bps, MAX_ARBITER_FEE_BPS)),
        ("default_buyer_bps", uint(terms.default_buyer_bps, 10_000)),
        ("amount", uint(terms.amount, MAX_AMOUNT) and terms.amount > 0),
        ("valid_until", uint(terms.valid_until, 2**40 - 1)),
        ("proof_required", type(terms.proof_required) is bool),
        ("merchant", terms.merchant != ZERO_ADDRESS),
        ("buyer", terms.buyer != terms.merchant),
        ("arbiter", terms.arbiter == ZERO_ADDRESS or terms.arbiter not in sides),
        ("backup_arbiter", terms.backup_arbiter == ZERO_ADDRESS or terms.backup_arbiter not in sides),
        ("proof_required", not terms.proof_required or provable),
    ]
    return checks


def sign_terms(private: bytes, terms: Terms, chain_id: int, escrow: bytes) -> bytes:
    """Return the merchant's (or registered operator's) signature, which makes the terms a quote."""
    return sign(private, terms.digest(chain_id, escrow))


def terms_signer(terms: Terms, sig: bytes, chain_id: int, escrow: bytes) -> bytes:
    """Return the address that signed a quote.

    Raises: RemoteProtocolError `bad-signature`.
    """
    return recover(terms.digest(chain_id, escrow), sig)


def settlement_digest(order_id: bytes, buyer_share: int, paid_out: int, chain_id: int, escrow: bytes) -> bytes:
    """Return what both sides sign to split what is held; `paid_out` makes the signature single-use."""
    hashed = struct_hash("Settlement", order_id, buyer_share, paid_out)
    return typed_digest(escrow_domain(chain_id, escrow), hashed)


def release_digest(order_id: bytes, amount: int, paid_out: int, deadline: int, chain_id: int, escrow: bytes) -> bytes:
    """Return what a buyer without gas signs to release `amount` to the merchant."""
    hashed = struct_hash("Release", order_id, amount, paid_out, deadline)
    return typed_digest(escrow_domain(chain_id, escrow), hashed)


def set_operator_digest(
    merchant: bytes, operator: bytes, until: int, nonce: int, deadline: int, chain_id: int, escrow: bytes
) -> bytes:
    """Return what the store key signs so that the escrow accepts an operator's quotes."""
    hashed = struct_hash("SetOperator", merchant, operator, until, nonce, deadline)
    return typed_digest(escrow_domain(chain_id, escrow), hashed)


def order_hash(order_document: bytes) -> bytes:
    """Return sha2-256 of the order document: the digest inside its CID."""
    return hashlib.sha256(order_document).digest()


def shipment_commitment(carrier: str, tracking: str, salt: bytes, url: str | None = None) -> bytes:
    """Return the shipment hash: what stands for a parcel on the chain; the salt keeps it from being guessed."""
    details: dict[str, Any] = {"carrier": carrier, "tracking": tracking, "salt": salt}
    return hashlib.sha256(dagcbor.encode(details | ({"url": url} if url else {}))).digest()


def shipment_id(order_id: bytes, shipment_hash: bytes) -> bytes:
    """Return the id a carrier attests: bound to one order, so that another parcel proves nothing here."""
    return keccak256(order_id + shipment_hash)


class OrderLine(Model):
    """One line of the order document.

    Units: unit, total, tax in the order's minor unit.
    """

    listing: Link
    handle: Handle
    sku: Sku
    title: Wide = ""
    quantity: Positive
    unit: Count
    total: Count
    tax: Count = 0
    tax_included: Flag = True


class OrderDocument(Model):
    """What was sold, as both sides agreed; 32 random bytes keep the hash on chain from being guessed.

    It holds no name and no address: those travel sealed in the order request.
    Units: subtotal, shipping, tax, total in the currency's minor unit; amount in the token's smallest unit.
    """

    type: Literal["halle/order/1"] = "halle/order/1"
    salt: Hash32
    chain_id: Positive
    escrow: Address
    merchant: Address
    buyer: Address
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=100)]
    currency: Currency
    subtotal: Count
    shipping: Count
    tax: Count
    total: Count
    token: Address
    token_symbol: Word = ""
    token_decimals: Annotated[int, Field(strict=True, ge=0, le=36)] = 0
    country: Country | None = None
    rate_id: Word | None = None
    shipping_profile: Link | None = None
    profile: Link | None = None
    policies: Annotated[dict[Word, Link], Field(max_length=20)] = Field(default_factory=dict)
    arbiter_fee_bps: Bps = 0
    created: UnixTime

    def encode(self) -> bytes:
        """Return the canonical DAG-CBOR bytes.

        Raises: LocalProtocolError `order-too-large`.
        """
        data = dagcbor.encode(self.to_body() | {"type": ORDER_TYPE})
        if len(data) > MAX_ORDER_BYTES:
            raise LocalProtocolError(
                "An order document may have 64 KiB.", code="order-too-large", hint="Split the order."
            )
        return data

    @staticmethod
    def decode(data: bytes) -> OrderDocument:
        """Read an order document.

        Raises: RemoteProtocolError `order-too-large`, `order-shape`, `body-invalid`, `order-sum`, `cbor-…`.
        """
        document = OrderDocument.from_body(decode_map(data, kind="order", max_bytes=MAX_ORDER_BYTES))
        added = sum(line.tax for line in document.lines if not line.tax_included)
        goods = sum(line.total for line in document.lines)
        exact = all(line.unit * line.quantity == line.total for line in document.lines)
        if not exact or goods != document.subtotal or goods + document.shipping + added != document.total:
            raise RemoteProtocolError(
                "The order document does not add up.", code="order-sum", hint="Ask the merchant for a new quote."
            )
        return document


def bind(terms: Terms, order_document: bytes) -> Terms:
    """Return the terms with the hash of the order document."""
    return replace(terms, order_hash=order_hash(order_document))


def check_binding(terms: Terms, order_document: bytes) -> OrderDocument:
    """Return the order document after checking that these terms are about it.

    Raises: RemoteProtocolError `order-hash-mismatch`, `order-terms-mismatch` and OrderDocument.decode's
    codes.
    """
    if terms.order_hash != order_hash(order_document):
        raise RemoteProtocolError(
            "The terms are about another order document.",
            code="order-hash-mismatch",
            hint="Ask the merchant for a new quote.",
        )
    document = OrderDocument.decode(order_document)
    pairs = [(document.merchant, terms.merchant), (document.token, terms.token)]
    pairs += [] if terms.buyer == ZERO_ADDRESS else [(document.buyer, terms.buyer)]
    if any(a != b for a, b in pairs):
        raise RemoteProtocolError(
            "Terms and order name other parties or tokens.",
            code="order-terms-mismatch",
            hint="Ask the merchant for a new quote.",
        )
    return document


def has_code(terms: Terms) -> bool:
    """Say whether a delivery code can prove the hand-over."""
    return terms.delivery_code != NO_CODE


def explain(terms: Terms, locale: str = "en", *, symbol: str = "", decimals: int | None = None) -> list[str]:
    """Return the terms as short sentences for people, in English or French."""
    from halle_protocol.terms_words import sentences

    return sentences(terms, locale, symbol, decimals)
