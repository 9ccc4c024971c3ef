"""Peers in the same local network, by libp2p's mDNS discovery: `_p2p._udp.local`, each address in a TXT `dnsaddr=`.

The zeroconf library does the DNS; py-libp2p 0.8.1's own module is not used (docs/network.md).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from zeroconf import IPVersion, ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from halle_node.p2p.addresses import MAX_ADDRS, split_addr
from halle_protocol.errors import Refused

log = logging.getLogger("halle_node.p2p")

SERVICE = "_p2p._udp.local."
MAX_ASKED = 32
ANSWER_MS = 3000
_PREFIX = b"dnsaddr="


class LanDiscovery:
    """`found(peer, addrs)` is called on the asyncio loop for every peer that answers."""

    def __init__(self, addrs: Sequence[str], found: Callable[[str, list[str]], object]) -> None:
        self._addrs = [addr for addr in addrs if "/p2p-circuit" not in addr]
        self._ips = sorted({addr.split("/")[2] for addr in self._addrs if addr.startswith("/ip4/")})
        self._found = found
        self._name = f"{secrets.token_hex(16)}.{SERVICE}"
        self._asking: set[asyncio.Task[None]] = set()
        self._zeroconf: AsyncZeroconf | None = None

    async def start(self) -> None:
        """Tell the local network where we are and listen for others. Raises: OSError without multicast."""
        self._zeroconf = AsyncZeroconf(interfaces=self._ips, ip_version=IPVersion.V4Only)
        port = int(self._addrs[0].split("/")[4])
        info = AsyncServiceInfo(
            SERVICE,
            self._name,
            port=port,
            properties=_txt(self._addrs),
            server=f"{self._name.split('.')[0]}.local.",
            parsed_addresses=self._ips,
        )
        await self._zeroconf.async_register_service(info)
        self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE, handlers=[self._changed])

    def _changed(self, zeroconf: Any, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        gone = state_change is ServiceStateChange.Removed
        if gone or name == self._name or len(self._asking) >= MAX_ASKED:
            return
        task = asyncio.get_running_loop().create_task(self._ask(name))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, name: str) -> None:
        assert self._zeroconf is not None
        info = AsyncServiceInfo(SERVICE, name)
        # Not every implementation sends the SRV record that would make this complete; only TXT counts.
        await info.async_request(self._zeroconf.zeroconf, ANSWER_MS)
        for peer, addrs in _peers_in(info.text or b"").items():
            self._found(peer, addrs)

    async def close(self) -> None:
        """Say good-bye to the local network."""
        if self._zeroconf is None:
            return
        for task in list(self._asking):
            task.cancel()
        await self._zeroconf.async_unregister_all_services()
        await self._zeroconf.async_close()
        self._zeroconf = None


def _txt(addrs: Sequence[str]) -> bytes:
    """One TXT string for each address: the same key several times, which is no dictionary."""
    entries = [_PREFIX + addr.encode() for addr in addrs[:MAX_ADDRS]]
    return b"".join(bytes([len(entry)]) + entry for entry in entries if len(entry) < 256)


def _peers_in(text: bytes) -> dict[str, list[str]]:
    """Read the addresses of a TXT record; what is none of ours is passed over."""
    found: dict[str, list[str]] = {}
    while text:
        entry, text = text[1 : 1 + text[0]], text[1 + text[0] :]
        if not entry.startswith(_PREFIX):
            continue
        try:
            transport, peer = split_addr(entry.removeprefix(_PREFIX).decode("ascii"))
        except (Refused, UnicodeDecodeError):
            continue
        if len(found.setdefault(peer, [])) < MAX_ADDRS:
            found[peer].append(f"{transport}/p2p/{peer}")
    return dict(list(found.items())[:MAX_ASKED])
