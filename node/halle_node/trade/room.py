"""The things every part of trade works with, passed in once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar, cast

from halle_node.db import Database
from halle_node.trade.ports import Blocks, Catalog, Chain, Config, Fetch, Index, KeyRing, Messages
from halle_protocol.cid import CID
from halle_protocol.errors import Refused


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


Door = TypeVar("Door", bound=Callable[..., Coroutine[Any, Any, Any]])


def promises(door: Door) -> Door:
    """Close a door while another machine runs this store: nothing that binds it is signed, sent or paid here.

    Shape: `door` is a method of what has a `_room`. What the node does by itself stops in `duties` and `background`,
    publishing in `catalog.publish`.
    Raises: Refused replaced-elsewhere.
    """

    @wraps(door)
    async def guarded(self: Any, *args: Any, **form: Any) -> Any:
        if self._room.is_replaced():
            raise Refused(
                "Another machine runs this store now; this one only looks on.",
                code="replaced-elsewhere",
                hint="Use that one. To make this the store again: halle product publish --replace",
            )
        return await door(self, *args, **form)

    return cast("Door", guarded)
