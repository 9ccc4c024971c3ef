"""One run of the network in the trio thread: a hardened host, its protocols, the tasks that keep it alive."""

from __future__ import annotations

import logging
import random
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from halle_node.blocks import BlockStore
from halle_node.p2p import hardening
from halle_node.p2p.addresses import CIRCUIT, MAX_ADDRS
from halle_node.p2p.bitswap import BitswapServer
from halle_node.p2p.bridge import Bridge
from halle_node.p2p.dialing import AddressBook, Dialer
from halle_node.p2p.direct import DirectMessages
from halle_node.p2p.exchange import BlockExchange
from halle_node.p2p.gossip import TOPIC, HeadGossip
from halle_node.p2p.interfaces import listening_addrs
from halle_node.p2p.introductions import Introductions
from halle_node.p2p.limits import PeerLedger
from halle_node.p2p.reach import DialBack, Reach
from halle_node.p2p.relay import RelayServer
from halle_node.p2p.reservations import Reservations
from halle_node.p2p.roster import Roster
from halle_node.p2p.sync import HeadSync
from halle_node.p2p.traffic import Traffic
from halle_node.p2p.types import Handlers, NetworkConfig, Reachability
from halle_node.p2p.wire import Wire
from halle_protocol.errors import ConfigError, HalleError

log = logging.getLogger("halle_node.p2p")


class Session:
    """Built in the trio thread; its public attributes are read by the facade only through the bridge,
    except the roster's table and `addrs`, which are replaced whole. `moved` is called when `addrs` changed.
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
    ) -> None:
        self._config = config
        self._bridge = bridge
        self._port = port
        self.ledger = PeerLedger(_rates(config), trio.current_time)
        self.host = _new_host(config, peer_private)
        hardening.guard_stream_handlers(
            self.host,
            enter=lambda peer: self.ledger.enter_stream(peer, config.max_streams_per_peer),
            leave=self.ledger.leave_stream,
        )
        hardening.release_inbound_slots(self.host)
        hardening.single_attempts(self.host)
        self.wire = Wire(self.host, config, self.ledger, traffic)
        self.gossip = HeadGossip(self.wire, handlers, self._asking(handlers.on_head), trio.current_time)
        self.exchange = BlockExchange(self.wire, store)
        self.direct = DirectMessages(self.wire, self._asking(handlers.on_message))
        self.sync = HeadSync(
            self.wire, self.gossip, self._asking(handlers.head_items), self._asking(handlers.head_frames)
        )
        self.book = AddressBook(config.remembered_path)
        self.dialer = Dialer(self.wire, config, self.book)
        self._pubsub = self._new_pubsub()
        self._bitswap = BitswapServer(self.wire, store) if config.serve_bitswap else None
        self.roster = Roster(self.wire, self._peer_came, self._peer_went)
        self.addrs: tuple[str, ...] = ()
        self.listening: tuple[str, ...] = ()
        self.mapping = ""
        self._on_moved = moved
        self.reservations = Reservations(self.wire, self._moved, self._learned_relays)
        self.relay = RelayServer(self.wire, self._direct_addrs) if config.relay_service else None
        self.reach = Reach(self.wire, lambda: self.listening, lambda: self.port, self._moved)
        DialBack(self.wire)
        self.introductions = Introductions(self.wire, self._known_peers, self._addr_of)
        self._to_sync_in, self._to_sync = trio.open_memory_channel[str](64)

    def _asking(self, fn: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def ask(*args: Any) -> Any:
            return await self._bridge.ask(fn, *args)

        return ask

    def _new_pubsub(self) -> Any:
        router = hardening.gossip_router()
        pubsub = hardening.HardenedPubsub(
            self.host, router, strict_signing=True, allowed_topics={TOPIC}, admit=self.gossip.admit
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
        self.listening = listening_addrs([str(addr) for addr in self.host.get_addrs()])
        self._moved()
        if self._bitswap is not None:
            await self._bitswap.start()
        subscription = await self._pubsub.subscribe(TOPIC)
        nursery.start_soon(self.gossip.run, subscription)
        nursery.start_soon(self.wire.execute_bans)
        nursery.start_soon(self.dialer.run)
        nursery.start_soon(self._sync_new_peers)
        nursery.start_soon(self._sync_periodically)
        nursery.start_soon(self.roster.run)
        nursery.start_soon(self.reservations.run)
        nursery.start_soon(self.reach.run)
        nursery.start_soon(self.reach.run_again, self._dialled)

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

    @property
    def port(self) -> int:
        return int(Multiaddr(self.listening[0]).value_for_protocol("tcp"))

    # where we are

    def _moved(self) -> None:
        """Tell the best addresses first: readers take only so many."""
        own = f"/p2p/{self.wire.own_id}"
        confirmed = [addr + own for addr in self.reach.confirmed]
        mapped = [self.mapping + own] if self.mapping else []
        addrs = dict.fromkeys([*mapped, *confirmed, *self.reservations.addrs, *self.listening])
        before, self.addrs = self.addrs, tuple(addrs)[:MAX_ADDRS]
        if self.addrs != before:
            self._on_moved()

    def _learned_relays(self) -> list[str]:
        """Relays among the peers that we dialled, when nobody could dial us; none when the settings name some."""
        if not self._config.learn_relays or self._config.relays or self.reach.confirmed or not self.reach.verdicts:
            return []
        addrs = {info.peer_id: info.addr for info in self.roster.table if info.direction == "outbound"}
        return [addrs[peer] for peer in self.reach.relays if addrs.get(peer) and CIRCUIT not in addrs[peer]]

    def _dialled(self) -> list[str]:
        return [info.peer_id for info in self.roster.table if info.direction == "outbound"]

    def set_mapping(self, addr: str) -> None:
        """Note the address that the router passes on to us, "" for none."""
        self.mapping = addr
        self._moved()

    def _known_peers(self) -> dict[str, list[str]]:
        """Whom we reach and where: peers that we dialled, those remembered, those that we keep a place for."""
        known = {peer: [addr] for peer, addr in self.book.addrs.items()}
        known |= {info.peer_id: [info.addr] for info in self.roster.table if info.direction == "outbound" and info.addr}
        for peer in self.relay.holders() if self.relay else ():
            known.setdefault(peer, []).extend(f"{addr}{CIRCUIT}/p2p/{peer}" for addr in self._direct_addrs())
        return known

    def _direct_addrs(self) -> tuple[str, ...]:
        return tuple(addr for addr in self.addrs if CIRCUIT not in addr)

    def _addr_of(self, peer: str) -> str:
        return next((info.addr for info in self.roster.table if info.peer_id == peer), "")

    async def _ask_around(self, peer: str) -> None:
        """Learn of more peers while fewer are connected than sought."""
        if self._config.peer_exchange and self.dialer.wants_more():
            for found, addrs in (await self.introductions.ask(peer)).items():
                self.dialer.learn(found, addrs)

    def reachability(self) -> Reachability:
        """Return how this node can be reached."""
        relay = self.relay
        return Reachability(
            listening=self.listening,
            announced=self.addrs,
            verdicts=self.reach.verdicts,
            relays=self.reservations.relays,
            mapping=self.mapping,
            serving=None if relay is None else (relay.reservations, relay.circuits, relay.carried_bytes),
        )

    # peers

    def _peer_came(self, peer: str, outbound: bool) -> None:
        if self.ledger.is_banned(peer):
            self.wire.condemn(peer)
        elif outbound:  # the side that dialled reconciles, for both
            self._queue_sync(peer)
            self.reach.came(peer)

    def _peer_went(self, peer: str) -> None:
        self.dialer.wake()
        self.reservations.went(peer)

    def _queue_sync(self, peer: str) -> None:
        try:
            self._to_sync_in.send_nowait(peer)
        except trio.WouldBlock:
            self.wire.traffic.drops["sync-queue-full"] += 1

    async def _sync_new_peers(self) -> None:
        async for peer in self._to_sync:
            await self._sync_quietly(peer)

    async def _sync_periodically(self) -> None:
        while True:
            # Jitter keeps nodes that started together from reconciling in step.
            await trio.sleep(self._config.sync_interval_s * random.uniform(0.8, 1.2))  # noqa: S311
            peers = [info.peer_id for info in self.roster.table]
            if peers:
                await self._sync_quietly(random.choice(peers))  # noqa: S311

    async def _sync_quietly(self, peer: str) -> None:
        try:
            await self.sync.run(peer)
        except HalleError as exc:
            self.wire.traffic.drops[f"sync-{exc.code}"] += 1
            log.debug("reconciliation with %s: %s", peer, exc)
        except Exception as exc:  # a task's top: our own fault
            log.warning("reconciliation with %s failed", peer, exc_info=exc)
        else:
            await self._remember(peer)
            await self._ask_around_quietly(peer)

    async def _ask_around_quietly(self, peer: str) -> None:
        try:
            await self._ask_around(peer)
        except HalleError as exc:
            log.debug("asking %s for peers: %s", peer, exc)

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
        "messages": config.messages_per_minute,
        "blocks": config.block_requests_per_minute,
        "block-bytes": config.response_bytes_per_minute,
        "syncs": config.syncs_per_minute,
        "relaying": config.relay_requests_per_minute,
        "dial-backs": config.dial_backs_per_minute,
        "introductions": config.introductions_per_minute,
    }
