"""Being reachable through relays: a place kept at each, calls taken from them, and calls made through others'."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import trio
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, StopMessage
from libp2p.relay.circuit_v2.pb.circuit_pb2 import PeerId as Named
from multiaddr import Multiaddr

from halle_node.p2p import circuit
from halle_node.p2p.addresses import CIRCUIT, relay_of, split_addr
from halle_node.p2p.framing import reset_quietly
from halle_node.p2p.wire import Wire
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError, Unavailable

log = logging.getLogger("halle_node.p2p")

MAX_RELAYS = 3
MIN_RENEW_S = 5.0
MAX_RENEW_S = 3600.0


class Reservations:
    """`moved` is called whenever `addrs` changed. `learned` gives relays to use beyond those in the settings."""

    def __init__(self, wire: Wire, moved: Callable[[], object], learned: Callable[[], Sequence[str]]) -> None:
        self._wire = wire
        self._config = wire.config
        self._moved = moved
        self._learned = learned
        self._lost: dict[str, trio.Event] = {}
        self._places: dict[str, str] = {}
        self._failures: dict[str, str] = {}
        self._kept: set[str] = set()
        wire.dial_circuit = self.dial
        wire.host.set_stream_handler(circuit.STOP, self._handle)

    @property
    def addrs(self) -> tuple[str, ...]:
        """Our own circuit addresses, in full."""
        return tuple(f"{place}{CIRCUIT}/p2p/{self._wire.own_id}" for place in self._places.values())

    @property
    def relays(self) -> dict[str, str]:
        """Each relay in use by its full address: "" when it keeps a place for us, else why not."""
        return dict.fromkeys(self._places.values(), "") | dict(self._failures)

    def went(self, peer: str) -> None:
        """Note that a connection ended: without it a relay gives the place to others."""
        if peer in self._lost and not self._wire.is_connected(peer):
            self._lost[peer].set()

    async def run(self) -> None:
        """Keep a place at every relay wanted, for ever."""
        async with trio.open_nursery() as nursery:
            while True:
                for addr in [*self._config.relays, *self._learned()]:
                    if addr not in self._kept and len(self._kept) < MAX_RELAYS:
                        self._kept.add(addr)
                        nursery.start_soon(self._keep, addr, addr in self._config.relays)
                await trio.sleep(self._config.reconnect_min_s)

    async def _keep(self, addr: str, for_ever: bool) -> None:
        """Hold a place; a relay that was only learned is given up when it fails."""
        _, relay = split_addr(addr)
        wait_s = self._config.reconnect_min_s
        while True:
            lost = self._lost[relay] = trio.Event()
            try:
                until = await self._reserve(addr)
            except HalleError as exc:
                self._note(relay, addr, exc.code)
                if not for_ever:
                    break
                # Jitter keeps the clients of a restarted relay from returning in step.
                await trio.sleep(wait_s * random.uniform(0.75, 1.25))  # noqa: S311
                wait_s = min(wait_s * 2, self._config.reconnect_max_s)
                continue
            wait_s = self._config.reconnect_min_s
            self._note(relay, addr, "")
            half = min(MAX_RENEW_S, max(MIN_RENEW_S, (until - time.time()) / 2))
            with trio.move_on_after(half):
                await lost.wait()
                self._note(relay, addr, "relay-lost")
        self._kept.discard(addr)
        self._failures.pop(addr, None)

    def _note(self, relay: str, addr: str, failure: str) -> None:
        before = self.addrs
        if failure:
            self._places.pop(relay, None)
            self._failures[addr] = failure
        else:
            self._places[relay] = addr
            self._failures.pop(addr, None)
        if self.addrs != before:
            self._moved()

    async def _reserve(self, addr: str) -> float:
        """Return until when (unix seconds) the relay keeps a place. Raises: Unavailable, Refused."""
        transport, relay = split_addr(addr)
        with trio.move_on_after(self._config.read_timeout_s):
            async with self._wire.opened(relay, [transport], circuit.HOP) as frames:
                await frames.write(HopMessage(type=HopMessage.RESERVE).SerializeToString())
                answer = await circuit.read_hop(frames)
            _check(answer, relay)
            return float(answer.reservation.expire)
        raise Unavailable(f"Relay {relay} does not answer.", code="peer-stalled", hint="Try another relay.")

    # calls taken

    async def _handle(self, stream: Any) -> None:
        relay = str(stream.muxed_conn.peer_id)
        try:
            frames = self._wire.frames(stream)
            request = await circuit.read_stop(frames)
            if request.type != StopMessage.CONNECT:
                raise RemoteProtocolError("A relay announces callers.", code="relay-malformed")
            if relay not in self._places:
                await frames.write(circuit.stop_status(circuit.PERMISSION_DENIED))
                await frames.finish()
                return
            caller = ID(request.peer.id)
            await frames.write(circuit.stop_status(circuit.OK))
            await self._take(stream, frames.rest(), relay, caller)
        except HalleError as exc:
            self._wire.refused(relay, exc)
            await reset_quietly(stream)
        except BaseException:
            await reset_quietly(stream)
            raise

    async def _take(self, stream: Any, early: bytes, relay: str, caller: Any) -> None:
        """Answer as the far side of a new connection, and hold the stream while it lasts."""
        addr = f"{self._places[relay]}{CIRCUIT}/p2p/{caller}"
        raw = circuit.Circuit(stream, initiator=False, addr=addr)
        raw.early = early
        swarm = self._wire.host.get_network()
        try:
            connection = await swarm.upgrade_inbound_raw_conn(raw, Multiaddr(addr))
            if connection.peer_id != caller:
                await connection.close()
                raise RemoteProtocolError("A relay announced somebody else.", code="relay-caller")
            await connection.event_closed.wait()
        finally:
            await raw.close()

    # calls made

    async def dial(self, peer: str, transport: str) -> None:
        """Be connected to a peer through the relay that a circuit address names. Raises: Unavailable, Refused."""
        place, relay = relay_of(transport)
        if relay == self._wire.own_id:
            raise Refused("This node is the relay.", code="own-address", hint="The peer is not connected here.")
        stream = await self._wire.open_stream(relay, [place], circuit.HOP)
        target = ID.from_base58(peer)
        raw = circuit.Circuit(stream, initiator=True, addr=f"{transport}/p2p/{peer}")
        try:
            frames = self._wire.frames(stream)
            wanted = HopMessage(type=HopMessage.CONNECT, peer=Named(id=target.to_bytes()))
            await frames.write(wanted.SerializeToString())
            _check(await circuit.read_hop(frames), relay)
            raw.early = frames.rest()
            await self._wire.host.get_network().upgrade_outbound_raw_conn(raw, target)
        except BaseException:
            await raw.close()
            raise


def _check(answer: Any, relay: str) -> None:
    if answer.type != HopMessage.STATUS:
        raise RemoteProtocolError("A relay answers with a STATUS.", code="relay-malformed")
    if answer.status == circuit.NO_RESERVATION:
        raise Unavailable(
            f"Relay {relay} knows no such peer now.", code="relay-no-reservation", hint="It may be off; retry later."
        )
    if answer.status != circuit.OK:
        raise Unavailable(
            f"Relay {relay} refused ({answer.status}).", code="relay-refused", hint="Retry later or use another relay."
        )
