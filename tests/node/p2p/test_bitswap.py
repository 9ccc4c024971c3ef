"""Other bitswap peers fetch blocks from us, small and large; a block we lack is not invented, a lie not believed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from halle_protocol.cid import CID, RAW, cid_of

CLIENT = Path(__file__).with_name("bitswap_process.py")
LIAR = Path(__file__).with_name("bitswap_liar_process.py")


async def fetched(addr: str, *cids: CID | str) -> list[str]:
    client = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CLIENT),
        addr,
        *map(str, cids),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await asyncio.wait_for(client.communicate(), 40)
    return out.decode().splitlines()


async def test_bitswap_client_fetches_our_blocks(peers: Any) -> None:
    a = await peers.start("a")
    small = await a.call("add_file", size=500)
    large = await a.call("add_file", size=900_000)
    absent = cid_of(RAW, b"nobody has this")
    got = await fetched(a.addrs[0], small["root"], large["root"], absent)
    assert got[:2] == [small["sha256"], large["sha256"]]
    assert got[2].startswith("none")


async def test_bitswap_is_not_served_when_switched_off(peers: Any) -> None:
    a = await peers.start("a", serve_bitswap=False)
    small = await a.call("add_file", size=500)
    assert (await fetched(a.addrs[0], small["root"]))[0].startswith("none")


@asynccontextmanager
async def liar(kind: str) -> AsyncIterator[str]:
    """A peer that sends what was not asked; gives its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(LIAR), kind, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 40)).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


@pytest.mark.parametrize(
    ("kind", "code", "count"),
    [
        ("wrong", "block-unasked", 50),
        ("huge", "block-unasked", 1),
        ("garbage", "bitswap-shape", 1),
        ("crumbs", "bitswap-shape", 1),
        ("silent", "bitswap-shape", 0),
    ],
)
async def test_what_was_not_asked_is_dropped(peers: Any, kind: str, code: str, count: int) -> None:
    a = await peers.start("a", read_timeout_s=1.0)
    # For `huge` this is the true name of what is sent: it is over the limit of any block.
    wanted = cid_of(RAW, bytes(3 * 1024 * 1024))
    async with liar(kind) as addr:
        peer = addr.rpartition("/p2p/")[2]
        with pytest.raises(Exception, match="too slow") as caught:
            await a.call("fetch", peer=peer, addrs=[addr], cids=[str(wanted)])
        assert caught.value.code == "peer-stalled"
        assert (await a.call("stats"))["drops"].get(code, 0) == count
