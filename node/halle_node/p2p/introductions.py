"""/halle/peers/1: peers tell each other whom they reach, so that a node finds others, and one that moved.

Request: one DAG-CBOR frame `{"about": peer id or null}`. Answer: one DAG-CBOR frame `{"peers": [{"addrs", "id"}]}`.
What a peer says is a rumour: it is only dialled, and never in a narrower network than the one the peer itself is in.
"""

from __future__ import annotations

import ipaddress
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from halle_node.p2p.addresses import MAX_ADDRS, check_peer_id, split_addr
from halle_node.p2p.framing import Frames
from halle_node.p2p.wire import Wire
from halle_protocol import dagcbor
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError

log = logging.getLogger("halle_node.p2p")

PROTOCOL = "/halle/peers/1"
MAX_REQUEST_BYTES = 256
MAX_ANSWER_BYTES = 32 * 1024
MAX_PEERS = 16
MAX_ASKED = 3
AGAIN_S = 60.0
MAX_SOUGHT = 256

Known = Mapping[str, Sequence[str]]


class Introductions:
    """`known` are the peers that we reach, each with the full addresses that work."""

    def __init__(self, wire: Wire, known: Callable[[], Known], addr_of: Callable[[str], str]) -> None:
        self._wire = wire
        self._known = known
        self._addr_of = addr_of
        self._sought: dict[str, float] = {}
        wire.serve(PROTOCOL, self._serve)
        wire.find = self.find

    # answering

    async def _serve(self, frames: Frames, peer: str) -> None:
        about = _parse_request(await frames.read(MAX_REQUEST_BYTES))
        known = {each: addrs for each, addrs in self._known().items() if each != peer and addrs}
        if not self._wire.ledger.take(peer, "introductions"):
            chosen: list[str] = []
        elif about is not None:
            chosen = [about] if about in known else []
        else:
            chosen = random.sample(list(known), min(MAX_PEERS, len(known)))
        told = [{"id": each, "addrs": list(known[each])[:MAX_ADDRS]} for each in chosen]
        await frames.write(dagcbor.encode({"peers": told}))

    # asking

    async def ask(self, peer: str, about: str | None = None) -> dict[str, list[str]]:
        """Return whom a peer knows, or where it reaches one. Raises: Unavailable, RemoteProtocolError."""
        try:
            async with self._wire.opened(peer, [], PROTOCOL) as frames:
                await frames.write(dagcbor.encode({"about": about}))
                told = _parse_answer(await frames.read(MAX_ANSWER_BYTES))
        except RemoteProtocolError:
            self._wire.punish(peer)
            raise
        reach = _scope(self._addr_of(peer))
        usable = {each: [addr for addr in addrs if _scope(addr) >= reach] for each, addrs in told.items()}
        return {each: addrs for each, addrs in usable.items() if addrs and each != self._wire.own_id}

    async def find(self, peer: str) -> list[str]:
        """Ask some connected peers where they reach another one; at most once a minute for each sought."""
        now = time.monotonic()
        self._sought = {each: at for each, at in self._sought.items() if now - at < AGAIN_S}
        if peer in self._sought or len(self._sought) >= MAX_SOUGHT:
            return []
        self._sought[peer] = now
        connected = [str(each) for each in self._wire.host.get_connected_peers()]
        found: list[str] = []
        for helper in random.sample(connected, min(MAX_ASKED, len(connected))):
            try:
                found += (await self.ask(helper, peer)).get(peer, [])
            except HalleError as exc:
                log.debug("asking %s for %s: %s", helper, peer, exc)
        return list(dict.fromkeys(found))[:MAX_ADDRS]


def _parse_request(frame: bytes) -> str | None:
    value = dagcbor.decode(frame)
    if not isinstance(value, dict) or set(value) != {"about"}:
        raise RemoteProtocolError("A question for peers has one field, `about`.", code="peers-shape")
    return None if value["about"] is None else _peer_id(value["about"])


def _parse_answer(frame: bytes) -> dict[str, list[str]]:
    value = dagcbor.decode(frame)
    told = value.get("peers") if isinstance(value, dict) else None
    if not isinstance(told, list) or len(told) > MAX_PEERS:
        raise RemoteProtocolError("An answer about peers lists at most 16 of them.", code="peers-shape")
    return dict(_parse_peer(each) for each in told)


def _parse_peer(value: Any) -> tuple[str, list[str]]:
    if not isinstance(value, dict) or not isinstance(value.get("addrs"), list):
        raise RemoteProtocolError("A peer is told as `id` and `addrs`.", code="peers-shape")
    peer = _peer_id(value.get("id"))
    return peer, [addr for addr in value["addrs"][:MAX_ADDRS] if _names(addr, peer)]


def _peer_id(value: Any) -> str:
    try:
        return check_peer_id(value if isinstance(value, str) else "")
    except Refused as exc:
        raise RemoteProtocolError("That is no peer id.", code="peers-shape") from exc


def _names(addr: Any, peer: str) -> bool:
    """Addresses of kinds that we do not know are passed over, as everywhere."""
    try:
        return isinstance(addr, str) and split_addr(addr)[1] == peer
    except Refused:
        return False


def _scope(addr: str) -> int:
    """0: this machine, 1: a private network, 2: the internet or a name."""
    parts = addr.split("/")
    if len(parts) < 3 or not parts[1].startswith("ip"):
        return 2
    try:
        ip = ipaddress.ip_address(parts[2])
    except ValueError:
        return -1
    return 0 if ip.is_loopback else 2 if ip.is_global else 1
