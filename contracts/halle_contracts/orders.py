"""Order values as the Escrow contract knows them."""

from __future__ import annotations

from typing import Any, Final

from halle_contracts.codec import _snake
from halle_protocol.keys import keccak256

STATUS: Final = ("None", "Offered", "Accepted", "Shipped", "Delivered", "Disputed", "Escalated", "Closed")
"""Names of `Status` by number. An order closed after its `validUntil` reads as None: its word is cleared."""

CLOSED_HOW: Final = (
    "",
    "Released",
    "Claimed",
    "Refunded",
    "Settled",
    "Lapsed",
    "Reclaimed",
    "Ruled",
    "Defaulted",
)
"""Names of `how` in the event `Closed` by number."""

TERMS_FIELDS: Final = (
    "merchant",
    "buyer",
    "token",
    "amount",
    "arbiter",
    "backupArbiter",
    "arbiterFeeBps",
    "defaultBuyerBps",
    "validUntil",
    "acceptWithin",
    "shipWithin",
    "deliverWithin",
    "inspectWithin",
    "arbiterWithin",
    "carrier",
    "deliveryCode",
    "proofRequired",
    "orderHash",
)
"""Fields of the struct `Terms`, in order."""


def terms_tuple(terms: Any) -> tuple[Any, ...]:
    """Return terms (snake_case object, or dict with Solidity names) in the struct's order."""
    if isinstance(terms, dict):
        return tuple(terms[name] for name in TERMS_FIELDS)
    return tuple(getattr(terms, _snake(name)) for name in TERMS_FIELDS)


def shipment_id(order_id: bytes, shipment_hash: bytes) -> bytes:
    """Return the id a carrier attests for a shipment of an order, as `Escrow.shipmentIdOf`."""
    return keccak256(order_id + shipment_hash)
