"""What happened to an order, oldest first: messages, chain events, and our own transactions on their way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from halle_node.trade import book
from halle_node.trade.balances import token_of
from halle_node.trade.book import Order
from halle_node.trade.certificate_facts import certificate_events, certificate_ids
from halle_node.trade.folding import chain_facts
from halle_node.trade.parcels import STATUSES
from halle_node.trade.room import Room
from halle_node.trade.views import Param, TimelineEntry, TransactionView
from halle_protocol.errors import HalleError
from halle_protocol.keys import to_checksum
from halle_protocol.messages import Message
from halle_protocol.order import ChainFact, OrderState
from halle_protocol.order_table import HOW

MESSAGE_KEYS = {
    "order/request": "requested",
    "order/quote": "quoted",
    "order/decline": "declined",
    "order/cancel": "cancelled",
    "shipment": "shipment",
    "receipt": "received",
    "settlement/propose": "proposal",
    "settlement/accept": "settlement-accepted",
    "dispute/evidence": "evidence",
    "warranty/issued": "warranty",
    "claim/open": "claim-asked",
    "claim/accept": "claim-accepted",
    "claim/offer": "repair-offered",
    "claim/contest": "claim-contested",
    "return/request": "return-requested",
    "return/approve": "return-approved",
    "return/decline": "return-declined",
    "return/cancel": "return-cancelled",
    "return/sent": "return-sent",
    "return/received": "return-received",
    "deliverable": "deliverable",
    "deliverable/request": "deliverable-asked",
    "checkpoint": "checkpoint",
    "parcel/handover": "handed-to-carrier",
    "case/evidence": "case-evidence",
    "case/question": "case-question",
    "case/ruling": "case-ruling",
    "chat": "chat",
}
EVENT_KEYS = {
    "Accepted": "accepted",
    "Shipped": "shipped",
    "Delivered": "delivered",
    "Paid": "paid",
    "Closed": "closed",
    "Disputed": "disputed",
    "Escalated": "escalated",
}
WARRANTY_KEYS = {
    "Registered": "warranty-registered",
    "ClaimOpened": "claimed",
    "ClaimPaid": "claim-paid",
    "OfferAccepted": "repair-accepted",
    "OfferLapsed": "repair-lapsed",
    "ClaimRuled": "claim-ruled",
    "Expired": "warranty-ended",
}
SHOWN_FIELDS = ("reason", "carrier", "tracking", "buyer_share", "text", "note", "name", "place")


def timeline(room: Room, conn: Connection, order: Order, state: OrderState) -> tuple[TimelineEntry, ...]:
    """Return the order's history."""
    entries = [_said(order, message) for message in book.messages(conn, order.key)]
    entries += [replace(_said(order, each), key="contradicted") for each in book.contradictions(conn, order.key)]
    entries += [_event(room, order, state, fact) for fact in chain_facts(conn, order.order_id)]
    for certificate_id in certificate_ids(conn, order, state):
        entries += [
            _warranty(room, order, state, event)
            for event in certificate_events(conn, certificate_id)
            if event.name in WARRANTY_KEYS
        ]
    entries += _pending(room, conn, order)
    entries += _at_mailboxes(room, order)
    return tuple(sorted(entries, key=lambda entry: (entry.at, entry.block_number or 0)))


def transactions(room: Room, conn: Connection, order: Order) -> tuple[TransactionView, ...]:
    """Return our transactions for an order."""
    found = []
    for row_id, purpose, _ in book.transactions(conn, order.key):
        try:
            status = room.chain.outbox.status(row_id)
        except HalleError:
            continue
        tx_hash = "0x" + status.tx_hash.hex() if status.tx_hash else ""
        found.append(
            TransactionView(row_id, purpose, status.state, tx_hash, status.error_text or "", status.error_code or "")
        )
    return tuple(found)


def amount_text(room: Room, order: Order, token: bytes, amount: int) -> str:
    """Return a token amount in its own decimals, with the symbol."""
    symbol, decimals = token_of(room, order, token)
    whole, part = divmod(amount, 10**decimals)
    digits = str(part).zfill(decimals).rstrip("0").ljust(min(2, decimals), "0") if decimals else ""
    return f"{whole}{'.' + digits if digits else ''} {symbol}".rstrip()


def _said(order: Order, message: Message) -> TimelineEntry:
    shown: dict[str, Param] = {
        name: value for name in SHOWN_FIELDS if isinstance(value := message.body.get(name), str | int) and value != ""
    }
    key = MESSAGE_KEYS.get(message.type, message.type.replace("/", "-"))
    if message.type == "checkpoint":
        shown["status"] = STATUSES.get(message.body.get("status", 0), "")
    elif message.type == "shipment" and message.body.get("replaces"):
        key = "sent-again"
    return TimelineEntry(
        at=message.issued, kind="message", key=f"timeline.{key}", params=shown, by=_side(order, message.sender)
    )


def _event(room: Room, order: Order, state: OrderState, fact: ChainFact) -> TimelineEntry:
    key = EVENT_KEYS.get(fact.name, fact.name.lower())
    if fact.name == "Funded":
        key = "funded" if fact.args["accepted"] else "offered"
    elif fact.name == "Closed" and int(fact.args["how"]) == 4:
        key = "settled"
    return TimelineEntry(
        at=fact.at,
        kind="chain",
        key=f"timeline.{key}",
        params=_event_params(room, order, state, fact),
        by=_event_side(fact.name),
        tx_hash="0x" + fact.tx.hex(),
        block_number=fact.position[0],
        finality=fact.finality,
    )


def _event_params(room: Room, order: Order, state: OrderState, fact: ChainFact) -> dict[str, Param]:
    args: dict[str, Any] = dict(fact.args)
    if fact.name == "Funded":
        return {"amount": amount_text(room, order, args["token"], int(args["amount"]))}
    if fact.name == "Paid":
        parts = {"to_buyer": "toBuyer", "to_merchant": "toMerchant", "to_arbiter": "toArbiter"}
        return {name: amount_text(room, order, state.token, int(args[arg])) for name, arg in parts.items()}
    if fact.name == "Closed":
        return {"how": HOW.get(int(args["how"]), "")}
    return {"deadline": int(args["deadline"])} if "deadline" in args else {}


def _warranty(room: Room, order: Order, state: OrderState, event: Any) -> TimelineEntry:
    amount = event.args.get("amount", event.args.get("cover", 0))
    return TimelineEntry(
        at=event.block_time,
        kind="chain",
        key=f"timeline.{WARRANTY_KEYS[event.name]}",
        params={"amount": amount_text(room, order, state.token, int(amount))},
        tx_hash="0x" + event.tx_hash.hex(),
        block_number=event.block_number,
        finality=event.finality.value,
    )


def _pending(room: Room, conn: Connection, order: Order) -> list[TimelineEntry]:
    """Return our transactions that no event shows yet, or that failed."""
    made = {row_id: at for row_id, _, at in book.transactions(conn, order.key)}
    found = []
    for each in transactions(room, conn, order):
        if each.state in ("mined", "final"):
            continue
        failed = each.state == "failed"
        found.append(
            TimelineEntry(
                at=made[each.row_id],
                kind="node",
                key="timeline.transaction-failed" if failed else "timeline.transaction-on-its-way",
                params={"purpose": each.purpose, "error": each.error},
                by=order.role,
                tx_hash=each.tx_hash,
                finality="failed" if failed else "pending",
            )
        )
    return found


def _at_mailboxes(room: Room, order: Order) -> list[TimelineEntry]:
    """Return what of ours waits at a mailbox until the other side collects it."""
    if order.thread is None:
        return []
    return [
        TimelineEntry(
            at=place.since,
            kind="node",
            key="timeline.left-at-mailbox",
            params={"mailbox": place.mailbox.rpartition("/")[2][-8:]},
            by=order.role,
            finality="pending",
        )
        for each in room.messages.outgoing(order.thread)
        if each.state == "queued"
        for place in each.waiting_at
    ]


def _side(order: Order, sender: bytes) -> str:
    if sender == order.merchant:
        return "merchant"
    return "buyer" if sender == order.buyer else to_checksum(sender)


def _event_side(name: str) -> str:
    return {"Funded": "buyer", "Accepted": "merchant", "Shipped": "merchant"}.get(name, "")
