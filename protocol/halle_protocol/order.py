"""An order is a pure fold over facts: signed messages and chain events, in any order, any number of times.

The escrow's events decide about money; messages add what the chain must not know. Nothing here asks the time.
Spec: docs/spec/10-order.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from halle_protocol.errors import ProtocolError
from halle_protocol.keys import parse_address
from halle_protocol.message_bodies import (
    OrderQuote,
    OrderRequest,
    SettlementPropose,
    Shipment,
    WarrantyIssued,
)
from halle_protocol.messages import Message, parse_message
from halle_protocol.order_actions import Action, next_actions, sitting_arbiter
from halle_protocol.order_facts import (
    ChainFact,
    Fact,
    Finality,
    HistoryEntry,
    MessageFact,
    chain_facts,
    history,
    message_facts,
)
from halle_protocol.order_state import LineState, OrderState, Proposal
from halle_protocol.order_table import ACTIONS, HOW, LEGAL, OPEN, TARGET, TRANSITIONS, Role, Status
from halle_protocol.terms import OrderDocument, Terms


def fold(facts: Iterable[Fact], terms: Terms | None = None) -> OrderState:
    """Return the order's state. Duplicates, order of arrival and missing facts never raise.

    `terms` are those of the funding transaction, when its calldata was read; else the quote's or the offer's.
    """
    known = list(facts)
    events = chain_facts(known)
    messages = message_facts(known)
    state = _with_parties(OrderState(), events, messages)
    for message in messages:
        state = _apply_message(state, message)
    state = replace(state, terms=_terms_in_force(state, terms, events))
    for event in events:
        state = _apply_event(state, event)
    return replace(state, lines=_lines(state), history=history(events, messages))


def _with_parties(state: OrderState, events: list[ChainFact], messages: list[Message]) -> OrderState:
    """Take merchant and buyer from the funding, else from the first request."""
    for event in events:
        if event.name == "Funded":
            merchant, buyer = _address(event.args.get("merchant")), _address(event.args.get("buyer"))
            return replace(state, merchant=merchant, buyer=buyer)
    for message in messages:
        if message.type == "order/request":
            return replace(state, merchant=message.to, buyer=message.sender)
    return state


# --- messages ---------------------------------------------------------------------------------------------

_MERCHANT_SAYS = {
    "order/quote",
    "order/decline",
    "shipment",
    "return/approve",
    "return/decline",
    "return/received",
    "deliverable",
    "warranty/issued",
}
_BUYER_SAYS = {"order/request", "order/cancel", "receipt", "return/request", "return/cancel", "return/sent"}
_RETURNS = {
    "return/request": "requested",
    "return/approve": "open",
    "return/decline": "declined",
    "return/cancel": "canceled",
    "return/received": "closed",
}


def _role_of(state: OrderState, sender: bytes) -> Role | None:
    """Name the sender's side; before anything is known of the merchant, nobody has one."""
    if state.merchant and sender == state.merchant:
        return "merchant"
    return "buyer" if state.buyer and sender == state.buyer else None


def _apply_message(state: OrderState, message: Message) -> OrderState:
    role = _role_of(state, message.sender)
    if role is None or message.type in (_BUYER_SAYS if role == "merchant" else _MERCHANT_SAYS):
        return state
    try:
        body = parse_message(message)
    except ProtocolError:
        return state  # a malformed body says nothing
    apply = _MESSAGE_EFFECTS.get(message.type)
    return apply(state, message, body, role) if apply else state


_Effect = Callable[[OrderState, Message, Any, Role], OrderState]


def _on_request(state: OrderState, message: Message, body: OrderRequest, role: Role) -> OrderState:
    return state if state.request else replace(state, request=message)


def _on_quote(state: OrderState, message: Message, body: OrderQuote, role: Role) -> OrderState:
    """Keep the newest quote; what the chain knows of wins over it in _terms_in_force."""
    return replace(state, quote=message, decline=None)


def _on_shipment(state: OrderState, message: Message, body: Shipment, role: Role) -> OrderState:
    return replace(state, shipments=(*state.shipments, message))


def _on_proposal(state: OrderState, message: Message, body: SettlementPropose, role: Role) -> OrderState:
    mine = Proposal(role, int(body.buyer_share), int(body.paid_out), body.sig, message.issued)
    others = tuple(proposal for proposal in state.proposals if proposal.by != role)
    return replace(state, proposals=(*others, mine))


_FOLLOWS = {
    "requested": ("none", "declined", "canceled", "closed"),
    "open": ("requested",),
    "declined": ("requested",),
    "canceled": ("requested", "open"),
    "closed": ("requested", "open"),
}


def _on_return(state: OrderState, message: Message, body: Any, role: Role) -> OrderState:
    """Step along the return; an answer to nothing says nothing."""
    target = _RETURNS[message.type]
    if state.return_ not in _FOLLOWS[target]:
        return state
    if target == "requested":
        return replace(state, return_=target, return_request=message, return_approval=None, return_parcel=None)
    approval = message if target == "open" else state.return_approval
    return replace(state, return_=target, return_approval=approval)


def _on_return_sent(state: OrderState, message: Message, body: Any, role: Role) -> OrderState:
    return replace(state, return_parcel=message) if state.return_ == "open" else state


def _on_deliverable(state: OrderState, message: Message, body: Any, role: Role) -> OrderState:
    return replace(state, deliverables=(*state.deliverables, message))


def _on_certificate(state: OrderState, message: Message, body: WarrantyIssued, role: Role) -> OrderState:
    ids = dict.fromkeys((*state.certificates, int(body.certificate_id)))
    return replace(state, certificates=tuple(ids))


def _on_decline(state: OrderState, message: Message, body: Any, role: Role) -> OrderState:
    return replace(state, decline=message)


def _on_cancel(state: OrderState, message: Message, body: Any, role: Role) -> OrderState:
    return replace(state, cancel=message)


def _on_receipt(state: OrderState, message: Message, body: Any, role: Role) -> OrderState:
    return replace(state, receipt=message)


_MESSAGE_EFFECTS: dict[str, _Effect] = {
    "order/request": _on_request,
    "order/quote": _on_quote,
    "order/decline": _on_decline,
    "order/cancel": _on_cancel,
    "receipt": _on_receipt,
    "shipment": _on_shipment,
    "settlement/propose": _on_proposal,
    "warranty/issued": _on_certificate,
    "deliverable": _on_deliverable,
    "return/sent": _on_return_sent,
    **dict.fromkeys(_RETURNS, _on_return),
}


# --- chain events -----------------------------------------------------------------------------------------


def _apply_event(state: OrderState, event: ChainFact) -> OrderState:
    key = event.name
    if key == "Funded":
        key = "Funded(accepted)" if event.args.get("accepted") else "Funded(offer)"
        state = _funded(state, event)
    if key == "Paid":
        return _paid(state, event)
    target = TARGET.get(key)
    if target is None:
        return state
    legal = LEGAL.get((state.status, key))
    if legal is None:
        state = replace(state, gaps=(*state.gaps, f"{state.status.name}+{key}"))
        if state.status == Status.CLOSED or target < state.status:
            return state
    state = replace(state, status=target, deadline=_deadline(state, event, target))
    effect = _EVENT_EFFECTS.get(event.name)
    return effect(state, event) if effect else state


def _funded(state: OrderState, event: ChainFact) -> OrderState:
    args = event.args
    return replace(
        state,
        order_id=args.get("orderId", b""),
        token=_address(args.get("token")),
        total=int(args.get("amount", 0)),
        order_hash=args.get("orderHash", b""),
        finality=event.finality,
        funded_at=event.at,
    )


def _paid(state: OrderState, event: ChainFact) -> OrderState:
    args = event.args
    return replace(
        state,
        order_id=state.order_id or args.get("orderId", b""),
        paid_out_buyer=state.paid_out_buyer + int(args.get("toBuyer", 0)),
        paid_out_merchant=state.paid_out_merchant + int(args.get("toMerchant", 0)),
        paid_out_arbiter=state.paid_out_arbiter + int(args.get("toArbiter", 0)),
    )


def _deadline(state: OrderState, event: ChainFact, target: Status) -> int | None:
    """Take the event's own deadline; funding carries none, so it follows from the terms."""
    if target == Status.CLOSED:
        return None
    if "deadline" in event.args:
        return int(event.args["deadline"])
    if state.terms is None or event.name != "Funded":
        return None
    offer = target == Status.OFFERED
    return event.at + (state.terms.accept_within if offer else state.terms.ship_within)


_EVENT_EFFECTS: dict[str, Callable[[OrderState, ChainFact], OrderState]] = {
    "Shipped": lambda state, event: replace(
        state, shipped_at=event.at, shipment_hash=event.args.get("shipmentHash", b"")
    ),
    "Delivered": lambda state, event: replace(state, delivered_at=event.at),
    "Disputed": lambda state, event: replace(
        state, disputed_by=_address(event.args.get("by")), evidence=event.args.get("evidence", b"")
    ),
    "Closed": lambda state, event: replace(
        state, closed_at=event.at, how=HOW.get(int(event.args.get("how", 0)), "closed")
    ),
}


def _address(value: object) -> bytes:
    """Accept both forms in which decoders give addresses."""
    if isinstance(value, str):
        return parse_address(value)
    return value if isinstance(value, bytes) else b""


def _terms_in_force(state: OrderState, given: Terms | None, events: list[ChainFact]) -> Terms | None:
    """Choose calldata's terms, else those the chain's order hash names, else the newest offered."""
    if given is not None:
        return given
    offered: list[Terms] = []
    for message in (state.quote, state.request):
        body = parse_message(message) if message else None
        terms = body.terms if isinstance(body, OrderQuote) else getattr(body, "offer", None)
        if isinstance(terms, Terms):
            offered.append(terms)
    hashes = [event.args.get("orderHash") for event in events if event.name == "Funded"]
    if hashes:
        return next((terms for terms in offered if terms.order_hash == hashes[0]), None)
    return offered[0] if offered else None


# --- lines --------------------


def _lines(state: OrderState) -> tuple[LineState, ...]:
    """Count what was ordered and what the shipments name; a shipment without lines carries everything."""
    ordered = _ordered(state)
    sent: dict[str, int] = {}
    for message in state.shipments:
        body = parse_message(message)
        if isinstance(body, Shipment) and body.replaces:
            continue
        named = _counted(body.lines) if isinstance(body, Shipment) else {}
        for sku, quantity in (named or ordered).items():
            sent[sku] = sent.get(sku, 0) + quantity
    return tuple(LineState(sku, count, min(count, sent.get(sku, 0))) for sku, count in ordered.items())


def _counted(lines: Iterable[Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.sku] = counts.get(line.sku, 0) + line.quantity
    return counts


def _ordered(state: OrderState) -> dict[str, int]:
    lines: Iterable[Any] = ()
    quote = parse_message(state.quote) if state.quote else None
    request = parse_message(state.request) if state.request else None
    if isinstance(quote, OrderQuote):
        try:
            lines = OrderDocument.decode(quote.order_document).lines
        except ProtocolError:
            lines = ()
    elif isinstance(request, OrderRequest):
        lines = request.lines
    return _counted(lines)


__all__ = [
    "ACTIONS",
    "OPEN",
    "TRANSITIONS",
    "Action",
    "ChainFact",
    "Fact",
    "Finality",
    "HistoryEntry",
    "LineState",
    "MessageFact",
    "OrderState",
    "Proposal",
    "Role",
    "Status",
    "fold",
    "next_actions",
    "sitting_arbiter",
]
