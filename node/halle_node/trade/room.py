"""The things every part of trade works with, passed in once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from halle_node.db import Database
from halle_node.trade.ports import Blocks, Catalog, Chain, Config, Fetch, Index, KeyRing, Messages
from halle_protocol.cid import CID


@dataclass(frozen=True)
class Rules:
    """How much of a merchant's work the node does alone.

    Units: `reservation_s` is how long stock waits for the money after a quote, `tick_s` the pause between rounds.
    """

    quote_by_itself: bool = True
    accept_offers_by_itself: bool = True
    claim_by_itself: bool = True
    reservation_s: int = 3_600
    tick_s: float = 2.0


class ChainClock:
    """The chain's time, as far as it was ahead of or behind our clock when last asked.

    Units: `asked_at` in unix seconds of our clock.
    """

    def __init__(self) -> None:
        self.ahead_s = 0
        self.asked_at = 0


@dataclass(frozen=True)
class Room:
    """One store's trade: its neighbours, its clock and its rules."""

    config: Config
    db: Database
    keys: KeyRing
    catalog: Catalog
    index: Index
    messages: Messages
    chain: Chain
    clock: Callable[[], int]
    blocks: Blocks
    whereabouts: Callable[[], Sequence[str]] = tuple
    announce: Callable[[Any], Awaitable[None]] | None = None
    fetch: Fetch | None = None
    is_replaced: Callable[[], bool] = lambda: False
    """Another machine runs this store with a later grant."""
    rules: Rules = Rules()
    chain_clock: ChainClock = field(default_factory=lambda: ChainClock())

    @property
    def me(self) -> bytes:
        """Our store's address, which is our buyer's account too."""
        return self.keys.store_address

    async def erase_blocks(self, cids: Iterable[CID]) -> None:
        """Remove blocks and every trace of deleted rows from the disk."""
        await asyncio.to_thread(self.blocks.erase, cids)
        await self.db.compact()

    async def ask_chain_time(self) -> int:
        """Return the chain's time and remember how it differs from ours."""
        time: int = await self.chain.client.time()
        self.chain_clock.asked_at = self.clock()
        self.chain_clock.ahead_s = time - self.chain_clock.asked_at
        return time

    def chain_time(self) -> int:
        """Return the chain's time as last known, for code that cannot wait."""
        return self.clock() + self.chain_clock.ahead_s
