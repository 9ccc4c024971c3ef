"""A port of the home router passed on to this node, by UPnP: asked for with an end, renewed, and given back.

The miniupnpc library does the talking; py-libp2p 0.8.1's own module asks without an end (docs/network.md).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import miniupnpc

log = logging.getLogger("halle_node.p2p")

LEASE_S = 3600
RENEW_S = 1500.0
RETRY_S = 600.0
DISCOVER_MS = 2000


class RouterPort:
    """`changed(addr)` is called with the outside address `/ip4/…/tcp/…`, or "" when there is none any more."""

    def __init__(self, port: int, changed: Callable[[str], object]) -> None:
        self._port = port
        self._changed = changed
        self._router: Any = None

    async def run(self) -> None:
        """Keep the port passed on, for ever; give it back when cancelled."""
        try:
            while True:
                addr = await asyncio.to_thread(self._map)
                self._changed(addr)
                await asyncio.sleep(RENEW_S if addr else RETRY_S)
        finally:
            if self._router is not None:
                await asyncio.to_thread(self._unmap)

    def _map(self) -> str:
        """Return the outside address, "" without a router that does it."""
        try:
            router = miniupnpc.UPnP()
            router.discoverdelay = DISCOVER_MS
            if not router.discover():
                return ""
            router.selectigd()
            outside = router.externalipaddress()
            router.addportmapping(self._port, "TCP", router.lanaddr, self._port, "Halle", "", LEASE_S)
        except Exception as exc:  # the library raises bare Exception for every refusal
            log.info("no router passes the port on: %s", exc)
            return ""
        self._router = router
        return f"/ip4/{outside}/tcp/{self._port}" if outside else ""

    def _unmap(self) -> None:
        with suppress(Exception):  # it ends by itself within the hour
            self._router.deleteportmapping(self._port, "TCP")
