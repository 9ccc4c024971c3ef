"""When to reconcile with whom: at once after dialling, now and then with anybody, and on with what was news.

Rule: heads that came by reconciliation have not been gossiped here, so whoever got some reconciles with the others
soon: after a split heals, news crosses the network from neighbour to neighbour instead of waiting for the next round.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable

import trio

from halle_node.p2p.sync import HeadSync
from halle_node.p2p.wire import Wire
from halle_protocol.errors import HalleError

log = logging.getLogger("halle_node.p2p")

WORKERS = 2
MAX_DUE = 256
RIPPLES_PER_ROUND = 8

Connected = Callable[[], list[str]]


class CatchUp:
    """`connected()` lists peers; `done(peer)` is told of each one that speaks Halle with us."""

    def __init__(
        self, wire: Wire, sync: HeadSync, connected: Connected, done: Callable[[str], Awaitable[None]]
    ) -> None:
        self._wire = wire
        self._sync = sync
        self._connected = connected
        self._done = done
        self._due: dict[str, None] = {}
        self._wake = trio.Event()
        self._last_ripple = -1e9
        self._news_from: set[str] = set()
        sync.tell_news = self.news

    def waiting(self) -> int:
        return len(self._due)

    def queue(self, peer: str) -> None:
        """Have a peer reconciled with soon; at most once, however often it is asked for."""
        if len(self._due) >= MAX_DUE:
            self._wire.traffic.drops["sync-queue-full"] += 1
            return
        self._due[peer] = None
        self._stir()

    def news(self, peer: str) -> None:
        """Note that a reconciliation with `peer` brought heads that its neighbours may lack."""
        self._news_from.add(peer)
        self._stir()

    def _stir(self) -> None:
        """Wake whoever waits now; who comes later waits for the next time."""
        self._wake.set()
        self._wake = trio.Event()

    async def run(self, nursery: trio.Nursery) -> None:
        """Reconcile, for ever."""
        for _ in range(WORKERS):
            nursery.start_soon(self._work)
        nursery.start_soon(self._ripple)
        while True:
            # Jitter keeps nodes that started together from reconciling in step.
            await trio.sleep(self._wire.config.sync_interval_s * random.uniform(0.8, 1.2))  # noqa: S311
            peers = self._connected()
            if peers:
                self.queue(random.choice(peers))  # noqa: S311

    async def _work(self) -> None:
        while True:
            while not self._due:
                await self._wake.wait()
            peer = next(iter(self._due))
            del self._due[peer]
            await self._reconcile(peer)

    async def _ripple(self) -> None:
        while True:
            while not self._news_from:
                await self._wake.wait()
            pause_s = self._wire.config.sync_interval_s / RIPPLES_PER_ROUND
            await trio.sleep(max(self._last_ripple + pause_s - trio.current_time(), 0))
            self._last_ripple = trio.current_time()
            # One source knows its own news; with several, each lacks what the others brought.
            sources, self._news_from = self._news_from, set()
            for peer in self._connected():
                if sources != {peer}:
                    self.queue(peer)

    async def _reconcile(self, peer: str) -> None:
        if not self._wire.is_connected(peer):
            return
        try:
            kept = await self._sync.run(peer)
        except HalleError as exc:
            self._wire.traffic.drops[f"sync-{exc.code}"] += 1
            log.debug("reconciliation with %s: %s", peer, exc)
        except Exception as exc:  # a task's top: our own fault
            log.warning("reconciliation with %s failed", peer, exc_info=exc)
        else:
            if kept:
                self.news(peer)
            await self._done(peer)
