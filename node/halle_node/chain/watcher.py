"""Events of Halle's contracts, in the chain's order, each told once and taken back when a fork undoes it.

Rule: events, the cursor and whatever subscribers write change in one transaction; rows above a fork are
deleted before its blocks are read again. So after any crash or reorg the rows are those of the canonical
chain. Where there is a second endpoint, only what both say is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from halle_contracts import decode_call, decode_event, terms_tuple
from halle_node.chain import answers
from halle_node.chain import watcher_rows as rows
from halle_node.chain.backoff import Backoff
from halle_node.chain.binding import ChainBinding
from halle_node.chain.client import ChainClient
from halle_node.chain.contracts import Contracts
from halle_node.chain.endpoint import Endpoint
from halle_node.chain.reading import inconsistent
from halle_node.chain.records import ChainEvent, Depths
from halle_node.chain.scanner import Scan, Scanner, Sources
from halle_node.db import Database
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError, Unavailable
from halle_protocol.terms import Terms

EMBEDDED_POLL_S = 0.2
CHAIN_POLL_S = 2.0
RANGE_BLOCKS = 2_000
LOOKBACK_BLOCKS = 50_000
KEEP_BEYOND_FINAL = 64
UNUSABLE = ("rpc-inconsistent", "rpc-bad-answer")

Subscriber = Callable[[Connection, Sequence[ChainEvent]], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far the events are read: every block below `next_block` is. Units: blocks; 0 while nothing is known.

    `alone` is how many of them one endpoint alone has told, to be confirmed when a second one answers.
    """

    began: int = 0
    next_block: int = 0
    head: int = 0
    alone: int = 0

    @property
    def behind(self) -> int:
        return max(0, self.head - self.next_block + 1)


class Watcher:
    """Follows the contracts of one chain into the database."""

    def __init__(
        self,
        db: Database,
        client: ChainClient,
        contracts: Contracts | None = None,
        *,
        depths: Depths | None = None,
        start_block: int | None = None,
        range_blocks: int = RANGE_BLOCKS,
    ) -> None:
        self._db = db
        self._client = client
        self._given_contracts = contracts
        self._given_depths = depths
        self._start_block = start_block
        self._looked_into = self._looked_to = 0
        self._scanner = Scanner(client.endpoints, client.judge, self._remembered, range_blocks)
        self._binding = ChainBinding(db, client)
        self._subscribers: list[Subscriber] = []
        self._reorg_subscribers: list[Subscriber] = []
        self._wake = asyncio.Event()
        self.progress = Progress()
        self.problem: HalleError | None = None
        self.caught_up = False
        """The chain was read to its end at least once since the start."""

    @property
    def next_block(self) -> int:
        """Every block below this one is read; 0 while nothing is."""
        return self.progress.next_block

    def subscribe(self, callback: Subscriber) -> None:
        """Have `callback(connection, events)` run in the transaction that stores events or raises their
        finality.

        An event is told when it is first seen and again with each higher `finality`.
        """
        self._subscribers.append(callback)

    def on_reorg(self, callback: Subscriber) -> None:
        """Have `callback(connection, events)` run in the transaction that deletes events a fork undid."""
        self._reorg_subscribers.append(callback)

    def nudge(self) -> None:
        """Look now instead of at the next poll."""
        self._wake.set()

    def events(self, subject: bytes) -> list[ChainEvent]:
        """Return what is known about one order, shipment or certificate."""
        return self._db.read(lambda connection: rows.events_about(connection, subject))

    async def terms_of(self, tx_hash: bytes) -> Terms:
        """Return the order terms in the calldata of a transaction to the Escrow.

        Raises: Refused terms-unknown when it is another kind of transaction or none.
        """
        found = await self._client.transaction(tx_hash)
        if found is not None and found.get("to") and answers.data(found["to"]) == self._contracts.escrow:
            decoded = decode_call("Escrow", answers.data(found.get("input")))
            fields = decoded[1].get("t") if decoded is not None else None
            if isinstance(fields, dict):
                return Terms(*terms_tuple(fields))
        raise Refused(
            f"Transaction 0x{tx_hash.hex()} does not show the terms of an order.",
            code="terms-unknown",
            hint="It went through another contract, or is not on this chain.",
        )

    async def rescan(self, from_block: int) -> None:
        """Read the chain again from a block on, telling subscribers only what was not known."""
        await self._db.write(lambda connection: rows.set_next_block(connection, max(0, from_block)))
        self.nudge()

    async def run(self) -> None:
        """Work until cancelled. Outages are waited out."""
        backoff = Backoff()
        while True:
            self._wake.clear()
            try:
                delay = 0.0 if await self.step() else self._poll_s()
                backoff.reset()
                self.problem = None
            except HalleError as error:
                self._binding.doubt()
                self._note(error)
                delay = backoff.next()
            except Exception:  # the task's top: a subscriber's mistake must not blind the node for ever
                _log.exception("the chain watcher failed; it goes on")
                delay = backoff.next()
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def step(self) -> bool:
        """Read the next range of blocks; return whether more are waiting.

        Raises: Unavailable; ConfigError wrong-chain, contracts-missing.
        """
        await self._binding.ensure()
        speaker = self._client.endpoints.first
        try:
            return await self._advance(speaker)
        except Unavailable as error:
            if error.code in UNUSABLE:
                speaker.rest(error)
            raise

    async def _advance(self, speaker: Endpoint) -> bool:
        sources = await self._scanner.sources(speaker, self._depths.final)
        top = sources.top
        await self._undo_fork(sources)
        alone = await self._review(sources)
        first = await self._first_block(top)
        if first > top:
            fewer = alone < self.progress.alone
            self.progress = Progress(first, first, top, alone)
            await self._settle(top)
            self.caught_up = True
            return fewer and alone > 0
        scan = await self._scanner.scan(sources, first, list(self._contracts.watched()), self._keep_blocks)
        await self._db.write(lambda connection: self._store(connection, scan))
        began = self.progress.began if self.progress.behind else first
        self.progress = Progress(began, scan.last + 1, top, alone)
        self.caught_up = self.caught_up or scan.last == top
        return scan.last < top

    async def _remembered(self, number: int) -> bytes | None:
        return await self._db.read_async(lambda connection: rows.block_hash(connection, number))

    @property
    def _contracts(self) -> Contracts:
        return self._given_contracts or self._client.contracts

    @property
    def _depths(self) -> Depths:
        return self._given_depths or self._client.depths

    @property
    def _keep_blocks(self) -> int:
        return self._depths.final + KEEP_BEYOND_FINAL

    async def _first_block(self, head: int) -> int:
        stored = await self._db.read_async(rows.next_block)
        if stored is not None:
            return stored
        if self._start_block is not None:
            return self._start_block
        return 0 if self._client.is_embedded else max(0, head - LOOKBACK_BLOCKS)

    async def _undo_fork(self, sources: Sources) -> None:
        """Delete what stands on blocks that are not on the chain any more.

        An endpoint that is merely behind us is not a fork: only blocks up to its head are compared. Of two, both
        must have forked.
        """
        known = await self._db.read_async(lambda connection: rows.known_blocks(connection, sources.top))
        if not known:
            return
        fork = known[-1][0] - 1  # when every block we remember is gone
        for number, known_hash in known:
            block = await sources.speaker.block(number)
            if block is not None and block.hash == known_hash:
                fork = number
                break
        if fork != known[0][0]:
            await self._scanner.compare_block(sources, min(number for number, _ in known if number > fork))
            await self._db.write(lambda connection: self._remove(connection, fork))

    def _remove(self, connection: Connection, fork: int) -> None:
        gone = rows.remove_above(connection, fork)
        _log.info("the chain forked after block %d; %d events are taken back", fork, len(gone))
        if gone:
            for callback in self._reorg_subscribers:
                callback(connection, gone)

    async def _review(self, sources: Sources) -> int:
        """Compare a range that one endpoint alone had told; return how many blocks are still to be confirmed.

        A second endpoint confirms it. When there is none, because it was caught lying, at least what it may have
        told is compared with the one that is left. What is not so is taken back, as after a fork, and read again.
        """
        if not self._client.endpoints.several:
            return 0
        scanned = await self._db.read_async(rows.next_block) or 0
        start = await self._db.read_async(rows.next_unwitnessed)
        if start is None or start >= scanned:
            return 0
        first, top = start, min(sources.top, scanned - 1)
        if sources.witness is None:
            first = max(start, self._looked_to)
            if self._looked_into == self._scanner.convictions or first > top:
                self._looked_into, self._looked_to = self._scanner.convictions, 0
                return scanned - start
        watched = self._contracts.watched()
        last, said = await self._scanner.logs(sources, first, top, list(watched))
        if said is None:
            return scanned - start
        events = {log for log in said if decode_event(watched[log.address], list(log.topics), log.data) is not None}
        wrong = events ^ await self._db.read_async(lambda connection: rows.logs_between(connection, first, last))
        if wrong:
            fork = min(log.block_number for log in wrong) - 1
            _log.warning("what one endpoint told of block %d was not so; it is read again", fork + 1)
            await self._db.write(lambda connection: self._remove(connection, fork))
            return 0
        if sources.witness is None:
            self._looked_to = last + 1
            return scanned - start
        await self._db.write(lambda connection: rows.track_witness(connection, first, last, witnessed=True))
        return scanned - last - 1

    def _store(self, connection: Connection, scan: Scan) -> None:
        if rows.next_block(connection) not in (None, scan.first):
            return  # `rescan` moved the cursor meanwhile
        times = {number: block.timestamp for number, block in scan.blocks.items()}
        try:
            added = rows.add_events(connection, scan.logs, self._contracts.watched(), times)
        except RemoteProtocolError as error:
            raise inconsistent("a log", "an event its data does not fit") from error
        rows.remember_blocks(connection, scan.blocks.values(), scan.top - self._keep_blocks)
        if self._client.endpoints.several:
            rows.track_witness(connection, scan.first, scan.last, witnessed=scan.witnessed)
        rows.set_next_block(connection, scan.last + 1)
        raised = rows.advance_finality(connection, self._depths, scan.top)
        self._tell(connection, [*added, *raised])

    async def _settle(self, head: int) -> None:
        """Raise finality when only time has passed."""

        def settle(connection: Connection) -> None:
            self._tell(connection, rows.advance_finality(connection, self._depths, head))

        await self._db.write(settle)

    def _tell(self, connection: Connection, ids: Sequence[int]) -> None:
        if not ids or not self._subscribers:
            return
        events = rows.events_by_id(connection, ids)
        for callback in self._subscribers:
            callback(connection, events)

    def _poll_s(self) -> float:
        return EMBEDDED_POLL_S if self._client.is_embedded else CHAIN_POLL_S

    def _note(self, error: HalleError) -> None:
        if self.problem is None or self.problem.code != error.code:
            _log.warning("the chain is not followed: %s", error)
        self.problem = error
