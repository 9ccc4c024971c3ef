"""Relays that lie, and peers that play relay: who is called loses nothing by it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import trio
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, Reservation, StopMessage
from libp2p.relay.circuit_v2.pb.circuit_pb2 import PeerId as Named
from libp2p.relay.circuit_v2.utils import read_delimited_msg, write_delimited_msg
from multiaddr import Multiaddr

from halle_node.p2p import circuit, hardening
from node.p2p.conftest import Peer, Peers
from node.p2p.unused_process import LOOPBACK, anybody, make_host


async def call(host: Any, peer: Any, caller: Any) -> tuple[Any, Any]:
    """Announce a caller, as a relay does; return the stream and the answer."""
    stream = await host.new_stream(peer, [circuit.STOP])
    named = Named(id=caller.to_bytes())
    await write_delimited_msg(stream, StopMessage(type=StopMessage.CONNECT, peer=named))
    return stream, await read_delimited_msg(stream, StopMessage)


async def test_call_is_refused_from_who_is_no_relay_of_ours(peers: Peers) -> None:
    shop = await peers.start("shop")

    async def stranger() -> int:
        host = make_host()
        async with host.run(listen_addrs=LOOPBACK):
            await host.connect(info_from_p2p_addr(Multiaddr(shop.addrs[0])))
            _, answer = await call(host, info_from_p2p_addr(Multiaddr(shop.addrs[0])).peer_id, anybody())
            await hardening.close_sockets(host)
        return int(answer.status)

    assert await asyncio.to_thread(trio.run, stranger) == circuit.PERMISSION_DENIED


class LyingRelay(threading.Thread):
    """Gives everybody a place, then calls them itself under somebody else's name."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.addr = ""
        self.ready = threading.Event()
        self.stop: Callable[[], None] = lambda: None

    def run(self) -> None:
        trio.run(self._serve)

    async def _serve(self) -> None:
        self._host = make_host()
        self._host.set_stream_handler(circuit.HOP, self._give_place)
        async with self._host.run(listen_addrs=LOOPBACK), trio.open_nursery() as nursery:
            self._nursery = nursery
            self.addr = str(self._host.get_addrs()[0])
            token = trio.lowlevel.current_trio_token()
            self.stop = lambda: token.run_sync_soon(nursery.cancel_scope.cancel)
            self.ready.set()
            await trio.sleep_forever()
        await hardening.close_sockets(self._host)

    async def _give_place(self, stream: Any) -> None:
        await read_delimited_msg(stream, HopMessage)
        granted = Reservation(expire=int(time.time()) + 3600)
        await write_delimited_msg(stream, HopMessage(type=HopMessage.STATUS, status=circuit.OK, reservation=granted))
        await stream.close()
        self._nursery.start_soon(self._pretend, stream.muxed_conn.peer_id)

    async def _pretend(self, victim: Any) -> None:
        answer = None
        while answer is None or answer.status != circuit.OK:  # it does not know of its place yet
            stream, answer = await call(self._host, victim, anybody())
        raw = circuit.Circuit(stream, initiator=True, addr=f"{self.addr}/p2p-circuit/p2p/{victim}")
        await self._host.upgrade_outbound_connection(raw, victim)


async def test_call_under_a_false_name_is_dropped(peers: Peers) -> None:
    relay = LyingRelay()
    relay.start()
    await asyncio.to_thread(relay.ready.wait)
    shop: Peer = await peers.start("shop", relays=[relay.addr])

    async def dropped() -> bool:
        return bool((await shop.call("stats"))["drops"].get("relay-caller"))

    await shop.until(dropped)
    relay.stop()
    await asyncio.to_thread(relay.join)
