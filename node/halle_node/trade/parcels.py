"""Parcels: what is in them, what the chain is told of them, and what the carrier saw.

Rule: the chain hears `ship` with the parcel that completes the order, so that the time to deliver and inspect starts
when everything is on its way; earlier parcels are messages.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from halle_node.chain.watcher_rows import events_about
from halle_node.trade.book import Order
from halle_protocol.errors import Refused
from halle_protocol.keys import ZERO_ADDRESS
from halle_protocol.message_bodies import Shipment
from halle_protocol.order import OrderState
from halle_protocol.terms import shipment_commitment, shipment_id

SALT_BYTES = 32
DELIVERED = 6
FAILED = frozenset({5, 7, 8})
STATUSES = {
    1: "accepted",
    2: "in-transit",
    3: "out-for-delivery",
    4: "ready-for-pickup",
    5: "failed-attempt",
    6: "delivered",
    7: "returned",
    8: "exception",
}
_PIECE = re.compile(r"(?P<sku>.+?)(?:\s*[:×x=]\s*(?P<count>\d{1,6}))?\Z")


@dataclass(frozen=True)
class Checkpoint:
    """What the order's own carrier recorded on the chain."""

    shipment_id: bytes
    status: int
    at: int
    tx_hash: bytes


def read_pieces(text: str, known: Mapping[str, int] | None) -> dict[str, int]:
    """Return pieces by sku from `SKU-1:2, SKU-2`; no number means all that `known` has, or one.

    Raises: Refused line-unknown, quantity-out-of-range.
    """
    found: dict[str, int] = {}
    for part in (each.strip() for each in re.split(r"[,;\n]", text)):
        match = _PIECE.match(part) if part else None
        if match is None:
            continue
        sku = match["sku"].strip()
        if known is not None and sku not in known:
            raise Refused(
                f"{sku[:60]!r} is not in this order.", code="line-unknown", hint=f"It has: {', '.join(known)}."
            )
        limit = known[sku] if known is not None else 10**6
        count = int(match["count"]) if match["count"] else (limit if known is not None else 1)
        if not 1 <= found.get(sku, 0) + count <= limit:
            raise Refused(
                f"{count} × {sku[:60]} is not possible.", code="quantity-out-of-range", hint=f"At most {limit}."
            )
        found[sku] = found.get(sku, 0) + count
    return found


def parcel_body(carrier: str, tracking: str, url: str, pieces: Mapping[str, int]) -> dict[str, Any]:
    """Return the message that announces a parcel; its commitment hides carrier, tracking and url."""
    salt = secrets.token_bytes(SALT_BYTES)
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in pieces.items()]
    commitment = shipment_commitment(carrier, tracking, salt, url)
    body = {"carrier": carrier, "tracking": tracking, "salt": salt, "lines": lines, "commitment": commitment}
    return body | ({"url": url} if url else {})


def check_parcel(body: Shipment) -> None:
    """Pass when the commitment is of what the message says; one that replaces a parcel stands under the old one.

    Raises: Refused shipment-mismatch.
    """
    if body.replaces:
        return
    if body.salt is None or shipment_commitment(body.carrier, body.tracking, body.salt, body.url) != body.commitment:
        raise Refused(
            "The parcel's hash is not of this carrier and tracking number.",
            code="shipment-mismatch",
            hint="Hash what you announce.",
        )


def shipment_ids(order: Order, state: OrderState) -> list[bytes]:
    """Return the ids a carrier attests for an order's parcels; the one the chain knows comes first."""
    hashes = [state.shipment_hash] if state.shipment_hash else []
    hashes += [bytes(message.body["commitment"]) for message in state.shipments]
    return [shipment_id(order.order_id, each) for each in dict.fromkeys(hashes)]


def checkpoints(conn: Connection, order: Order, state: OrderState) -> list[Checkpoint]:
    """Return what the carrier named in the terms recorded, oldest first; others' words do not count."""
    carrier = order.terms.carrier if order.terms else ZERO_ADDRESS
    if carrier == ZERO_ADDRESS:
        return []
    found = [
        Checkpoint(each, int(event.args["status"]), int(event.args["at"]), event.tx_hash)
        for each in shipment_ids(order, state)
        for event in events_about(conn, each)
        if event.name == "Checkpoint" and event.args["carrier"] == carrier
    ]
    return sorted(found, key=lambda each: each.at)


def is_proven(conn: Connection, order: Order, state: OrderState) -> bool:
    """Say whether the carrier's newest word on the shipment that the chain knows is: delivered."""
    if not state.shipment_hash:
        return False
    mine = shipment_id(order.order_id, state.shipment_hash)
    seen = [each for each in checkpoints(conn, order, state) if each.shipment_id == mine]
    return bool(seen) and seen[-1].status == DELIVERED
