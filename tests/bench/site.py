"""The static shop of 10,000 listings: made once, brought up to date after one change, and how large it is."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure, at_most
from halle_node.blocks import BlockStore
from halle_node.catalog.site import SitePlan, build_site, commit_site
from halle_node.db import open_database
from halle_protocol import catalog as tree
from halle_protocol.cid import CID, RAW, cid_of
from halle_protocol.documents import LISTING, PROFILE, sign_document
from halle_storefront.site import StaticShop

LISTINGS = 10_000
KEY, STORE, NOW = b"\x21" * 32, b"\x22" * 20, 1_800_000_000
WORDS = ("lin", "grès", "laine", "miel", "ardoise", "chêne", "bleue", "haute", "petite", "écharpe", "bol", "vase")
TEXT = {"fr": "Fait main à Roubaix, une pièce à la fois. " * 8, "en": "Made by hand in Roubaix, one at a time. " * 8}


def figures() -> Iterator[Figure]:
    """Yield every figure of the static shop."""
    with tempfile.TemporaryDirectory(prefix="halle-bench-") as name:
        blocks, db = BlockStore(Path(name) / "blocks"), open_database(Path(name) / "node.db")
        try:
            listings, documents = stock(blocks)
            root = publish(blocks, documents)
            renderer = StaticShop()

            def make(catalog: CID) -> tuple[float, SitePlan]:
                begun = time.process_time()
                plan = db.read(lambda connection: build_site(connection, blocks, renderer, catalog))
                took = time.process_time() - begun
                db.write_blocking(lambda connection: commit_site(connection, plan))
                return took, plan

            took, plan = make(root)
            yield Figure(f"static shop of {LISTINGS:,} listings, made the first time", took, "s of CPU")
            size = sum(kept.tsize for path, kept in plan.made.items() if not path.startswith("img/")) / 1e6
            yield Figure("  its pages, styles and search index", size, "MB")
            yield Figure("  its files", len(plan.made), "files")
            changed = listing(blocks, 77, price=9_900)
            documents["listing/" + listings[77]] = changed
            took, plan = make(publish(blocks, documents))
            yield at_most("  one listing changed", took, "s of CPU", 2)
            yield Figure("  files made anew for it", len(plan.made), "files")
            cold = StaticShop()
            begun = time.process_time()
            sum(1 for _ in cold.files(root, blocks.get))
            yield Figure("  read anew after a restart", time.process_time() - begun, "s of CPU")
        finally:
            blocks.close()
            db.close()


def stock(blocks: BlockStore) -> tuple[list[str], dict[str, CID]]:
    """Sign and store every document; return the handles, and the documents by key."""
    handles = [f"piece-{number}" for number in range(LISTINGS)]
    documents = {f"listing/{handles[number]}": listing(blocks, number) for number in range(LISTINGS)}
    body = {"name": "Atelier", "languages": ["fr", "en"], "fallback": "fr", "country": "FR", "currency": "EUR"}
    documents["profile/store"] = _store(blocks, PROFILE, body)
    return handles, documents


def publish(blocks: BlockStore, documents: dict[str, CID]) -> CID:
    """Store the catalog's tree and return its root."""
    made = tree.build(documents)
    blocks.put_many(list(made.blocks.items()))
    return made.root


def listing(blocks: BlockStore, number: int, price: int = 2_500) -> CID:
    """Store a listing with a picture of its own."""
    picture = b"RIFF\0\0\0\0WEBP" + hashlib.sha256(str(number).encode()).digest() * 60
    cid = cid_of(RAW, picture)
    title = f"{WORDS[number % 12]} {WORDS[number // 12 % 12]} {WORDS[number // 144 % 12]} {number}"
    body = {
        "handle": f"piece-{number}",
        "title": {"texts": {"fr": title, "en": title}, "fallback": "fr"},
        "description": {"texts": TEXT, "fallback": "fr"},
        "media": [{"cid": cid, "width": 800, "height": 800, "mime": "image/webp"}],
        "variants": [{"sku": f"P{number}", "price": {"amount": price, "currency": "EUR"}}],
    }
    document = sign_document(KEY, LISTING, STORE, 1, NOW + number, body)
    blocks.put_many([(cid, picture), (document.cid, document.bytes)])
    return document.cid


def _store(blocks: BlockStore, kind: str, body: dict[str, object]) -> CID:
    document = sign_document(KEY, kind, STORE, 1, NOW, body)
    blocks.put(document.cid, document.bytes)
    return document.cid
