"""What this node keeps and why, in words that a page or a command can show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from halle_node.catalog.publish import PIN, PIN_BEFORE, PIN_NEXT
from halle_protocol.cid import CID
from halle_protocol.keys import to_checksum

if TYPE_CHECKING:
    from halle_node.node import Node

PINS = {PIN: "edition", PIN_BEFORE: "edition-before", PIN_NEXT: "publishing"}


@dataclass(frozen=True)
class Kept:
    """One reason to keep content.

    `why` is edition, edition-before, publishing, shop, drafts, orders or other; `of` is the shop or the pin's name.
    `missing` are blocks that would be needed and are not here. Units: bytes.
    """

    why: str
    of: str
    root: CID | None
    blocks: int
    bytes: int
    missing: int


def kept_content(node: Node) -> list[Kept]:
    """Return every reason, the one with the most bytes first. Reads all documents: ask in a worker thread."""
    found = [_of_pin(node, pin.name, pin.cid, pin.blocks, pin.bytes, pin.missing) for pin in node.blocks.pinned()]
    for why, roots in (("drafts", node.catalog.kept()), ("orders", node.trade.kept())):
        found += [_of_roots(node, why, roots)] if roots else []
    return sorted(found, key=lambda one: -one.bytes)


def _of_pin(node: Node, name: str, root: CID, blocks: int, size: int, missing: int) -> Kept:
    if name.startswith("store/"):
        store = bytes.fromhex(name.removeprefix("store/"))
        view = node.index.store(store)
        return Kept("shop", (view.name if view else "") or to_checksum(store), root, blocks, size, missing)
    why = PINS.get(name, "other")
    return Kept(why, "" if why != "other" else name, root, blocks, size, missing)


def _of_roots(node: Node, why: str, roots: Iterable[CID]) -> Kept:
    sized = node.blocks.size_under(roots)
    return Kept(why, "", None, sized.blocks, sized.bytes, sized.missing)
