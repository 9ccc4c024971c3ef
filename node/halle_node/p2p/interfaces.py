"""The addresses of this machine's network interfaces."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import ifaddr

_ANY = {"0.0.0.0": 4, "::": 6}  # noqa: S104 - recognised, not listened on


def listening_addrs(addrs: Sequence[str]) -> tuple[str, ...]:
    """Replace "all interfaces" by the addresses that these have: nobody can dial 0.0.0.0."""
    found: list[str] = []
    for addr in addrs:
        parts = addr.split("/")
        version = _ANY.get(parts[2])
        hosts = [parts[2]] if version is None else _interface_ips(version)
        found += ["/".join([*parts[:2], host, *parts[3:]]) for host in hosts]
    return tuple(dict.fromkeys(found))


def _interface_ips(version: int) -> list[str]:
    """Usable addresses, loopback only when there is no other."""
    ips = [
        ipaddress.ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]
    usable = [ip for ip in ips if ip.version == version and not ip.is_link_local and not ip.is_unspecified]
    away = [ip for ip in usable if not ip.is_loopback]
    return [str(ip) for ip in away or usable]
