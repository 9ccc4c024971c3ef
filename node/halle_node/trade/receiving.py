"""What received messages do.

Rule: runs in the transaction that stores them; what is refused leaves no trace but its reason.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from halle_node.db.schema.trade import trade_order
from halle_node.messages.inbox import Early
from halle_node.trade import arbiting, book, carrying, covering, digital, insuring, letters, talks
from halle_node.trade.book import Order
from halle_node.trade.duties import consider
from halle_node.trade.folding import refresh, state_of
from halle_node.trade.parcels import check_parcel
from halle_node.trade.quoting import check_quote
from halle_node.trade.room import Room
from halle_node.trade.warranties import take_claim
from halle_protocol.errors import HalleError, Refused
from halle_protocol.grant import authorise
from halle_protocol.messages import (
    ChatText,
    CheckpointNote,
    DeliverableRequest,
    Message,
    OrderQuote,
    OrderRequest,
    SettlementPropose,
    Shipment,
    parse_message,
    thread_of,
)
from halle_protocol.signing import recover
from halle_protocol.terms import OrderDocument, Terms, check_binding, settlement_digest

TITLE_CHARS = 200
MAX_MESSAGES = 2_000
MAX_OPEN_REQUESTS = 20
MISMATCH = "quote-mismatch"
SHOWN_REFUSALS = frozenset({"order/quote", "settlement/propose"})


class Receiving:
    """Handlers of the trade room for the messages room."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def register(self) -> None:
        """Take every type; the most specific handler of another room wins over this one."""
        messages = self._room.messages
        messages.register("", self.on_message)
        messages.register("order/request", self.on_request)
        messages.register("case/", lambda conn, message: arbiting.take_message(self._room, conn, message))
        messages.register("parcel/handover", lambda conn, message: carrying.take_handover(self._room, conn, message))
        messages.register("parcel/checkpoint", self.on_checkpoint)
        messages.register("claim/", self.on_claim)
        messages.register("cover/request", lambda conn, message: covering.take_request(self._room, conn, message))
        messages.register("cover/", lambda conn, message: insuring.take_answer(self._room, conn, message))
        messages.register("chat", self.on_chat)
        messages.on_refusal(self.on_refusal)
        messages.use_directory(lambda recipient: letters.newest_destination(self._room, recipient))

    def on_request(self, conn: Connection, message: Message) -> None:
        """Open an order a buyer asks for, or complete one that the chain told us of first."""
        room = self._room
        request, terms, document = read_request(room, message)
        order_id = terms.order_id(document.chain_id, document.escrow)
        known = book.by_order_id(conn, order_id)
        if known is not None and known.request is not None:
            raise Refused("This order was already requested.", code="order-exists")
        columns = request_columns(message, request, terms, document)
        if known is None:
            _check_room(conn, message.sender)
            now = room.clock()
            key = message.id.hex()
            book.add(conn, order_key=key, role="merchant", order_id=order_id, created_at=now, updated_at=now, **columns)
        else:
            key = known.key
            book.change(conn, key, problem="", **columns)
        book.add_message(conn, key, message)
        room.messages.replay(conn, message.thread)
        consider(room, conn, key)
        refresh(conn, key, room.clock())

    def on_message(self, conn: Connection, message: Message) -> None:
        """Add a message to its order.

        Raises: Early while the order is unknown; Refused not-a-party, conversation-full.
        """
        order = book.by_thread(conn, message.thread)
        if order is None:
            raise Early
        if message.sender != order.other:
            raise Refused("The sender is no party to this order.", code="not-a-party")
        if len(book.messages(conn, order.key)) >= MAX_MESSAGES:
            raise Refused("This conversation is full.", code="conversation-full")
        body = parse_message(message)
        if isinstance(body, OrderQuote):
            self._take_quote(conn, order, message, body)
        elif isinstance(body, SettlementPropose):
            self._check_proposal(conn, order, message, body)
        elif isinstance(body, Shipment):
            check_parcel(body)
        book.add_message(conn, order.key, message)
        if isinstance(body, ChatText):
            talks.check_photos(body)
            talks.add_order_line(self._room, conn, order, message)
        if isinstance(body, DeliverableRequest) and order.role == "merchant":
            digital.send_again(self._room, conn, order, state_of(conn, order))
        consider(self._room, conn, order.key)
        refresh(conn, order.key, self._room.clock())

    def on_chat(self, conn: Connection, message: Message) -> None:
        """Take in a line of a conversation: in the order it is about, else beside all orders."""
        if book.by_thread(conn, message.thread) is not None:
            self.on_message(conn, message)
        else:
            talks.take(self._room, conn, message)

    def on_claim(self, conn: Connection, message: Message) -> None:
        """Take in words about a certificate: in the order it belongs to, else beside it."""
        order = book.by_thread(conn, message.thread)
        if order is not None:
            self.on_message(conn, message)
        else:
            take_claim(self._room, conn, message)

    def on_checkpoint(self, conn: Connection, message: Message) -> None:
        """Pass the words of an order's carrier on to its buyer.

        Raises: Refused not-a-party, order-unknown.
        """
        body = parse_message(message)
        order = book.by_order_id(conn, body.order_id) if isinstance(body, CheckpointNote) and body.order_id else None
        if order is None or order.role != "merchant" or order.terms is None:
            raise Refused("No order of ours has this parcel.", code="order-unknown")
        if message.sender != order.terms.carrier:
            raise Refused("The sender does not carry this order.", code="not-a-party")
        if len(book.messages(conn, order.key)) >= MAX_MESSAGES:
            raise Refused("This conversation is full.", code="conversation-full")
        letters.send(self._room, conn, order, "checkpoint", dict(message.body))
        refresh(conn, order.key, self._room.clock())

    def on_refusal(self, conn: Connection, message: Message, error: HalleError) -> None:
        """Show in the order why an answer of the other side was not taken."""
        order = book.by_thread(conn, message.thread)
        if order is None or message.sender != order.other or message.type not in SHOWN_REFUSALS:
            return
        if error.code == MISMATCH:
            book.keep_contradiction(conn, order.key, message)
        # A tampered quote stays in sight until a true one comes.
        if error.code == MISMATCH or order.row.problem != MISMATCH:
            changed = error.facts.get("changed", ())
            book.set_problem(conn, order.key, error.code, changed if isinstance(changed, tuple) else ())

    def _take_quote(self, conn: Connection, order: Order, message: Message, body: OrderQuote) -> None:
        if order.role != "buyer":
            raise Refused("Only the merchant quotes.", code="not-a-party")
        signature = check_quote(self._room, order, message, body)
        book.change(conn, order.key, merchant_signature=signature, problem="", problem_facts="[]")

    def _check_proposal(self, conn: Connection, order: Order, message: Message, body: SettlementPropose) -> None:
        """Refuse a proposal whose signature would not count on chain."""
        escrow, chain_id = self._room.chain.contracts.escrow, self._room.chain.client.chain_id
        # Not what is held as far as we see: the proposal may be here before the payment is.
        most = order.terms.amount if order.terms is not None else state_of(conn, order).total
        if body.buyer_share > most:
            raise Refused("More than the order holds cannot be shared.", code="settlement-amount")
        digest = settlement_digest(order.order_id, int(body.buyer_share), int(body.paid_out), chain_id, escrow)
        signer = recover(digest, body.sig)
        if order.role == "merchant":
            if signer != order.buyer:
                raise Refused("The buyer did not sign this.", code="settlement-signature")
            return
        authorise(signer, order.merchant, message.grant, scope="settle", at=self._room.clock())


def read_request(room: Room, message: Message) -> tuple[OrderRequest, Terms, OrderDocument]:
    """Return the parts of a request that agree with each other and with sender and recipient.

    Raises: Refused request-incomplete, request-mismatch, wrong-chain; RemoteProtocolError order-…
    """
    body = parse_message(message)
    if not isinstance(body, OrderRequest) or body.offer is None or body.order_document is None:
        raise Refused(
            "The request lacks the order document or the offered terms.",
            code="request-incomplete",
            hint="Use a newer Halle.",
        )
    document = check_binding(body.offer, body.order_document)
    ours = (room.chain.client.chain_id, room.chain.contracts.escrow)
    if (document.chain_id, document.escrow) != ours:
        raise Refused("This shop does not use that escrow.", code="wrong-chain")
    parties = (document.merchant, document.buyer, body.offer.buyer)
    told = (body.delivery_code_hash, message.thread)
    if parties != (message.to, message.sender, message.sender) or told != (
        body.offer.delivery_code,
        thread_of(message.to, message.sender, message.id),
    ):
        raise Refused("The request contradicts itself or names other parties.", code="request-mismatch")
    return body, body.offer, document


def _check_room(conn: Connection, buyer: bytes) -> None:
    """Refuse a buyer who keeps asking and never pays: each open request holds goods back from others.

    Raises: Refused too-many-requests.
    """
    asked = (
        select(func.count())
        .select_from(trade_order)
        .where(
            trade_order.c.role == "merchant",
            trade_order.c.buyer == buyer,
            trade_order.c.folded_status.in_(("requested", "quoted")),
        )
    )
    if conn.execute(asked).scalar_one() >= MAX_OPEN_REQUESTS:
        raise Refused(
            f"{MAX_OPEN_REQUESTS} requests of this buyer already wait for payment.",
            code="too-many-requests",
            hint="Pay or cancel one of them first.",
        )


def request_columns(message: Message, request: OrderRequest, terms: Terms, document: OrderDocument) -> dict[str, Any]:
    """Return what a request says of its order, as columns."""
    return {
        "merchant": terms.merchant,
        "buyer": message.sender,
        "thread": message.thread,
        "terms": book.encode_terms(terms),
        "request": message.encode(),
        "customer": request.contact.name[:TITLE_CHARS],
        "title": (document.lines[0].title or document.lines[0].handle)[:TITLE_CHARS],
        "pieces": sum(line.quantity for line in document.lines),
        "total_minor": document.total,
        "currency": document.currency,
    }
