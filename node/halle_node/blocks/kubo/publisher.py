"""The background duty of keeping a Kubo daemon in step with what the store has published.

Rule: the shop never waits for the daemon. What is published is published; the daemon follows when it can, and what it
holds of us is read from its own pins, so that a daemon that was wiped or changed is simply filled again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from halle_node.blocks.kubo.daemon import Daemon, Pinned
from halle_node.blocks.kubo.plan import Plan, make_plan, reached
from halle_node.blocks.kubo.status import KeptPin, KuboStatus, Trouble
from halle_node.blocks.store import BlockStore
from halle_node.chain.backoff import Backoff
from halle_protocol.cid import CID
from halle_protocol.errors import HalleError, Unavailable
from halle_protocol.head import Head

log = logging.getLogger(__name__)

# The DHT forgets provider records and names after a day or two; a daemon may have lost its pins meanwhile.
REFRESH_S = 4 * 3600
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 900.0
PIECE_BYTES = 4 * 1024 * 1024
PIECE_BLOCKS = 2_000
# Below this, sending a block costs the daemon less than being asked whether it has it.
ASK_ABOVE_BYTES = 64 * 1024


class NameRecord(Protocol):
    """The store's signed IPNS record."""

    @property
    def name(self) -> str: ...

    @property
    def sequence(self) -> int: ...

    @property
    def record(self) -> bytes: ...


@dataclass(frozen=True)
class Source:
    """What the publisher asks of the rest of the node."""

    blocks: BlockStore
    store: bytes
    head: Callable[[], Head | None]
    name_record: Callable[[Head], Awaitable[NameRecord]]
    clock: Callable[[], int]


class KuboPublisher:
    """One store at one daemon. `open_daemon` is None when no daemon is set up."""

    def __init__(self, source: Source, open_daemon: Callable[[], Daemon] | None, status: KuboStatus) -> None:
        self._source = source
        self._open_daemon = open_daemon
        self._status = status
        self._prefix = f"halle:0x{source.store.hex()}:"
        self._daemon: Daemon | None = None
        self._wanted = asyncio.Event()
        self._finished = asyncio.Condition()
        # What the daemon holds below the pins that it showed last: blocks of these are not sent again.
        self._known: set[CID] = set()
        self._known_pins: frozenset[CID] = frozenset()

    def status(self) -> KuboStatus:
        """Return how things stand; replaced whole at each step."""
        return self._status

    def nudge(self) -> None:
        """Have the newest head published soon."""
        self._wanted.set()

    async def settled(self, done: Callable[[KuboStatus], bool]) -> KuboStatus:
        """Return the first status at the end of an attempt for which `done` holds."""
        async with self._finished:
            await self._finished.wait_for(lambda: done(self._status))
        return self._status

    async def close(self) -> None:
        if self._daemon is not None:
            await self._daemon.close()
            self._daemon = None

    async def run(self) -> None:
        """Follow the store for ever; return at once when no daemon is set up."""
        if self._open_daemon is None:
            return
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        while True:
            self._wanted.clear()
            await self._attempt()
            failed = self._status.state == "failed"
            wait_s = backoff.next() if failed else REFRESH_S
            if not failed:
                backoff.reset()
            self._set(next_try_at=self._source.clock() + int(wait_s))
            async with self._finished:
                self._finished.notify_all()
            await self._wanted_within(wait_s)

    async def _wanted_within(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._wanted.wait()
        except TimeoutError:
            return

    async def _attempt(self) -> None:
        head = self._source.head()
        if head is None:
            self._set(state="waiting")
            return
        self._set(state="working")
        try:
            await self._publish(head)
        except HalleError as exc:
            self._fail(exc)
            log.info("the IPFS daemon does not keep head %d yet: %s", head.seq, exc)
        except Exception as exc:  # a task's top: our own fault, and no reason to end the node
            self._fail(HalleError(f"Publishing to the IPFS daemon failed: {exc!r}.", code="kubo-failed"))
            log.warning("publishing to the IPFS daemon failed", exc_info=exc)
        else:
            self._set(state="ok", trouble=None, seq=head.seq, kept_at=self._source.clock())

    async def _publish(self, head: Head) -> None:
        if self._daemon is None:
            assert self._open_daemon is not None
            self._daemon = self._open_daemon()
        daemon = self._daemon
        who = await daemon.greet()
        self._set(version=who.version, peer_id=who.peer_id, addrs=who.addrs)
        pinned = await daemon.pins(self._prefix)
        await self._learn(pinned)
        plan = await asyncio.to_thread(make_plan, self._source.blocks, head, self._known)
        await self._send(daemon, [cid for cid in plan.blocks if cid not in pinned])
        await self._pin(daemon, plan, pinned)
        await self._name(daemon, head)
        await self._unpin(daemon, plan, pinned)
        await self._provide(daemon, head)

    # --- blocks

    async def _learn(self, pinned: dict[CID, Pinned]) -> None:
        """Know again what is below the daemon's pins, unless they are those of the last time."""
        roots = frozenset(cid for cid, pin in pinned.items() if pin.recursive)
        if roots != self._known_pins:
            self._known = await asyncio.to_thread(reached, self._source.blocks, roots)
            self._known_pins = roots

    async def _send(self, daemon: Daemon, blocks: Sequence[CID]) -> None:
        """Send what the daemon lacks, a bounded piece at a time."""
        for start in range(0, len(blocks), PIECE_BLOCKS):
            lot = blocks[start : start + PIECE_BLOCKS]
            for piece in await asyncio.to_thread(self._pieces, lot):
                await self._send_piece(daemon, piece)

    def _pieces(self, lot: Sequence[CID]) -> list[list[CID]]:
        """Cut by size, without holding the bytes."""
        pieces: list[list[CID]] = [[]]
        size = 0
        for cid, length in self._source.blocks.sizes(lot):
            if pieces[-1] and size + length > PIECE_BYTES:
                pieces.append([])
                size = 0
            pieces[-1].append(cid)
            size += length
        return [piece for piece in pieces if piece]

    async def _send_piece(self, daemon: Daemon, piece: Sequence[CID]) -> None:
        blocks = await asyncio.to_thread(lambda: [(cid, self._source.blocks.get(cid)) for cid in piece])
        large = [cid for cid, data in blocks if len(data) > ASK_ABOVE_BYTES]
        there = set(large) - set(await daemon.lacks(large)) if large else set()
        needed = [(cid, data) for cid, data in blocks if cid not in there]
        if not needed:
            return
        size = sum(len(data) for _, data in needed)
        await daemon.check_room(size)
        await daemon.send(needed)
        status = self._status
        self._set(sent_blocks=status.sent_blocks + len(needed), sent_bytes=status.sent_bytes + size)

    # --- pins

    async def _pin(self, daemon: Daemon, plan: Plan, pinned: dict[CID, Pinned]) -> None:
        for cid, pin in plan.pins.items():
            name = self._prefix + pin.kind
            if pinned.get(cid) == Pinned(name, pin.recursive):
                continue
            # A pin that the operator has set under a name of their own stays theirs.
            if cid not in pinned and pin.recursive and await daemon.is_pinned(cid):
                continue
            await daemon.pin(cid, name, recursive=pin.recursive)
        self._known |= plan.whole
        self._known_pins = frozenset(cid for cid, pin in plan.pins.items() if pin.recursive)
        self._set(pins=tuple(KeptPin(pin.kind, cid, pin.recursive) for cid, pin in plan.pins.items()))

    async def _unpin(self, daemon: Daemon, plan: Plan, pinned: dict[CID, Pinned]) -> None:
        """Let go of what a newer head has replaced, after that one is safe."""
        for cid, pin in pinned.items():
            if cid not in plan.pins:
                await daemon.unpin(cid, recursive=pin.recursive)

    # --- being found: without it the daemon still keeps the shop

    async def _name(self, daemon: Daemon, head: Head) -> None:
        try:
            record = await self._source.name_record(head)
            await daemon.point(record.name, record.record)
        except HalleError as exc:
            self._set(name_trouble=self._trouble(exc))
            log.info("the store's name could not be published: %s", exc)
            return
        now = self._source.clock()
        self._set(name=record.name, name_sequence=record.sequence, named_at=now, name_trouble=None)

    async def _provide(self, daemon: Daemon, head: Head) -> None:
        try:
            for root in filter(None, (head.catalog, head.site, head.cid)):
                await daemon.provide(root)
        except HalleError as exc:
            self._set(provide_trouble=self._trouble(exc))
            log.info("the IPFS daemon could not announce the shop: %s", exc)
            return
        self._set(provided_at=self._source.clock(), provide_trouble=None)

    # --- status

    def _set(self, **changes: object) -> None:
        self._status = replace(self._status, **changes)  # type: ignore[arg-type]

    def _fail(self, error: HalleError) -> None:
        self._set(state="failed", trouble=self._trouble(error))

    def _trouble(self, error: HalleError) -> Trouble:
        passes = isinstance(error, Unavailable)
        return Trouble(error.code, error.message, error.hint, self._source.clock(), passes)
