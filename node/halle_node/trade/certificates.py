"""Warranty certificates as an order's page shows them, from the chain's events."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from halle_node.trade.balances import token_of
from halle_node.trade.book import Order
from halle_node.trade.room import Room
from halle_node.trade.views import CertificateView
from halle_node.trade.warranties import certificate_events, certificate_ids
from halle_protocol.order import OrderState


def certificates(room: Room, conn: Connection, order: Order, state: OrderState) -> tuple[CertificateView, ...]:
    """Return the order's certificates; one that is announced but not on chain yet is `announced`."""
    return tuple(_view(room, conn, order, state, each) for each in certificate_ids(conn, order, state))


def _view(room: Room, conn: Connection, order: Order, state: OrderState, certificate_id: int) -> CertificateView:
    events = certificate_events(conn, certificate_id)
    registered = _last(events, "Registered")
    opened, paid = _last(events, "ClaimOpened"), _last(events, "ClaimPaid")
    spent = sum(int(event.args["amount"]) for event in events if event.name == "ClaimPaid")
    symbol, _ = token_of(room, order, state.token)
    is_open = opened is not None and (paid is None or paid.id < opened.id) and _status(events) != "contested"
    return CertificateView(
        certificate_id=certificate_id,
        cover_token=(int(registered.args["cover"]) if registered else 0) - spent,
        token_symbol=symbol,
        starts_at=state.delivered_at or state.closed_at or 0,
        ends_at=int(registered.args["endsAt"]) if registered else 0,
        status=_status(events),
        respond_by=int(opened.args["deadline"]) if is_open and opened else None,
        claim_amount=int(opened.args["amount"]) if opened and _status(events) != "paid" else None,
    )


_WORDS = {
    "Registered": "active",
    "ClaimOpened": "claimed",
    "ClaimAccepted": "paid",
    "ClaimPaid": "paid",
    "ClaimRuled": "paid",
    "ClaimContested": "contested",
    "OfferMade": "offered",
    "OfferAccepted": "active",
    "OfferLapsed": "active",
    "Expired": "expired",
}


def _status(events: list[Any]) -> str:
    known = [_WORDS[event.name] for event in events if event.name in _WORDS]
    if known[-2:] == ["paid", "expired"]:
        return "paid"  # the payout used up the cover, and that ends the certificate
    return known[-1] if known else "announced"


def _last(events: list[Any], name: str) -> Any | None:
    found = [event for event in events if event.name == name]
    return found[-1] if found else None
