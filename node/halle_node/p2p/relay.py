"""Circuit relay v2 for others: reservations for peers behind a router, and circuits to them, all bounded.

Memory and traffic are the operator's: each limit is a setting. A circuit carries the two peers' own Noise, so
the relay sees who talks to whom, when and how much, and nothing else.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import trio
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, Limit, StopMessage
from libp2p.relay.circuit_v2.pb.circuit_pb2 import PeerId as Named
from libp2p.relay.circuit_v2.pb.circuit_pb2 import Reservation as Granted
from libp2p.relay.circuit_v2.resources import RelayLimits, Reservation
from multiaddr import Multiaddr

from halle_node.p2p import circuit
from halle_node.p2p.framing import Frames, closed_quietly, reset_quietly
from halle_node.p2p.wire import Wire
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError

log = logging.getLogger("halle_node.p2p")

LINGER_S = 2.0
_CHUNK_BYTES = 64 * 1024
_MIB = 1024 * 1024


class RelayServer:
    """`whereabouts` are the addresses at which this relay itself is reached."""

    def __init__(self, wire: Wire, whereabouts: Callable[[], tuple[str, ...]]) -> None:
        self._wire = wire
        self._config = wire.config
        self._whereabouts = whereabouts
        self._expiry: dict[str, float] = {}
        self._circuits: Counter[str] = Counter()
        self.carried_bytes = 0
        wire.host.set_stream_handler(circuit.HOP, self._handle)

    @property
    def reservations(self) -> int:
        """How many peers hold a place now."""
        return len(self.holders())

    def holders(self) -> list[str]:
        """Who holds a place now."""
        return [peer for peer in self._expiry if self._holds(peer)]

    @property
    def circuits(self) -> int:
        """How many circuits are open now."""
        return self._circuits.total() // 2

    def _holds(self, peer: str) -> bool:
        return self._expiry.get(peer, 0) > time.time() and self._wire.is_connected(peer)

    async def _handle(self, stream: Any) -> None:
        peer = str(stream.muxed_conn.peer_id)
        try:
            frames = self._wire.frames(stream)
            request = await circuit.read_hop(frames)
            await self._answer(stream, frames, peer, request)
        except HalleError as exc:
            self._wire.refused(peer, exc)
            await reset_quietly(stream)
        except BaseException:
            await reset_quietly(stream)
            raise

    async def _answer(self, stream: Any, frames: Frames, peer: str, request: Any) -> None:
        if circuit.is_relayed(stream) or self._wire.ledger.is_banned(peer):
            await self._refuse(frames, circuit.PERMISSION_DENIED)
        elif not self._wire.ledger.take(peer, "relaying"):
            await self._refuse(frames, circuit.RESOURCE_LIMIT_EXCEEDED)
        elif request.type == HopMessage.RESERVE:
            await self._reserve(frames, peer)
        elif request.type == HopMessage.CONNECT:
            await self._connect(stream, frames, peer, _named(request))
        else:
            raise RemoteProtocolError("A relay is asked to RESERVE or to CONNECT.", code="relay-malformed")

    async def _refuse(self, frames: Frames, status: int) -> None:
        self._wire.traffic.drops[f"relay-{status}"] += 1
        await frames.write(circuit.hop_status(status))
        await frames.finish()

    # reservations

    async def _reserve(self, frames: Frames, peer: str) -> None:
        if not self._holds(peer) and self.reservations >= self._config.relay_reservations:
            await self._refuse(frames, circuit.RESERVATION_REFUSED)
            return
        self._expiry = {known: until for known, until in self._expiry.items() if self._holds(known)}
        granted = self._granted(peer)
        self._expiry[peer] = granted.expire
        await frames.write(circuit.hop_status(circuit.OK, reservation=granted, limit=self._limit()))
        await frames.finish()

    def _granted(self, peer: str) -> Any:
        config = self._config
        limits = RelayLimits(
            duration=config.relay_circuit_s,
            data=config.relay_circuit_mb * _MIB,
            max_circuit_conns=config.relay_circuits,
            max_reservations=config.relay_reservations,
            reservation_ttl=config.relay_reservation_s,
        )
        signed = Reservation(ID.from_base58(peer), limits, self._wire.host)
        addrs = [Multiaddr(addr).to_bytes() for addr in self._whereabouts()]
        return Granted(expire=signed.expires_at, addrs=addrs, voucher=signed.voucher)

    def _limit(self) -> Any:
        return Limit(duration=self._config.relay_circuit_s, data=self._config.relay_circuit_mb * _MIB)

    # circuits

    async def _connect(self, stream: Any, frames: Frames, source: str, target: str) -> None:
        if not self._holds(target):
            await self._refuse(frames, circuit.NO_RESERVATION)
            return
        if (
            self.circuits >= self._config.relay_circuits
            or max(self._circuits[source], self._circuits[target]) >= self._config.relay_circuits_per_peer
        ):
            await self._refuse(frames, circuit.RESOURCE_LIMIT_EXCEEDED)
            return
        ends = (source, target)
        self._circuits.update(ends)
        try:
            await self._carry(stream, frames, source, target)
        finally:
            self._circuits.subtract(ends)
            self._circuits += Counter()  # forget who has none

    async def _carry(self, stream: Any, frames: Frames, source: str, target: str) -> None:
        try:
            onward, onward_frames = await self._announce(source, target)
        except HalleError as exc:
            log.debug("circuit from %s to %s: %s", source, target, exc)
            await self._refuse(frames, circuit.CONNECTION_FAILED)
            return
        try:
            await frames.write(circuit.hop_status(circuit.OK, limit=self._limit()))
            await self._pump((stream, frames.rest()), (onward, onward_frames.rest()))
        finally:
            await reset_quietly(onward)
            await reset_quietly(stream)

    async def _announce(self, source: str, target: str) -> tuple[Any, Frames]:
        """Tell the target who calls. Raises: Unavailable, Refused when it does not take the call."""
        onward = await self._wire.open_stream(target, [], circuit.STOP)
        frames = self._wire.frames(onward)
        try:
            caller = Named(id=ID.from_base58(source).to_bytes())
            message = StopMessage(type=StopMessage.CONNECT, peer=caller, limit=self._limit())
            await frames.write(message.SerializeToString())
            answer = await circuit.read_stop(frames)
            if answer.type != StopMessage.STATUS or answer.status != circuit.OK:
                raise Refused(f"Peer {target} does not take the call.", code="relay-refused")
        except BaseException:
            await reset_quietly(onward)
            raise
        return onward, frames

    async def _pump(self, left: tuple[Any, bytes], right: tuple[Any, bytes]) -> None:
        """Copy both ways until one side ends, the time is up or the bytes are used up."""
        (left_stream, left_early), (right_stream, right_early) = left, right
        budget = _Budget(self._config.relay_circuit_mb * _MIB)
        with trio.move_on_after(self._config.relay_circuit_s):
            async with trio.open_nursery() as nursery:
                scope = nursery.cancel_scope
                nursery.start_soon(self._copy, left_stream, right_stream, left_early, budget, scope)
                nursery.start_soon(self._copy, right_stream, left_stream, right_early, budget, scope)

    async def _copy(self, source: Any, sink: Any, data: bytes, budget: _Budget, scope: trio.CancelScope) -> None:
        try:
            while budget.spend(len(data)):
                if data:
                    await sink.write(data)
                    self.carried_bytes += len(data)
                data = await source.read(_CHUNK_BYTES)
                if not data:
                    break
            await closed_quietly(sink)
            await trio.sleep(LINGER_S)  # what the other side is still saying
        except EOFError:
            await closed_quietly(sink)
            await trio.sleep(LINGER_S)
        except Exception as exc:  # a dozen kinds for one fact: one of the two is gone
            log.debug("a circuit ended: %r", exc)
        scope.cancel()


class _Budget:
    def __init__(self, size: int) -> None:
        self._left = size

    def spend(self, size: int) -> bool:
        self._left -= size
        return self._left >= 0


def _named(request: Any) -> str:
    try:
        return str(ID(request.peer.id))
    except Exception as exc:  # base58 and multihash errors of many kinds
        raise RemoteProtocolError("A relay is asked for nobody.", code="relay-malformed") from exc
