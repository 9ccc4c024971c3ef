"""Warranty certificates as pages show them, from the chain's events: those of an order, and those that came to us."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from halle_node.trade import book, covers
from halle_node.trade.balances import token_of
from halle_node.trade.book import Order
from halle_node.trade.certificate_facts import (
    certificate_events,
    certificate_ids,
    certificate_name,
    certificate_state,
    held_or_backed,
    party_of,
)
from halle_node.trade.claim_messages import claim_messages
from halle_node.trade.legal import moves_of
from halle_node.trade.room import Room
from halle_node.trade.views import Action, CertificateCard, CertificateView, ChatLine, Role
from halle_protocol.errors import Refused
from halle_protocol.keys import to_checksum
from halle_protocol.order import OrderState


def certificates(room: Room, conn: Connection, order: Order, state: OrderState) -> tuple[CertificateView, ...]:
    """Return the order's certificates; one that is announced but not on chain yet is `announced`."""
    return tuple(_view(room, conn, order, state, each) for each in certificate_ids(conn, order, state))


def cards(room: Room, role: str = "") -> list[CertificateCard]:
    """Return the certificates we hold or back, newest first; `role` narrows to holder or underwriter."""

    def read(conn: Connection) -> list[CertificateCard]:
        found = [card_of(room, conn, each) for each in held_or_backed(conn, room.me)]
        return [card for card in found if card.role != "anyone" and role in ("", card.role)]

    return room.db.read(read)


def card(room: Room, certificate_id: int) -> CertificateCard:
    """Return one certificate.

    Raises: Refused certificate-unknown.
    """
    found = room.db.read(lambda conn: card_of(room, conn, certificate_id))
    if not found.ends_at:
        raise Refused("No such certificate is on the chain.", code="certificate-unknown")
    return found


def card_of(room: Room, conn: Connection, certificate_id: int) -> CertificateCard:
    """Return a certificate with our moves on it."""
    state = certificate_state(conn, certificate_id)
    party = party_of(state, room.me)
    order = book.by_order_id(conn, state.order_id)
    moves = moves_of(conn, state, party, room.chain_time())
    cover = covers.by_certificate(conn, certificate_id)
    symbol, decimals = token_of(room, order, order.terms.token) if order and order.terms else ("", 0)
    title = str(order.row.title) if order is not None else ""
    if cover is not None:
        symbol, decimals, title = cover.document.token_symbol, cover.document.token_decimals, cover.title
    said = claim_messages(conn, certificate_id)
    return CertificateCard(
        name=certificate_name(certificate_id),
        role=party,
        status=_status(certificate_events(conn, certificate_id)),
        cover_token=state.cover_left,
        claimed_token=state.claimed,
        token_symbol=symbol,
        token_decimals=decimals,
        ends_at=state.ends_at or 0,
        deadline_at=state.deadline,
        holder=to_checksum(state.holder) if any(state.holder) else "",
        underwriter=to_checksum(state.underwriter) if state.underwriter else "",
        order_key=order.key if order is not None and order.role != "arbiter" else "",
        title=title,
        next_actions=tuple(Action(name, "anyone", until, ("chain",)) for name, until in moves),
        said=tuple(_line(message, state.underwriter) for message in said),
    )


def _line(message: Any, underwriter: bytes) -> ChatLine:
    text = str(message.body.get("text") or message.body.get("note") or "")
    side: Role = "merchant" if message.sender == underwriter else "buyer"
    return ChatLine(message.issued, "arbiter" if message.type.startswith("case/") else side, text, True)


def _view(room: Room, conn: Connection, order: Order, state: OrderState, certificate_id: int) -> CertificateView:
    events = certificate_events(conn, certificate_id)
    registered = _last(events, "Registered")
    opened, paid = _last(events, "ClaimOpened"), _last(events, "ClaimPaid")
    spent = sum(int(event.args["amount"]) for event in events if event.name == "ClaimPaid")
    symbol, _ = token_of(room, order, state.token)
    said = claim_messages(conn, certificate_id)
    is_open = opened is not None and (paid is None or paid.id < opened.id) and _status(events) != "contested"
    return CertificateView(
        certificate_id=certificate_id,
        cover_token=(int(registered.args["cover"]) if registered else 0) - spent,
        token_symbol=symbol,
        starts_at=_starts_at(conn, state, certificate_id),
        ends_at=int(registered.args["endsAt"]) if registered else 0,
        status=_status(events),
        respond_by=int(opened.args["deadline"]) if is_open and opened else None,
        claim_amount=int(opened.args["amount"]) if opened and _status(events) in OPEN_WORDS else None,
        name=certificate_name(certificate_id),
        said=tuple(_line(each, certificate_state(conn, certificate_id).underwriter) for each in said),
    )


def _starts_at(conn: Connection, state: OrderState, certificate_id: int) -> int:
    cover = covers.by_certificate(conn, certificate_id)
    if cover is not None and cover.certificate is not None:
        return cover.certificate.starts_at
    return state.delivered_at or state.closed_at or 0


OPEN_WORDS = ("claimed", "contested", "offered")
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
