"""Peers that break every rule cost themselves their stream or their connection, and nobody else anything."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

HOSTILE = Path(__file__).with_name("hostile_process.py")


async def raw_socket(port: int, *chunks: bytes) -> None:
    """Send bytes and wait until the other side hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionError):
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        await reader.read()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def trade_until(done: asyncio.Event, a: Any, b: Any) -> int:
    """Deliver messages and heads from a to b all the time; return how many."""
    count = 0
    while not done.is_set() or count == 0:
        count += 1
        async with asyncio.timeout(5):
            await a.call("deliver", peer=b.peer_id, addrs=b.addrs, text=f"order {count}")
        await a.call("announce", frame=f"head:{count}:honest")
        await b.event("head", frame=f"head:{count}:honest")
        await asyncio.sleep(0.2)
    return count


async def test_honest_pair_trades_on_while_raw_sockets_attack(peers: Any) -> None:
    a, b = await peers.start_many("a", "b", messages_per_minute=1200)
    await a.call("connect", addr=b.addrs[0])
    port = int(b.addrs[0].split("/")[4])
    hello = b"\x13/multistream/1.0.0\n\x07/noise\n"
    attacks = [
        (os.urandom(200),),
        (b"GET / HTTP/1.1\r\n\r\n",),
        (hello, b"\x00\x20" + os.urandom(32)),
        (hello, b"\xff\xff" + os.urandom(70_000)),
        (b"\xff" * 10_000,),
        (hello[:5],),
    ]
    done = asyncio.Event()
    trading = asyncio.create_task(trade_until(done, a, b))
    await asyncio.wait_for(asyncio.gather(*(raw_socket(port, *chunks) for chunks in attacks * 4)), 30)
    done.set()
    assert await trading >= 1
    assert await b.call("processed")


async def test_honest_pair_trades_on_while_peers_break_every_protocol(peers: Any) -> None:
    a, b = await peers.start_many("a", "b", read_timeout_s=2.0, messages_per_minute=1200, relay_service=True)
    await a.call("connect", addr=b.addrs[0])
    await a.connected_to(b)
    restarts = (await b.call("stats"))["restarts"]
    done = asyncio.Event()
    trading = asyncio.create_task(trade_until(done, a, b))
    hostile = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HOSTILE),
        b.addrs[0],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await asyncio.wait_for(hostile.communicate(), 90)
    done.set()
    traded = await trading
    print(out.decode())
    stats = await b.call("stats")
    print(traded, stats)
    assert len(await b.call("processed")) >= traded
    assert stats["restarts"] == restarts == 0
    drops = set(stats["drops"])
    assert {"head-reject", "validator-failed", "frame-too-large", "rate-limited", "peer-stalled"} <= drops
    assert {"frame-prefix", "sync-shape"} & drops
