"""Ask counterparties what was said in orders that this node knows from the chain alone, and answer those who ask.

Rule: a store is told what it and we said to each other, nothing else. What comes back is facts of the order: no message
of it has an effect, because its effects have been.
Spec: docs/spec/08-messages.md §6
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection, and_, or_, select

from halle_node.db.schema.trade import trade_order as table
from halle_node.messages import inbox
from halle_node.messages.route import Destination
from halle_node.trade import book, digital, letters, restored, talks
from halle_node.trade.book import Order
from halle_node.trade.buying import own_code
from halle_node.trade.duties import consider
from halle_node.trade.folding import refresh
from halle_node.trade.legal import require
from halle_node.trade.quoting import check_quote
from halle_node.trade.receiving import read_request, request_columns
from halle_node.trade.room import Room
from halle_protocol.errors import HalleError, ProtocolError, Refused, Unavailable
from halle_protocol.history import HISTORY, answers, is_whole, read_answer
from halle_protocol.message_bodies import MAX_HISTORY_ORDERS
from halle_protocol.messages import HistoryAnswer, HistoryRequest, Message, OrderQuote, parse_message, thread_of

ASK_AGAIN_S = 86_400
# A message that only this late is missing, is missing.
PATIENCE_S = 60
ANSWER_AGAIN_S = 60
TITLE_CHARS = 200


class History:
    """Both sides of the question."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._answered: dict[tuple[bytes, bytes], int] = {}

    def register(self) -> None:
        """Take the two messages."""
        self._room.messages.register(f"{HISTORY}request", self.on_request)
        self._room.messages.register(f"{HISTORY}answer", self.on_answer)

    # --- asking

    async def ask(self) -> None:
        """Ask every counterparty about the orders whose words are missing here, once a day."""
        room = self._room
        if not room.chain.watcher.caught_up:
            return
        if room.db.read(lambda conn: bool(self._due(conn)) or restored.is_catching_up(conn)):
            await room.db.write(self._ask)

    def _due(self, conn: Connection) -> list[Order]:
        now = self._room.clock()
        missing = and_(
            table.c.restored == "",
            table.c.request.is_(None),
            table.c.terms.is_not(None),
            table.c.created_at < now - PATIENCE_S,
        )
        query = select(table).where(
            or_(table.c.restored == restored.WAITS_FOR_HISTORY, missing),
            table.c.role != "arbiter",
            table.c.history_asked_at < now - ASK_AGAIN_S,
        )
        return [Order(row) for row in conn.execute(query.limit(MAX_HISTORY_ORDERS)).all()]

    def _ask(self, conn: Connection) -> None:
        room = self._room
        restored.note_chain_read(conn, room.clock())
        by_other: dict[bytes, list[Order]] = {}
        for order in self._due(conn):
            by_other.setdefault(order.other, []).append(order)
        for other, orders in by_other.items():
            try:
                where = _destination(room, orders)
            except HalleError:
                continue  # nobody knows yet where they are: their profile may still come
            body = HistoryRequest(orders=[order.order_id for order in orders], reply=letters.reply_route(room))
            message = letters.compose(room, other, thread_of(room.me, other), f"{HISTORY}request", body)
            room.messages.send(conn, message, where.prekey, where.route)
            for order in orders:
                book.change(conn, order.key, history_asked_at=room.clock())

    # --- answering

    def on_request(self, conn: Connection, message: Message) -> None:
        """Tell a store that has orders with us what the two said in those it asks about.

        Raises: Refused not-a-party; Unavailable busy while the outbox is full.
        """
        room, body = self._room, parse_message(message)
        assert isinstance(body, HistoryRequest)
        if not _has_orders_with(conn, message.sender):
            raise Refused("This store has no orders with you.", code="not-a-party")
        where = letters.newest_destination(room, message.sender, body.reply)
        for order_id in dict.fromkeys(body.orders):
            if self._answered_lately(message.sender, order_id):
                continue
            order = book.by_order_id(conn, order_id)
            known = order is not None and message.sender in (order.merchant, order.buyer)
            said = book.messages(conn, order.key) if known and order is not None else []
            for part, answer in enumerate(answers(order_id, said, room.me, message.sender)):
                name = hashlib.sha256(message.id + order_id + part.to_bytes(2, "big")).digest()
                told = letters.compose(
                    room,
                    message.sender,
                    message.thread,
                    f"{HISTORY}answer",
                    answer,
                    id=name[: letters.MESSAGE_ID_BYTES],
                )
                self._send(conn, told, where)

    def _send(self, conn: Connection, message: Message, where: Destination | None) -> None:
        assert where is not None  # the request names a way
        try:
            self._room.messages.send(conn, message, where.prekey, where.route)
        except Refused as error:
            raise Unavailable(error.message, code="busy") from error

    def _answered_lately(self, asker: bytes, order_id: bytes) -> bool:
        now = self._room.clock()
        self._answered = {key: at for key, at in self._answered.items() if at > now - ANSWER_AGAIN_S}
        return self._answered.setdefault((asker, order_id), now) != now

    # --- hearing

    def on_answer(self, conn: Connection, message: Message) -> None:
        """Put what was said back into its order.

        Raises: Refused not-a-party, history-unasked.
        """
        room, body = self._room, parse_message(message)
        assert isinstance(body, HistoryAnswer)
        order = book.by_order_id(conn, body.order_id)
        if order is None or order.role == "arbiter" or message.sender != order.other:
            raise Refused("The sender is no party to this order.", code="not-a-party")
        if not order.row.history_asked_at:
            raise Refused("Nobody asked for that.", code="history-unasked")
        said = read_answer(body, message, room.me)
        for each in said:
            _learn(room, conn, order.key, each)
        order = book.find(conn, order.key)
        if is_whole(body, book.messages(conn, order.key), room.me, order.other):
            lost = order.request is None
            book.change(conn, order.key, restored="", problem="history-lost" if lost else "")
            consider(room, conn, order.key)
        else:
            book.set_problem(conn, order.key, "history-incomplete")
        refresh(conn, order.key, room.clock())

    async def go_on(self, order_key: str) -> None:
        """Work on an order without the other side's copy of what was said.

        Raises: Refused action-not-now.
        """
        room = self._room
        now = await room.ask_chain_time()

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            require(conn, order, restored.GO_ON, now)
            book.change(conn, order.key, restored="")
            consider(room, conn, order.key)
            refresh(conn, order.key, room.clock())

        await room.db.write(change)


def _learn(room: Room, conn: Connection, key: str, message: Message) -> None:
    """Add one message that was said before; what does not fit the order is left out."""
    order = book.find(conn, key)
    try:
        body = parse_message(message)
        if message.type == "order/request":
            _learn_request(room, conn, order, message)
        elif order.thread is None or message.thread != order.thread:
            return
        if isinstance(body, OrderQuote):
            quoted = book.find(conn, key)
            mine = message.sender == room.me
            signature = body.signature if mine else check_quote(room, quoted, message, body)
            book.change(conn, key, merchant_signature=signature)
    except (ProtocolError, Refused):
        return
    book.add_message(conn, key, message)
    if message.type == "chat":
        talks.add_order_line(room, conn, book.find(conn, key), message, is_news=False)
    if message.sender != room.me:
        inbox.remember(conn, message, room.clock())
    elif message.type == "deliverable" and message.body.get("text"):
        digital.note_sent(conn, order, message.body["text"])


def _learn_request(room: Room, conn: Connection, order: Order, message: Message) -> None:
    """Complete an order that only the chain told us of.

    Raises: Refused request-mismatch and read_request's codes.
    """
    if order.request is not None:
        return
    request, terms, document = read_request(room, message)
    if terms.order_id(document.chain_id, document.escrow) != order.order_id or message.sender != order.buyer:
        raise Refused("The request is about another order.", code="request-mismatch")
    columns = request_columns(message, request, terms, document)
    if order.role == "buyer":
        view = room.index.store(order.merchant)
        columns["merchant_name"] = (view.name if view else "")[:TITLE_CHARS]
        columns["delivery_code"] = own_code(room, terms)
    book.change(conn, order.key, **columns)


def _destination(room: Room, orders: Iterable[Order]) -> Destination:
    """Return where a counterparty is reached: by its profile, else as one of the orders says.

    Raises: HalleError when nobody knows.
    """
    first, *_ = orders
    found = letters.newest_destination(room, first.other)
    return found if found is not None else letters.destination_of(room, first)


def _has_orders_with(conn: Connection, other: bytes) -> bool:
    query = select(table.c.order_key).where(or_(table.c.merchant == other, table.c.buyer == other)).limit(1)
    return conn.execute(query).first() is not None
