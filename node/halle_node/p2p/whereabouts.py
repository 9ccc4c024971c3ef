"""Where this node is reached and where it reaches others: listening, relays, dial-backs, the router, introductions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import trio
from multiaddr import Multiaddr

from halle_node.p2p.addresses import CIRCUIT, MAX_ADDRS
from halle_node.p2p.dialing import Dialer
from halle_node.p2p.interfaces import listening_addrs
from halle_node.p2p.introductions import Introductions
from halle_node.p2p.reach import DialBack, Reach
from halle_node.p2p.relay import RelayServer
from halle_node.p2p.reservations import Reservations
from halle_node.p2p.types import PeerInfo, Reachability
from halle_node.p2p.wire import Wire
from halle_protocol.errors import HalleError

log = logging.getLogger("halle_node.p2p")


class Whereabouts:
    """`table` gives the connected peers; `moved` is called when `addrs`, which is replaced whole, has changed."""

    def __init__(
        self, wire: Wire, dialer: Dialer, table: Callable[[], Sequence[PeerInfo]], moved: Callable[[], object]
    ) -> None:
        self._wire = wire
        self._config = wire.config
        self._dialer = dialer
        self._table = table
        self._on_moved = moved
        self.addrs: tuple[str, ...] = ()
        self.listening: tuple[str, ...] = ()
        self._mapping = ""
        self._reservations = Reservations(wire, self._moved, self._learned_relays)
        self._relay = RelayServer(wire, self._direct) if self._config.relay_service else None
        self._reach = Reach(wire, lambda: self.listening, lambda: self.port, self._moved)
        self._introductions = Introductions(wire, self._known, self._addr_of)
        DialBack(wire)

    def start(self, nursery: trio.Nursery) -> None:
        """Begin, once the host listens."""
        self.listening = listening_addrs([str(addr) for addr in self._wire.host.get_addrs()])
        self._moved()
        nursery.start_soon(self._reservations.run)
        nursery.start_soon(self._reach.run)
        nursery.start_soon(self._reach.run_again, lambda: [info.peer_id for info in self._dialled()])

    @property
    def port(self) -> int:
        """The TCP port that the host listens on."""
        return int(Multiaddr(self.listening[0]).value_for_protocol("tcp"))

    def came(self, peer: str, outbound: bool) -> None:
        """Note a new connection."""
        if outbound:
            self._reach.came(peer)

    def went(self, peer: str) -> None:
        """Note a lost connection."""
        self._reservations.went(peer)

    def set_mapping(self, addr: str) -> None:
        """Note the address that the router passes on to us, "" for none."""
        self._mapping = addr
        self._moved()

    async def ask_around(self, peer: str) -> None:
        """Learn of more peers while fewer are connected than sought; a peer that tells of none is no failure."""
        if not self._config.peer_exchange or not self._dialer.wants_more():
            return
        try:
            told = await self._introductions.ask(peer)
        except HalleError as exc:
            log.debug("asking %s for peers: %s", peer, exc)
            return
        for found, addrs in told.items():
            self._dialer.learn(found, addrs)

    def reachability(self) -> Reachability:
        """Return how this node can be reached."""
        relay = self._relay
        return Reachability(
            listening=self.listening,
            announced=self.addrs,
            verdicts=self._reach.verdicts,
            relays=self._reservations.relays,
            mapping=self._mapping,
            serving=None if relay is None else (relay.reservations, relay.circuits, relay.carried_bytes),
        )

    def _moved(self) -> None:
        """Tell the best addresses first: readers take only so many."""
        own = f"/p2p/{self._wire.own_id}"
        confirmed = [addr + own for addr in self._reach.confirmed]
        mapped = [self._mapping + own] if self._mapping else []
        addrs = dict.fromkeys([*mapped, *confirmed, *self._reservations.addrs, *self.listening])
        before, self.addrs = self.addrs, tuple(addrs)[:MAX_ADDRS]
        if self.addrs != before:
            self._on_moved()

    def _direct(self) -> tuple[str, ...]:
        return tuple(addr for addr in self.addrs if CIRCUIT not in addr)

    def _dialled(self) -> list[PeerInfo]:
        return [info for info in self._table() if info.direction == "outbound" and info.addr]

    def _learned_relays(self) -> list[str]:
        """Relays among the peers that we dialled, when nobody could dial us; none when the settings name some."""
        if not self._config.learn_relays or self._config.relays or self._reach.confirmed or not self._reach.verdicts:
            return []
        direct = [info for info in self._dialled() if CIRCUIT not in info.addr]
        return [info.addr for info in direct if info.peer_id in self._reach.relays]

    def _known(self) -> dict[str, list[str]]:
        """Whom we reach and where: peers that we dialled, those remembered, those that we keep a place for."""
        known = {peer: [addr] for peer, addr in self._dialer.remembered.items()}
        known |= {info.peer_id: [info.addr] for info in self._dialled()}
        for peer in self._relay.holders() if self._relay else ():
            known.setdefault(peer, []).extend(f"{addr}{CIRCUIT}/p2p/{peer}" for addr in self._direct())
        return known

    def _addr_of(self, peer: str) -> str:
        return next((info.addr for info in self._table() if info.peer_id == peer), "")
