"""Which of our addresses answer from outside: AutoNAT 1.0.0, asked of peers and answered to them.

py-libp2p 0.8.1 has the protobuf; its own server is not used, because it calls every address reachable: it
"dials" a peer that is connected already (docs/network.md).
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import trio
from google.protobuf.message import DecodeError
from libp2p.host.autonat.pb.autonat_pb2 import Message
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from halle_node.p2p import circuit
from halle_node.p2p.addresses import split_addr
from halle_node.p2p.framing import Frames
from halle_node.p2p.types import Reached
from halle_node.p2p.wire import Wire
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError

log = logging.getLogger("halle_node.p2p")

AUTONAT = "/libp2p/autonat/1.0.0"
IDENTIFY = "/ipfs/id/1.0.0"
MAX_MESSAGE_BYTES = 8192
MAX_DIALS = 4
CONCURRENT_DIALS = 8
RECHECK_S = 600.0
VALID_S = 3600.0
MAX_ASKED = 64


class DialBack:
    """Answers whether a peer can be dialled, but only at the address it is connected from: no attack by proxy."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._slots = trio.CapacityLimiter(CONCURRENT_DIALS)
        wire.host.set_stream_handler(AUTONAT, self._handle)

    async def _handle(self, stream: Any) -> None:
        peer = str(stream.muxed_conn.peer_id)
        await self._wire.answer(stream, peer, lambda frames: self._serve(stream, frames, peer))

    async def _serve(self, stream: Any, frames: Frames, peer: str) -> None:
        request = _parsed(Message(), await frames.read(MAX_MESSAGE_BYTES))
        if request.type != Message.DIAL or bytes(request.dial.peer.id) != ID.from_base58(peer).to_bytes():
            raise RemoteProtocolError("A peer asks to be dialled itself.", code="reach-malformed")
        answer = Message(type=Message.DIAL_RESPONSE)
        addrs = _at(_remote_ip(stream), request.dial.peer.addrs)
        if not addrs or not self._wire.ledger.take(peer, "dial-backs"):
            answer.dialResponse.status = Message.E_DIAL_REFUSED
        else:
            async with self._slots:
                reached = await self._first_reached(peer, addrs[:MAX_DIALS])
            answer.dialResponse.status = Message.E_DIAL_ERROR if reached is None else Message.OK
            if reached is not None:
                answer.dialResponse.addr = reached.to_bytes()
        await frames.write(answer.SerializeToString())

    async def _first_reached(self, peer: str, addrs: Sequence[Multiaddr]) -> Multiaddr | None:
        for addr in addrs:
            with trio.move_on_after(self._wire.config.dial_timeout_s):
                if await self._is_there(peer, addr):
                    return addr
        return None

    async def _is_there(self, peer: str, addr: Multiaddr) -> bool:
        """Dial afresh and let the peer prove its key; the connection itself is of no use."""
        swarm = self._wire.host.get_network()
        raw = None
        try:
            raw = await swarm.transport_manager.transport_for_dialing(addr).dial(addr)
            await swarm.upgrader.upgrade_security(raw, True, ID.from_base58(peer))
        except Exception as exc:  # one fact, many library errors: nobody answered, or somebody else
            log.debug("dial-back to %s: %r", addr, exc)
            return False
        finally:
            if raw is not None:
                with trio.CancelScope(shield=True), trio.move_on_after(2):
                    await raw.close()
        return True


class Reach:
    """Asks peers to dial us back. `own` are our addresses; `changed` is called when one more is confirmed or lost."""

    def __init__(
        self, wire: Wire, own: Callable[[], Sequence[str]], port: Callable[[], int], changed: Callable[[], object]
    ) -> None:
        self._wire = wire
        self._own = own
        self._port = port
        self._changed = changed
        self._asked: dict[str, float] = {}
        self._verdicts: dict[str, dict[str, tuple[bool, float]]] = {}
        self._to_ask_in, self._to_ask = trio.open_memory_channel[str](MAX_ASKED)
        self.relays: set[str] = set()
        """Peers that relay for others."""

    def came(self, peer: str) -> None:
        """Note a peer that we dialled: it is asked soon."""
        if time.time() - self._asked.get(peer, 0) > RECHECK_S:
            try:
                self._to_ask_in.send_nowait(peer)
            except trio.WouldBlock:
                self._wire.traffic.drops["reach-queue-full"] += 1

    async def run(self) -> None:
        """Ask the peers that came, for ever."""
        async for peer in self._to_ask:
            self._asked = {known: at for known, at in self._asked.items() if time.time() - at < RECHECK_S}
            self._asked[peer] = time.time()
            before = self.confirmed
            try:
                await self.check(peer)
            except HalleError as exc:
                log.debug("asking %s whether we are reachable: %s", peer, exc)
            except Exception as exc:  # a task's top: our own fault
                log.warning("asking %s whether we are reachable failed", peer, exc_info=exc)
            if self.confirmed != before:
                self._changed()

    async def run_again(self, peers: Callable[[], Sequence[str]]) -> None:
        """Ask again from time to time, for ever: routers forget."""
        while True:
            await trio.sleep(RECHECK_S)
            for peer in list(peers())[:3]:
                self.came(peer)

    @property
    def verdicts(self) -> tuple[Reached, ...]:
        """What is known of each address, newest verdict of each peer, of the last hour."""
        table = []
        for addr, by_peer in self._verdicts.items():
            fresh = [(ok, at) for ok, at in by_peer.values() if time.time() - at < VALID_S]
            if fresh:
                yes = sum(ok for ok, _ in fresh)
                table.append(Reached(addr, yes, len(fresh) - yes, int(max(at for _, at in fresh))))
        return tuple(table)

    @property
    def confirmed(self) -> tuple[str, ...]:
        """Addresses at which somebody reached us in the last hour, without our peer id."""
        return tuple(verdict.addr for verdict in self.verdicts if verdict.confirmed)

    async def check(self, peer: str) -> None:
        """Learn what a peer sees and reaches of us. Raises: Unavailable, RemoteProtocolError."""
        identity = await self._identify(peer)
        self._note_relay(peer, identity)
        seen = _ip_of(identity.observed_addr)
        if seen is None or AUTONAT not in identity.protocols:
            return
        guess = f"/{'ip6' if seen.version == 6 else 'ip4'}/{seen}/tcp/{self._port()}"
        ours = [split_addr(addr)[0] for addr in self._own()]
        for addr in list(dict.fromkeys([*(a for a in ours if _host(a) == seen), guess]))[:MAX_DIALS]:
            verdict = await self._ask(peer, addr)
            if verdict is not None:
                self._verdicts.setdefault(addr, {})[peer] = (verdict, time.time())
        while len(self._verdicts) > MAX_ASKED:
            self._verdicts.pop(next(iter(self._verdicts)))

    async def _identify(self, peer: str) -> Any:
        async with self._wire.opened(peer, [], IDENTIFY) as frames:
            return _parsed(Identify(), await frames.read(64 * 1024))

    def _note_relay(self, peer: str, identity: Any) -> None:
        self.relays.discard(peer)
        if circuit.HOP in identity.protocols and len(self.relays) < MAX_ASKED:
            self.relays.add(peer)

    async def _ask(self, peer: str, addr: str) -> bool | None:
        """Ask for one address; None when the peer does not say."""
        request = Message(type=Message.DIAL)
        request.dial.peer.id = ID.from_base58(self._wire.own_id).to_bytes()
        request.dial.peer.addrs.append(Multiaddr(addr).to_bytes())
        try:
            async with self._wire.opened(peer, [], AUTONAT) as frames:
                await frames.write(request.SerializeToString())
                frames.allow(self._wire.config.dial_timeout_s * (MAX_DIALS + 1))
                answer = _parsed(Message(), await frames.read(MAX_MESSAGE_BYTES))
        except HalleError as exc:
            log.debug("%s does not dial back: %s", peer, exc)
            return None
        status = answer.dialResponse.status
        if status == Message.OK:
            return True
        return False if status == Message.E_DIAL_ERROR else None


def _parsed(message: Any, frame: bytes) -> Any:
    try:
        message.ParseFromString(frame)
    except DecodeError as exc:
        raise RemoteProtocolError("A message about addresses cannot be read.", code="reach-malformed") from exc
    return message


def _remote_ip(stream: Any) -> Any:
    """The address a peer is connected from, or None over a relay."""
    if circuit.is_relayed(stream):
        raise Refused("Nobody is dialled back for a peer behind a relay.", code="reach-relayed")
    host, _ = stream.muxed_conn.get_remote_address()
    return _plain(host)


def _plain(host: str) -> Any:
    """An IP address, an IPv4 one even when it came mapped into IPv6; None when it is none."""
    try:
        ip = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def _at(ip: Any, addrs: Sequence[bytes]) -> list[Multiaddr]:
    """Keep the TCP addresses at exactly this IP."""
    found = []
    for raw in addrs[:16]:
        host = _ip_of(raw)
        if host is not None and host == ip:
            found.append(Multiaddr("/".join(str(Multiaddr(raw)).split("/")[:5])))
    return found


def _ip_of(raw: bytes) -> Any:
    try:
        return _host(str(Multiaddr(raw)))
    except Exception:  # a dozen kinds for one fact: that is no address
        return None


def _host(addr: str) -> Any:
    """The IP of an `/ip4/…/tcp/…` or `/ip6/…/tcp/…` address; None for any other."""
    parts = addr.split("/")
    if len(parts) < 5 or parts[1] not in ("ip4", "ip6") or parts[3] != "tcp" or "p2p-circuit" in parts:
        return None
    return _plain(parts[2])
