"""One order with everything its page shows."""

from __future__ import annotations

from sqlalchemy import Connection

from halle_node.messages.views import OutgoingMessage, WaitingAt
from halle_node.trade import book
from halle_node.trade.balances import balance_of, token_of
from halle_node.trade.book import Order
from halle_node.trade.certificates import certificates
from halle_node.trade.extras import case_bundles, deliverables, parcel_history, return_view
from halle_node.trade.folding import state_of
from halle_node.trade.legal import possible_moves
from halle_node.trade.lines import lines_of, rate_name
from halle_node.trade.listing import summary
from halle_node.trade.moves import FIELDS
from halle_node.trade.room import Room
from halle_node.trade.said import said_with
from halle_node.trade.talks import key_of
from halle_node.trade.timeline import timeline, transactions
from halle_node.trade.views import (
    Action,
    Address,
    OrderDetail,
    QuoteView,
    SettlementView,
    ShipmentView,
)
from halle_protocol.messages import PostalAddress
from halle_protocol.money import Money
from halle_protocol.order import OrderState, Status
from halle_protocol.terms import explain


def order_detail(room: Room, order_key: str) -> OrderDetail:
    """Return one order.

    Raises: Refused order-unknown.
    """
    return room.db.read(lambda conn: _detail(room, conn, book.find(conn, order_key)))


def _detail(room: Room, conn: Connection, order: Order) -> OrderDetail:
    state = state_of(conn, order)
    request, document = order.request, order.document
    head = summary(room, conn, order, state)
    currency = head.total.currency
    quote = quote_view(room, order, state, head.total)
    waiting = _waiting(room, order)
    talk = said_with(room, conn, order)
    return OrderDetail(
        summary=head,
        lines=lines_of(room, order),
        subtotal=Money(document.subtotal if document else order.books.get("subtotal", 0), currency),
        shipping=Money(document.shipping if document else order.books.get("shipping", 0), currency),
        tax=Money(document.tax if document else order.books.get("tax", 0), currency),
        total=head.total,
        contact_name=request.contact.name if request else "",
        contact_email=(request.contact.email or "") if request else "",
        address=_address(request.address) if request and request.address else None,
        rate_name=rate_name(room, order),
        note=request.note if request else "",
        quote=quote,
        terms_words=quote.words if quote else (),
        delivery_code=order.row.delivery_code.hex() if order.row.delivery_code else "",
        balance=balance_of(state),
        shipments=_shipments(state),
        certificates=certificates(room, conn, order, state),
        chat=tuple(line for line in talk if line.order_key == order.key),
        timeline=timeline(room, conn, order, state),
        next_actions=_actions(room, conn, order, state),
        transactions=transactions(room, conn, order),
        settlements=_settlements(state),
        unsent=state.unsent if state.status == Status.ACCEPTED else {},
        checkpoints=parcel_history(conn, order, state),
        deliverables=deliverables(state),
        returning=return_view(state),
        bundles=case_bundles(conn, order, state),
        problem=order.row.problem or _refusal(room, order),
        waiting=len(waiting),
        waiting_at=_waiting_at(waiting),
        talk_key=key_of(room, order.other, order.role) if talk and order.role != "arbiter" else "",
        said_elsewhere=sum(line.order_key != order.key for line in talk),
        books=order.books,
    )


def _waiting(room: Room, order: Order) -> list[OutgoingMessage]:
    if order.thread is None:
        return []
    # A message that has not been tried yet says nothing of the other side.
    return [each for each in room.messages.outgoing(order.thread) if each.state == "queued" and each.attempts > 0]


def _waiting_at(waiting: list[OutgoingMessage]) -> tuple[WaitingAt, ...]:
    """Return each mailbox once, with the time since when something waits there."""
    first: dict[str, WaitingAt] = {}
    for place in sorted((one for each in waiting for one in each.waiting_at), key=lambda one: one.since):
        first.setdefault(place.mailbox, place)
    return tuple(first.values())


def _refusal(room: Room, order: Order) -> str:
    """Return why the other side's node will not take a message of ours, if one was refused for good."""
    if order.thread is None:
        return ""
    refused = [each.error_code for each in room.messages.outgoing(order.thread) if each.state == "refused"]
    return refused[0] if refused else ""


def quote_view(room: Room, order: Order, state: OrderState, total: Money) -> QuoteView | None:
    """Return the terms on the table, None while they are unknown."""
    terms = order.terms
    if terms is None:
        return None
    symbol, decimals = token_of(room, order, terms.token)
    words = explain(terms, room.config.language, symbol=symbol, decimals=decimals)
    mismatch = book.problem_facts(order) if order.row.problem == "quote-mismatch" else ()
    return QuoteView(
        signed=state.quote is not None,
        valid_until=terms.valid_until,
        amount_token=terms.amount,
        token_symbol=symbol,
        token_decimals=decimals,
        total=total,
        words=tuple(words),
        mismatch=mismatch,
    )


def _actions(room: Room, conn: Connection, order: Order, state: OrderState) -> tuple[Action, ...]:
    moves = possible_moves(conn, order, state, room.chain_time())
    found = [
        Action(move.name, move.by, move.until, tuple(move.channels), FIELDS.get(move.name, ()), place == 0)
        for place, move in enumerate(moves)
    ]
    if order.role == "buyer" and state.status == Status.NONE and state.quote is None:
        # The table has one move for both: paying before the quote is here makes an offer.
        found = [
            Action("make_offer", each.by, each.until, each.channels) if each.name == "approve" else each
            for each in found
        ]
    return tuple(found)


def _address(address: PostalAddress) -> Address:
    return Address(
        name=address.name,
        street=address.street,
        street2=address.street2,
        city=address.city,
        postcode=address.postcode,
        country=address.country,
        region=address.region,
        phone=address.phone,
    )


def _shipments(state: OrderState) -> tuple[ShipmentView, ...]:
    return tuple(
        ShipmentView(
            carrier=message.body.get("carrier", ""),
            tracking=message.body.get("tracking", ""),
            url=message.body.get("url") or "",
            at=message.issued,
            commitment=message.body["commitment"].hex(),
            pieces={line["sku"]: line["quantity"] for line in message.body.get("lines", ())},
            replaces=bool(message.body.get("replaces")),
        )
        for message in state.shipments
    )


def _settlements(state: OrderState) -> tuple[SettlementView, ...]:
    return tuple(
        SettlementView(
            by="merchant" if each.by == "merchant" else "buyer",
            buyer_share=each.buyer_share,
            merchant_share=max(0, state.held - each.buyer_share),
            live=each.paid_out == state.paid_out and state.held > 0,
            at=each.at,
        )
        for each in state.proposals
    )
