"""Our own network over a block store, without the rest of a node."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halle_node.blocks import BlockStore
from halle_node.p2p import Network, NetworkConfig, Verdict
from halle_protocol import unixfs
from halle_protocol.cid import CID
from halle_protocol.reconcile import ItemSet


class Ears:
    """Takes nothing in."""

    def validate(self, frame: bytes, from_peer: str) -> Verdict:
        return Verdict.IGNORE

    async def on_head(self, frame: bytes, from_peer: str) -> None:
        return None

    async def on_message(self, envelope: bytes, from_peer: str) -> None:
        return None

    def head_items(self) -> ItemSet:
        return ItemSet()

    def head_frames(self, ids: Sequence[bytes]) -> list[bytes]:
        return []


@dataclass
class HallePeer:
    network: Network
    blocks: BlockStore

    @property
    def addr(self) -> str:
        """Return one full address to dial."""
        return self.network.addrs[0]

    async def fetch_dag(self, peer: str, addrs: Sequence[str], root: CID) -> int:
        """Fetch and store everything below a root, level by level; return how many blocks came."""
        level, count = [root], 0
        while level:
            found = await self.network.fetch(peer, addrs, level)
            assert set(found) == set(level)
            self.blocks.put_many(list(found.items()))
            count += len(found)
            level = self.blocks.missing(link for cid, block in found.items() for link in unixfs.links(cid, block))
        return count


@asynccontextmanager
async def halle_peer(folder: Path, **settings: Any) -> AsyncIterator[HallePeer]:
    """Be on the network from an empty folder."""
    blocks = BlockStore(folder / "blocks")
    network = Network(NetworkConfig(**settings), os.urandom(32), blocks, Ears())
    await network.start()
    try:
        yield HallePeer(network, blocks)
    finally:
        await network.close()
        blocks.close()
        _collect_sockets()


def _collect_sockets() -> None:
    """py-libp2p leaves a socket to the garbage collector when it is closed in the middle of something. Real nodes end
    their process then; here the warning would hit whatever test comes next.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
