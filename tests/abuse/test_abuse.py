"""While a node is abused in each way we know, honest neighbours trade with it, and it stays small, calm and fair.

Per case the figure is printed (`pytest -s`): what the attackers did, and the slowest honest message and fetch.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from node.p2p.crowd import Crowd
from node.p2p.crowd_process import NOW

ATTACKER = Path(__file__).with_name("attacker_process.py")
SECONDS = 5.0
# How long an honest request may take before the test fails; what it did take is printed.
PATIENCE_S = 30.0
MAX_RSS_MB = 300
# Between two honest messages: well within the budget of one peer (300 a minute).
HONEST_PAUSE_S = 0.4
FILE_BYTES = 3_000_000
VICTIM, NEIGHBOUR = 0, 1

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(150)]


@dataclass(frozen=True)
class Case:
    """`drops` are the reasons of which the victim must have counted one; `bans` says that offenders are shut out."""

    attack: str
    drops: frozenset[str] = frozenset()
    bans: bool = False
    most_heads: int | None = None
    most_sent: int | None = None


CASES = (
    Case("sybils", frozenset({"head-reject"}), bans=True, most_heads=0),
    Case("equivocation", frozenset({"head-ignore"}), most_heads=2),
    Case("garbage", frozenset({"frame-too-large", "frame-prefix", "frame-truncated", "gossip-shape"}), most_heads=0),
    Case("slowloris", frozenset({"address-full"}), most_heads=0),
    Case("huge_wants", frozenset({"frame-too-large"}), bans=True, most_heads=0),
    Case("bitswap_amplification", most_heads=0, most_sent=200_000_000),
    Case("dial_flood", frozenset({"address-full"}), most_heads=0),
    Case("answer_bombs", bans=True, most_heads=0),
    Case("head_flood", most_heads=4_000),
)


@dataclass
class Trade:
    """What two honest nodes do all the while: a message one way, a block the other, and how long the slowest took."""

    crowd: Crowd
    cids: list[str]
    slowest: dict[str, float] = field(default_factory=dict)
    done: int = 0
    most: dict[str, float] = field(default_factory=dict)

    async def once(self) -> None:
        victim, neighbour = self.crowd.about(VICTIM), self.crowd.about(NEIGHBOUR)
        async with asyncio.timeout(PATIENCE_S):
            sent_s = await self.crowd.call(NEIGHBOUR, "deliver", peer=victim["peer_id"], addrs=[victim["addr"]])
            self._note("message", sent_s)
        async with asyncio.timeout(PATIENCE_S):
            asked = {
                "peer": neighbour["peer_id"],
                "addrs": [neighbour["addr"]],
                "cids": [self.cids[self.done % len(self.cids)]],
            }
            self._note("fetch", await self.crowd.call(VICTIM, "fetch", **asked))
        self.done += 1
        stats = await self.crowd.call(VICTIM, "stats")
        for name, waiting in stats["queues"].items():
            self.most[name] = max(self.most.get(name, 0), waiting)
        self.most["peers"] = max(self.most.get("peers", 0), stats["peers"])
        used = await self.crowd.boxes[VICTIM].call(VICTIM, "usage")
        self.most["rss_mb"] = max(self.most.get("rss_mb", 0), round(used["rss_mb"]))

    def _note(self, what: str, took_s: float) -> None:
        self.slowest[what] = max(self.slowest.get(what, 0.0), took_s)

    async def until(self, task: asyncio.Task[Any]) -> None:
        await self.once()
        while not task.done():
            await self.once()
            await asyncio.sleep(HONEST_PAUSE_S)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Crowd, list[str]]]:
    """A victim with a real index, and its neighbour; each has a file to give away."""
    crowd = Crowd(
        tmp_path_factory.mktemp("pair"),
        sync_interval_s=3600.0,
        read_timeout_s=3.0,
        heads_per_minute_all=3000,
        index=True,
    )
    try:
        await crowd.start(VICTIM, 1)
        await crowd.start(NEIGHBOUR, 1, known=(VICTIM,))
        cids = await crowd.call(NEIGHBOUR, "serve", size=FILE_BYTES)
        await crowd.call(VICTIM, "serve", size=FILE_BYTES)
        yield crowd, cids
    finally:
        await crowd.close()


async def attack(case: Case, crowd: Crowd, cids: list[str]) -> dict[str, Any]:
    """Run the attackers to their end; return what they say they did."""
    command = [case.attack, crowd.about(VICTIM)["addr"], str(SECONDS), str(NOW), *cids]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ATTACKER), *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    if case.attack == "answer_bombs":
        where = json.loads(await process.stdout.readline())["addr"]
        while process.returncode is None and not process.stdout.at_eof():
            with suppress(RuntimeError):  # refused answers are what this is about
                await crowd.call(VICTIM, "fetch", peer=where.split("/")[-1], addrs=[where], cids=cids[:1])
            await asyncio.sleep(0.01)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(process.wait()), 0.01)
    out, _ = await process.communicate()
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.attack)
async def test_honest_neighbours_trade_on_during(case: Case, pair: tuple[Crowd, list[str]]) -> None:
    crowd, cids = pair
    before = await crowd.call(VICTIM, "stats")
    trade = Trade(crowd, cids)
    under_attack = asyncio.create_task(attack(case, crowd, cids))
    begun = time.monotonic()
    await trade.until(under_attack)
    did = under_attack.result()
    after = await crowd.call(VICTIM, "stats")
    drops = {code: n - before["drops"].get(code, 0) for code, n in after["drops"].items()}
    figure = {code: count for code, count in drops.items() if count}
    print(
        f"\n{case.attack}: {did['did']} in {did['seconds']} s; {trade.done} honest exchanges in "
        f"{time.monotonic() - begun:.0f} s, slowest message {trade.slowest['message']:.2f} s, fetch "
        f"{trade.slowest['fetch']:.2f} s; {trade.most}; dropped {figure}; heads in "
        f"{after['heads_in'] - before['heads_in']}; banned {after['banned']}; sent "
        f"{(after['bytes_out'] - before['bytes_out']) / 1e6:.1f} MB"
    )
    assert_held(case, trade, before, after, figure)
    assert crowd.shouts == []


def assert_held(
    case: Case, trade: Trade, before: Mapping[str, Any], after: Mapping[str, Any], dropped: Mapping[str, int]
) -> None:
    """The victim stayed small and bounded, and the offenders were scored and dropped."""
    assert after["restarts"] == 0
    assert trade.most["rss_mb"] < MAX_RSS_MB
    assert trade.most["heads"] <= 4096
    assert trade.most["heads-first"] <= 1024
    assert trade.most["reconciliations"] <= 256
    assert trade.most["peers"] <= 200
    assert not case.drops or case.drops & dropped.keys()
    if case.bans:
        assert after["banned"] > before["banned"]
    if case.most_heads is not None:
        assert after["heads_in"] - before["heads_in"] <= case.most_heads
    if case.most_sent is not None:
        assert after["bytes_out"] - before["bytes_out"] <= case.most_sent
