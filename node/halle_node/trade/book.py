"""The orders of this store and the facts they are folded from.

Rule: whoever adds a fact calls `refresh` in the same transaction, so that the cached columns are never older than
the facts. Chain facts are the chain room's rows: a reorganisation that takes them away is seen by the next refresh.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema.trade import trade_message, trade_order, trade_transaction
from halle_node.trade.views import Role
from halle_protocol.errors import Refused
from halle_protocol.messages import Message, OrderRequest, parse_message
from halle_protocol.money import Money
from halle_protocol.terms import OrderDocument, Terms

KEY_CHARS = 32
SHORTEST_PREFIX = 4
CONTRADICTION = "contradiction"
"""How a row is marked that is no fact: the other side signed it, and it cannot be true beside what was agreed."""
MOST_CONTRADICTIONS = 8


@dataclass(frozen=True)
class Order:
    """One row of the book, decoded."""

    row: Row[Any]

    @property
    def key(self) -> str:
        return str(self.row.order_key)

    @property
    def role(self) -> Role:
        found: Role = self.row.role
        return found

    @property
    def order_id(self) -> bytes:
        return bytes(self.row.order_id)

    @property
    def merchant(self) -> bytes:
        return bytes(self.row.merchant)

    @property
    def buyer(self) -> bytes:
        return bytes(self.row.buyer)

    @property
    def me(self) -> bytes:
        """Our address in this order."""
        return bytes(self.row.arbiter) if self.role == "arbiter" else getattr(self, self.role)

    @property
    def other(self) -> bytes:
        """The address of the other side."""
        return self.buyer if self.role == "merchant" else self.merchant

    @property
    def thread(self) -> bytes | None:
        return self.row.thread if self.row.thread is None else bytes(self.row.thread)

    @property
    def signature(self) -> bytes | None:
        found: bytes | None = self.row.merchant_signature
        return found

    @cached_property
    def terms(self) -> Terms | None:
        return None if self.row.terms is None else decode_terms(self.row.terms)

    @cached_property
    def message(self) -> Message | None:
        """The buyer's signed request."""
        return None if self.row.request is None else Message.decode(self.row.request)

    @cached_property
    def request(self) -> OrderRequest | None:
        if self.message is None:
            return None
        body = parse_message(self.message)
        return body if isinstance(body, OrderRequest) else None

    @cached_property
    def document(self) -> OrderDocument | None:
        request = self.request
        if request is None or request.order_document is None:
            return None
        return OrderDocument.decode(request.order_document)

    @cached_property
    def books(self) -> dict[str, Any]:
        """What is kept of an order whose customer was erased; empty for others."""
        found: dict[str, Any] = json.loads(self.row.accounting or "{}")
        return found

    @property
    def total(self) -> Money | None:
        return Money(self.row.total_minor, self.row.currency) if self.row.currency else None

    def known_terms(self) -> Terms:
        """Return the terms.

        Raises: Refused terms-unknown while only the chain's event is known.
        """
        if self.terms is None:
            raise Refused(
                "The terms of this order are still being read from the chain.",
                code="terms-unknown",
                hint="Try again in a moment.",
            )
        return self.terms

    def known_document(self) -> OrderDocument:
        """Return what was ordered.

        Raises: Refused order-message-missing until the buyer's message is here.
        """
        if self.document is None:
            raise Refused(
                "The buyer's message with the order's content has not arrived yet.",
                code="order-message-missing",
                hint="Their node sends it again; wait for it before packing.",
            )
        return self.document


def find(conn: Connection, key: str) -> Order:
    """Return an order by its key, its order id, or the first letters of its key when they name one only.

    Raises: Refused order-unknown.
    """
    wanted = key.removeprefix("0x").lower()
    where = trade_order.c.order_key == wanted
    if len(wanted) == 64 and _is_hex(wanted):
        where = or_(where, trade_order.c.order_id == bytes.fromhex(wanted))
    row = conn.execute(select(trade_order).where(where)).first()
    if row is None and len(wanted) >= SHORTEST_PREFIX and _is_hex(wanted + "0" * (len(wanted) % 2)):
        near = conn.execute(select(trade_order).where(trade_order.c.order_key.startswith(wanted)).limit(2)).all()
        row = near[0] if len(near) == 1 else None
    if row is None:
        raise Refused(f"There is no order {key[:80]!r}.", code="order-unknown", hint="Look at the list of orders.")
    return Order(row)


def by_order_id(conn: Connection, order_id: bytes) -> Order | None:
    """Return the order with this id, if we know it."""
    return _one(conn, select(trade_order).where(trade_order.c.order_id == order_id))


def by_thread(conn: Connection, thread: bytes) -> Order | None:
    """Return the order this conversation is about, if we know it."""
    return _one(conn, select(trade_order).where(trade_order.c.thread == thread))


def add(conn: Connection, **values: Any) -> None:
    """Open an order."""
    conn.execute(insert(trade_order).values(**values))


def change(conn: Connection, key: str, **values: Any) -> None:
    """Set columns of an order."""
    conn.execute(update(trade_order).where(trade_order.c.order_key == key).values(**values))


def add_message(conn: Connection, key: str, message: Message, mark: str = "") -> bool:
    """Add a message, sent or received, to the order's facts; False when it is there already."""
    row = {
        "order_key": key,
        "sender": message.sender,
        "message_id": message.id,
        "type": mark or message.type,
        "issued": message.issued,
        "content": message.encode(),
    }
    return bool(conn.execute(insert(trade_message).values(row).on_conflict_do_nothing()).rowcount)


def messages(conn: Connection, key: str) -> list[Message]:
    """Return the order's messages in the order they became known here."""
    return _messages(conn, trade_message.c.order_key == key, trade_message.c.type != CONTRADICTION)


def keep_contradiction(conn: Connection, key: str, message: Message) -> None:
    """Keep a signed message that is not believed, as evidence; the first few of an order are proof enough."""
    if len(contradictions(conn, key)) < MOST_CONTRADICTIONS:
        add_message(conn, key, message, CONTRADICTION)


def contradictions(conn: Connection, key: str) -> list[Message]:
    """Return what was signed against what was agreed, oldest first."""
    return _messages(conn, trade_message.c.order_key == key, trade_message.c.type == CONTRADICTION)


def newest_issued(conn: Connection, key: str) -> int:
    """Return when the newest message of the order was issued, 0 when there is none."""
    newest = select(func.max(trade_message.c.issued)).where(trade_message.c.order_key == key)
    return conn.execute(newest).scalar() or 0


def add_transaction(conn: Connection, key: str, row_id: int, purpose: str, now: int) -> None:
    """Remember which chain outbox row a move made."""
    row = {"row_id": row_id, "order_key": key, "purpose": purpose, "made_at": now}
    conn.execute(insert(trade_transaction).values(row).on_conflict_do_nothing())


def transactions(conn: Connection, key: str) -> list[tuple[int, str, int]]:
    """Return (row id, purpose, made at) of the order's transactions."""
    table = trade_transaction
    query = select(table.c.row_id, table.c.purpose, table.c.made_at).where(table.c.order_key == key)
    return [(row[0], row[1], row[2]) for row in conn.execute(query.order_by(table.c.row_id))]


def keys_of(conn: Connection, query: Select[Any]) -> list[str]:
    """Return the keys a query selects."""
    return [str(key) for key in conn.execute(query).scalars()]


def set_problem(conn: Connection, key: str, code: str, facts: Iterable[str] = ()) -> None:
    """Record what stands in the order's way, in a word the faces translate; empty when nothing does."""
    change(conn, key, problem=code[:64], problem_facts=json.dumps([str(fact)[:200] for fact in facts]))


def problem_facts(order: Order) -> tuple[str, ...]:
    """Return the details of the order's problem."""
    return tuple(json.loads(order.row.problem_facts))


def encode_terms(terms: Terms) -> bytes:
    """Return terms as bytes for a column: amounts exceed what an integer column or CBOR holds."""
    values = [value.hex() if isinstance(value, bytes) else value for value in terms.as_tuple()]
    return json.dumps(values).encode()


def decode_terms(data: bytes) -> Terms:
    """Read back what `encode_terms` wrote."""
    values: list[Any] = [bytes.fromhex(value) if isinstance(value, str) else value for value in json.loads(data)]
    return Terms(*values)


def _messages(conn: Connection, *where: ColumnElement[bool]) -> list[Message]:
    query = select(trade_message.c.content).where(*where).order_by(trade_message.c.id)
    return [Message.decode(data) for data in conn.execute(query).scalars()]


def _one(conn: Connection, query: Select[Any]) -> Order | None:
    row = conn.execute(query).first()
    return None if row is None else Order(row)


def _is_hex(text: str) -> bool:
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True
