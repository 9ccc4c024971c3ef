"""Sample people, documents and orders that tests and vectors share; all fixed: no clock, no randomness."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from halle_protocol.cid import CID, DAG_CBOR, RAW, cid_of
from halle_protocol.cover import Certificate, item_hash
from halle_protocol.documents import Listing, LocalText, Media, Price, Rate, Shipping, Variant, Zone
from halle_protocol.grant import Grant, sign_grant
from halle_protocol.keys import ZERO_ADDRESS, address_of, delivery_code_hash
from halle_protocol.messages import (
    Contact,
    Message,
    OrderQuote,
    OrderRequest,
    ReplyRoute,
    RequestedLine,
    sign_message,
    thread_of,
)
from halle_protocol.order import ChainFact
from halle_protocol.pricing import price_order
from halle_protocol.sealing import make_prekey
from halle_protocol.terms import OrderDocument, OrderLine, Terms, bind, sign_terms

NOW = 1_795_388_141
DAY = 86_400
CHAIN_ID = 31_337
MERCHANT_KEY, BUYER_KEY, OPERATOR_KEY, STRANGER_KEY, ARBITER_KEY = (bytes([n]) * 32 for n in range(1, 6))
MERCHANT, BUYER, OPERATOR, STRANGER, ARBITER = (
    address_of(key) for key in (MERCHANT_KEY, BUYER_KEY, OPERATOR_KEY, STRANGER_KEY, ARBITER_KEY)
)
ESCROW, TOKEN, CARRIER = bytes([0xE5]) * 20, bytes([0x70]) * 20, bytes([0xCA]) * 20
PEER_ID = "12D3KooWGCyS8gmm9gYyy4D6ZHe6oVnV9w6GFdR2rfAKtv3aE3Cw"
PICTURE = cid_of(RAW, b"picture")
DELIVERY_CODE = b"0123456789abcdef"
REQUEST_ID = bytes(range(16))
THREAD = thread_of(MERCHANT, BUYER, REQUEST_ID)


def grant(**changes: Any) -> Grant:
    """Return the merchant's grant to the operator, valid around NOW."""
    fields: dict[str, Any] = {"not_before": NOW - DAY, "not_after": NOW + 30 * DAY, "sequence": 1}
    return sign_grant(MERCHANT_KEY, OPERATOR, PEER_ID, **(fields | changes))


def listing(**changes: Any) -> Listing:
    """Return a shirt in two sizes."""
    fields: dict[str, Any] = {
        "handle": "blue-shirt",
        "title": LocalText(texts={"en": "Blue shirt", "fr": "Chemise bleue"}, fallback="en"),
        "description": LocalText.of("Linen, made in Lyon."),
        "media": [Media(cid=PICTURE, alt=LocalText.of("Front"), width=1600, height=1200)],
        "options": ["Size"],
        "variants": [variant("SHIRT-S", "S", 4900), variant("SHIRT-M", "M", 4900)],
        "tags": ["linen"],
    }
    return Listing(**(fields | changes))


def variant(sku: str, size: str, amount: int, **changes: Any) -> Variant:
    """Return one size of the shirt."""
    fields: dict[str, Any] = {"options": {"Size": size}, "price": Price(amount=amount, currency="EUR")}
    return Variant(sku=sku, **({"weight_g": 250} | fields | changes))


def shipping() -> Shipping:
    """Return two zones: France, and everywhere else."""
    letter = Rate(id="letter", name=LocalText.of("Letter"), price=Price(amount=500, currency="EUR"), max_weight_g=400)
    parcel = Rate(
        id="parcel",
        name=LocalText.of("Parcel"),
        price=Price(amount=900, currency="EUR"),
        free_over=Price(amount=10_000, currency="EUR"),
    )
    world = Rate(id="world", name=LocalText.of("World"), price=Price(amount=2500, currency="EUR"))
    return Shipping(zones=[Zone(countries=["FR"], rates=[letter, parcel]), Zone(countries=["*"], rates=[world])])


def listing_cid() -> CID:
    """Return a CID that stands for the listing."""
    return cid_of(DAG_CBOR, b"\xa0")


def order_document(**changes: Any) -> OrderDocument:
    """Return one shirt, sent as a parcel to France."""
    totals = price_order([(listing(), "SHIRT-S", 2)], shipping(), "parcel", "FR", "EUR")
    line = totals.lines[0]
    fields: dict[str, Any] = {
        "salt": bytes(range(32)),
        "chain_id": CHAIN_ID,
        "escrow": ESCROW,
        "merchant": MERCHANT,
        "buyer": BUYER,
        "lines": [
            OrderLine(
                listing=listing_cid(),
                handle=line.handle,
                sku=line.sku,
                quantity=line.quantity,
                unit=line.unit,
                total=line.total,
            )
        ],
        "currency": "EUR",
        "subtotal": totals.subtotal.amount_minor,
        "shipping": totals.shipping.amount_minor,
        "tax": totals.tax.amount_minor,
        "total": totals.total.amount_minor,
        "token": TOKEN,
        "token_symbol": "EURT",
        "token_decimals": 6,
        "country": "FR",
        "rate_id": "parcel",
        "created": NOW,
    }
    return OrderDocument(**(fields | changes))


def terms(**changes: Any) -> Terms:
    """Return terms bound to order_document()."""
    made = Terms(
        merchant=MERCHANT,
        buyer=BUYER,
        token=TOKEN,
        amount=107_000_000,
        arbiter=ARBITER,
        backup_arbiter=ZERO_ADDRESS,
        arbiter_fee_bps=200,
        default_buyer_bps=5000,
        valid_until=NOW + 3600,
        accept_within=3 * DAY,
        ship_within=7 * DAY,
        deliver_within=21 * DAY,
        inspect_within=3 * DAY,
        arbiter_within=14 * DAY,
        carrier=ZERO_ADDRESS,
        delivery_code=delivery_code_hash(DELIVERY_CODE),
        proof_required=False,
        order_hash=bytes(32),
    )
    return bind(replace(made, **changes), order_document().encode())


WARRANTY = bytes([0x3A]) * 20


def certificate(**changes: Any) -> Certificate:
    """Return what the merchant offers to the buyer for the shirts, as an underwriter would."""
    document = order_document()
    fields: dict[str, Any] = {
        "underwriter": MERCHANT,
        "holder": BUYER,
        "token": TOKEN,
        "cover": 90_000_000,
        "premium": 3_600_000,
        "starts_at": NOW,
        "ends_at": NOW + 365 * DAY,
        "respond_within": 7 * DAY,
        "arbiter": ARBITER,
        "arbiter_within": 14 * DAY,
        "order_id": terms().order_id(CHAIN_ID, ESCROW),
        "item_hash": item_hash(document, 0),
        "terms_hash": listing_cid().digest,
    }
    return Certificate(**(fields | changes))


def message(private: bytes, type: str, body: Any, *, at: int = NOW, number: int = 0, **changes: Any) -> Message:
    """Return a signed message between merchant and buyer; `number` makes its id."""
    sender = address_of(private)
    fields: dict[str, Any] = {
        "to": BUYER if sender == MERCHANT else MERCHANT,
        "thread": THREAD,
        "sender": sender,
    }
    identity = number.to_bytes(16, "big")
    return sign_message(private, id=identity, type=type, issued=at, body=body, **(fields | changes))


def request_body(**changes: Any) -> OrderRequest:
    """Return a buyer's wish for two shirts."""
    prekey = make_prekey(bytes([9]) * 32, NOW + 7 * DAY)[1]
    fields: dict[str, Any] = {
        "lines": [RequestedLine(listing=listing_cid(), handle="blue-shirt", sku="SHIRT-S", quantity=2)],
        "contact": Contact(name="Léa Martin", email="lea@example.org"),
        "country": "FR",
        "rate_id": "parcel",
        "delivery_code_hash": delivery_code_hash(DELIVERY_CODE),
        "reply": ReplyRoute(peer_id=PEER_ID, addrs=["/ip4/127.0.0.1/tcp/4480"], prekey=prekey),
    }
    return OrderRequest(**(fields | changes))


def quote_body(**changes: Any) -> OrderQuote:
    """Return the merchant's answer to request_body()."""
    agreed = terms()
    fields: dict[str, Any] = {
        "terms": agreed,
        "signature": sign_terms(MERCHANT_KEY, agreed, CHAIN_ID, ESCROW),
        "chain_id": CHAIN_ID,
        "escrow": ESCROW,
        "order_document": order_document().encode(),
        "currency": "EUR",
        "total": 10_700,
    }
    return OrderQuote(**(fields | changes))


def order_id() -> bytes:
    """Return the order id of terms()."""
    return terms().order_id(CHAIN_ID, ESCROW)


def event(name: str, block: int, *, at: int | None = None, finality: str = "final", **args: Any) -> ChainFact:
    """Return one escrow event of order_id(), at NOW + block unless said."""
    moment = NOW + block if at is None else at
    return ChainFact(name, {"orderId": order_id(), **args}, moment, finality, (block, 0))  # type: ignore[arg-type]


def funded(block: int = 1, *, accepted: bool = True, **changes: Any) -> ChainFact:
    """Return the funding of terms()."""
    agreed = terms()
    args: dict[str, Any] = {"merchant": MERCHANT, "buyer": BUYER, "token": TOKEN, "amount": agreed.amount}
    args |= {"accepted": accepted, "orderHash": agreed.order_hash}
    return event("Funded", block, **(args | changes))
