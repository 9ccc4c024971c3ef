"""Other bitswap peers fetch blocks from us, small and large; a block we lack is not invented."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from halle_protocol.cid import CID, RAW, cid_of

CLIENT = Path(__file__).with_name("bitswap_process.py")


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
