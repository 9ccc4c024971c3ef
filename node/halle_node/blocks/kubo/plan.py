"""What a daemon must hold of a store, and under which pins."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from halle_node.blocks.store import BlockStore, links_of
from halle_protocol import cid as cids
from halle_protocol.cid import CID
from halle_protocol.errors import Unavailable
from halle_protocol.head import Head


@dataclass(frozen=True)
class Pin:
    kind: str
    recursive: bool


@dataclass
class Plan:
    """`blocks` are in the order found, parents first; `known` ones and what is below them are left out. `whole` are
    those of them that stand under a recursive pin.
    """

    pins: dict[CID, Pin] = field(default_factory=dict)
    blocks: list[CID] = field(default_factory=list)
    whole: set[CID] = field(default_factory=set)


def make_plan(store: BlockStore, head: Head, known: Collection[CID] = frozenset()) -> Plan:
    """Plan for one head. `known` are blocks that the daemon holds with everything below them.

    The roots are pinned recursively. A review links to another shop's listing, whose pictures need not be here; a
    daemon asked to pin such a root would look for them for ever. There the pages on the way are pinned one by one, and
    recursively whatever is whole.
    """
    return _Walk(store, known).run(head)


class _Walk:
    def __init__(self, store: BlockStore, known: Collection[CID]) -> None:
        self._store = store
        self._known = known
        self._children: dict[CID, list[CID]] = {}
        self.whole: dict[CID, bool] = {}
        self.plan = Plan()

    def run(self, head: Head) -> Plan:
        for kind, root in (("catalog", head.catalog), ("site", head.site)):
            if root is not None:
                self.look(root)
                self._pin(root, kind)
        self.plan.whole = {cid for cid in self.plan.blocks if self.whole[cid]}
        for kind, single in (("head", head.cid), ("grant", head.grant)):
            if single is not None and self._store.has(single):
                self.plan.pins.setdefault(single, Pin(kind, recursive=False))
                if single not in self._known and single not in self._children:
                    self.plan.blocks.append(single)
        return self.plan

    def look(self, root: CID) -> None:
        """Note of everything below `root` whether it is whole. Without recursion: a store decides its own depth."""
        waiting: list[tuple[CID, bool]] = [(root, False)]
        while waiting:
            cid, is_done = waiting.pop()
            if is_done:
                self.whole[cid] = all(self.whole[child] for child in self._children[cid])
            elif cid in self._known:
                self.whole[cid] = True
            elif cid not in self.whole and self._open(cid):
                waiting.append((cid, True))
                waiting.extend((child, False) for child in self._children[cid])

    def _open(self, cid: CID) -> bool:
        """Read one block and list it; False when nothing is left to find out."""
        if cid in self._children:
            return False
        try:
            found = list(dict.fromkeys(self._links(cid)))
        except Unavailable:
            self.whole[cid] = False
            return False
        self._children[cid] = found
        self.plan.blocks.append(cid)
        if not found:
            self.whole[cid] = True
        return bool(found)

    def _links(self, cid: CID) -> list[CID]:
        if cid.codec != cids.RAW:
            return links_of(cid, self._store.get(cid))
        if not self._store.has(cid):
            raise Unavailable(f"Block {cid} is not here.", code="block-missing")
        return []

    def _pin(self, root: CID, kind: str) -> None:
        waiting = [root]
        while waiting:
            cid = waiting.pop()
            if cid in self.plan.pins or (cid not in self._children and not self.whole.get(cid)):
                continue
            whole = self.whole[cid]
            self.plan.pins[cid] = Pin(kind if cid == root else f"{kind} part", recursive=whole)
            if not whole:
                waiting.extend(self._children[cid])


def reached(store: BlockStore, roots: Iterable[CID]) -> set[CID]:
    """Return everything below some roots that are whole here; nothing of those that are not."""
    found: set[CID] = set()
    for root in roots:
        walk = _Walk(store, found)
        walk.look(root)
        if walk.whole[root]:
            found.update(walk.plan.blocks)
    return found
