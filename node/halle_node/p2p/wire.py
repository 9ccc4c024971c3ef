"""Streams to and from peers: dialled when needed, framed, budgeted, and always ended on both sides."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from halle_node.p2p.addresses import check_peer_id, transports
from halle_node.p2p.framing import Frames, ended
from halle_node.p2p.hardening import dial_each
from halle_node.p2p.limits import PeerLedger
from halle_node.p2p.traffic import Traffic
from halle_node.p2p.types import NetworkConfig
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError, Unavailable

log = logging.getLogger("halle_node.p2p")

Server = Callable[[Frames, str], Awaitable[None]]


class Wire:
    """The host as the protocols see it. Network thread only."""

    def __init__(self, host: Any, config: NetworkConfig, ledger: PeerLedger, traffic: Traffic) -> None:
        self.host = host
        self.config = config
        self.ledger = ledger
        self.traffic = traffic
        self.own_id = str(host.get_id())
        self._dial_locks: WeakValueDictionary[str, trio.Lock] = WeakValueDictionary()
        self._condemned: list[str] = []
        self._ban = trio.Event()

    def is_connected(self, peer: str) -> bool:
        return bool(self.host.get_network().connections.get(_id(peer)))

    async def connect(self, peer: str, addrs: Sequence[str]) -> None:
        """Be connected to a peer.

        Raises: Unavailable "peer-unreachable", Refused "peer-banned", "peer-blocked".
        """
        if self.ledger.is_blocked(peer):
            raise Refused(f"You have blocked peer {peer}.", code="peer-blocked", hint="Take the rule back first.")
        if self.ledger.is_banned(peer):
            raise Refused(f"Peer {peer} broke the rules lately.", code="peer-banned", hint="Retry in ten minutes.")
        identity = _id(peer)
        known = [Multiaddr(addr) for addr in transports(peer, addrs)]
        with trio.move_on_after(self.config.connect_timeout_s):
            # One dial at a time to a peer: each rewrites the addresses that the library knows of it.
            async with self._dial_locks.setdefault(peer, trio.Lock()):
                try:
                    await dial_each(self.host, identity, known, each_s=self.config.dial_timeout_s)
                except Exception as exc:  # one fact, many library errors: nobody answered
                    raise _unreachable(peer, exc) from exc
            return
        raise _unreachable(peer, None)

    async def disconnect(self, peer: str) -> None:
        with trio.move_on_after(2):
            try:
                await self.host.disconnect(_id(peer))
            except Exception as exc:  # it was gone already
                log.debug("disconnect of %s: %r", peer, exc)

    @asynccontextmanager
    async def opened(self, peer: str, addrs: Sequence[str], protocol: str) -> AsyncIterator[Frames]:
        """Give frames on a new stream, dialling when needed.

        Raises: Unavailable "peer-unreachable", "peer-gone", "peer-stalled".
        """
        stream = await self._stream(peer, addrs, protocol)
        async with ended(stream):
            yield self._frames(stream)

    async def _stream(self, peer: str, addrs: Sequence[str], protocol: str) -> Any:
        was_connected = self.is_connected(peer)
        await self.connect(peer, addrs)
        try:
            return await self._new_stream(peer, protocol)
        except Unavailable:
            if not was_connected:
                raise
        # The connection may be a ghost of a peer that restarted: dial once more.
        await self.disconnect(peer)
        await self.connect(peer, addrs)
        return await self._new_stream(peer, protocol)

    async def _new_stream(self, peer: str, protocol: str) -> Any:
        with trio.move_on_after(self.config.read_timeout_s):
            try:
                return await self.host.new_stream(_id(peer), [protocol])
            except Exception as exc:  # as in connect
                raise _unreachable(peer, exc) from exc
        raise _unreachable(peer, None)

    def _frames(self, stream: Any) -> Frames:
        return Frames(stream, timeout_s=self.config.read_timeout_s, count=self.traffic.count)

    def serve(self, protocol: str, server: Server) -> None:
        """Answer a protocol; whatever goes wrong on a stream ends that stream only."""

        async def handle(stream: Any) -> None:
            peer = str(stream.muxed_conn.peer_id)
            try:
                async with ended(stream):
                    if self.ledger.is_banned(peer):
                        raise Refused(f"Peer {peer} is banned.", code="peer-banned")
                    frames = self._frames(stream)
                    await server(frames, peer)
                    await frames.finish()
            except HalleError as exc:
                self.refused(peer, exc)

        self.host.set_stream_handler(protocol, handle)

    def refused(self, peer: str, error: HalleError) -> None:
        """Count what a peer did wrong; broken rules also cost its score."""
        self.traffic.drops[error.code] += 1
        log.debug("dropped %s from %s: %s", error.code, peer, error)
        if isinstance(error, RemoteProtocolError):
            self.punish(peer)

    def punish(self, peer: str) -> None:
        """Lower a peer's score; too low bans it for a while."""
        if self.ledger.rejected(peer):
            log.info("peer %s is banned for a while", peer)
            self.condemn(peer)

    def condemn(self, peer: str) -> None:
        """Have a peer disconnected soon."""
        self._condemned.append(peer)
        self._ban.set()

    async def execute_bans(self) -> None:
        """Disconnect banned peers, for ever."""
        while True:
            await self._ban.wait()
            self._ban = trio.Event()
            while self._condemned:
                await self.disconnect(self._condemned.pop())


def _id(peer: str) -> Any:
    try:
        return ID.from_base58(check_peer_id(peer))
    except ValueError as exc:
        raise Refused(f"{peer!r} is not a peer id.", code="bad-peer-id", hint="It begins with 12D3Koo.") from exc


def _unreachable(peer: str, cause: BaseException | None) -> Unavailable:
    detail = f": {cause}" if cause is not None else " in time"
    return Unavailable(
        f"Peer {peer} did not answer{detail}.",
        code="peer-unreachable",
        hint="It may be offline; retry later.",
    )
