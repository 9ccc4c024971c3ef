"""Stay connected: dial bootstrap and remembered peers with backoff, wake up when a connection is lost."""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from halle_node.p2p.addresses import split_addr
from halle_node.p2p.types import NetworkConfig
from halle_node.p2p.wire import Wire
from halle_protocol.errors import HalleError, Refused

log = logging.getLogger("halle_node.p2p")

MAX_REMEMBERED = 128
MAX_LEARNED = 128
_SETTLE_S = 0.05
_RECHECK_S = 5.0


class AddressBook:
    """Addresses that worked, newest last, kept in a small JSON file so that a restart finds its peers."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.addrs: dict[str, str] = {}
        self._load()

    def _load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        try:
            for addr in json.loads(self._path.read_text())["peers"][-MAX_REMEMBERED:]:
                transport, peer = split_addr(addr)
                self.addrs[peer] = f"{transport}/p2p/{peer}"
        except (OSError, ValueError, KeyError, TypeError, Refused) as exc:
            log.warning("the remembered peers in %s cannot be read and are forgotten: %s", self._path, exc)

    def remember(self, peer: str, addr: str) -> bool:
        """Note a working address; True when the file should be written."""
        changed = self.addrs.pop(peer, None) != addr
        self.addrs[peer] = addr
        while len(self.addrs) > MAX_REMEMBERED:
            self.addrs.pop(next(iter(self.addrs)))
        return changed

    def save(self) -> None:
        """Write the file whole or not at all. Runs in a worker thread."""
        if self._path is None:
            return
        try:
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps({"peers": list(self.addrs.values()), "saved": int(time.time())}))
            os.replace(fresh, self._path)
        except OSError as exc:
            log.warning("the remembered peers cannot be saved: %s", exc)


@dataclass
class _Attempt:
    wait_s: float
    due: float


class Dialer:
    def __init__(self, wire: Wire, config: NetworkConfig, book: AddressBook) -> None:
        self._wire = wire
        self._config = config
        self._book = book
        self._bootstrap = dict(_parsed(config.bootstrap))
        self._learned: dict[str, list[str]] = {}
        self._attempts: dict[str, _Attempt] = {}
        self._wake = trio.Event()

    @property
    def remembered(self) -> dict[str, str]:
        """Addresses that worked, by peer."""
        return dict(self._book.addrs)

    def wake(self) -> None:
        self._wake.set()

    def learn(self, peer: str, addrs: Sequence[str]) -> None:
        """Note where others say that a peer is; rumours are tried last and forgotten first."""
        self._learned.pop(peer, None)
        self._learned[peer] = list(addrs)
        while len(self._learned) > MAX_LEARNED:
            gone = next(iter(self._learned))
            del self._learned[gone]
            self._attempts.pop(gone, None)
        self.wake()

    def wants_more(self) -> bool:
        """Tell whether fewer peers are connected than sought."""
        return len(self._wire.host.get_connected_peers()) < self._config.target_peers

    async def run(self) -> None:
        """Dial what is due, for ever."""
        while True:
            self._wake = trio.Event()
            due = [peer for peer in self._candidates() if self._is_due(peer)]
            async with trio.open_nursery() as nursery:
                for peer in due[: self._config.target_peers]:
                    nursery.start_soon(self._dial, peer)
            with trio.move_on_after(self._pause_s()):
                await self._wake.wait()
                # The library tells of a lost connection before it forgets it.
                await trio.sleep(_SETTLE_S)

    def _candidates(self) -> list[str]:
        if not self.wants_more():
            return []
        known = [*self._bootstrap, *reversed(self._book.addrs), *reversed(self._learned)]
        return [p for p in dict.fromkeys(known) if p != self._wire.own_id and not self._wire.is_connected(p)]

    def _is_due(self, peer: str) -> bool:
        attempt = self._attempts.get(peer)
        return attempt is None or attempt.due <= trio.current_time()

    def _pause_s(self) -> float:
        """Sleep until the next attempt is due; a lost connection wakes us earlier."""
        now = trio.current_time()
        waits = [self._attempts[p].due - now for p in self._candidates() if p in self._attempts]
        return max(_SETTLE_S, min([*waits, _RECHECK_S]))

    async def _dial(self, peer: str) -> None:
        known = (self._bootstrap.get(peer), self._book.addrs.get(peer), *self._learned.get(peer, ()))
        addrs = list(dict.fromkeys(addr for addr in known if addr))
        try:
            await self._wire.connect(peer, addrs)
        except HalleError as exc:
            log.debug("dial %s: %s", peer, exc)
            self._back_off(peer)
        else:
            self._attempts.pop(peer, None)

    def _back_off(self, peer: str) -> None:
        low, high = self._config.reconnect_min_s, self._config.reconnect_max_s
        before = self._attempts.get(peer)
        wait_s = min(high, before.wait_s * 2 if before else low)
        # Jitter keeps nodes that lost the same peer from dialling it in step.
        self._attempts[peer] = _Attempt(wait_s, trio.current_time() + wait_s * random.uniform(0.75, 1.25))  # noqa: S311


def _parsed(addrs: Sequence[str]) -> list[tuple[str, str]]:
    return [(peer, f"{transport}/p2p/{peer}") for transport, peer in map(split_addr, addrs)]
