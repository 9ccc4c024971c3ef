"""A hostile peer: a stock py-libp2p host that breaks the rules of one protocol after another.

python hostile_process.py VICTIM_ADDR
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import multiaddr
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.validators import PUBSUB_SIGNING_PREFIX
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.utils import encode_varint_prefixed

from halle_node.p2p.framing import prefix
from halle_protocol import dagcbor
from halle_protocol.cid import RAW, cid_of

HALLE = ("/halle/blocks/1", "/halle/message/1", "/halle/sync/1", "/halle/peers/1")
REACHING = ("/libp2p/circuit/relay/0.2.0/hop", "/libp2p/circuit/relay/0.2.0/stop", "/libp2p/autonat/1.0.0")
OTHERS = ("/meshsub/1.1.0", "/meshsub/1.0.0", "/ipfs/bitswap/1.2.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0")
TOPIC = "/halle/heads/1"


async def open_stream(host: Any, victim: Any, protocol: str) -> Any:
    with trio.fail_after(5):
        return await host.new_stream(victim, [protocol])


async def garbage(host: Any, victim: Any) -> None:
    for protocol in (*HALLE, *REACHING, *OTHERS):
        for junk in (os.urandom(300), encode_varint_prefixed(os.urandom(100)), b"\xff" * 64, b"\x80", b"\x00"):
            stream = await open_stream(host, victim, protocol)
            await stream.write(junk)
            await stream.close()


async def stall(host: Any, victim: Any) -> None:
    """Open many streams, send half a frame on each and wait."""
    for _ in range(15):
        for protocol in HALLE:
            with suppress(Exception):  # some lanes are full before others
                stream = await open_stream(host, victim, protocol)
                await stream.write(prefix(200) + b"half")
    await trio.sleep(3)


async def huge_frames(host: Any, victim: Any) -> None:
    for protocol in (*HALLE, *REACHING):
        stream = await open_stream(host, victim, protocol)
        await stream.write(prefix(200_000_000) + bytes(100_000))


async def message_flood(host: Any, victim: Any) -> None:
    for number in range(300):
        stream = await open_stream(host, victim, "/halle/message/1")
        await stream.write(prefix(7) + b"spam%03d" % number)
        await stream.close()


async def never_reading(host: Any, victim: Any) -> None:
    """Ask for blocks again and again and never read an answer."""
    wants = dagcbor.encode({"want": [cid_of(RAW, bytes([n])) for n in range(200)]})
    for _ in range(60):
        stream = await open_stream(host, victim, "/halle/blocks/1")
        await stream.write(prefix(len(wants)) + wants)


def signed(host: Any, data: bytes, number: int) -> Any:
    message = rpc_pb2.Message(
        data=data, topicIDs=[TOPIC], from_id=host.get_id().to_bytes(), seqno=struct.pack(">Q", number)
    )
    message.signature = host.get_private_key().sign(PUBSUB_SIGNING_PREFIX.encode() + message.SerializeToString())
    message.key = host.get_public_key().serialize()
    return message


async def gossip(host: Any, victim: Any, frame: Callable[[int], bytes], count: int) -> None:
    stream = await open_stream(host, victim, "/meshsub/1.1.0")
    for number in range(count):
        rpc = rpc_pb2.RPC(publish=[signed(host, frame(number), number)])
        await stream.write(encode_varint_prefixed(rpc.SerializeToString()))


async def bad_heads(host: Any, victim: Any) -> None:
    await gossip(host, victim, lambda number: b"bad%d" % number, 200)


async def crashing_heads(host: Any, victim: Any) -> None:
    await gossip(host, victim, lambda number: b"crash%d" % number, 20)


async def huge_heads(host: Any, victim: Any) -> None:
    await gossip(host, victim, lambda number: b"head:%d:" % number + bytes(5000), 30)


async def head_flood(host: Any, victim: Any) -> None:
    await gossip(host, victim, lambda number: b"head:1:flood%d" % number, 6000)


async def junk_keys(host: Any, victim: Any) -> None:
    stream = await open_stream(host, victim, "/meshsub/1.1.0")
    message = rpc_pb2.Message(
        from_id=b"\x12\x20" + os.urandom(32), seqno=bytes(8), data=b"x", topicIDs=[TOPIC], key=os.urandom(40)
    )
    await stream.write(encode_varint_prefixed(rpc_pb2.RPC(publish=[message]).SerializeToString()))
    topics = [rpc_pb2.RPC.SubOpts(subscribe=True, topicid=f"t{n}") for n in range(4000)]
    await stream.write(encode_varint_prefixed(rpc_pb2.RPC(subscriptions=topics).SerializeToString()))
    await trio.sleep(0.5)


async def yamux_garbage(host: Any, victim: Any) -> None:
    connection = host.get_network().get_connections(victim)[0].muxed_conn.secured_conn
    for frame in (b"\x07" * 12, b"\0\0\0\0\0\0\0\x63\0\0\0\x05hello", b"\0\0\0\0\0\0\0\x63\xff\xff\xff\xff"):
        await connection.write(frame)


ATTACKS: tuple[Callable[[Any, Any], Awaitable[None]], ...] = (
    garbage,
    stall,
    huge_frames,
    message_flood,
    never_reading,
    bad_heads,
    crashing_heads,
    huge_heads,
    head_flood,
    junk_keys,
    yamux_garbage,
)


async def run(attack: Callable[[Any, Any], Awaitable[None]], addr: str) -> None:
    key_pair = create_new_key_pair(os.urandom(32))
    noise = {NOISE: NoiseTransport(key_pair, noise_privkey=create_noise_key().private_key)}
    host = new_host(key_pair=key_pair, sec_opt=noise)
    victim = info_from_p2p_addr(multiaddr.Multiaddr(addr))
    async with host.run(listen_addrs=[multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        try:
            await host.connect(victim)
            with trio.move_on_after(8):
                await attack(host, victim.peer_id)
            print(attack.__name__, "ended by itself", flush=True)
        except Exception as exc:
            print(attack.__name__, "was stopped:", type(exc).__name__, exc, flush=True)
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(2):
                await host.close()


async def main(addr: str) -> None:
    for attack in ATTACKS:
        try:
            await run(attack, addr)
        except BaseExceptionGroup as group:  # our own stock host dies easily
            print(attack.__name__, "lost its host:", group.exceptions, flush=True)


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
