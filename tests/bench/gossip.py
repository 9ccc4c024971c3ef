"""What gossip carries: heads a second without loss over 2, 8 and 16 nodes, beside js-libp2p nodes in the same topology.

Each node is a process of its own and is linked to six others; the heads leave from all nodes by turns, evenly in time.
Every rate is tried for some seconds; the highest counts at which every node got every head and 99 of 100 came within a
second.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figure import Figure, at_least, percentile
from interop.engines import node_js
from node.index.hall import Merchant
from node.p2p.crowd import Box, Crowd

JS = Path(__file__).resolve().parents[1] / "interop" / "js"
SIZES = (2, 8, 16)
RATES = (10, 25, 50, 100, 200, 400, 800)
SECONDS = 4.0
SETTLE_S = 3.0
LINKS = 6
FRAME_BYTES = 600
MAX_P99_S = 1.0
BAR = 100.0


@dataclass(frozen=True)
class Run:
    """One rate on one crowd. Units: seconds."""

    rate: float
    lost: int
    p50_s: float
    p99_s: float
    cpu_per_delivery_s: float

    @property
    def holds(self) -> bool:
        return self.lost == 0 and self.p99_s <= MAX_P99_S


def figures() -> Iterator[Figure]:
    """Yield every figure of gossip."""
    for size in SIZES:
        ours, theirs = best(size, "py"), best(size, "js")
        for name, run in (("", ours), (", js-libp2p", theirs)):
            what = f"gossip, {size} nodes{name}"
            yield Figure(f"{what}: heads without loss", run.rate, "/s")
            yield Figure(f"{what}: p50", run.p50_s * 1e3, "ms")
            yield Figure(f"{what}: p99", run.p99_s * 1e3, "ms")
            yield Figure(f"{what}: CPU per head and node", run.cpu_per_delivery_s * 1e3, "ms")
    run = best(2, "index")
    yield at_least("live gossip on one node with its index: heads without loss", run.rate, "/s", BAR)
    yield Figure("live gossip with its index: p99", run.p99_s * 1e3, "ms")
    yield Figure("live gossip with its index: CPU per head end to end", run.cpu_per_delivery_s * 1e3, "ms")


def best(size: int, kind: str) -> Run:
    """Return the highest rate that holds, or the lowest that was tried."""
    return asyncio.run(_best(size, kind))


async def _best(size: int, kind: str) -> Run:
    with tempfile.TemporaryDirectory(prefix="halle-bench-") as folder:
        fast = {"heads_per_minute": 1e6, "heads_per_minute_all": 1e6, "sync_interval_s": 3600.0}
        crowd = Crowd(Path(folder), **fast, index=kind == "index")
        try:
            await gather(crowd, size, kind)
            found: Run | None = None
            for number, rate in enumerate(RATES):
                run = await measure(crowd, size, rate, frames_of(kind, number, int(rate * SECONDS)))
                if not run.holds:
                    return found or run
                found = run
            assert found is not None
            return found
        finally:
            await crowd.close()


async def gather(crowd: Crowd, size: int, kind: str) -> None:
    """Start the nodes, link each to six others, and wait until the mesh has formed."""
    if kind == "js":
        for number in range(size):
            program = (str(node_js()), str(JS / "gossip.mjs"), str(number))
            crowd.boxes[number] = await Box(crowd.folder, number, 1, {}, program).start()
    else:
        for number in range(size):
            await crowd.start(number, 1)
    for number in range(size):
        for step in range(1, max(min(LINKS, size - 1) // 2, 1) + 1):
            await crowd.call(number, "connect", addr=crowd.about((number + step) % size)["addr"])

    async def is_formed() -> bool:
        return all(count >= min(2, size - 1) for count in (await crowd.all("mesh")).values())

    await crowd.until(is_formed, 60)
    await asyncio.sleep(SETTLE_S)


def frames_of(kind: str, run: int, count: int) -> list[str]:
    """Make so many heads: signed ones of known strangers where an index judges them, else bytes of that size."""
    if kind == "index":
        return [signed(run * 10_000 + number).hex() for number in range(count)]
    return [f"1:{run}-{number}".encode().ljust(FRAME_BYTES, b".").hex() for number in range(count)]


def signed(number: int) -> bytes:
    """Return the head of a store of its own."""
    merchant = Merchant(number + 1)
    merchant.introduce(f"Store {number}")
    return merchant.frame()


async def measure(crowd: Crowd, size: int, rate: float, frames: Sequence[str]) -> Run:
    """Send the heads at a rate, from all nodes by turns; wait until they are there, or no more come."""
    await crowd.all("forget")
    before = await crowd.usage(range(size))
    shares = [list(frames[number::size]) for number in range(size)]
    pause_s = size / rate
    await asyncio.gather(
        *(crowd.call(number, "announce", frames=share, pause_s=pause_s) for number, share in enumerate(shares))
    )
    came = await settled(crowd, len(frames))
    after = await crowd.usage(range(size))
    sent = {frame: came[number % size][frame] for number, frame in enumerate(frames)}
    took = [at - sent[frame] for seen in came for frame, at in seen.items() if frame in sent and at > sent[frame]]
    wanted = len(frames) * (size - 1)
    spent = sum(one["cpu_s"] for one in after) - sum(one["cpu_s"] for one in before)
    return Run(
        rate,
        wanted - len(took),
        percentile(took, 0.5) if took else 0.0,
        percentile(took, 0.99) if took else 0.0,
        spent / (len(frames) * size),
    )


async def settled(crowd: Crowd, count: int) -> list[dict[str, Any]]:
    """Return when each head came to each node, once all are there or nothing has come for two seconds."""
    had, quiet = -1, 0
    while True:
        came = list((await crowd.all("came")).values())
        total = sum(map(len, came))
        quiet = quiet + 1 if total == had else 0
        if total >= count * len(came) or quiet >= 4:
            return came
        had = total
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    for figure in figures():
        print(json.dumps(figure.row(), ensure_ascii=False))
