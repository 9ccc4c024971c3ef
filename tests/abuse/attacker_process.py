"""Peers that abuse one node: `python attacker_process.py ATTACK VICTIM_ADDR SECONDS NOW [CID …]`.

Stock libp2p hosts, as many as the attack needs. What was done is printed as one line of JSON at the end.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import multiaddr
import trio
from libp2p import new_host
from libp2p.bitswap.pb import bitswap_pb2
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.pb import rpc_pb2
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.utils import encode_varint_prefixed

from halle_node.p2p.framing import prefix
from halle_protocol import dagcbor
from halle_protocol.cid import CID, DAG_CBOR, RAW, cid_of
from halle_protocol.grant import sign_grant
from halle_protocol.head import announce, sign_head
from halle_protocol.keys import address_of
from node.p2p import hostile_process as hostile

DAY = 86_400
STORES = 1_000


@dataclass
class Field:
    """Where the attack happens and what came of it."""

    victim: Any
    addr: str
    seconds: float
    now: int
    cids: list[str]
    at_least: int = 0
    did: Counter[str] = field(default_factory=Counter)

    def going_on(self) -> bool:
        return trio.current_time() < self.ends or self.did["frames sent"] < self.at_least

    def begin(self) -> None:
        self.ends = trio.current_time() + self.seconds


@asynccontextmanager
async def attacker(where: Field) -> AsyncIterator[Any]:
    """A fresh identity, connected to the victim."""
    key_pair = create_new_key_pair(os.urandom(32))
    noise = {NOISE: NoiseTransport(key_pair, noise_privkey=create_noise_key().private_key)}
    host = new_host(key_pair=key_pair, sec_opt=noise)
    async with host.run(listen_addrs=[multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        try:
            with trio.fail_after(15):
                await host.connect(info_from_p2p_addr(multiaddr.Multiaddr(where.addr)))
            yield host
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(2):
                await host.close()


def heads_of_strangers(now: int) -> Iterator[bytes]:
    """Valid heads, one of each of 1,000 unknown stores, then their next ones, for ever."""
    keys = [b"\7" + number.to_bytes(31, "big") for number in range(1, STORES + 1)]
    stores = [address_of(key) for key in keys]
    grants = [
        sign_grant(key, store, "peer", not_before=now - DAY, not_after=now + DAY, sequence=1)
        for key, store in zip(keys, stores, strict=True)
    ]
    seq = 0
    while True:
        seq += 1
        root = cid_of(DAG_CBOR, b"%d" % seq)
        for key, store, grant in zip(keys, stores, grants, strict=True):
            head = sign_head(key, store, seq, root, issued=now - DAY + seq, expires=now + DAY, grant=grant.cid)
            yield announce(head, grant).encode()


def liar(now: int) -> Iterator[bytes]:
    """One store that tells another story of the same seq each time."""
    key = b"\6" * 32
    store = address_of(key)
    grant = sign_grant(key, store, "peer", not_before=now - DAY, not_after=now + DAY, sequence=1)
    number = 0
    while True:
        number += 1
        root = cid_of(DAG_CBOR, b"story %d" % number)
        head = sign_head(key, store, 1, root, issued=now - 60, expires=now + DAY, grant=grant.cid)
        yield announce(head, grant).encode()


async def gossip(where: Field, host: Any, frames: Iterator[bytes], per_rpc: int = 10) -> None:
    """Publish as fast as the victim reads."""
    stream = await hostile.open_stream(host, where.victim, "/meshsub/1.1.0")
    number = 0
    while where.going_on():
        messages = []
        for _ in range(per_rpc):
            number += 1
            messages.append(hostile.signed(host, next(frames), number))
        with trio.move_on_after(max(where.ends - trio.current_time(), 2)):
            await stream.write(encode_varint_prefixed(rpc_pb2.RPC(publish=messages).SerializeToString()))
            where.did["frames sent"] += per_rpc


async def head_flood(where: Field) -> None:
    """Four peers at a time; who loses its connection comes back as somebody else."""
    made = heads_of_strangers(where.now)
    frames = chain([next(made)], made)  # the keys of all strangers are made with the first
    where.at_least = 1_000
    where.begin()

    async def one() -> None:
        while where.going_on():
            with suppress(Exception, BaseExceptionGroup):
                async with attacker(where) as host:
                    where.did["peers"] += 1
                    await gossip(where, host, frames)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(one)


async def equivocation(where: Field) -> None:
    async with attacker(where) as host:
        where.begin()
        await gossip(where, host, liar(where.now))


async def sybils(where: Field) -> None:
    """One identity after another breaks the rules until it is thrown out."""
    where.begin()

    async def one() -> None:
        while where.going_on():
            where.did["identities"] += 1
            with suppress(Exception, BaseExceptionGroup):
                async with attacker(where) as host:
                    await gossip(where, host, iter(lambda: os.urandom(300), None))

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(one)


async def garbage(where: Field) -> None:
    where.begin()
    while where.going_on():
        for attack in (hostile.garbage, hostile.yamux_garbage, hostile.junk_keys, hostile.huge_frames):
            where.did[attack.__name__] += 1
            with suppress(Exception, BaseExceptionGroup):
                async with attacker(where) as host:
                    with trio.move_on_after(2):
                        await attack(host, where.victim)


def _address(where: Field) -> tuple[str, int]:
    parts = where.addr.split("/")
    return parts[2], int(parts[4])


async def slowloris(where: Field) -> None:
    """Many half-open handshakes, and half a frame on each of many streams, a byte now and then."""
    where.begin()

    async def half_handshake() -> None:
        while where.going_on():
            with suppress(OSError, trio.BrokenResourceError):
                stream = await trio.open_tcp_stream(*_address(where))
                where.did["sockets"] += 1
                for byte in b"\x13/multistream/1.0.0\n":
                    await stream.send_all(bytes([byte]))
                    await trio.sleep(0.5)
                    if not where.going_on():
                        break
                await stream.aclose()
            await trio.sleep(0.2)

    async def half_frames(task_status: trio.TaskStatus[None]) -> None:
        async with attacker(where) as host:
            task_status.started()
            for _ in range(20):
                for protocol in hostile.HALLE:
                    with suppress(Exception):
                        stream = await hostile.open_stream(host, where.victim, protocol)
                        await stream.write(prefix(1000) + b"half")
                        where.did["half frames"] += 1
            await trio.sleep(max(where.ends - trio.current_time(), 0))

    async with trio.open_nursery() as nursery:
        await nursery.start(half_frames)
        for _ in range(100):
            nursery.start_soon(half_handshake)


async def huge_wants(where: Field) -> None:
    """Want-lists that are too long, too often, or of what is not here; a list of one real block again and again."""
    many = [cid_of(RAW, b"%d" % number) for number in range(2000)]
    lists = (many, many[:256], [CID.parse(where.cids[0])] * 256)
    async with attacker(where) as host:
        where.begin()
        while where.going_on():
            for wanted in lists:
                with suppress(Exception), trio.move_on_after(3):
                    stream = await hostile.open_stream(host, where.victim, "/halle/blocks/1")
                    body = dagcbor.encode({"want": wanted})
                    await stream.write(prefix(len(body)) + body)
                    await stream.close()
                    where.did["want-lists"] += 1


async def bitswap_amplification(where: Field) -> None:
    """Small want-lists for large blocks, again and again; every other answer is read, the others never."""
    answers = Counter[str]()

    async def take(stream: Any) -> None:
        answers["all"] += 1
        with suppress(Exception):
            while answers["all"] % 2 and await stream.read(1 << 20):
                pass
            await trio.sleep(1)
            await stream.reset()

    message = bitswap_pb2.Message()
    for cid in where.cids:
        message.wantlist.entries.add(block=bytes(CID.parse(cid)), priority=1, wantType=0)
    data = encode_varint_prefixed(message.SerializeToString())
    async with attacker(where) as host:
        host.set_stream_handler("/ipfs/bitswap/1.2.0", take)
        where.begin()
        while where.going_on():
            with suppress(Exception), trio.move_on_after(3):
                stream = await hostile.open_stream(host, where.victim, "/ipfs/bitswap/1.2.0")
                for _ in range(20):
                    await stream.write(data)
                    where.did["want-lists"] += 1
                    where.did["bytes asked with"] += len(data)
                await stream.close()


async def dial_flood(where: Field) -> None:
    """Connections that say nothing: hundreds at a time, closed and opened again."""
    where.begin()
    held: list[socket.socket] = []
    while where.going_on():
        for _ in range(50):
            with suppress(OSError):
                held.append(socket.create_connection(_address(where), timeout=2))
                where.did["sockets"] += 1
        while len(held) > 400:
            held.pop(0).close()
        await trio.sleep(0.05)
    for one in held:
        one.close()


async def answer_bombs(where: Field) -> None:
    """Answer requests for blocks with endless, huge, unasked and false ones, by turns; the victim comes to us."""
    turn = Counter[str]()

    async def answer(stream: Any) -> None:
        turn["asked"] += 1
        kind = turn["asked"] % 4
        block = os.urandom(1 << 20)
        with suppress(Exception):
            await stream.read(65_536)
            if kind == 0:
                await stream.write(prefix(200_000_000) + bytes(1000))
            while kind == 1:
                await stream.write(prefix(36 + len(block)) + bytes(cid_of(RAW, block)) + block)
            if kind == 2:
                lie = bytes(CID.parse(where.cids[0])) + block
                await stream.write(prefix(len(lie)) + lie)
            if kind == 3:
                nested = b"\x81" * 60_000 + b"\x80"
                await stream.write(prefix(len(nested)) + nested)
            await trio.sleep(1)
            await stream.reset()
        where.did["answers"] += 1

    async with attacker(where) as host:
        host.set_stream_handler("/halle/blocks/1", answer)
        print(json.dumps({"addr": str(host.get_addrs()[0])}), flush=True)
        where.begin()
        await trio.sleep(where.seconds)


ATTACKS: dict[str, Callable[[Field], Awaitable[None]]] = {
    attack.__name__: attack
    for attack in (
        head_flood,
        sybils,
        equivocation,
        garbage,
        slowloris,
        huge_wants,
        bitswap_amplification,
        dial_flood,
        answer_bombs,
    )
}


async def main(name: str, addr: str, seconds: float, now: int, cids: list[str]) -> None:
    victim = info_from_p2p_addr(multiaddr.Multiaddr(addr)).peer_id
    where = Field(victim, addr, seconds, now, cids)
    begun = time.time()
    try:
        with trio.move_on_after(seconds + 20):
            await ATTACKS[name](where)
    except (Exception, BaseExceptionGroup) as exc:  # thrown out, as it should be
        where.did[f"ended by {type(exc).__name__}"] += 1
    print(json.dumps({"did": where.did, "seconds": round(time.time() - begun, 1)}), flush=True)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
