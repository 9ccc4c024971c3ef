"""The network as the node uses it, on asyncio. It may die without the node: it is restarted with backoff.

While it is down every call raises `P2PStopped`, an `Unavailable`; web faces, chain and orders go on. libp2p
is imported in the network thread, so that importing this package stays quick.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from halle_node.blocks import BlockStore
from halle_node.p2p.addresses import split_addr
from halle_node.p2p.bridge import Bridge, P2PStopped, stopped
from halle_node.p2p.metering import UploadBudget
from halle_node.p2p.outside import Outside
from halle_node.p2p.traffic import Traffic
from halle_node.p2p.types import Access, Handlers, Kept, NetworkConfig, NetworkStats, PeerInfo, Reachability
from halle_protocol.cid import CID
from halle_protocol.errors import ConfigError, ProtocolError, Refused, Unavailable

if TYPE_CHECKING:
    from halle_node.p2p.mailbox import Desk
    from halle_node.p2p.session import Session

log = logging.getLogger("halle_node.p2p")

T = TypeVar("T")

STOP_TIMEOUT_S = 2.5
RESTART_MIN_S = 0.5
RESTART_MAX_S = 60.0
STABLE_S = 120.0


class Network:
    """`peer_private` is the 32-byte Ed25519 seed of the peer identity."""

    def __init__(
        self,
        config: NetworkConfig,
        peer_private: bytes,
        blocks: BlockStore,
        handlers: Handlers,
        access: Access | None = None,
        *,
        desk: Desk | None = None,
    ) -> None:
        """With a `desk` this node is a mailbox for others."""
        self._access = access
        self._config = config
        self._desk = desk
        self._private = peer_private
        self._blocks = blocks
        self._handlers = handlers
        self._traffic = Traffic()
        self.upload = UploadBudget(config.upload_kb_s)
        self._port = config.listen_port
        self._bridge: Bridge | None = None
        self._session: Session | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._restarts = 0
        self._outside: Outside | None = None
        self.peer_id = ""
        self.moved = asyncio.Event()
        """Set when `addrs` changed; whoever acts on it clears it."""

    async def start(self) -> None:
        """Be reachable. Raises: ConfigError "p2p-port-unavailable", P2PStopped."""
        for addr in (*self._config.bootstrap, *self._config.relays):
            split_addr(addr)
        self._stopping = asyncio.Event()
        await self._launch()
        self._supervisor = asyncio.create_task(self._supervise(), name="p2p-supervisor")
        self._outside = Outside(self._config, self.addrs, self._learned, self._mapped)
        await self._outside.start()

    def _learned(self, peer: str, addrs: list[str]) -> None:
        if self._bridge is not None and self._session is not None and peer != self.peer_id:
            self._bridge.send(self._session.dialer.learn, peer, addrs)

    def _mapped(self, addr: str) -> None:
        if self._bridge is not None and self._session is not None:
            self._bridge.send(self._session.whereabouts.set_mapping, addr)

    async def _launch(self) -> None:
        self._bridge = Bridge(self._main)
        try:
            await self._bridge.start()
        except P2PStopped as exc:
            cause = _config_error(exc.__cause__)
            if cause is not None:
                raise cause from exc
            raise

    async def _main(self, bridge: Bridge) -> None:
        from halle_node.p2p import hardening
        from halle_node.p2p.session import Session

        hardening.harden_process()
        session = Session(
            self._config,
            self._private,
            self._port,
            self._blocks,
            self._handlers,
            self._traffic,
            bridge,
            lambda: bridge.tell(self.moved.set),
            self._access,
            self._desk,
            self.upload,
        )
        await session.run(self._ready)

    def _ready(self, session: Session) -> None:
        """Called in the network thread; the attributes are replaced whole."""
        assert self._bridge is not None
        self.peer_id = session.wire.own_id
        self._port = session.whereabouts.port
        self._session = session
        self._bridge.started()

    async def _supervise(self) -> None:
        wait_s = RESTART_MIN_S
        loop = asyncio.get_running_loop()
        while True:
            assert self._bridge is not None
            began = loop.time()
            await asyncio.shield(self._bridge.closed)
            self._session = None
            if self._stopping.is_set():
                return
            wait_s = RESTART_MIN_S if loop.time() - began > STABLE_S else min(wait_s * 2, RESTART_MAX_S)
            log.warning("the network stopped and restarts in %.1f s", wait_s, exc_info=self._bridge.error)
            if await self._stops_within(wait_s):
                return
            await self._relaunch()

    async def _stops_within(self, wait_s: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), wait_s)
        except TimeoutError:
            return False
        return True

    async def _relaunch(self) -> None:
        self._restarts += 1
        try:
            await self._launch()
        except (Unavailable, ConfigError) as exc:
            log.warning("the network could not restart: %s", exc)

    async def close(self) -> None:
        """Leave the network within three seconds."""
        if self._supervisor is None or self._bridge is None:
            return
        self._stopping.set()
        if self._outside is not None:
            await self._outside.close()
        if not self._bridge.closed.done() and not await self._bridge.stop(STOP_TIMEOUT_S):
            log.warning("the network did not stop in time and is abandoned")
            self._supervisor.cancel()
        await asyncio.wait([self._supervisor], timeout=STOP_TIMEOUT_S)
        self._session = self._supervisor = None

    def _running(self) -> tuple[Bridge, Session]:
        if self._bridge is None or self._session is None:
            raise stopped()
        return self._bridge, self._session

    # what the node asks

    @property
    def addrs(self) -> list[str]:
        """Return our full listen addresses, empty while the network is down."""
        return list(self._session.whereabouts.addrs) if self._session is not None else []

    async def reachability(self) -> Reachability:
        """Return how this node can be reached. Raises: P2PStopped."""
        bridge, session = self._running()
        return await bridge.call(_soon(session.whereabouts.reachability))

    def peers(self) -> list[PeerInfo]:
        return list(self._session.roster.table) if self._session is not None else []

    def stats(self) -> NetworkStats:
        traffic, session = self._traffic, self._session
        return NetworkStats(
            running=self._session is not None,
            restarts=self._restarts,
            peers=len(self.peers()),
            bytes_in=traffic.bytes_in,
            bytes_out=traffic.bytes_out,
            frames_in=traffic.frames_in,
            heads_in=traffic.heads_in,
            frames_out=traffic.frames_out,
            drops=dict(traffic.drops),
            syncs=traffic.syncs,
            last_sync=traffic.last_sync,
            queues=session.queues() if session is not None else {},
            banned=len(session.ledger.banned()) if session is not None else 0,
            mesh_peers=session.mesh_peers() if session is not None else 0,
            wire_in=traffic.meter.bytes_in,
            wire_out=traffic.meter.bytes_out,
            rate_in=traffic.meter.rate_in,
            rate_out=traffic.meter.rate_out,
            syncs_by_peer=dict(traffic.syncs_by_peer),
        )

    async def connect(self, multiaddr: str) -> str:
        """Be connected to the peer at a full /p2p address and return its id.

        Raises: Refused "bad-multiaddr", Unavailable "peer-unreachable".
        """
        transport, peer = split_addr(multiaddr)
        if peer == self.peer_id:
            raise Refused("That address is this node's own.", code="own-address", hint="Give another peer's.")
        bridge, session = self._running()
        await bridge.call(session.wire.connect, peer, [transport])
        return peer

    async def announce(self, frame: bytes, store: bytes = b"") -> None:
        """Gossip a store's head. Peers that miss it get it by reconciliation."""
        bridge, session = self._running()
        await bridge.call(session.gossip.announce, frame, store)

    def apply_access(self) -> None:
        """Have the operator's changed rules hold for the connections that are open."""
        if self._bridge is not None and self._session is not None:
            self._bridge.post(self._session.apply_access)

    async def fetch(self, peer_id: str, addrs: Sequence[str], cids: Sequence[CID]) -> dict[CID, bytes]:
        """Return those of `cids` that the peer has, or that had come when it went away; verified, not stored.

        Raises: Unavailable, RemoteProtocolError.
        """
        if peer_id == self.peer_id:
            return await asyncio.to_thread(self._own_blocks, cids)
        bridge, session = self._running()
        return await bridge.call(session.fetch, peer_id, list(addrs), list(cids))

    async def fetch_any(self, cids: Sequence[CID], *, prefer: Sequence[str] = ()) -> dict[CID, bytes]:
        """Ask the preferred peers and then every connected one until nothing of `cids` is missing."""
        found: dict[CID, bytes] = {}
        connected = [info.peer_id for info in self.peers()]
        for peer in dict.fromkeys([*(p for p in prefer if p in connected), *connected]):
            wanted = [cid for cid in cids if cid not in found]
            if not wanted:
                break
            try:
                found.update(await self.fetch(peer, [], wanted))
            except P2PStopped:
                raise
            except (Unavailable, Refused, ProtocolError) as exc:
                log.debug("fetch from %s: %s", peer, exc)
        return found

    def _own_blocks(self, cids: Sequence[CID]) -> dict[CID, bytes]:
        return {cid: self._blocks.get(cid) for cid in cids if self._blocks.has(cid)}

    async def deliver(self, peer_id: str, addrs: Sequence[str], envelope: bytes) -> None:
        """Return when the far side has processed the envelope.

        Raises: Unavailable (send again), Refused with the far side's code.
        """
        if peer_id == self.peer_id:
            await self._handlers.on_message(envelope, peer_id)
            return
        bridge, session = self._running()
        await bridge.call(session.direct.deliver, peer_id, list(addrs), envelope)

    async def leave(self, mailbox: str, envelope: bytes) -> Kept:
        """Return when the mailbox at this full address has stored the envelope.

        Raises: Unavailable (quota, unreachable), Refused mailbox-not-served, bad-multiaddr.
        """
        transport, peer = split_addr(mailbox)
        if peer == self.peer_id:
            return await self._own_desk().leave(envelope, peer)
        bridge, session = self._running()
        return await bridge.call(session.mailboxes.leave, peer, [transport], envelope)

    async def look(self, mailbox: str, envelope_digest: bytes) -> Kept:
        """Return what became of an envelope left at a mailbox. Raises: Unavailable, Refused letter-unknown."""
        transport, peer = split_addr(mailbox)
        if peer == self.peer_id:
            return await self._own_desk().look(envelope_digest)
        bridge, session = self._running()
        return await bridge.call(session.mailboxes.look, peer, [transport], envelope_digest)

    def _own_desk(self) -> Desk:
        if self._desk is None:
            raise Refused("This node is no mailbox.", code="mailbox-not-served", hint="Set mailbox_for.")
        return self._desk

    async def collect(
        self,
        mailbox: str,
        store: bytes,
        prove: Callable[[bytes, str, str], bytes],
        take: Callable[[bytes, str], Awaitable[bytes | None]],
    ) -> tuple[int, bool]:
        """Fetch and process some of what waits for `store`; return how many were signed for, and if there are more.

        `prove(nonce, mailbox, collector)` runs in the network's thread, `take(envelope, from)` on this loop.
        """
        transport, peer = split_addr(mailbox)
        bridge, session = self._running()

        async def take_here(envelope: bytes, from_peer: str) -> Any:
            return await bridge.ask(take, envelope, from_peer)

        return await bridge.call(session.mailboxes.collect, peer, [transport], store, prove, take_here)

    async def sync_with(self, peer_id: str, addrs: Sequence[str] = ()) -> int:
        """Reconcile heads with a peer; return how many new ones this node processed."""
        bridge, session = self._running()
        return await bridge.call(session.sync.run, peer_id, list(addrs))


def _soon(fn: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    """A plain function as the bridge calls it."""

    async def call() -> T:
        return fn()

    return call


def _config_error(cause: BaseException | None) -> ConfigError | None:
    """Find a ConfigError in what ended the network thread: trio wraps errors of nurseries in groups."""
    if isinstance(cause, BaseExceptionGroup):
        return next((found for inner in cause.exceptions if (found := _config_error(inner))), None)
    return cause if isinstance(cause, ConfigError) else None
