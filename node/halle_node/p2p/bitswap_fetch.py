"""The asking half of bitswap: a want-list goes out, blocks come back on streams that the other side opens.

A block counts when it hashes to something that was asked of that very peer; everything else is dropped unread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import trio

from halle_node.p2p.bitswap_message import V120, Received, digest_of, wants
from halle_node.p2p.framing import Frames
from halle_node.p2p.wire import Wire
from halle_protocol.cid import CID
from halle_protocol.errors import Unavailable

# Asked for at a time: enough to keep the other side busy, and a bound on what it can make us hold.
WINDOW = 32


class _Ask:
    """What one fetch waits for from one peer."""

    def __init__(self, cids: Sequence[CID]) -> None:
        self.waiting = deque(dict.fromkeys(cids))
        self.open: dict[bytes, list[CID]] = {}
        self.found: dict[CID, bytes] = {}
        self.answered = 0
        self._news = trio.Event()

    def next(self) -> list[CID]:
        """Return what to ask for now: nothing while half the window is still open."""
        if len(self.open) > WINDOW // 2:
            return []
        asked = []
        while self.waiting and len(self.open) < WINDOW:
            cid = self.waiting.popleft()
            self.open.setdefault(cid.digest, []).append(cid)
            asked.append(cid)
        return asked

    def take(self, digest: bytes, block: bytes | None) -> None:
        """Note a block, or that the peer lacks it."""
        cids = self.open.pop(digest, None)
        if cids is None:
            return
        self.answered += 1
        if block is not None:
            self.found.update(dict.fromkeys(cids, block))
        self._news.set()

    async def news(self) -> None:
        await self._news.wait()
        self._news = trio.Event()


class BitswapFetch:
    """Fetches that are under way, by peer. Network thread only."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._config = wire.config
        self._asks: dict[str, list[_Ask]] = {}

    async def fetch(self, peer: str, addrs: Sequence[str], cids: Sequence[CID]) -> dict[CID, bytes]:
        """Return those of `cids` that the peer has.

        Raises: Unavailable "peer-stalled" when it answers nothing at all, "peer-unreachable", "protocol-unsupported".
        """
        ask = _Ask(cids)
        asks = self._asks.setdefault(peer, [])
        asks.append(ask)
        rounds = 1 + len(cids) // WINDOW
        try:
            with trio.move_on_after(self._config.request_timeout_s * rounds):
                async with self._wire.opened(peer, addrs, V120) as frames:
                    await self._exchange(ask, frames)
        finally:
            asks.remove(ask)
            if not asks:
                self._asks.pop(peer, None)
        if not ask.answered and (ask.open or ask.waiting):
            raise Unavailable(f"Peer {peer} was too slow.", code="peer-stalled", hint="Retry or ask another peer.")
        return ask.found

    async def _exchange(self, ask: _Ask, frames: Frames) -> None:
        while ask.waiting or ask.open:
            asked = ask.next()
            if asked:
                await frames.write(wants(asked))
                self._wire.traffic.frames_out += 1
            with trio.move_on_after(self._config.read_timeout_s) as scope:
                await ask.news()
            if scope.cancelled_caught:
                # It has fallen silent: take the wants back, so that it sends nothing later for no one.
                await frames.write(wants((cid for cids in ask.open.values() for cid in cids), cancel=True))
                return

    def receive(self, peer: str, message: Received) -> None:
        """Hand what a peer sent to the fetches that asked for it."""
        asks = self._asks.get(peer)
        if not asks:
            if message.blocks:
                self._wire.traffic.drops["block-unasked"] += len(message.blocks)
            return
        for block in message.blocks:
            self._hand_out(asks, block)
        for digest in message.absent:
            for ask in asks:
                ask.take(digest, None)

    def _hand_out(self, asks: list[_Ask], block: bytes) -> None:
        digest = digest_of(block)
        askers = [ask for ask in asks if digest in ask.open]
        if not askers or len(block) > self._config.max_block_bytes:
            self._wire.traffic.drops["block-unasked"] += 1
            return
        self._wire.traffic.frames_in += 1
        for ask in askers:
            ask.take(digest, block)
