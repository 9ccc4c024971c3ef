"""Shows one defect of a part of py-libp2p that Halle does not use: prints "unsound" or "sound".

python unused_process.py PART
"""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack, suppress
from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.host.autonat.autonat import AutoNATService
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, StopMessage
from libp2p.relay.circuit_v2.pb.circuit_pb2 import PeerId as Named
from libp2p.relay.circuit_v2.protocol import PROTOCOL_ID, STOP_PROTOCOL_ID, CircuitV2Protocol
from libp2p.relay.circuit_v2.utils import read_delimited_msg, write_delimited_msg
from libp2p.tools.anyio_service import background_trio_service
from libp2p.utils.varint import encode_varint_prefixed, read_varint_prefixed_bytes_limited
from multiaddr import Multiaddr

from halle_node.p2p import hardening

LOOPBACK = [Multiaddr("/ip4/127.0.0.1/tcp/0")]
PATIENCE_S = 20.0
FORGED = 20


def make_host() -> Any:
    pair = create_new_key_pair()
    host = new_host(
        key_pair=pair,
        sec_opt=hardening.noise_only(pair, create_noise_key().private_key),
        muxer_opt=hardening.yamux_only(),
    )
    hardening.guard_stream_handlers(host, enter=lambda peer: True, leave=lambda peer: None)
    return host


async def join(host: Any, other: Any) -> None:
    await host.connect(PeerInfo(other.get_id(), other.get_addrs()))


async def autonat_calls_a_closed_port_reachable() -> bool:
    server, asker = make_host(), make_host()
    async with server.run(listen_addrs=LOOPBACK), asker.run(listen_addrs=LOOPBACK):
        AutoNATService(server)
        client = AutoNATService(asker)
        await join(asker, server)
        status, _ = await client.query_server(server.get_id(), [Multiaddr("/ip4/127.0.0.1/tcp/1").to_bytes()])
    return bool(status == 0)


async def relay_mixes_circuits() -> bool:
    relay, caller, first, second = hosts = [make_host() for _ in range(4)]
    for target in (first, second):
        target.set_stream_handler(STOP_PROTOCOL_ID, echo)
    async with AsyncExitStack() as stack:
        for host in hosts:
            await stack.enter_async_context(host.run(listen_addrs=LOOPBACK))
        protocol = CircuitV2Protocol(relay, allow_hop=True)
        async with background_trio_service(protocol):
            await protocol.event_started.wait()
            for host in (caller, first, second):
                await join(host, relay)
            for target in (first, second):
                await ask(target, relay, HopMessage(type=HopMessage.RESERVE))
            named = [Named(id=target.get_id().to_bytes()) for target in (first, second)]
            one, two = [await ask(caller, relay, HopMessage(type=HopMessage.CONNECT, peer=peer)) for peer in named]
            await one.close()
            return await breaks(two)


async def echo(stream: Any) -> None:
    await read_delimited_msg(stream, StopMessage)
    await write_delimited_msg(stream, StopMessage(type=StopMessage.STATUS, status=100))
    with suppress(Exception):
        while data := await stream.read(100):
            await stream.write(data)


async def ask(host: Any, relay: Any, message: Any) -> Any:
    stream = await host.new_stream(relay.get_id(), [PROTOCOL_ID])
    await write_delimited_msg(stream, message)
    answer = await read_delimited_msg(stream, HopMessage)
    assert answer.status == 100
    return stream


async def breaks(stream: Any) -> bool:
    """Use a circuit until it breaks; a sound one goes on."""
    with trio.move_on_after(3):
        try:
            while True:
                await stream.write(b"?")
                if not await stream.read(10):
                    return True
                await trio.sleep(0.1)
        except Exception:
            return True
    return False


async def kademlia_dials_for_a_liar() -> bool:
    dials = 0
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    victim = Multiaddr(f"/ip4/127.0.0.1/tcp/{listeners[0].socket.getsockname()[1]}").to_bytes()

    async def count(stream: Any) -> None:
        nonlocal dials
        dials += 1
        await stream.aclose()

    async def lie(stream: Any) -> None:
        with suppress(Exception):
            while True:
                question = Message()
                question.ParseFromString(await read_varint_prefixed_bytes_limited(stream, 65536))
                answer = Message(type=question.type, key=question.key)
                for _ in range(FORGED):
                    answer.closerPeers.add(id=anybody().to_bytes(), addrs=[victim], connection=1)
                await stream.write(encode_varint_prefixed(answer.SerializeToString()))

    honest, liar = make_host(), make_host()
    liar.set_stream_handler("/ipfs/kad/1.0.0", lie)
    async with honest.run(listen_addrs=LOOPBACK), liar.run(listen_addrs=LOOPBACK), trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, count, listeners)
        table = KadDHT(honest, DHTMode.SERVER)
        async with background_trio_service(table):
            await join(honest, liar)
            await table.routing_table.add_peer(PeerInfo(liar.get_id(), liar.get_addrs()))
            with trio.move_on_after(PATIENCE_S):
                await table.peer_routing.find_peer(anybody())
        nursery.cancel_scope.cancel()
    return dials > FORGED


def anybody() -> Any:
    return ID.from_pubkey(create_new_key_pair().public_key)


def main() -> None:
    hardening.demote_library_logs()
    sys.stdout.write("unsound\n" if trio.run(globals()[sys.argv[1]]) else "sound\n")


if __name__ == "__main__":
    main()
