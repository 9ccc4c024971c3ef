"""Streams to and from peers: dialled when needed, framed, budgeted, and always ended on both sides."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import trio
from libp2p.peer.id import ID
from libp2p.protocol_muxer.exceptions import MultiselectClientError
from multiaddr import Multiaddr

from halle_node.p2p.addresses import check_peer_id, is_circuit, transports
from halle_node.p2p.framing import Frames, ended
from halle_node.p2p.hardening import dial_each
from halle_node.p2p.limits import PeerLedger
from halle_node.p2p.metering import UploadBudget
from halle_node.p2p.traffic import Traffic
from halle_node.p2p.types import NetworkConfig
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError, Unavailable

log = logging.getLogger("halle_node.p2p")

UNSUPPORTED = "protocol-unsupported"

Server = Callable[[Frames, str], Awaitable[None]]
CIRCUIT_AFTER_S = 0.5
"""How long the direct addresses of a peer are tried before its relay is too, and that before the next."""


class Wire:
    """The host as the protocols see it. Network thread only."""

    def __init__(
        self,
        host: Any,
        config: NetworkConfig,
        ledger: PeerLedger,
        traffic: Traffic,
        upload: UploadBudget | None = None,
    ) -> None:
        self.upload = upload or UploadBudget(config.upload_kb_s)
        self.host = host
        self.config = config
        self.ledger = ledger
        self.traffic = traffic
        self.own_id = str(host.get_id())
        self.dial_circuit: Callable[[str, str], Awaitable[None]] | None = None
        self.find: Callable[[str], Awaitable[list[str]]] | None = None
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
        known = transports(peer, addrs)
        with trio.move_on_after(self.config.connect_timeout_s):
            # One dial at a time to a peer: each rewrites the addresses that the library knows of it.
            async with self._dial_locks.setdefault(peer, trio.Lock()):
                failures = await self._race(peer, identity, known)
                if not self.is_connected(peer):
                    raise _unreachable(peer, failures[-1] if failures else None)
            return
        raise _unreachable(peer, None)

    async def _race(self, peer: str, identity: Any, known: Sequence[str]) -> list[Exception]:
        """Dial directly and, a little later, through relays, until one way succeeds; return what failed before."""
        failures: list[Exception] = []
        direct = [Multiaddr(addr) for addr in known if not is_circuit(addr)]
        circuits = [addr for addr in known if is_circuit(addr)] if self.dial_circuit else []

        async def attempt(dial: Callable[[], Awaitable[None]], after_s: float = 0) -> None:
            await trio.sleep(after_s)
            try:
                await dial()
            except Exception as exc:  # one fact, many library errors: nobody answered
                failures.append(exc)
            else:
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                attempt, partial(dial_each, self.host, identity, direct, each_s=self.config.dial_timeout_s)
            )
            wait_s = CIRCUIT_AFTER_S if direct else 0.0
            for addr in circuits:
                assert self.dial_circuit is not None
                nursery.start_soon(attempt, partial(self.dial_circuit, peer, addr), wait_s)
                wait_s += CIRCUIT_AFTER_S
        return failures

    async def disconnect(self, peer: str) -> None:
        with trio.move_on_after(2):
            try:
                await self.host.disconnect(_id(peer))
            except Exception as exc:  # it was gone already
                log.debug("disconnect of %s: %r", peer, exc)

    @asynccontextmanager
    async def opened(self, peer: str, addrs: Sequence[str], protocol: str) -> AsyncIterator[Frames]:
        """Give frames on a new stream, dialling when needed.

        Raises: Unavailable "peer-unreachable", "protocol-unsupported", "peer-gone", "peer-stalled".
        """
        stream = await self.open_stream(peer, addrs, protocol)
        async with ended(stream):
            yield self.frames(stream)

    async def open_stream(self, peer: str, addrs: Sequence[str], protocol: str) -> Any:
        """Return a new stream, which the caller must end. Raises: Unavailable "peer-unreachable"."""
        was_connected = self.is_connected(peer)
        await self._reach(peer, addrs)
        try:
            return await self._new_stream(peer, protocol)
        except Unavailable as exc:
            if not was_connected or exc.code == UNSUPPORTED:
                raise
        # The connection may be a ghost of a peer that restarted: dial once more.
        await self.disconnect(peer)
        await self.connect(peer, addrs)
        return await self._new_stream(peer, protocol)

    async def _reach(self, peer: str, addrs: Sequence[str]) -> None:
        """Be connected, if need be at an address that other peers know. Raises: Unavailable "peer-unreachable"."""
        try:
            await self.connect(peer, addrs)
        except Unavailable:
            found = [addr for addr in (await self.find(peer) if self.find else []) if addr not in addrs]
            if not found:
                raise
            await self.connect(peer, found)

    async def _new_stream(self, peer: str, protocol: str) -> Any:
        with trio.move_on_after(self.config.read_timeout_s):
            try:
                return await self.host.new_stream(_id(peer), [protocol])
            except Exception as exc:  # as in connect
                if _is_refusal(exc):
                    raise _unsupported(peer, protocol) from exc
                raise _unreachable(peer, exc) from exc
        raise _unreachable(peer, None)

    def frames(self, stream: Any) -> Frames:
        """Return frames on a stream, with the usual deadline and counted."""
        return Frames(stream, timeout_s=self.config.read_timeout_s, count=self.traffic.count)

    def may_send_block(self, peer: str, size: int) -> bool:
        """Spend from the peer's budget of blocks and from the one for all uploads; False when either is used up."""
        return self.ledger.take(peer, "block-bytes", size) and self.upload.take(size)

    def serve(self, protocol: str, server: Server) -> None:
        """Answer a protocol; whatever goes wrong on a stream ends that stream only."""

        async def handle(stream: Any) -> None:
            peer = str(stream.muxed_conn.peer_id)
            await self.answer(stream, peer, lambda frames: server(frames, peer))

        self.host.set_stream_handler(protocol, handle)

    async def answer(self, stream: Any, peer: str, serve: Callable[[Frames], Awaitable[None]]) -> None:
        """Serve one stream and end it; a banned peer's is reset."""
        try:
            async with ended(stream):
                if self.ledger.is_banned(peer):
                    raise Refused(f"Peer {peer} is banned.", code="peer-banned")
                frames = self.frames(stream)
                await serve(frames)
                await frames.finish()
        except HalleError as exc:
            self.refused(peer, exc)

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


def _is_refusal(error: BaseException) -> bool:
    """True when the peer answered that it does not speak the protocol; a negotiation that timed out is none."""
    cause = error.__cause__
    return isinstance(cause, MultiselectClientError) and "timed out" not in str(cause)


def _unsupported(peer: str, protocol: str) -> Unavailable:
    return Unavailable(f"Peer {peer} does not speak {protocol}.", code=UNSUPPORTED, hint="Ask another peer.")


def _unreachable(peer: str, cause: BaseException | None) -> Unavailable:
    detail = f": {cause}" if cause is not None else " in time"
    return Unavailable(
        f"Peer {peer} did not answer{detail}.",
        code="peer-unreachable",
        hint="It may be offline; retry later.",
    )
