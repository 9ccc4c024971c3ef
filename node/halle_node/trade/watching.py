"""What chain events do to orders. Runs in the transaction that stores the events.

Rule: an event about our store makes an order even when no message ever came, so that money is never in escrow
without somebody here knowing; nothing raised here may stop the watcher.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import Connection

from halle_node.chain.records import ChainEvent
from halle_node.trade import arbiting, book, covers, news
from halle_node.trade.book import KEY_CHARS
from halle_node.trade.certificate_facts import certificate_name, certificate_state, party_of, remember
from halle_node.trade.duties import consider
from halle_node.trade.folding import refresh
from halle_node.trade.restored import WAITS_FOR_HISTORY, is_catching_up
from halle_node.trade.room import Room
from halle_protocol.errors import HalleError
from halle_protocol.warranty import TRANSITIONS

log = logging.getLogger(__name__)


CERTIFICATE_NEWS = frozenset({event for _, event, _ in TRANSITIONS})


class Watching:
    """The watcher's callback."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def subscribe(self) -> None:
        """Hear of every stored event."""
        watcher = self._room.chain.watcher
        watcher.subscribe(self.on_events)
        watcher.on_reorg(self.on_reorg)

    def on_events(self, conn: Connection, events: Sequence[ChainEvent]) -> None:
        """Open orders the chain tells us of, then let every touched order react."""
        touched: dict[bytes, None] = {}
        for event in events:
            if event.contract == "Escrow" and event.name != "OperatorSet":
                if event.name == "Funded":
                    self._on_funded(conn, event)
                elif event.name == "Disputed":
                    arbiting.note_dispute(conn, event)
                touched[event.subject] = None
            elif event.contract == "Warranty" and event.name in CERTIFICATE_NEWS:
                touched[self._on_certificate(conn, event)] = None
        for order_id in touched:
            order = book.by_order_id(conn, order_id)
            if order is not None:
                self.react(conn, order.key)

    def on_reorg(self, conn: Connection, events: Sequence[ChainEvent]) -> None:
        """Fold the orders anew whose events a fork undid."""
        for order_id in {event.subject for event in events}:
            order = book.by_order_id(conn, order_id)
            if order is not None:
                refresh(conn, order.key, self._room.clock())

    def react(self, conn: Connection, key: str, *, is_news: bool = True) -> None:
        """Let an order react to changed facts, and keep what went wrong on the order."""
        try:
            with conn.begin_nested():
                consider(self._room, conn, key)
        except HalleError as error:
            log.info("order %s waits: %s", key, error.code)
            book.set_problem(conn, key, error.code)
        refresh(conn, key, self._room.clock(), is_news=is_news)

    def _on_certificate(self, conn: Connection, event: ChainEvent) -> bytes:
        """Note whose certificate changed, and tell its sides; return the order it belongs to."""
        room, number = self._room, int.from_bytes(event.subject, "big")
        state = certificate_state(conn, number)
        party = party_of(state, room.me)
        order = book.by_order_id(conn, state.order_id)
        if event.name == "Registered" and party != "anyone" and order is not None and order.role != "arbiter":
            remember(conn, number, order.order_id)
        if party != "anyone" and not is_catching_up(conn):
            cover = covers.by_certificate(conn, number)
            what = cover.title if cover is not None else str(order.row.title) if order is not None else ""
            news.tell_claim(conn, event, party, certificate_name(number), what, room.me, room.clock())
        return state.order_id

    def _on_funded(self, conn: Connection, event: ChainEvent) -> None:
        merchant, buyer = event.args["merchant"], event.args["buyer"]
        me = self._room.me
        if me not in (merchant, buyer):
            return
        known = book.by_order_id(conn, event.subject)
        if known is not None:
            book.change(conn, known.key, funded_tx=event.tx_hash)
            return
        now = self._room.clock()
        book.add(
            conn,
            order_key=event.subject.hex()[:KEY_CHARS],
            role="merchant" if merchant == me else "buyer",
            order_id=event.subject,
            merchant=merchant,
            buyer=buyer,
            funded_tx=event.tx_hash,
            problem="order-message-missing",
            restored=WAITS_FOR_HISTORY if is_catching_up(conn) else "",
            created_at=now,
            updated_at=now,
        )
