"""Two sides of a hall for tests: stores that publish, and a node that listens to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halle_node.blocks import BlockStore
from halle_node.config import load, paths
from halle_node.db import Database, open_database
from halle_node.index import IndexService
from halle_protocol import catalog as tree
from halle_protocol.cid import CID
from halle_protocol.documents import LISTING, PROFILE, REVIEW, sign_document
from halle_protocol.errors import Unavailable
from halle_protocol.grant import Grant, sign_grant
from halle_protocol.head import announce, sign_head
from halle_protocol.keys import address_of

NOW = 1_800_000_000
DAY = 86_400


def listing_body(handle: str, name: str, **changes: Any) -> dict[str, Any]:
    """The body of a listing with one variant."""
    body: dict[str, Any] = {
        "handle": handle,
        "title": {"texts": {"fr": name}, "fallback": "fr"},
        "variants": [{"sku": handle, "price": {"amount": 2_000, "currency": "EUR"}}],
    }
    return body | changes


def priced(amount: int, currency: str = "EUR", availability: str = "in_stock") -> dict[str, Any]:
    """The part of a body that says the price."""
    return {"variants": [{"sku": "s", "price": {"amount": amount, "currency": currency}, "availability": availability}]}


@dataclass
class Merchant:
    """A store made of bare keys; what it publishes is kept in memory."""

    number: int
    seq: int = 0
    blocks: dict[CID, bytes] = field(default_factory=dict)
    items: dict[str, CID] = field(default_factory=dict)
    grant_sequence: int = 1
    served: list[CID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store_key = self.number.to_bytes(31, "big") + b"\1"
        self.operator_key = self.number.to_bytes(31, "big") + b"\2"
        self.store = address_of(self.store_key)

    @property
    def grant(self) -> Grant:
        """What lets the operator publish."""
        operator = address_of(self.operator_key)
        times = {"not_before": NOW - DAY, "not_after": NOW + 365 * DAY}
        return sign_grant(self.store_key, operator, f"peer{self.number}", **times, sequence=self.grant_sequence)

    def put(self, key: str, type_name: str, body: Mapping[str, Any], signer: bytes | None = None) -> CID:
        """Sign a document and place it under a key."""
        private = signer or self.operator_key
        doc = sign_document(private, type_name, self.store, self.seq + 1, NOW + self.seq, dict(body))
        self.blocks[doc.cid] = doc.bytes
        self.items[key] = doc.cid
        return doc.cid

    def list(self, handle: str, name: str, **changes: Any) -> CID:
        """Offer something."""
        return self.put(f"listing/{handle}", LISTING, listing_body(handle, name, **changes))

    def introduce(self, name: str, **changes: Any) -> None:
        """Publish a profile."""
        body = {"name": name, "country": "FR", "currency": "EUR", "peer_id": "", **changes}
        self.put("profile/store", PROFILE, body)

    def review(self, merchant: bytes, handle: str, listing: CID, rating: int, order: int = 1) -> None:
        """Say something of another store's listing."""
        order_id = order.to_bytes(32, "big")
        text = {"texts": {"en": "Well <b>made</b>."}, "fallback": "en"}
        body = {"order_id": order_id, "chain_id": 1, "merchant": merchant, "listing": listing}
        self.put(f"review/{order_id.hex()}", REVIEW, {**body, "handle": handle, "rating": rating, "text": text})

    def frame(self, *, seq: int | None = None, issued: int | None = None, expires: int | None = None) -> bytes:
        """Announce what is on offer now."""
        self.seq = self.seq + 1 if seq is None else seq
        made = tree.build(self.items)
        self.blocks.update(made.blocks)
        at = NOW + self.seq - 1 if issued is None else issued
        head = sign_head(
            self.operator_key,
            self.store,
            self.seq,
            made.root,
            issued=at,
            expires=at + 30 * DAY if expires is None else expires,
            grant=self.grant.cid,
        )
        return announce(head, self.grant).encode()


@dataclass
class Hall:
    """The network between them: hands out merchants' blocks and can be cut."""

    merchants: dict[str, Merchant] = field(default_factory=dict)
    cut: bool = False
    fetched: int = 0

    async def fetch(self, peer_id: str, addrs: list[str], cids: list[CID]) -> dict[CID, bytes]:
        """What `Network.fetch` does."""
        merchant = self.merchants.get(peer_id)
        if self.cut or merchant is None:
            raise Unavailable("Nobody there.", code="peer-unreachable")
        self.fetched += len(cids)
        return {cid: merchant.blocks[cid] for cid in cids if cid in merchant.blocks}

    def merchant(self, number: int) -> Merchant:
        """A merchant who answers as peer<number>."""
        made = Merchant(number)
        self.merchants[f"peer{number}"] = made
        return made


@dataclass
class Listener:
    """One node's index."""

    index: IndexService
    hall: Hall
    db: Database
    blocks: BlockStore
    home: Path

    async def hear(self, merchant: Merchant) -> bool:
        """Take a merchant's newest head and make it findable."""
        done = await self.index.ingest_head(merchant.frame(), f"peer{merchant.number}")
        await self.index.commit_search()
        return done

    def titles(self, text: str = "", **choices: Any) -> list[str]:
        """What a search finds."""
        return [hit.title for hit in self.index.search(text, locale="fr", **choices).hits]


@asynccontextmanager
async def open_listener(
    home: Path, hall: Hall, overrides: Mapping[str, Any] | None = None, **choices: Any
) -> AsyncIterator[Listener]:
    """An index in `home`, closed afterwards."""
    config = load(home, {"index_heap_mb": 15, **(overrides or {})}, {})
    where = paths(config)
    db, blocks = open_database(where["database"]), BlockStore(where["blocks"])
    index = IndexService(config, db, blocks, hall.fetch, lambda: NOW + 100, **choices)
    try:
        yield Listener(index, hall, db, blocks, home)
    finally:
        await index.close()
        blocks.close()
        db.close()
