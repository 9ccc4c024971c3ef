"""HTTP connections to addresses that somebody else wrote, without becoming their way into this network.

Rule: the address a name resolved to is checked at the moment of connecting, for every hop, so that neither a
redirect nor a name that changes its mind can reach a private, mapped, translated or special address.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Ranges that carry an IPv4 address inside, or lead to a machine chosen by whoever wrote the address.
_TRANSLATED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "::/96",
        "::ffff:0:0:0/96",
        "fec0::/10",
    )
)


def is_public(address: Address) -> bool:
    """True for an address on the open internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_any(address: Address) -> bool:
    """True always: for a network of one's own."""
    return True


def guarded_session(
    allowed: Callable[[Address], bool], *, timeout: aiohttp.ClientTimeout, headers: Mapping[str, str]
) -> aiohttp.ClientSession:
    """Return a client without cookies, proxy, compression and lasting connections, that reaches `allowed` only."""

    def make_socket(addr_info: Any) -> socket.socket:
        family, kind, protocol, _, target = addr_info
        if not allowed(ipaddress.ip_address(str(target[0]).split("%")[0])):
            raise Forbidden(f"{target[0]} is not a public address")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=8, limit_per_host=4, socket_factory=make_socket, force_close=True),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        headers=headers,
    )


class Forbidden(OSError):
    """The guard's refusal, recognisable however deep a client wraps it."""


def forbidden_inside(error: BaseException | None) -> bool:
    """True when the guard's refusal is what an error comes from."""
    while error is not None:
        if isinstance(error, Forbidden) or "is not a public address" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
