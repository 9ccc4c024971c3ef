"""How fast content goes between us and Kubo by bitswap, beside Kubo to Kubo with the same file in the same run."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.figure import Figure
from halle_protocol import unixfs
from halle_protocol.unixfs import Built
from interop.engines import TOOLS
from interop.halle_peer import HallePeer, halle_peer
from interop.kubo_daemon import KuboDaemon

MEGABYTES = 100
RUNS = 3
# What a peer may cost is another question than how fast it goes.
UNBOUND = {"block_requests_per_minute": 10**9, "response_bytes_per_minute": 10**12}


def figures() -> Iterator[Figure]:
    """Yield the best of `RUNS` for each direction; nothing without Kubo."""
    if not (TOOLS / "ipfs").is_file():
        sys.stderr.write("Kubo is missing: run `make tools`. Its figures are left out.\n")
        return
    with tempfile.TemporaryDirectory(prefix="halle-bench-") as name:
        best = asyncio.run(_measure(Path(name)))
    for what, seconds in best.items():
        yield Figure(f"{MEGABYTES} MB in 1 MiB blocks, {what}", MEGABYTES / seconds, "MB/s")


async def _measure(folder: Path) -> dict[str, float]:
    best: dict[str, float] = {}
    with ExitStack() as stack:
        for run in range(RUNS):
            data = os.urandom(MEGABYTES * 1_000_000)
            where = folder / str(run)
            for what, seconds in (await _round(where, stack, unixfs.build_file(data), data)).items():
                best[what] = min(best.get(what, seconds), seconds)
    return best


async def _round(folder: Path, stack: ExitStack, built: Built, data: bytes) -> dict[str, float]:
    """Send one file in every direction; each receiver is empty."""
    source, sink, other = (KuboDaemon(folder / name) for name in ("source", "sink", "other"))
    for daemon in (source, sink, other):
        stack.callback(daemon.stop)
        daemon.start()
    assert source.add(data) == str(built.root)
    took = {}
    async with halle_peer(folder / "full", **UNBOUND) as full:
        full.blocks.put_many(list(built.blocks.items()))
        sink.connect(source.addrs[0])
        took["Kubo to Kubo (bitswap, pinned)"] = await _pinned(sink, built)
        other.connect(full.addr)
        took["Halle to Kubo (bitswap, pinned)"] = await _pinned(other, built)
        async with halle_peer(folder / "kubos", **UNBOUND) as peer:
            took["Kubo to Halle (bitswap, verified and durable)"] = await _fetched(
                peer, source.peer_id, source.addrs, built
            )
        async with halle_peer(folder / "ours", **UNBOUND) as peer:
            took["Halle to Halle (/halle/blocks/1, same process)"] = await _fetched(
                peer, full.network.peer_id, full.network.addrs, built
            )
    for daemon in (source, sink, other):
        daemon.stop()
    return took


async def _pinned(daemon: KuboDaemon, built: Built) -> float:
    begun = time.perf_counter()
    await asyncio.to_thread(daemon.rpc, "pin/add", str(built.root), timeout=600)
    return time.perf_counter() - begun


async def _fetched(peer: HallePeer, name: str, addrs: list[str], built: Built) -> float:
    begun = time.perf_counter()
    await peer.fetch_dag(name, addrs, built.root)
    return time.perf_counter() - begun
