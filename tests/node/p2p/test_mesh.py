"""Twenty nodes: whoever joins late, is killed or was cut off has what all others have within one round."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from node.p2p.crowd import Crowd

# The interval is also how long the test has patience: what is not there within one round fails it.
INTERVAL_S = 30.0
SHARED = 6
ALONE = (12, 13, 14, 15)
LATE = 16
ALL = 20

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def crowd(tmp_path: Path) -> AsyncIterator[Crowd]:
    opened = Crowd(tmp_path, sync_interval_s=INTERVAL_S)
    try:
        yield opened
        assert opened.shouts == []
    finally:
        await opened.close()


async def sixteen(crowd: Crowd) -> None:
    """Two processes of six nodes, and four nodes alone that can be killed."""
    await crowd.start(0, SHARED)
    await crowd.start(SHARED, SHARED, known=(0, 1, 2))
    await asyncio.gather(*(crowd.start(n, 1, known=(n % 12, (n * 3 + 1) % 12, (n * 7 + 5) % 12)) for n in ALONE))
    for number in range(1, SHARED):
        await crowd.call(number, "connect", addr=crowd.about(number - 1)["addr"])


async def test_crowd_agrees_after_late_joins_kills_and_splits(crowd: Crowd) -> None:
    await sixteen(crowd)
    for number in sorted(crowd.boxes):
        await crowd.announce(number, *(f"first-{number}-{n}" for n in range(5)))
    print(f"16 nodes agree on 80 heads: {await crowd.agreed(INTERVAL_S, at_least=80):.1f} s")

    await crowd.start(LATE, ALL - LATE, known=(3, 8, 12))
    print(f"4 late joiners have all of it: {await crowd.agreed(INTERVAL_S, at_least=80):.1f} s")

    rng = random.Random(4)
    for kill in range(len(ALONE)):
        await asyncio.gather(crowd.restart(ALONE[kill]), crowd.announce(rng.randrange(12), f"churn-{kill}-a"))
        await crowd.announce(rng.randrange(12), f"churn-{kill}-b")
    print(f"agreed after 4 kills under way: {await crowd.agreed(INTERVAL_S, at_least=88):.1f} s")

    sides = [set(range(0, ALL, 2)), set(range(1, ALL, 2))]
    await split(crowd, sides)
    for number in range(ALL):
        await crowd.announce(number, f"split-{number}")
    await asyncio.gather(*(crowd.agreed(INTERVAL_S, among=side, at_least=98) for side in sides))
    even, odd = await crowd.call(0, "digest"), await crowd.call(1, "digest")
    assert even[0] == odd[0] == 98
    assert even != odd
    await asyncio.gather(*(crowd.call(number, "block", peers=[]) for number in range(ALL)))
    print(f"agreed after the split healed: {await crowd.agreed(INTERVAL_S, at_least=108):.1f} s")


async def split(crowd: Crowd, sides: list[set[int]]) -> None:
    """Have each side, whole in itself, refuse the other as an operator's block list would, until no line is left."""
    for side in map(sorted, sides):
        for near, far in pairwise(side):
            await crowd.call(far, "connect", addr=crowd.about(near)["addr"])
    for mine, theirs in (sides, reversed(sides)):
        others = [crowd.about(number)["peer_id"] for number in theirs]
        await asyncio.gather(*(crowd.call(number, "block", peers=others) for number in mine))
    side_of = {crowd.about(number)["peer_id"]: number % 2 for number in crowd.boxes}

    async def is_cut() -> bool:
        return all(side_of[peer] == n % 2 for n, peers in (await crowd.all("peers")).items() for peer in peers)

    await crowd.until(is_cut, INTERVAL_S)
