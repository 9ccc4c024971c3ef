"""Peers that keep a store's blocks without being the store, such as an IPFS daemon: named among its addresses.

An address in a profile that names another peer than the store's is a place to fetch from.
Spec: docs/spec/11-network.md
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from halle_node.p2p.addresses import split_addr
from halle_protocol.errors import Refused

MAX_TOLD = 3
MAX_KEEPERS = 3


def keepers(store_peer: str, addrs: Sequence[str]) -> list[tuple[str, str]]:
    """Return (peer id, full address) of those that name another peer than the store's, at most `MAX_KEEPERS`."""
    found = [(named, addr) for addr, named in map(_named, addrs) if named and named != store_peer]
    return found[:MAX_KEEPERS]


def tellable(daemon_addrs: Sequence[str], own_addrs: Sequence[str]) -> list[str]:
    """Return the addresses of a daemon that others can dial: public ones, or those on a machine we name ourselves.

    What else a daemon listens on is the merchant's private network and nobody's business.
    """
    hosts = {_host(addr) for addr in own_addrs}
    full = [addr for addr, named in map(_named, daemon_addrs) if named]
    public = [addr for addr in full if _is_public(_host(addr))]
    return (public or [addr for addr in full if _host(addr) in hosts])[:MAX_TOLD]


def _named(addr: str) -> tuple[str, str]:
    """Return the address and the peer id in it, empty when it is none that we can dial."""
    try:
        return addr, split_addr(addr)[1]
    except Refused:
        return addr, ""


def _host(addr: str) -> str:
    parts = addr.split("/")
    return parts[2] if len(parts) > 2 else ""


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host  # a name; one without a dot is of a private network
