"""What this node hands to strangers over HTTP: everything below a pin or a followed store's head, and nothing else.

A block store also holds what the index read from stores nobody here vouched for, and pictures of drafts. A gateway
that served those would lend this machine and its name to whoever fills the market.

Rule: a block is offered only when a root reaches it. Roots are asked for again after a second; what they reach is
worked out in a thread, and until that is done the answer of before holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from threading import Lock

from halle_node.blocks.dag import links_of
from halle_node.blocks.store import BlockStore
from halle_protocol import cid as cids
from halle_protocol.cid import CID
from halle_protocol.errors import Unavailable

log = logging.getLogger(__name__)

ROOTS_FRESH_S = 1.0
# What is offered is remembered, about 100 bytes a block; beyond this the last roots are cut short.
MAX_OFFERED = 500_000


class Offer:
    """Safe from any thread; `has` is for the event loop."""

    def __init__(
        self, blocks: BlockStore, roots: Callable[[], Iterable[CID]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._blocks = blocks
        self._roots = roots
        self._clock = clock
        self._lock = Lock()
        self._known: tuple[CID, ...] | None = None
        self._asked_at = 0.0
        # Links of every block with links; blocks without any are only in `_offered`.
        self._links: dict[bytes, tuple[CID, ...]] = {}
        self._offered: frozenset[bytes] = frozenset()

    async def has(self, cid: CID) -> bool:
        """True when a stranger may have this block from us."""
        if self._clock() - self._asked_at >= ROOTS_FRESH_S or self._known is None:
            await asyncio.to_thread(self.refresh)
        return cid.digest in self._offered and self._blocks.has(cid)

    def refresh(self) -> None:
        """Work out anew what is offered, if the roots have changed. Blocking."""
        with self._lock:
            if self._known is not None and self._clock() - self._asked_at < ROOTS_FRESH_S:
                return
            roots = tuple(self._roots())
            if roots != self._known:
                self._reach(roots)
                self._known = roots
            self._asked_at = self._clock()

    def _reach(self, roots: tuple[CID, ...]) -> None:
        """Blocks are immutable: only those that were not below the old roots are read. The first roots count most."""
        links: dict[bytes, tuple[CID, ...]] = {}
        offered: set[bytes] = set()
        waiting = list(reversed(roots))
        while waiting and len(offered) < MAX_OFFERED:
            cid = waiting.pop()
            if cid.digest in offered:
                continue
            if cid.codec == cids.RAW:
                offered.add(cid.digest)
                continue
            found = self._links.get(cid.digest)
            if found is None:
                found = self._read(cid)
            if found is None:
                continue
            offered.add(cid.digest)
            links[cid.digest] = found
            waiting.extend(found)
        if waiting:
            log.warning("more is followed than the gateway offers: it stops at %d blocks", MAX_OFFERED)
        self._links, self._offered = links, frozenset(offered)

    def _read(self, cid: CID) -> tuple[CID, ...] | None:
        try:
            return tuple(links_of(cid, self._blocks.get(cid)))
        except Unavailable:
            return None
