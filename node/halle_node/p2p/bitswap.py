"""Bitswap with the rest of IPFS: Kubo and Helia fetch from us and we from them; Halle nodes use /halle/blocks/1.

Written on our own frames, because py-libp2p's engine is not fit: it answers on the asker's stream, where go and js
never read; it loads every block of a want-list into memory before it sends the first; it stores whatever a peer
pushes; it reads lengths byte by byte. Nothing that was not asked for is kept, or even hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from weakref import WeakValueDictionary

import trio

from halle_node.blocks import BlockStore
from halle_node.p2p.bitswap_fetch import BitswapFetch
from halle_node.p2p.bitswap_message import (
    MAX_MESSAGE_BYTES,
    PROTOCOLS,
    V120,
    Want,
    blocks_frame,
    parse,
    presences_frame,
)
from halle_node.p2p.framing import Frames
from halle_node.p2p.wire import Wire
from halle_protocol.cid import CID
from halle_protocol.errors import HalleError

# Others keep a stream open for their next want-list; an idle one costs a task and some kilobytes.
IDLE_S = 120.0
# One message holds less than this and one more block: Helia resets the stream at 2 MiB, Kubo at 4 MiB.
BATCH_BYTES = 512 * 1024
LOADED_AT_ONCE = 16
_AGAIN_S = 0.1

_Loaded = list[tuple[Want, bytes | None]]


class Bitswap:
    """Both directions; network thread only."""

    def __init__(self, wire: Wire, store: BlockStore) -> None:
        self._wire = wire
        self._store = store
        self._fetch = BitswapFetch(wire)
        # A peer's want-lists are answered in turn, and few at a time are in memory, whatever peers do.
        self._turns: WeakValueDictionary[str, trio.Lock] = WeakValueDictionary()
        self._loading = trio.CapacityLimiter(LOADED_AT_ONCE)
        for protocol in PROTOCOLS:
            wire.serve(protocol, partial(self._serve, protocol))

    async def fetch(self, peer: str, addrs: Sequence[str], cids: Sequence[CID]) -> dict[CID, bytes]:
        """Return those of `cids` that an IPFS peer has, each checked against its CID.

        Raises: Unavailable.
        """
        return await self._fetch.fetch(peer, addrs, cids)

    async def _serve(self, protocol: str, frames: Frames, peer: str) -> None:
        frames.allow(IDLE_S)
        while (frame := await frames.read_or_end(MAX_MESSAGE_BYTES)) is not None:
            message = parse(frame)
            self._wire.traffic.frames_in += 1
            self._fetch.receive(peer, message)
            if message.wants:
                await self._answer(message.wants, peer, protocol)

    async def _answer(self, wants: Sequence[Want], peer: str, protocol: str) -> None:
        """Answer in the order asked, without holding more than a batch."""
        async with self._turns.setdefault(peer, trio.Lock()), AsyncExitStack() as stack:
            if not await self._afford(peer, "blocks", 1):
                return
            reply = _Reply(self._wire, stack, peer, protocol)
            waiting = list(wants)
            presences: list[tuple[bytes, bool]] = []
            while waiting:
                async with self._loading:
                    batch, waiting = await trio.to_thread.run_sync(self._load, waiting)
                    await self._send(reply, batch)
                presences += [(w.key, b is not None) for w, b in batch if (w.have if b is not None else w.tell)]
            if presences and protocol == V120:
                await reply.write(presences_frame(presences))

    def _load(self, waiting: list[Want]) -> tuple[_Loaded, list[Want]]:
        """Read blocks in a worker thread until a batch is full; what is only asked about is not read."""
        batch: _Loaded = []
        size = 0
        for index, want in enumerate(waiting):
            block = self._read(want)
            batch.append((want, block))
            size += len(block or b"")
            if size >= BATCH_BYTES:
                return batch, waiting[index + 1 :]
        return batch, []

    def _read(self, want: Want) -> bytes | None:
        if not want.prefix:
            return None
        try:
            if want.have:
                return b"" if self._store.has(want.cid) else None
            block = self._store.get(want.cid)
        except HalleError:
            return None  # missing or damaged here: the asker can only look elsewhere
        return block if len(block) <= self._wire.config.max_block_bytes else None

    async def _send(self, reply: _Reply, batch: _Loaded) -> None:
        blocks = [(want.prefix, block) for want, block in batch if block is not None and not want.have]
        if not blocks or not await self._afford(reply.peer, "block-bytes", sum(len(block) for _, block in blocks)):
            return
        await reply.write(blocks_frame(blocks, reply.protocol))
        self._wire.traffic.frames_out += len(blocks)

    async def _afford(self, peer: str, lane: str, amount: float) -> bool:
        """Wait for the peer's budget: an answer left out would have it wait in vain. False when it takes too long."""
        with trio.move_on_after(self._wire.config.request_timeout_s):
            while not self._wire.ledger.take(peer, lane, amount):  # noqa: ASYNC110  a bucket fills with time alone
                await trio.sleep(_AGAIN_S)
            while lane == "block-bytes" and not self._wire.upload.take(int(amount)):  # noqa: ASYNC110
                await trio.sleep(_AGAIN_S)
            return True
        self._wire.traffic.drops["rate-limited"] += 1
        return False


class _Reply:
    """A stream of ours to the asker, as go and js expect; opened when there is something to say."""

    def __init__(self, wire: Wire, stack: AsyncExitStack, peer: str, protocol: str) -> None:
        self.peer = peer
        self.protocol = protocol
        self._wire = wire
        self._stack = stack
        self._frames: Frames | None = None

    async def write(self, frame: bytes) -> None:
        if self._frames is None:
            self._frames = await self._stack.enter_async_context(self._wire.opened(self.peer, [], self.protocol))
        await self._frames.write(frame)
