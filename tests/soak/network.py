"""A small network for an hour: heads, messages, blocks, reconnections; memory and files must stay flat.

`python tests/soak/network.py [--minutes 60]` fails and says why when something grows or an error is logged.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from node.p2p.crowd import Crowd

NODES = 4
RESTARTED = 3
SAMPLE_S = 15.0
RESTART_S = 30.0
WARM_UP_SHARE = 0.2
MAX_GROWTH_MB = 15.0
MAX_GROWTH_FDS = 8
PATIENCE_S = 120.0
# Heads replace each other as those of a store do: what is known stays the same size.
STORES = 200


class Soak:
    """Four nodes in processes of their own; the last one is killed and started again and again."""

    def __init__(self, crowd: Crowd, minutes: float) -> None:
        self.crowd = crowd
        self.ends = time.monotonic() + minutes * 60
        self.minutes = minutes
        self.samples: list[list[dict[str, Any]]] = []
        self.did = {"heads": 0, "messages": 0, "blocks": 0, "restarts": 0}
        self.trouble: list[str] = []

    def going_on(self) -> bool:
        return time.monotonic() < self.ends

    async def start(self) -> None:
        await self.crowd.start(0, 1)
        for number in range(1, NODES):
            await self.crowd.start(number, 1, known=range(number))
        self.cids = await self.crowd.call(0, "serve", size=3_000_000)

    async def gossip(self) -> None:
        rng = random.Random(1)
        while self.going_on():
            number = rng.randrange(RESTARTED)
            name = f"store {rng.randrange(STORES)}"
            await self.crowd.announce(number, name, at=1)
            self.did["heads"] += 1
            await asyncio.sleep(0.1)

    async def trade(self) -> None:
        rng = random.Random(2)
        while self.going_on():
            near, far = rng.sample(range(RESTARTED), 2)
            about = self.crowd.about(far)
            await self.crowd.call(near, "deliver", peer=about["peer_id"], addrs=[about["addr"]])
            self.did["messages"] += 1
            about = self.crowd.about(0)
            await self.crowd.call(
                rng.randrange(1, RESTARTED), "fetch", peer=about["peer_id"], addrs=[about["addr"]], cids=self.cids
            )
            self.did["blocks"] += len(self.cids)
            await asyncio.sleep(0.5)

    async def churn(self) -> None:
        while self.going_on():
            await asyncio.sleep(min(RESTART_S, max(self.ends - time.monotonic(), 0)))
            await self.crowd.restart(RESTARTED)
            self.did["restarts"] += 1

    async def watch(self) -> None:
        while self.going_on():
            self.samples.append(await self.crowd.usage(range(RESTARTED)))
            await asyncio.sleep(min(SAMPLE_S, self.minutes * 3))

    async def run(self) -> None:
        await self.start()
        async with asyncio.TaskGroup() as tasks:
            for work in (self.gossip, self.trade, self.churn, self.watch):
                tasks.create_task(work())
        try:
            await self.crowd.agreed(PATIENCE_S)
        except TimeoutError as exc:
            self.trouble.append(f"the nodes do not agree at the end: {exc}")
        self.samples.append(await self.crowd.usage(range(RESTARTED)))
        self.trouble += [f"logged as an error: {text}" for text in self.crowd.shouts]

    def judge(self) -> list[str]:
        """Compare the median after the start with that of the end, for each node that ran all the while."""
        warm = self.samples[int(len(self.samples) * WARM_UP_SHARE) :]
        share = max(len(warm) // 4, 1)
        for node in range(RESTARTED):
            for name, most in (("rss_mb", MAX_GROWTH_MB), ("fds", MAX_GROWTH_FDS)):
                early, late = (median([s[node][name] for s in part]) for part in (warm[:share], warm[-share:]))
                print(f"node {node}: {name} {early:.0f} → {late:.0f}")
                if late - early > most:
                    self.trouble.append(f"{name} of node {node} grew from {early:.0f} to {late:.0f}")
        return self.trouble


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def soak(seconds: float) -> None:
    """Keep the network busy for so long. Raises: RuntimeError with what did not hold."""
    trouble = asyncio.run(_soak(seconds / 60))
    if trouble:
        raise RuntimeError("; ".join(trouble))


async def _soak(minutes: float) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="halle-soak-") as folder:
        crowd = Crowd(Path(folder), sync_interval_s=20.0)
        run = Soak(crowd, minutes)
        try:
            await run.run()
        finally:
            await crowd.close()
    trouble = run.judge()
    print(f"{minutes:g} minutes: {run.did}, {len(run.samples)} samples")
    return trouble


def main() -> None:
    """Read the command line and soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    soak(parser.parse_args().minutes * 60)


if __name__ == "__main__":
    main()
