"""Who is connected: told by the library's notifications, shown as one immutable table."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import trio
from libp2p.abc import ConnectionType, INotifee

from halle_node.p2p.types import PeerInfo
from halle_node.p2p.wire import Wire

_REFRESH_S = 2.0


class Roster(INotifee):  # type: ignore[misc]
    """`came(peer, outbound)` and `went(peer)` are called as connections come and go.

    `table` is replaced whole, so that the other thread may read it at any time.
    """

    def __init__(self, wire: Wire, came: Callable[[str, bool], object], went: Callable[[str], object]) -> None:
        self._wire = wire
        self._came = came
        self._went = went
        self._since: dict[str, int] = {}
        self._stale = trio.Event()
        self.table: tuple[PeerInfo, ...] = ()
        wire.host.get_network().register_notifee(self)

    async def run(self) -> None:
        """Keep the table fresh, for ever."""
        while True:
            self._stale = trio.Event()
            self.table = tuple(self._infos())
            self._wire.traffic.meter.sample(trio.current_time())
            with trio.move_on_after(_REFRESH_S):
                await self._stale.wait()

    def _infos(self) -> list[PeerInfo]:
        connected = list(self._wire.host.get_network().connections.items())
        return [self._info(identity, conns[0]) for identity, conns in connected if conns]

    def _info(self, identity: Any, connection: Any) -> PeerInfo:
        peer = str(identity)
        bytes_in, bytes_out = self._wire.traffic.meter.of(peer)
        return PeerInfo(
            peer_id=peer,
            addr=_remote_addr(connection, peer),
            direction="outbound" if _is_outbound(connection) else "inbound",
            since=self._since.get(peer, 0),
            rtt=self._wire.host.get_peerstore().latency_EWMA(identity) or None,
            score=self._wire.ledger.score(peer),
            bytes_in=bytes_in,
            bytes_out=bytes_out,
        )

    async def connected(self, network: Any, conn: Any) -> None:
        peer = str(conn.muxed_conn.peer_id)
        self._since.setdefault(peer, int(time.time()))
        self._wire.traffic.meter.watch(conn, peer)
        self._stale.set()
        self._came(peer, _is_outbound(conn))

    async def disconnected(self, network: Any, conn: Any) -> None:
        peer = str(conn.muxed_conn.peer_id)
        if not self._wire.is_connected(peer):
            self._since.pop(peer, None)
        self._stale.set()
        self._went(peer)

    async def opened_stream(self, network: Any, stream: Any) -> None:
        return None

    async def closed_stream(self, network: Any, stream: Any) -> None:
        return None

    async def listen(self, network: Any, multiaddr: Any) -> None:
        return None

    async def listen_close(self, network: Any, multiaddr: Any) -> None:
        return None


def _is_outbound(connection: Any) -> bool:
    return bool(connection.muxed_conn.is_initiator)


def _remote_addr(connection: Any, peer: str) -> str:
    if connection.muxed_conn.get_connection_type() is ConnectionType.RELAYED:
        return str(connection.muxed_conn.get_transport_addresses()[0])
    try:
        host, port = connection.muxed_conn.get_remote_address()
    except Exception:  # the socket closed meanwhile
        return ""
    return f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}/p2p/{peer}"
