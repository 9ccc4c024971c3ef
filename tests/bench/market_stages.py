"""The processes that the market's figures are measured in: `python tests/bench/market_stages.py STAGE FOLDER …`.

Each stage is a process of its own, so that its memory and its CPU time are its own. It prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import crowd
from bench.figure import percentile, resident_mb
from halle_node.blocks import BlockStore
from halle_node.config import load, paths
from halle_node.db import Database, open_database
from halle_node.db.schema.trade import trade_order
from halle_node.index import IndexService
from halle_node.index.sync import Fetcher
from halle_node.p2p import Network, NetworkConfig, Verdict
from halle_protocol.cid import CID
from halle_protocol.reconcile import ItemSet
from node.index.hall import NOW, Merchant

LOOK_AGAIN_S = 0.02
# A search that sorts everything takes milliseconds; asked too often it would be measured itself.
LOOK_AT_ALL_S = 0.25
SEARCHES = 1_000
VIEWS = 2_000
ORDERS = 500
QUERIES = ("{0}", "{0} {1}", "{0} {1} {2}", "{3}")
STRANGERS_FOLDERS = ("far-a", "far-b")
BIG_FOLDER = "far-big"

Found = dict[str, Any]


class Ears:
    """A network's handlers that take nothing in."""

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


@asynccontextmanager
async def market(home: Path, fetcher: Fetcher, *, running: bool) -> AsyncIterator[tuple[IndexService, Database]]:
    """A node's index in `home`; `running` has its background work done as in a node."""
    config = load(home, {}, {})
    where = paths(config)
    db, blocks = open_database(where["database"]), BlockStore(where["blocks"])
    index = IndexService(config, db, blocks, fetcher, lambda: NOW + 100)
    work = asyncio.create_task(index.run()) if running else None
    try:
        yield index, db
    finally:
        if work is not None:
            work.cancel()
            await asyncio.wait({work})
        await index.close()
        blocks.close()
        db.close()


async def until(is_true: Callable[[], object], *, pause_s: float = LOOK_AGAIN_S) -> None:
    """Return when something holds; it happens in other threads, so there is no event to wait for."""
    while not is_true():
        await asyncio.sleep(pause_s)


async def all_findable(index: IndexService, count: int) -> None:
    """Return when a search finds so many listings."""
    await until(lambda: index.search("", count_facets=False, limit=1).total >= count, pause_s=LOOK_AT_ALL_S)


async def fill(folder: Path, home: Path) -> Found:
    """Have strangers' heads arrive all at once, and wait until every listing can be found."""
    far = crowd.FarSide(*(folder / name for name in STRANGERS_FOLDERS))
    frames = [(frame, str(n)) for n, name in enumerate(STRANGERS_FOLDERS) for frame in crowd.heads(folder / name)]
    wanted = crowd.STRANGERS * crowd.STRANGER_LISTINGS
    async with market(home, far.fetch, running=True) as (index, db):
        begun, spent = time.perf_counter(), time.process_time()
        for frame, peer in frames:
            if index.validate(frame, peer) is Verdict.ACCEPT:
                await index.on_head(frame, peer)
        await all_findable(index, wanted)
        wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - spent
        writes = await order_writes(db)
    return {
        "listings": wanted,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "write_p50_ms": percentile(writes, 0.5),
        "write_p99_ms": percentile(writes, 0.99),
    }


async def order_writes(db: Database) -> list[float]:
    """Return the milliseconds that each of some new orders took until it was on the disk."""
    took = []
    for number in range(ORDERS):
        row = {
            "order_key": f"bench{number:027x}",
            "role": "buyer",
            "order_id": number.to_bytes(32, "big"),
            "merchant": bytes(20),
            "buyer": bytes(20),
            "terms": os.urandom(576),
            "request": os.urandom(2_000),
            "created_at": NOW,
            "updated_at": NOW,
        }
        begun = time.perf_counter()
        await db.write(lambda connection, row=row: connection.execute(trade_order.insert(), row))
        took.append((time.perf_counter() - begun) * 1e3)
    await db.write(lambda connection: connection.execute(trade_order.delete()))
    return took


async def serve(folder: Path) -> None:
    """Serve the big shop's blocks over libp2p until stdin closes."""
    blocks = BlockStore(folder / BIG_FOLDER)
    network = Network(NetworkConfig(), os.urandom(32), blocks, Ears())
    await network.start()
    print(json.dumps({"peer_id": network.peer_id, "addrs": network.addrs}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await network.close()
    blocks.close()


async def follow(folder: Path, home: Path, peer_id: str, addr: str) -> Found:
    """Follow the big shop over libp2p, then hear of one changed listing after another."""
    idle = BlockStore(folder / "none")
    network = Network(NetworkConfig(), os.urandom(32), idle, Ears())
    fetched: list[bytes] = []

    async def fetch(peer: str, addrs: list[str], cids: list[CID]) -> dict[CID, bytes]:
        found = await network.fetch(peer, addrs, cids)
        fetched.extend(found.values())
        return found

    await network.start()
    try:
        await network.connect(addr)
        async with market(home, fetch, running=True) as (index, _):
            return await _follow(index, crowd.heads(folder / BIG_FOLDER), peer_id, fetched)
    finally:
        await network.close()
        idle.close()


async def _follow(index: IndexService, frames: list[bytes], peer_id: str, fetched: list[bytes]) -> Found:
    store = Merchant(crowd.BIG_STORE).store
    await index.follow(store)
    first_s = await _timed(lambda: index.ingest_head(frames[0], peer_id))
    first_bytes = sum(map(len, fetched))
    await all_findable(index, crowd.LISTINGS)
    changes_s, changes_bytes, findable_s = [], [], []
    for number, frame in enumerate(frames[1:]):
        fetched.clear()
        begun = time.perf_counter()
        changes_s.append(await _timed(lambda frame=frame: index.ingest_head(frame, peer_id)))
        changes_bytes.append(sum(map(len, fetched)))
        word = crowd.arrival(number)
        await until(lambda word=word: index.search(word, count_facets=False).total)
        findable_s.append(time.perf_counter() - begun)
    return {
        "first_s": first_s,
        "first_bytes": first_bytes,
        "change_ms": percentile(changes_s, 0.5) * 1e3,
        "change_bytes": max(changes_bytes),
        "findable_p50_s": percentile(findable_s, 0.5),
        "findable_max_s": max(findable_s),
    }


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


async def look(home: Path) -> Found:
    """Open a filled home, search it, and say what it took."""

    async def nobody(peer_id: str, addrs: list[str], cids: list[CID]) -> dict[CID, bytes]:
        return {}

    begun = time.perf_counter()
    async with market(home, nobody, running=False) as (index, _):
        open_s, opened_mb = time.perf_counter() - begun, resident_mb(os.getpid())
        if index.search("").total != crowd.LISTINGS:
            raise RuntimeError("not every listing can be found")
        plain, faceted = (searches(index, count_facets=each) for each in (False, True))
        store = Merchant(crowd.BIG_STORE).store
        begun = time.thread_time()
        for number in range(VIEWS):
            if index.listing(store, f"product-{number % 500}") is None:
                raise RuntimeError("a listing is missing")
        views_s = time.thread_time() - begun
        return {
            "listings": index.stats()["listings"],
            "open_s": open_s,
            "opened_mb": opened_mb,
            "search_p50_ms": percentile(plain, 0.5),
            "search_p99_ms": percentile(plain, 0.99),
            "facets_p50_ms": percentile(faceted, 0.5),
            "facets_p99_ms": percentile(faceted, 0.99),
            "views": VIEWS / views_s,
            "used_mb": resident_mb(os.getpid()),
        }


def searches(index: IndexService, *, count_facets: bool) -> list[float]:
    """Return the milliseconds of CPU that each search took: one to three words, common and rare ones."""
    rng = random.Random(3)
    words = crowd.vocabulary()
    took = []
    for number in range(SEARCHES):
        common, middle, rare = rng.choice(words[:50]), rng.choice(words[50:2_000]), rng.choice(words)
        text = QUERIES[number % len(QUERIES)].format(common, rng.choice(words[:50]), middle, rare)
        begun = time.thread_time()
        index.search(text, locale="fr", count_facets=count_facets)
        took.append((time.thread_time() - begun) * 1e3)
    return took


def main() -> None:
    """Run one stage."""
    stage, folder, *rest = sys.argv[1:]
    if stage == "make":
        crowd.make(Path(folder), int(rest[0]), int(rest[1]))
    elif stage == "make-big":
        crowd.make_big(Path(folder))
    elif stage == "serve":
        asyncio.run(serve(Path(folder)))
    else:
        stages = {"fill": fill, "follow": follow, "look": look}
        arguments = [Path(folder), *(Path(one) for one in rest[:1]), *rest[1:]]
        print(json.dumps(asyncio.run(stages[stage](*arguments))))


if __name__ == "__main__":
    main()
