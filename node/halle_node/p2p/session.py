"""One run of the network in the trio thread: a hardened host, its protocols, the tasks that keep it alive."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from halle_node.blocks import BlockStore
from halle_node.p2p import hardening
from halle_node.p2p.addresses import ip_of
from halle_node.p2p.bitswap import Bitswap
from halle_node.p2p.bridge import Bridge
from halle_node.p2p.catchup import CatchUp
from halle_node.p2p.dialing import AddressBook, Dialer
from halle_node.p2p.direct import DirectMessages
from halle_node.p2p.exchange import BlockExchange
from halle_node.p2p.gossip import TOPIC, TOPICS, HeadGossip
from halle_node.p2p.limits import PeerLedger
from halle_node.p2p.mailbox import Desk, Mailboxes
from halle_node.p2p.mesh import HardenedPubsub, Mesh, mesh_of
from halle_node.p2p.metering import UploadBudget
from halle_node.p2p.roster import Roster
from halle_node.p2p.sync import HeadSync
from halle_node.p2p.traffic import Traffic
from halle_node.p2p.types import Access, Handlers, NetworkConfig, OpenDoor
from halle_node.p2p.whereabouts import Whereabouts
from halle_node.p2p.wire import UNSUPPORTED, Wire
from halle_protocol.cid import CID
from halle_protocol.errors import ConfigError, HalleError, Unavailable

log = logging.getLogger("halle_node.p2p")


class Session:
    """Built in the trio thread; its public attributes are read by the facade only through the bridge,
    except the roster's table and the whereabouts' `addrs`, which are replaced whole; `moved` is called when the latter
    have changed.
    """

    def __init__(
        self,
        config: NetworkConfig,
        peer_private: bytes,
        port: int,
        store: BlockStore,
        handlers: Handlers,
        traffic: Traffic,
        bridge: Bridge,
        moved: Callable[[], object],
        access: Access | None = None,
        desk: Desk | None = None,
        upload: UploadBudget | None = None,
    ) -> None:
        self._config = config
        self._bridge = bridge
        self._port = port
        self.ledger = PeerLedger(_rates(config), time.monotonic, access)
        self.host = _new_host(config, peer_private)
        self._access = access or OpenDoor()
        hardening.guard_doors(
            self.host,
            self._access,
            config.max_connections_per_ip,
            lambda reason: traffic.drops.update((reason,)),
        )
        hardening.guard_stream_handlers(
            self.host,
            enter=lambda peer: self.ledger.enter_stream(peer, config.max_streams_per_peer),
            leave=self.ledger.leave_stream,
        )
        hardening.release_inbound_slots(self.host)
        hardening.single_attempts(self.host)
        self.wire = Wire(self.host, config, self.ledger, traffic, upload)
        self.gossip = HeadGossip(self.wire, handlers, self._asking(handlers.on_head), trio.current_time)
        self.exchange = BlockExchange(self.wire, store)
        self.direct = DirectMessages(self.wire, self._asking(handlers.on_message))
        self.mailboxes = Mailboxes(self.wire, desk, bridge.ask)
        self._items = self._asking(handlers.head_items)
        self.sync = HeadSync(self.wire, self.gossip, self._items, self._asking(handlers.head_frames))
        self.book = AddressBook(config.remembered_path)
        self.dialer = Dialer(self.wire, config, self.book)
        self._pubsub = self._new_pubsub()
        self._bitswap = Bitswap(self.wire, store) if config.serve_bitswap else None
        self.roster = Roster(self.wire, self._peer_came, self._peer_went)
        self.whereabouts = Whereabouts(self.wire, self.dialer, lambda: self.roster.table, moved)
        self.catch_up = CatchUp(self.wire, self.sync, self._connected, self._got_to_know)

    def _asking(self, fn: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def ask(*args: Any) -> Any:
            return await self._bridge.ask(fn, *args)

        return ask

    def _new_pubsub(self) -> Any:
        pubsub = HardenedPubsub(
            self.host,
            Mesh(self.ledger, self.wire.punish),
            allowed_topics=TOPICS,
            admit=self.gossip.admit,
            pace=self.gossip.pace,
            refused=self.wire.refused,
        )
        hardening.unique_sequence_numbers(pubsub)
        self.gossip.attach(pubsub)
        return pubsub

    async def run(self, ready: Callable[[Session], None]) -> None:
        """Be on the network until cancelled; leave no socket open."""
        self._check_port()
        listen = _listen_addr(self._config.listen_host, self._port)
        router = self._pubsub.router
        async with (
            self.host.run(listen_addrs=[listen]),
            background_trio_service(self._pubsub),
            background_trio_service(router),
            trio.open_nursery() as nursery,
        ):
            try:
                self.nursery = nursery
                await self._start(nursery)
                ready(self)
                await trio.sleep_forever()
            finally:
                await hardening.close_sockets(self.host)

    async def _start(self, nursery: trio.Nursery) -> None:
        await self._pubsub.wait_until_ready()
        self.whereabouts.start(nursery)
        await self.gossip.run(nursery)
        nursery.start_soon(self._count_heads, nursery)
        nursery.start_soon(self.wire.execute_bans)
        nursery.start_soon(self.dialer.run)
        nursery.start_soon(self.catch_up.run, nursery)
        nursery.start_soon(self.roster.run)

    def _check_port(self) -> None:
        """Refuse a port in use: with the library's SO_REUSEPORT two nodes would share it unnoticed."""
        if self._port == 0:
            return
        family = socket.AF_INET6 if ":" in self._config.listen_host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._config.listen_host, self._port))
            except OSError as exc:
                raise ConfigError(
                    f"The network cannot listen on {self._config.listen_host} port {self._port}: {exc}.",
                    code="p2p-port-unavailable",
                    hint="Stop what uses it or choose another p2p_port.",
                ) from exc

    async def fetch(self, peer: str, addrs: Sequence[str], cids: Sequence[CID]) -> dict[CID, bytes]:
        """Return those of `cids` that the peer has: by our own protocol, or by bitswap when it speaks only that."""
        try:
            return await self.exchange.fetch(peer, addrs, cids, partial=True)
        except Unavailable as exc:
            if exc.code != UNSUPPORTED or self._bitswap is None:
                raise
        return await self._bitswap.fetch(peer, addrs, cids)

    # peers

    def _peer_came(self, peer: str, outbound: bool) -> None:
        self.whereabouts.came(peer, outbound)
        if self.ledger.is_banned(peer):
            self.wire.condemn(peer)
        elif outbound:  # the side that dialled reconciles, for both
            self.catch_up.queue(peer)

    def _connected(self) -> list[str]:
        return [str(peer) for peer in self.host.get_connected_peers()]

    def _peer_went(self, peer: str) -> None:
        self.dialer.wake()
        self.whereabouts.went(peer)

    async def _count_heads(self, nursery: trio.Nursery) -> None:
        """Let gossip know whether there are so many heads that shards are used, for ever."""
        while True:
            with suppress(HalleError):
                items = await self._items()
                await self.gossip.note_known(nursery, len(items))
            await trio.sleep(self._config.sync_interval_s)

    async def apply_access(self) -> None:
        """Disconnect whom the operator has blocked, and forgive whom he allowed."""
        for info in self.roster.table:
            if self._access.is_exempt(info.peer_id):
                self.ledger.pardon(info.peer_id)
            elif self._access.is_blocked(info.peer_id) or self._access.ip(ip_of(info.addr)) is False:
                self.wire.condemn(info.peer_id)

    def queues(self) -> dict[str, int]:
        """What waits inside, for whoever asks from the other thread."""
        return {**self.gossip.queues(), "reconciliations": self.catch_up.waiting()}

    def mesh_peers(self) -> int:
        """How many peers we gossip with."""
        return len(mesh_of(self._pubsub.router, TOPIC))

    async def _got_to_know(self, peer: str) -> None:
        await self._remember(peer)
        await self.whereabouts.ask_around(peer)

    async def _remember(self, peer: str) -> None:
        """Keep the address of a peer that speaks Halle with us."""
        for info in self.roster.table:
            if info.peer_id == peer and info.direction == "outbound" and self.book.remember(peer, info.addr):
                await trio.to_thread.run_sync(self.book.save)


def _listen_addr(host: str, port: int) -> Multiaddr:
    return Multiaddr(f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}")


def _new_host(config: NetworkConfig, peer_private: bytes) -> Any:
    key_pair = create_new_key_pair(peer_private)
    return new_host(
        key_pair=key_pair,
        sec_opt=hardening.noise_only(key_pair, create_noise_key().private_key),
        muxer_opt=hardening.yamux_only(),
        connection_config=hardening.connection_settings(config.max_connections, config.health_check_interval_s),
    )


def _rates(config: NetworkConfig) -> dict[str, float]:
    return {
        "heads": config.heads_per_minute,
        "heads-reserve": config.heads_per_minute_reserve,
        "heads-all": config.heads_per_minute_all,
        "messages": config.messages_per_minute,
        "blocks": config.block_requests_per_minute,
        "block-bytes": config.response_bytes_per_minute,
        "syncs": config.syncs_per_minute,
        "relaying": config.relay_requests_per_minute,
        "dial-backs": config.dial_backs_per_minute,
        "introductions": config.introductions_per_minute,
    }
