"""The things every part of trade works with, passed in once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from halle_node.db import Database
from halle_node.trade.ports import Blocks, Catalog, Chain, Config, Index, KeyRing, Messages


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
    rules: Rules = Rules()

    @property
    def me(self) -> bytes:
        """Our store's address, which is our buyer's account too."""
        return self.keys.store_address
