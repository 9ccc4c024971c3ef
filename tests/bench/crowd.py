"""Stores full of signed listings, made the same every time, and the hand that passes their blocks over.

A listing has three variants, a title of six words and a text of 134 (about 1.6 KB signed). Few words are common, most
are rare, as in any language.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from halle_node.blocks import BlockStore
from halle_protocol.cid import CID
from halle_protocol.head import Announcement
from node.index.hall import Merchant

BIG_STORE = 1
BIG_LISTINGS = 10_000
STRANGERS = 45
STRANGER_LISTINGS = 2_000
LISTINGS = BIG_LISTINGS + STRANGERS * STRANGER_LISTINGS
ARRIVALS = 20
WORDS = 140
SYLLABLES = [a + b for a in "bcdfghjklmnprstv" for b in ("a", "e", "i", "o", "u", "é", "an", "or")]
CATEGORIES = ("Mode", "Maison", "Jardin", "Livres", "Jeux")


def vocabulary() -> list[str]:
    """Return made-up words, the most common first."""
    rng = random.Random(1)
    return sorted({"".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(20_000)})


def arrival(number: int) -> str:
    """Return a word that only one changed listing has."""
    return f"nouveauté{number}"


class Author:
    """Writes listings of ordinary size."""

    def __init__(self, seed: int) -> None:
        self._words = vocabulary()
        self._shares = list(accumulate(1 / (place + 3) ** 0.95 for place in range(len(self._words))))
        self._rng = random.Random(seed)

    def stock_up(self, merchant: Merchant, count: int) -> None:
        """Give a merchant a name and `count` listings."""
        merchant.introduce(f"Store {merchant.number}")
        for number in range(count):
            self.write(merchant, f"product-{number}")

    def write(self, merchant: Merchant, handle: str, extra: str = "") -> None:
        """Give a merchant one listing, or another text for it."""
        words = self._rng.choices(self._words, cum_weights=self._shares, k=WORDS)
        variants = [
            {
                "sku": f"{handle}-{size}",
                "options": {"Size": size},
                "price": {"amount": self._rng.randint(100, 100_000), "currency": "EUR"},
            }
            for size in ("S", "M", "L")
        ]
        merchant.list(
            handle,
            " ".join((*words[:6], extra)).strip().capitalize(),
            description={"texts": {"fr": " ".join(words[6:])}, "fallback": "fr"},
            options=["Size"],
            variants=variants,
            tags=words[6:10],
            categories=[{"value": self._rng.choice(CATEGORIES)}],
        )


def make(folder: Path, first: int, count: int) -> None:
    """Fill the block store `folder` with some strangers' shops, and write their heads beside it."""
    frames = []
    for number in range(first, first + count):
        author, merchant = Author(number), Merchant(number)
        author.stock_up(merchant, STRANGER_LISTINGS)
        frames.append(_published(folder, merchant))
    _note(folder, frames)


def make_big(folder: Path) -> None:
    """Fill the block store `folder` with one big shop: its first head, then one a changed listing."""
    author, merchant = Author(BIG_STORE), Merchant(BIG_STORE)
    author.stock_up(merchant, BIG_LISTINGS)
    frames = [_published(folder, merchant)]
    for number in range(ARRIVALS):
        author.write(merchant, f"product-{7 + 311 * number}", arrival(number))
        frames.append(_published(folder, merchant))
    _note(folder, frames)


def _published(folder: Path, merchant: Merchant) -> bytes:
    frame = merchant.frame()
    blocks = BlockStore(folder)
    blocks.put_many(list(merchant.blocks.items()))
    blocks.close()
    merchant.blocks.clear()
    return frame


def _note(folder: Path, frames: Sequence[bytes]) -> None:
    folder.with_suffix(".json").write_text(json.dumps([frame.hex() for frame in frames]))


def heads(folder: Path) -> list[bytes]:
    """Return the heads that were written beside a block store."""
    return [bytes.fromhex(frame) for frame in json.loads(folder.with_suffix(".json").read_text())]


class FarSide:
    """Stands for the network: hands out the blocks of other people's block stores, read into memory beforehand."""

    def __init__(self, *folders: Path) -> None:
        self._blocks: dict[CID, bytes] = {}
        for folder in folders:
            store = BlockStore(folder)
            for frame in heads(folder):
                root = Announcement.decode(frame).open()[0].catalog
                self._blocks.update((cid, store.get(cid)) for cid in store.walk(root))
            store.close()

    async def fetch(self, peer_id: str, addrs: list[str], cids: list[CID]) -> dict[CID, bytes]:
        """Do what `Network.fetch` does."""
        return {cid: self._blocks[cid] for cid in cids}
