"""Bitswap, serving only: Kubo and Helia fetch from us; Halle nodes use /halle/blocks/1 among themselves.

Repairs of py-libp2p 0.8.1: it answers on the asker's stream, where go and js never read; it loads every block
of a want-list into memory before it sends the first; it stores whatever blocks a peer pushes.
"""

from __future__ import annotations

from typing import Any

import trio
from libp2p.bitswap import BitswapClient
from libp2p.bitswap.block_store import BlockStore as UpstreamStore
from libp2p.bitswap.cid import get_cid_prefix, parse_cid
from libp2p.bitswap.config import BITSWAP_PROTOCOL_V100

from halle_node.blocks import BlockStore
from halle_node.p2p.wire import Wire
from halle_protocol.cid import CID, RAW, cid_of
from halle_protocol.errors import HalleError

MAX_ENTRIES = 1024
BATCH_BYTES = 2 * 1024 * 1024
_WANT_HAVE = 1
_MULTIHASH_PREFIX = b"\x12\x20"
_RAW_PREFIX = bytes(cid_of(RAW, b""))[:4]

_Block = tuple[bytes, bytes]
"""The CID without its digest, and the bytes."""


class ReadOnlyBlocks(UpstreamStore):  # type: ignore[misc]
    """Our block store as the library expects one; blocks pushed by peers are not taken."""

    def __init__(self, store: BlockStore) -> None:
        self._store = store

    async def get_block(self, cid: Any) -> bytes | None:
        ours = _ours(cid)
        if ours is None:
            return None
        try:
            return await trio.to_thread.run_sync(self._store.get, ours)
        except HalleError:
            return None

    async def has_block(self, cid: Any) -> bool:
        ours = _ours(cid)
        return ours is not None and self._store.has(ours)

    async def put_block(self, cid: Any, data: bytes) -> None:
        return None

    async def delete_block(self, cid: Any) -> None:
        return None

    def get_all_cids(self) -> list[bytes]:
        return []


def _ours(cid: Any) -> CID | None:
    """Blocks are stored by digest, so any CID of a sha2-256 finds them, version 0 too."""
    multihash = bytes(parse_cid(cid).multihash)
    if len(multihash) != 34 or not multihash.startswith(_MULTIHASH_PREFIX):
        return None
    return CID.from_bytes(_RAW_PREFIX + multihash[2:])


class BitswapServer(BitswapClient):  # type: ignore[misc]
    def __init__(self, wire: Wire, store: BlockStore) -> None:
        super().__init__(wire.host, ReadOnlyBlocks(store))
        self._wire = wire

    async def _process_message(self, msg: Any, peer_id: Any, stream: Any) -> None:
        if not msg.HasField("wantlist"):
            return
        wants = [entry for entry in msg.wantlist.entries if not entry.cancel][:MAX_ENTRIES]
        protocol = str(stream.get_protocol() or BITSWAP_PROTOCOL_V100)
        if wants and self._wire.ledger.take(str(peer_id), "blocks"):
            await self._answer(wants, peer_id, protocol)

    async def _answer(self, wants: list[Any], peer_id: Any, protocol: str) -> None:
        blocks: list[_Block] = []
        presences: list[tuple[Any, bool]] = []
        size = 0
        for entry in wants:
            cid = parse_cid(entry.block)
            if entry.wantType == _WANT_HAVE or not await self.block_store.has_block(cid):
                await self._note_presence(entry, cid, presences)
                continue
            data = await self.block_store.get_block(cid)
            if data is None or not self._wire.ledger.take(str(peer_id), "block-bytes", len(data)):
                continue
            blocks.append((get_cid_prefix(cid), data))
            size += len(data)
            if size >= BATCH_BYTES:
                await self._send(peer_id, protocol, blocks, [])
                blocks, size = [], 0
        await self._send(peer_id, protocol, blocks, presences)

    async def _note_presence(self, entry: Any, cid: Any, presences: list[tuple[Any, bool]]) -> None:
        has = await self.block_store.has_block(cid)
        if has or entry.sendDontHave or entry.wantType == _WANT_HAVE:
            presences.append((cid, has))

    async def _send(
        self,
        peer_id: Any,
        protocol: str,
        blocks: list[tuple[bytes, bytes]],
        presences: list[tuple[Any, bool]],
    ) -> None:
        """Answer on a new stream, as go and js expect."""
        if not blocks and not presences:
            return
        old = protocol == BITSWAP_PROTOCOL_V100
        with trio.fail_after(self._wire.config.request_timeout_s):
            stream = await self.host.new_stream(peer_id, [protocol])
            try:
                await self._send_wantlist_responses_inline(
                    stream,
                    peer_id,
                    [data for _, data in blocks] if old else [],
                    [] if old else blocks,
                    presences,
                )
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(2):
                    await stream.close()
        self._wire.traffic.frames_out += len(blocks)
        self._wire.traffic.count(0, sum(len(data) for _, data in blocks))
