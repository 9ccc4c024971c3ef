"""What it costs to bring strangers' listings in and to find them again, with 100,000 of them on one node."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import crowd
from bench.figure import Figure, at_least, at_most, resident_mb
from bench.market_stages import BIG_FOLDER, STRANGERS_FOLDERS
from halle_cli.demo.actors import ChainProcess, NodeProcess

STAGES = Path(__file__).with_name("market_stages.py")
COUNT = f"{crowd.LISTINGS:,}"


def figures() -> Iterator[Figure]:
    """Yield every figure of the market."""
    with tempfile.TemporaryDirectory(prefix="halle-bench-") as name:
        folder = Path(name)
        chain = ChainProcess(folder / "chain")
        node = NodeProcess("Bench", folder / "home", chain.rpc_url)
        node.init()
        make_stores(folder)
        yield from ingest_figures(stage("fill", folder, node.home))
        yield from follow_figures(followed(folder, node.home))
        yield from search_figures(stage("look", node.home))
        yield from whole_node_figures(chain, node)


def stage(*arguments: str | Path) -> dict[str, Any]:
    """Run one stage in a process of its own and return what it found."""
    command = [sys.executable, str(STAGES), *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return found


def make_stores(folder: Path) -> None:
    """Sign all listings, on two cores."""
    first, half = crowd.BIG_STORE + 1, crowd.STRANGERS // 2
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(stage, "make", folder / STRANGERS_FOLDERS[0], str(first), str(half)),
            pool.submit(stage, "make", folder / STRANGERS_FOLDERS[1], str(first + half), str(crowd.STRANGERS - half)),
            pool.submit(stage, "make-big", folder / BIG_FOLDER),
        ]
        for job in jobs:
            job.result()


def followed(folder: Path, home: Path) -> dict[str, Any]:
    """Serve the big shop in one process and follow it in another."""
    command = [sys.executable, str(STAGES), "serve", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        where = json.loads(server.stdout.readline())
        try:
            return stage("follow", folder, home, where["peer_id"], where["addrs"][0])
        finally:
            server.communicate()


def ingest_figures(found: dict[str, Any]) -> Iterator[Figure]:
    """Yield what it took to bring strangers in: head, catalog, documents, rows, search; not their sending."""
    count = found["listings"]
    yield at_least(f"ingest {count:,} listings of 1.6 KB until searchable, wall", count / found["wall_s"], "/s", 3_000)
    yield at_least("ingest, per core CPU", count / found["cpu_s"], "/s", 4_000)
    yield Figure("durable order write p50", found["write_p50_ms"], "ms")
    yield at_most("durable order write p99 (synchronous=FULL)", found["write_p99_ms"], "ms", 20)


def follow_figures(found: dict[str, Any]) -> Iterator[Figure]:
    """Yield what it took to follow a shop of 10,000 listings over libp2p on loopback."""
    shop = f"{crowd.BIG_LISTINGS:,}-listing shop"
    yield at_most(f"follow a {shop} over loopback libp2p", found["first_s"], "s", 10)
    yield Figure(f"follow a {shop}: blocks fetched", found["first_bytes"] / 2**20, "MB")
    yield at_most(f"{shop}, 1 changed: bytes fetched, most of {crowd.ARRIVALS}", found["change_bytes"] / 1024, "KB", 20)
    yield Figure(f"{shop}, 1 changed: synced, p50", found["change_ms"], "ms")
    yield Figure("changed listing searchable after its head, p50", found["findable_p50_s"], "s")
    yield Figure(f"changed listing searchable, slowest of {crowd.ARRIVALS}", found["findable_max_s"], "s")


def search_figures(found: dict[str, Any]) -> Iterator[Figure]:
    """Yield what searches take in a process that opened the filled home."""
    if found["listings"] != crowd.LISTINGS:
        raise RuntimeError(f"{found['listings']} listings instead of {COUNT}")
    yield Figure(f"search at {COUNT} listings p50, CPU", found["search_p50_ms"], "ms")
    yield at_most(f"search at {COUNT} listings p99, CPU", found["search_p99_ms"], "ms", 5)
    yield Figure("search with facet counts p50, CPU", found["facets_p50_ms"], "ms")
    yield Figure("search with facet counts p99, CPU", found["facets_p99_ms"], "ms")
    yield Figure("listing with store and reviews from the index, CPU", found["views"], "/s")
    yield Figure(f"open the index of {COUNT} listings", found["open_s"], "s")
    yield Figure(f"memory of the index alone, {COUNT} listings, opened", found["opened_mb"], "MB")
    yield Figure("memory of the index alone, after 2,000 searches", found["used_mb"], "MB")


def whole_node_figures(chain: ChainProcess, node: NodeProcess) -> Iterator[Figure]:
    """Yield the memory of `halle up` on the filled home."""
    try:
        chain.start()
        node.start()
        assert node.process is not None
        for word in crowd.vocabulary()[:200]:
            node.api.get("/search", q=word)
        used_mb = resident_mb(node.process.pid)
        yield at_most(f"memory of a whole node, {COUNT} listings, after 200 searches", used_mb, "MB", 250)
    finally:
        node.stop()
        chain.stop()
