"""Carry queued messages to their recipients.

Rule: whatever happens here (a crash, a cancelled task, a lost answer), the row stays queued until the far side has
acknowledged it or refused it for good. Sending twice is harmless, because the far side takes each message once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import time_ns
from typing import Protocol

from sqlalchemy import Connection

from halle_node.db import Database
from halle_node.messages import outbox
from halle_node.messages.outbox import Due
from halle_node.messages.route import Destination
from halle_protocol.errors import HalleError, ProtocolError, Refused, Unavailable
from halle_protocol.sealing import seal_envelope

log = logging.getLogger(__name__)

BATCH = 32
IDLE_WAIT_S = 30.0
BACKOFF_FLOOR_S = 0.02
DELIVERY_TIMEOUT_S = 20.0
# Refusals that a newer profile, a restart or some patience can lift.
PASSING_REFUSALS = frozenset({"prekey-unknown", "processing-failed", "parked-full", "busy", "rate-limited"})


class Deliverer(Protocol):
    """The part of the network this room needs."""

    async def deliver(self, peer_id: str, addrs: Sequence[str], envelope: bytes) -> None:
        """Return when the far side has processed `envelope`."""


Directory = Callable[[bytes], Destination | None]


class Courier:
    """The delivery task of one outbox."""

    def __init__(self, db: Database, network: Deliverer, clock: Callable[[], int], directory: Directory | None) -> None:
        self.directory = directory
        self._db = db
        self._network = network
        self._clock = clock
        self._wake = asyncio.Event()
        self._hurried: set[bytes | None] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def notify(self, recipient: bytes | None = None, *, hurry: bool = False) -> None:
        """Look at the outbox again, from any thread; with `hurry`, retry waiting messages at once."""
        if hurry:
            self._hurried.add(recipient)
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                wait_s = await self._round()
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
        # Read in the writer's queue: a row written by a transaction that is just committing is then seen.
        entries = await self._db.write(self._take)
        async with asyncio.TaskGroup() as group:
            for entry in entries:
                group.create_task(self._deliver(entry))
        return len(entries)

    async def _round(self) -> float:
        try:
            if await self.deliver_due():
                return 0.0
            due_ms = self._db.read(outbox.next_due_ms)
        except Unavailable as error:
            log.warning("messages cannot be sent now: %s", error.code)
            return 1.0
        if due_ms is None:
            return IDLE_WAIT_S
        return min(IDLE_WAIT_S, max(BACKOFF_FLOOR_S, (due_ms - now_ms()) / 1000))

    def _take(self, conn: Connection) -> list[Due]:
        while self._hurried:
            outbox.hasten(conn, self._hurried.pop())
        return outbox.due(conn, now_ms(), BATCH)

    async def _deliver(self, entry: Due) -> None:
        try:
            await self._carry(entry)
        except (ProtocolError, Refused) as error:
            await self._failed(entry, error, passing=error.code in PASSING_REFUSALS)
        except HalleError as error:
            await self._failed(entry, error, passing=True)
        except TimeoutError:
            late = Unavailable("The far side did not answer in time.", code="delivery-timeout")
            await self._failed(entry, late, passing=True)
        else:
            await self._db.write(lambda conn: outbox.acknowledge(conn, entry.row_id, self._clock()))

    async def _carry(self, entry: Due) -> None:
        newest = self.directory(entry.recipient) if self.directory else None
        destination = newest or entry.destination
        envelope = seal_envelope(entry.message, entry.recipient, destination.prekey).encode()
        route = destination.route
        async with asyncio.timeout(DELIVERY_TIMEOUT_S):
            await self._network.deliver(route.peer_id, route.addrs, envelope)

    async def _failed(self, entry: Due, error: HalleError, *, passing: bool) -> None:
        def record(conn: Connection) -> None:
            if passing:
                outbox.postpone(conn, entry, error, now_ms())
            else:
                outbox.refuse(conn, entry.row_id, error)

        log.info("message to %s not delivered: %s", entry.recipient.hex(), error.code)
        await self._db.write(record)


def now_ms() -> int:
    """Return the wall clock. Retry times are a timer of this machine, not a fact of trade."""
    return time_ns() // 1_000_000
