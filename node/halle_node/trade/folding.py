"""From facts to state, through the protocol's fold. Nothing here decides anything about trade."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import halle_contracts
from sqlalchemy import Connection, Row, select

from halle_node.db.schema.chain import chain_event
from halle_node.trade import book
from halle_node.trade.book import Order
from halle_protocol.order import ChainFact, Fact, Finality, MessageFact, OrderState, Status, fold

WORD_BYTES = 32
CLOSED_WORDS = frozenset({"closed", "declined", "cancelled"})


def chain_facts(conn: Connection, subject: bytes, contract: str = "Escrow") -> list[ChainFact]:
    """Return the events of a contract about one order or certificate, oldest first."""
    query = select(chain_event).where(chain_event.c.subject == subject, chain_event.c.contract == contract)
    rows = conn.execute(query.order_by(chain_event.c.block_number, chain_event.c.log_index))
    return [fact for row in rows if (fact := _fact(row)) is not None]


def facts(conn: Connection, order: Order) -> list[Fact]:
    """Return everything known about an order."""
    said: list[Fact] = [MessageFact(message) for message in book.messages(conn, order.key)]
    return [*chain_facts(conn, order.order_id), *said]


def state_of(conn: Connection, order: Order) -> OrderState:
    """Return the order's state."""
    return fold(facts(conn, order), order.terms)


def word(state: OrderState) -> str:
    """Return the one word a list shows for a state."""
    if state.status != Status.NONE:
        return state.status.name.lower()
    if state.decline is not None:
        return "declined"
    if state.cancel is not None:
        return "cancelled"
    return "quoted" if state.quote is not None else "requested"


def refresh(conn: Connection, key: str, now: int) -> OrderState:
    """Rewrite the order's cached columns from its facts; return the state."""
    order = book.find(conn, key)
    state = state_of(conn, order)
    shown = word(state)
    book.change(
        conn,
        key,
        updated_at=now,
        folded_status=shown,
        folded_payment=state.payment,
        folded_fulfilment=state.fulfilment,
        folded_returns=state.return_,
        folded_open=shown not in CLOSED_WORDS,
        folded_deadline_at=state.deadline,
    )
    return state


def _fact(row: Row[Any]) -> ChainFact | None:
    decoded = halle_contracts.decode_event(row.contract, _words(row.topics), row.data)
    if decoded is None:
        return None
    name, args = decoded
    return ChainFact(
        name=name,
        args=args,
        at=row.block_time,
        finality=cast(Finality, row.finality),
        position=(row.block_number, row.log_index),
        tx=bytes(row.tx_hash),
    )


def _words(topics: bytes) -> list[bytes]:
    starts: Sequence[int] = range(0, len(topics), WORD_BYTES)
    return [topics[start : start + WORD_BYTES] for start in starts]
