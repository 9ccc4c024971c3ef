"""Carry queued messages to their recipients, by whichever way is open.

Rule: whatever happens here (a crash, a cancelled task, a lost answer), the row stays queued until the recipient has
acknowledged it or refused it for good. Sending twice, or by two ways, is harmless: the far side takes each once.
Only the recipient's own word ends a message: its peer's answer, or its signature when somebody stands between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from time import time_ns
from typing import Protocol

from sqlalchemy import Connection

from halle_node.db import Database
from halle_node.messages import outbox
from halle_node.messages.outbox import Due
from halle_node.messages.route import Destination, Direct, Left, Route, Shop, Way, newer, next_mailboxes, ways
from halle_node.p2p.types import Kept
from halle_protocol.errors import HalleError, ProtocolError, Refused, Unavailable
from halle_protocol.mailbox import Acknowledgement
from halle_protocol.sealing import seal_envelope

log = logging.getLogger(__name__)

IN_FLIGHT = 64
IDLE_WAIT_S = 30.0
BACKOFF_FLOOR_S = 0.02
STEP_TIMEOUT_S = 20.0
# Refusals that a newer profile, a restart or some patience can lift.
PASSING_REFUSALS = frozenset({"prekey-unknown", "processing-failed", "parked-full", "busy", "rate-limited"})
# What says nothing of the recipient's will: another way may reach it.
NOT_REACHED = frozenset(
    {"peer-unreachable", "peer-gone", "peer-stalled", "not-confirmed", "peer-banned", "bad-peer-id", "p2p-stopped"}
)


class Deliverer(Protocol):
    """The part of the network this room needs."""

    async def deliver(self, peer_id: str, addrs: Sequence[str], envelope: bytes) -> None:
        """Return when the far side has processed `envelope`."""

    async def leave(self, mailbox: str, envelope: bytes) -> Kept:
        """Return when the mailbox has stored `envelope`."""

    async def look(self, mailbox: str, envelope_digest: bytes) -> Kept:
        """Return what became of an envelope that was left."""


class Poster(Protocol):
    """The way over a shop's HTTP port."""

    async def post(self, shop_url: str, envelope: bytes) -> bytes:
        """Return the recipient's signed acknowledgement. Raises: Unavailable."""


Directory = Callable[[bytes], Destination | None]


class _Refusal(Exception):
    """The recipient's own refusal: no other way leads round it."""

    def __init__(self, error: HalleError) -> None:
        self.error = error


@dataclass
class _Trip:
    """One attempt at one message."""

    entry: Due
    route: Route
    envelope: bytes
    held: list[Left] = field(default_factory=list)

    @property
    def digest(self) -> bytes:
        return sha256(self.envelope).digest()


class Courier:
    """The delivery task of one outbox."""

    def __init__(
        self,
        db: Database,
        network: Deliverer,
        clock: Callable[[], int],
        directory: Directory | None,
        poster: Poster | None = None,
        min_sequence: Callable[[bytes], int] = lambda store: 0,
    ) -> None:
        self.directory = directory
        self._db = db
        self._network = network
        self._clock = clock
        self._poster = poster
        self._min_sequence = min_sequence
        self._wake = asyncio.Event()
        self._hurried: set[bytes | None] = set()
        self._in_flight: set[int] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def notify(self, recipient: bytes | None = None, *, hurry: bool = False) -> None:
        """Look at the outbox again, from any thread; with `hurry`, retry waiting messages at once."""
        if hurry:
            self._hurried.add(recipient)
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Deliver until cancelled. A recipient that is slow to answer keeps nobody else waiting."""
        self._loop = asyncio.get_running_loop()
        self._hurried.add(None)  # after a start, here or there, yesterday's waiting times mean nothing
        try:
            async with asyncio.TaskGroup() as flights:
                while True:
                    self._wake.clear()
                    wait_s = await self._round(flights)
                    try:
                        # Not `wait_for`, which may lose a cancellation (Python 3.11): the node would never close.
                        async with asyncio.timeout(wait_s):
                            await self._wake.wait()
                    except TimeoutError:
                        continue
        finally:
            self._loop = None

    async def deliver_due(self) -> int:
        """Try every message that is due once; return how many were tried."""
        async with asyncio.TaskGroup() as flights:
            return await self._send_off(flights)

    async def _send_off(self, flights: asyncio.TaskGroup) -> int:
        # Read in the writer's queue: a row written by a transaction that is just committing is then seen.
        entries = await self._db.write(self._take)
        for entry in entries:
            self._in_flight.add(entry.row_id)
            flights.create_task(self._fly(entry))
        return len(entries)

    async def _fly(self, entry: Due) -> None:
        try:
            await self._deliver(entry)
        except Unavailable as error:
            log.warning("what became of a message cannot be written down now: %s", error.code)
        finally:
            self._in_flight.discard(entry.row_id)
            self._wake.set()

    async def _round(self, flights: asyncio.TaskGroup) -> float:
        try:
            await self._send_off(flights)
            due_ms = self._db.read(lambda conn: outbox.next_due_ms(conn, self._in_flight))
        except Unavailable as error:
            log.warning("messages cannot be sent now: %s", error.code)
            return 1.0
        if due_ms is None or len(self._in_flight) >= IN_FLIGHT:
            return IDLE_WAIT_S
        return min(IDLE_WAIT_S, max(BACKOFF_FLOOR_S, (due_ms - now_ms()) / 1000))

    def _take(self, conn: Connection) -> list[Due]:
        while self._hurried:
            outbox.hasten(conn, self._hurried.pop())
        return outbox.due(conn, now_ms(), IN_FLIGHT - len(self._in_flight), self._in_flight)

    async def _deliver(self, entry: Due) -> None:
        try:
            trip = self._pack(entry)
            left = await self._try_ways(trip)
        except _Refusal as refusal:
            await self._failed(entry, refusal.error, _is_passing(refusal.error))
        except ProtocolError as error:  # the recipient's prekey or the message itself is at fault
            await self._failed(entry, error, _is_passing(error))
        except HalleError as error:
            await self._failed(entry, error, True)
        else:
            await self._succeeded(entry, left)

    def _pack(self, entry: Due) -> _Trip:
        newest = self.directory(entry.recipient) if self.directory else None
        to = newer(entry.destination, newest) if newest else entry.destination
        return _Trip(entry, to.route, seal_envelope(entry.message, entry.recipient, to.prekey).encode())

    async def _try_ways(self, trip: _Trip) -> Left | None:
        """Return None when the recipient has processed the message, or where it was left.

        Raises: _Refusal; Unavailable with the first way's trouble when it got nowhere.
        """
        troubles: list[HalleError] = []
        for way in ways(trip.route, trip.entry.left, self._clock()):
            if await self._attempt(self._go(way, trip), troubles):
                return None
        left: list[Left] = []
        for mailbox in next_mailboxes(trip.route, trip.entry.left, trip.held, self._clock()):
            if await self._attempt(self._leave(mailbox, trip, left), troubles):
                return left[0]
        if troubles:
            raise Unavailable(troubles[0].message, code=troubles[0].code)
        raise Unavailable("Nobody knows a way to this recipient.", code="route-unknown")

    async def _attempt(self, going: Awaitable[None], troubles: list[HalleError]) -> bool:
        try:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                await going
        except TimeoutError:
            troubles.append(Unavailable("The far side did not answer in time.", code="delivery-timeout"))
        except HalleError as error:
            troubles.append(error)
        else:
            return True
        return False

    async def _go(self, way: Way, trip: _Trip) -> None:
        """Return when the recipient has processed the message. Raises: _Refusal, HalleError to try the next way."""
        if isinstance(way, Direct):
            await self._deliver_to_peer(trip)
        elif isinstance(way, Shop):
            if self._poster is None:
                raise Unavailable("This node posts to no shop.", code="shop-unreachable")
            self._hear(await self._poster.post(trip.route.shop_url, trip.envelope), trip, trip.digest)
        else:
            await self._look(way.left, trip)

    async def _deliver_to_peer(self, trip: _Trip) -> None:
        try:
            await self._network.deliver(trip.route.peer_id, trip.route.addrs, trip.envelope)
        except HalleError as error:
            if error.code in NOT_REACHED:
                raise
            raise _Refusal(error) from error

    async def _leave(self, mailbox: str, trip: _Trip, left: list[Left]) -> None:
        kept = await self._network.leave(mailbox, trip.envelope)
        left.append(Left(mailbox, trip.digest, self._clock(), kept.until))

    async def _look(self, left: Left, trip: _Trip) -> None:
        try:
            kept = await self._network.look(left.mailbox, left.envelope)
        except Refused:
            await self._forget_left(trip.entry, left)  # dropped, or never kept
            raise
        if not kept.acknowledgement:
            trip.held.append(left)
            raise Unavailable("The message waits at a mailbox.", code="waits-at-mailbox")
        try:
            self._hear(kept.acknowledgement, trip, left.envelope)
        except _Refusal:
            await self._forget_left(trip.entry, left)  # to be sealed and left again, if the refusal is a passing one
            raise

    def _hear(self, signed: bytes, trip: _Trip, digest: bytes) -> None:
        """Return when this is the recipient's word that it has processed the envelope.

        Raises: _Refusal; Unavailable when it is not the recipient's word.
        """
        recipient = trip.entry.recipient
        try:
            word = Acknowledgement.decode(signed)
            sequence = self._min_sequence(recipient)
            word.verify(store=recipient, envelope=digest, now=self._clock(), min_sequence=sequence)
        except ProtocolError as error:
            raise Unavailable(f"That is not the recipient's word: {error.message}", code=error.code) from error
        if not word.processed:
            raise _Refusal(Refused(f"The recipient refused the message: {word.outcome}.", code=word.outcome))

    async def _forget_left(self, entry: Due, left: Left) -> None:
        await self._db.write(lambda conn: outbox.forget_left(conn, entry, left.mailbox))

    async def _succeeded(self, entry: Due, left: Left | None) -> None:
        def record(conn: Connection) -> None:
            if left is None:
                outbox.acknowledge(conn, entry.row_id, self._clock())
            else:
                outbox.leave(conn, entry, left, now_ms())

        if left is not None:
            log.info("message to %s left at %s", entry.recipient.hex(), left.mailbox)
        await self._db.write(record)

    async def _failed(self, entry: Due, error: HalleError, passing: bool) -> None:
        def record(conn: Connection) -> None:
            if passing:
                outbox.postpone(conn, entry, error, now_ms())
            else:
                outbox.refuse(conn, entry.row_id, error)

        log.info("message to %s not delivered: %s", entry.recipient.hex(), error.code)
        await self._db.write(record)


def _is_passing(error: HalleError) -> bool:
    return isinstance(error, Unavailable) or error.code in PASSING_REFUSALS


def now_ms() -> int:
    """Return the wall clock. Retry times are a timer of this machine, not a fact of trade."""
    return time_ns() // 1_000_000
