"""Shows one defect of py-libp2p, with and without its repair: prints "harmed" or "fine".

python defects_process.py DEFECT stock|repaired
"""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import multiaddr
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.host.exceptions import StreamFailure
from libp2p.network.config import ConnectionConfig
from libp2p.peer.peerinfo import PeerInfo
from libp2p.pubsub.pubsub import Pubsub
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from libp2p.tools.anyio_service import background_trio_service
from libp2p.utils import encode_varint_prefixed

from halle_node.p2p import hardening, mesh
from halle_node.p2p.limits import PeerLedger

LOOPBACK = multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")
TOPIC = "heads"
REPAIRED = sys.argv[2] == "repaired"
# The expected outcome is waited for patiently; the other one only has to be given a chance.
PATIENCE_S, CHANCE_S = 30.0, 1.5
GOOD_WITHIN_S = PATIENCE_S if REPAIRED else CHANCE_S
HARM_WITHIN_S = CHANCE_S if REPAIRED else PATIENCE_S


async def ends(service: Any) -> bool:
    """Tell whether a service of the library ends within the time that harm is given."""
    with trio.move_on_after(HARM_WITHIN_S):
        while service.manager.is_running:
            await trio.sleep(0.01)
    return not service.manager.is_running


def make_host(seed: bytes | None = None, *, plain: bool = False, **settings: Any) -> Any:
    key_pair = create_new_key_pair(seed or os.urandom(32))
    secure: Any = hardening.noise_only(key_pair, create_noise_key().private_key)
    if plain:
        secure = {PLAINTEXT_PROTOCOL_ID: InsecureTransport(key_pair)}
    host = new_host(key_pair=key_pair, sec_opt=secure, muxer_opt=hardening.yamux_only(), **settings)
    if REPAIRED:
        hardening.guard_stream_handlers(host, enter=lambda peer: True, leave=lambda peer: None)
        hardening.release_inbound_slots(host)
        hardening.single_attempts(host)
    return host


def make_pubsub(host: Any) -> Any:
    router = mesh.Mesh(PeerLedger({}, trio.current_time), lambda peer: None)
    if not REPAIRED:
        return Pubsub(host, router, strict_signing=True)
    pubsub = mesh.HardenedPubsub(host, router, admit=lambda peer, size: True)
    hardening.unique_sequence_numbers(pubsub)
    return pubsub


@asynccontextmanager
async def gossiping(host: Any) -> AsyncIterator[Any]:
    pubsub = make_pubsub(host)
    async with (
        host.run(listen_addrs=[LOOPBACK]),
        background_trio_service(pubsub),
        background_trio_service(pubsub.router),
    ):
        await pubsub.wait_until_ready()
        try:
            yield pubsub
        finally:
            await hardening.close_sockets(host)


def info(host: Any) -> Any:
    return PeerInfo(host.get_id(), host.get_addrs())


async def handler_exception() -> bool:
    victim, peer = make_host(), make_host()

    async def handle(stream: Any) -> None:
        raise ValueError("a bug, or a peer's bytes that nobody expected")

    victim.set_stream_handler("/app/1", handle)
    async with victim.run(listen_addrs=[LOOPBACK]), peer.run(listen_addrs=[LOOPBACK]):
        await peer.connect(info(victim))
        with suppress(StreamFailure):  # the repair resets the stream at once
            await peer.new_stream(victim.get_id(), ["/app/1"])
        return await ends(victim.get_network())


async def gossip_garbage() -> bool:
    victim, peer = make_host(), make_host()
    async with gossiping(victim) as pubsub, peer.run(listen_addrs=[LOOPBACK]):
        await peer.connect(info(victim))
        stream = await peer.new_stream(victim.get_id(), ["/meshsub/1.1.0"])
        await stream.write(encode_varint_prefixed(b"\xff" * 100))
        return await ends(pubsub)


async def raising_validator() -> bool:
    victim, peer = make_host(), make_host()

    def validate(forwarder: Any, message: Any) -> bool:
        raise ValueError("a bug in a validator")

    async with gossiping(victim) as pubsub, gossiping(peer) as publisher:
        pubsub.set_topic_validator(TOPIC, validate, False)
        await pubsub.subscribe(TOPIC)
        await publisher.subscribe(TOPIC)
        await peer.connect(info(victim))
        await publisher.wait_for_subscription(victim.get_id(), TOPIC, PATIENCE_S)
        await publisher.publish(TOPIC, b"head")
        return await ends(pubsub)


async def inbound_slots() -> bool:
    settings = ConnectionConfig(max_connections=4, high_watermark=4, low_watermark=0, min_connections=0)
    victim = make_host(connection_config=settings)
    async with victim.run(listen_addrs=[LOOPBACK]):
        for _ in range(8):
            peer = make_host()
            async with peer.run(listen_addrs=[LOOPBACK]):
                with trio.move_on_after(GOOD_WITHIN_S) as scope:
                    try:
                        await peer.connect(info(victim))
                    except Exception:
                        return True
                if scope.cancelled_caught:
                    return True
                await hardening.close_sockets(peer)
            with trio.move_on_after(PATIENCE_S):
                while victim.get_network().connections:
                    await trio.sleep(0.01)
        return False


async def cancelled_write() -> bool:
    if REPAIRED:
        hardening.shield_yamux_writes()
    victim, peer = make_host(), make_host()

    async def swallow(stream: Any) -> None:
        while await stream.read(65536):
            pass

    victim.set_stream_handler("/app/1", swallow)
    async with victim.run(listen_addrs=[LOOPBACK]), peer.run(listen_addrs=[LOOPBACK]):
        await peer.connect(info(victim))
        connection = peer.get_network().get_connections(victim.get_id())[0]
        try:
            for _ in range(80):
                stream = await peer.new_stream(victim.get_id(), ["/app/1"])
                with trio.move_on_after(random.random() * 0.003):
                    await stream.write(bytes(600_000))
                await stream.reset()
        except Exception:
            return True
        return bool(connection.muxed_conn.is_closed)


async def sequence_numbers() -> bool:
    receiver = make_host()
    seed = os.urandom(32)
    received = 0
    async with gossiping(receiver) as pubsub, trio.open_nursery() as nursery:
        subscription = await pubsub.subscribe(TOPIC)

        async def count() -> None:
            nonlocal received
            async for _ in subscription:
                received += 1

        nursery.start_soon(count)
        for run in (1, 2):
            sender = make_host(seed)
            async with gossiping(sender) as publisher:
                await publisher.subscribe(TOPIC)
                await sender.connect(info(receiver))
                await publisher.wait_for_subscription(receiver.get_id(), TOPIC, PATIENCE_S)
                for number in range(30):
                    await publisher.publish(TOPIC, b"%d" % number)
                with trio.move_on_after(PATIENCE_S if run == 1 else GOOD_WITHIN_S):
                    while received < 30 * run:
                        await trio.sleep(0.01)
            with trio.move_on_after(PATIENCE_S):
                while receiver.get_network().connections or sender.get_id() in pubsub.peers:
                    await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    return received < 60


async def sockets_left_open() -> bool:
    peer, leaver = make_host(), make_host()
    async with peer.run(listen_addrs=[LOOPBACK]):
        async with leaver.run(listen_addrs=[LOOPBACK]):
            await leaver.connect(info(peer))
            if REPAIRED:
                await hardening.close_sockets(leaver)
        with trio.move_on_after(GOOD_WITHIN_S) as scope:
            while peer.get_network().connections:
                await trio.sleep(0.01)
        return scope.cancelled_caught


async def moved_peer() -> bool:
    """Dial a peer that was at another address before."""
    target, dialler = make_host(), make_host()
    dead = multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/1")
    async with target.run(listen_addrs=[LOOPBACK]), dialler.run(listen_addrs=[LOOPBACK]):
        addrs = [dead, *target.get_transport_addrs()]
        try:
            if REPAIRED:
                await hardening.dial_each(dialler, target.get_id(), addrs, each_s=PATIENCE_S)
            else:
                await dialler.connect(PeerInfo(target.get_id(), addrs))
        except Exception:
            return True
        return False


async def plaintext_offered() -> bool:
    key_pair = create_new_key_pair(os.urandom(32))
    victim = make_host() if REPAIRED else new_host(key_pair=key_pair)
    peer = make_host(plain=True)
    async with victim.run(listen_addrs=[LOOPBACK]), peer.run(listen_addrs=[LOOPBACK]):
        try:
            with trio.fail_after(HARM_WITHIN_S):
                await peer.connect(info(victim))
        except Exception:
            return False
        return True


DEFECTS: dict[str, Callable[[], Awaitable[bool]]] = {
    fn.__name__: fn
    for fn in (
        handler_exception,
        gossip_garbage,
        raising_validator,
        inbound_slots,
        cancelled_write,
        sequence_numbers,
        sockets_left_open,
        moved_peer,
        plaintext_offered,
    )
}


def main() -> None:
    logging.disable(logging.CRITICAL)
    try:
        harmed = trio.run(DEFECTS[sys.argv[1]])
    except BaseException as exc:  # the defect ended the host
        print("harmed", repr(exc)[:200])
    else:
        print("harmed" if harmed else "fine")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
