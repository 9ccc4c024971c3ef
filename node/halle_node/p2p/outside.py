"""What speaks to the local network rather than to peers, on the asyncio loop: mDNS and the home router."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from halle_node.p2p.types import NetworkConfig

if TYPE_CHECKING:
    from halle_node.p2p.lan import LanDiscovery
    from halle_node.p2p.router import RouterPort

log = logging.getLogger("halle_node.p2p")

CLOSE_S = 1.5


class Outside:
    """`found(peer, addrs)` tells of a peer nearby, `mapped(addr)` of the address that the router passes on."""

    def __init__(
        self,
        config: NetworkConfig,
        addrs: Sequence[str],
        found: Callable[[str, list[str]], object],
        mapped: Callable[[str], object],
    ) -> None:
        away = [addr for addr in addrs if addr.split("/")[2] not in ("127.0.0.1", "::1")]
        self._lan = _lan(away, found) if config.mdns and away else None
        self._router = _router(away, mapped) if config.upnp and away else None
        self._mapping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; a local network that does not play along is no failure."""
        if self._router is not None:
            self._mapping = asyncio.create_task(self._router.run(), name="router-port")
        if self._lan is not None:
            try:
                await self._lan.start()
            except OSError as exc:
                log.info("peers in the local network are not looked for: %s", exc)

    async def close(self) -> None:
        """End both, within a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                if self._mapping is not None:
                    self._mapping.cancel()
                    await asyncio.wait({self._mapping})
                if self._lan is not None:
                    await self._lan.close()


# Their libraries are loaded only by who uses them.


def _lan(addrs: Sequence[str], found: Callable[[str, list[str]], object]) -> LanDiscovery:
    from halle_node.p2p.lan import LanDiscovery

    return LanDiscovery(addrs, found)


def _router(addrs: Sequence[str], mapped: Callable[[str], object]) -> RouterPort:
    from halle_node.p2p.router import RouterPort

    return RouterPort(int(addrs[0].split("/")[4]), mapped)
