"""From facts to state, through the protocol's fold. Nothing here decides anything about trade."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from halle_node.chain.records import ChainEvent
from halle_node.chain.watcher_rows import events_about
from halle_node.trade import book, news
from halle_node.trade.book import Order
from halle_protocol.order import ChainFact, Fact, MessageFact, OrderState, Status, fold

CLOSED_WORDS = frozenset({"closed", "declined", "cancelled"})


def chain_facts(conn: Connection, subject: bytes, contract: str = "Escrow") -> list[ChainFact]:
    """Return the events of a contract about one order or certificate, oldest first."""
    return [fact_of(event) for event in events_about(conn, subject) if event.contract == contract]


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


def refresh(conn: Connection, key: str, now: int, *, is_news: bool = True) -> OrderState:
    """Rewrite the order's cached columns from its facts; return the state. Without news only a change is written."""
    order = book.find(conn, key)
    state = state_of(conn, order)
    shown = word(state)
    cached: dict[str, Any] = {
        "folded_status": shown,
        "folded_payment": state.payment,
        "folded_fulfilment": state.fulfilment,
        "folded_returns": state.return_,
        "folded_open": shown not in CLOSED_WORDS,
        "folded_deadline_at": state.deadline,
    }
    if is_news or any(order.row._mapping[name] != value for name, value in cached.items()):
        book.change(conn, key, updated_at=now, **cached)
        news.tell(conn, order, cached, state, now)
    return state


def fact_of(event: ChainEvent) -> ChainFact:
    """Return a stored event as the fold takes it."""
    return ChainFact(
        name=event.name,
        args=event.args,
        at=event.block_time,
        finality=event.finality.value,
        position=(event.block_number, event.log_index),
        tx=event.tx_hash,
    )
