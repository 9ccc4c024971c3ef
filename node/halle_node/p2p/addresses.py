"""Peer addresses as text: `/ip4/203.0.113.7/tcp/4480/p2p/12D3Koo…`, or through a relay
`/ip4/198.51.100.2/tcp/4480/p2p/12D3Koo…/p2p-circuit/p2p/12D3Koo…`. TCP only; everything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from halle_protocol.errors import Refused

MAX_ADDRS = 8
CIRCUIT = "/p2p-circuit"

_PEER = r"[1-9A-HJ-NP-Za-km-z]{40,70}"
_TCP = r"/(?:ip4|ip6|dns|dns4|dns6)/[0-9A-Za-z.:_-]{1,253}/tcp/\d{1,5}"
_TRANSPORT = rf"{_TCP}(?:/p2p/{_PEER}{CIRCUIT})?"
_FULL = re.compile(rf"({_TRANSPORT})/p2p/({_PEER})")
_PEER_ID = re.compile(_PEER)


def split_addr(addr: str) -> tuple[str, str]:
    """Return (transport address, peer id) of a full address; the former ends with `CIRCUIT` when it names a relay.

    Raises: Refused "bad-multiaddr".
    """
    match = _FULL.fullmatch(addr)
    if match is None:
        raise Refused(
            f"{addr[:200]!r} is not a peer address.",
            code="bad-multiaddr",
            hint="It looks like /ip4/203.0.113.7/tcp/4480/p2p/12D3Koo…",
        )
    return match[1], match[2]


def transports(peer: str, addrs: Sequence[str]) -> list[str]:
    """Keep the readable addresses that do not name another peer, without the peer id, at most `MAX_ADDRS`."""
    found: list[str] = []
    for addr in addrs[:MAX_ADDRS]:
        try:
            transport, named = split_addr(addr if _names_peer(addr) else f"{addr}/p2p/{peer}")
        except Refused:
            continue
        if named == peer:
            found.append(transport)
    return found


def _names_peer(addr: str) -> bool:
    return "/p2p/" in addr and not addr.endswith(CIRCUIT)


def is_circuit(transport: str) -> bool:
    """Tell whether an address without its peer id leads through a relay."""
    return transport.endswith(CIRCUIT)


def relay_of(transport: str) -> tuple[str, str]:
    """Return (transport address, peer id) of the relay that a circuit address names. Raises: Refused."""
    return split_addr(transport.removesuffix(CIRCUIT))


def check_peer_id(peer: str) -> str:
    """Return a peer id that looks like one. Raises: Refused "bad-peer-id"."""
    if _PEER_ID.fullmatch(peer) is None:
        raise Refused(f"{peer[:80]!r} is not a peer id.", code="bad-peer-id", hint="It begins with 12D3Koo.")
    return peer


def ip_of(addr: str) -> str:
    """Return the IP address in an address, empty when it names a host."""
    parts = addr.split("/")
    return parts[2] if len(parts) > 2 and parts[1] in ("ip4", "ip6") else ""
