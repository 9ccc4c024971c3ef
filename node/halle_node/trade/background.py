"""What the trade room does without being asked, in rounds.

Rule: every task of a round looks at what is stored and may be cut off anywhere; the next round starts over. One task's
trouble does not keep the others from running.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, or_, select

from halle_node.db.schema.trade import trade_order as table
from halle_node.trade import arbiting, book, chainwork, goods, news
from halle_node.trade.buying import own_code
from halle_node.trade.certificates import cards
from halle_node.trade.covering import Covering
from halle_node.trade.folding import refresh, state_of
from halle_node.trade.history import History
from halle_node.trade.legal import possible_moves
from halle_node.trade.moves import Moves
from halle_node.trade.operator import Operator
from halle_node.trade.room import Room
from halle_node.trade.watching import Watching
from halle_protocol.errors import HalleError
from halle_protocol.keys import ZERO_ADDRESS
from halle_protocol.order import Status, next_actions
from halle_protocol.terms import Terms

log = logging.getLogger(__name__)

BATCH = 50
READ_UP_S = 5.0
READ_AGAIN_S = 0.1
REMIND_S = 60


class Background:
    """The rounds."""

    def __init__(
        self,
        room: Room,
        moves: Moves,
        operator: Operator,
        watching: Watching,
        history: History,
        covering: Covering,
    ) -> None:
        self._room = room
        self._covering = covering
        self._history = history
        self._moves = moves
        self._operator = operator
        self._watching = watching
        self._reminded_at = 0
        self._turns: dict[str, str] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self.work_once()
            await asyncio.sleep(self._room.rules.tick_s)

    async def work_once(self) -> None:
        """Do one round."""
        if self._room.is_replaced():
            return
        await self._quietly("chain time", self._room.ask_chain_time)
        await self._quietly("operator", self._operator.ensure)
        await self._quietly("terms from the chain", self._read_terms)
        await self._quietly("what was said before a restore", self._history.ask)
        await self._quietly("new disputes", partial(arbiting.read_disputes, self._room))
        await self._quietly("waiting orders", self._reconsider)
        await self._quietly("unreached arbiters", self._reach_arbiters)
        await self._quietly("deliveries on record", self._prove_deliveries)
        await self._quietly("stock", self._free_stock)
        await self._quietly("requests for cover", self._covering.answer_due)
        await self._quietly("reminders", self._remind)
        if self._room.rules.claim_by_itself:
            await self._quietly("due claims", self._claim_due)
            await self._quietly("certificates that ended", self._expire_due)

    async def _quietly(self, what: str, task: Callable[[], Awaitable[object]]) -> None:
        try:
            await task()
        except HalleError as error:
            log.info("%s: %s (%s)", what, error.message, error.code)

    async def _read_terms(self) -> None:
        """Learn the terms of orders that only the chain told us of, from the funding transaction itself."""
        query = select(table.c.order_key).where(table.c.terms.is_(None), table.c.funded_tx.is_not(None))
        for key in self._next_of("terms", query):
            await self._quietly(f"terms of {key}", partial(self._read_terms_of, key))

    async def _read_terms_of(self, key: str) -> None:
        row = self._room.db.read(lambda conn: book.find(conn, key)).row
        terms = await self._room.chain.watcher.terms_of(row.funded_tx)
        await self._room.db.write(partial(self._store_terms, key=key, order_id=row.order_id, terms=terms))

    def _store_terms(self, conn: Connection, key: str, order_id: bytes, terms: Terms) -> None:
        client = self._room.chain.client
        buyer = book.find(conn, key).buyer
        if terms.order_id(client.chain_id, self._room.chain.contracts.escrow, buyer) != order_id:
            return  # the endpoint shows another transaction than the one that funded this order
        if book.find(conn, key).terms is None:
            code = own_code(self._room, terms) if buyer == self._room.me else None
            book.change(conn, key, terms=book.encode_terms(terms), delivery_code=code)
        refresh(conn, key, self._room.clock())

    async def _reconsider(self) -> None:
        """Let merchant orders that wait for something try again: an unlocked key, a catalog, a failed transaction."""
        query = select(table.c.order_key).where(
            table.c.role == "merchant",
            or_(
                table.c.folded_status.in_(("requested", "offered")),
                table.c.problem.in_(("out-of-stock", "licences-sold-out", "history-awaited")),
            ),
            table.c.folded_open,
            table.c.request.is_not(None),
        )
        await self._react_to(self._next_of("waiting", query))

    async def _free_stock(self) -> None:
        """Free goods whose quote nobody paid in time."""
        room = self._room

        def free(conn: Connection, key: str) -> None:
            order = book.find(conn, key)
            if state_of(conn, order).status == Status.NONE and order.document is not None:
                goods.release(conn, key, order.document.lines)
            else:
                goods.keep(conn, key)

        for key in room.db.read(lambda conn: goods.expired(conn, room.clock())):
            await room.db.write(partial(free, key=key))

    async def _remind(self) -> None:
        room = self._room
        if room.clock() - self._reminded_at < REMIND_S:
            return
        self._reminded_at = room.clock()
        low_at = room.config.low_stock
        await room.db.write(lambda conn: news.remind(conn, room.chain_time(), room.clock(), low_at))

    async def _claim_due(self) -> None:
        """Collect orders whose inspection time is over."""
        now = self._room.chain_time()
        query = select(table.c.order_key).where(
            table.c.role == "merchant",
            table.c.folded_status.in_(("shipped", "delivered")),
            table.c.folded_deadline_at < now,
        )

        def claimable(conn: Connection, keys: list[str]) -> list[str]:
            return [key for key in keys if self._is_claimable(conn, key, now)]

        due = self._room.db.read(partial(claimable, keys=self._next_of("claims", query)))
        # Weeks may have passed while nothing was read: the order may be over, and its end only a few blocks away.
        if due and await self._has_read_up():
            for key in self._room.db.read(partial(claimable, keys=due)):
                await self._quietly(f"claim of {key}", partial(self._moves.settling.claim, key))

    async def _has_read_up(self) -> bool:
        """Say whether every event up to the chain's block of now is read, or is within some seconds."""
        chain = self._room.chain
        head = await chain.client.block_number()
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_UP_S):
                while chain.watcher.next_block <= head:  # noqa: ASYNC110  the watcher tells of events only
                    await asyncio.sleep(READ_AGAIN_S)
                return True
        return False

    def _is_claimable(self, conn: Connection, key: str, now: int) -> bool:
        """Say whether nothing is owed any more: no return is running, nothing is left to send."""
        order = book.find(conn, key)
        if order.terms is None or chainwork.is_live(conn, order, ("claim",)) or chainwork.gave_up(conn, order, "claim"):
            return False
        state = state_of(conn, order)
        if state.return_ in ("requested", "open") or state.exchange:
            return False
        return any(move.name == "claim" for move in next_actions(state, "merchant", now))

    async def _reach_arbiters(self) -> None:
        """Hand in evidence whose arbiter nobody could reach before."""
        query = select(table.c.order_key).where(
            table.c.role != "arbiter", table.c.folded_status.in_(("disputed", "escalated"))
        )
        await self._react_to(self._next_of("disputes", query))

    async def _prove_deliveries(self) -> None:
        """Show the chain that the order's carrier recorded the delivery."""
        query = select(table.c.order_key).where(table.c.role == "merchant", table.c.folded_status == "shipped")
        for key in self._next_of("shipped", query):
            if self._room.db.read(partial(self._is_provable, key=key)):
                await self._quietly(f"delivery of {key}", partial(self._moves.selling.prove_delivery, key))

    def _is_provable(self, conn: Connection, key: str) -> bool:
        order = book.find(conn, key)
        if order.terms is None or order.terms.carrier == ZERO_ADDRESS:
            return False
        if chainwork.is_live(conn, order, ("deliverByCarrier",)):
            return False
        moves = possible_moves(conn, order, state_of(conn, order), self._room.chain_time())
        return any(move.name == "prove_delivery" for move in moves)

    async def _expire_due(self) -> None:
        """Free the bond of certificates we back whose time is over."""
        if self._room.keys.locked:
            return
        for card in cards(self._room, "underwriter"):
            if any(move.name == "expire_warranty" for move in card.next_actions):
                await self._quietly(f"end of {card.name}", partial(self._moves.warranties.expire, card.name))

    def _next_of(self, what: str, query: Select[Any]) -> list[str]:
        """Return some orders of a query, the next ones each time: those that wait for long keep none from its turn."""
        after = self._turns.get(what, "")
        some = query.where(table.c.order_key > after).order_by(table.c.order_key).limit(BATCH)
        keys = self._room.db.read(lambda conn: book.keys_of(conn, some))
        self._turns[what] = keys[-1] if len(keys) == BATCH else ""
        return keys

    async def _react_to(self, keys: list[str]) -> None:
        for key in keys:
            await self._room.db.write(partial(self._watching.react, key=key, is_news=False))
