"""What one visitor may cost the gateway: requests and bytes a minute, and answers under way at a time.

A visitor is an address, or a whole IPv6 network of 64 bits, which one household has for itself. A reverse proxy on this
machine names its visitor in X-Forwarded-For; programs on this machine that name none are its owner's, and only share
the limit on answers under way.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from halle_node.p2p.metering import UploadBudget

REQUESTS_PER_MINUTE = 6_000
BYTES_PER_MINUTE = 3 * 1024**3
BURST_S = 10
STREAMS_PER_VISITOR = 16
STREAMS_IN_ALL = 128
VISITORS_REMEMBERED = 4_096
# The slowest reader still gets a megabyte in this time; a slower one makes room for others.
STALL_S = 60.0


@dataclass
class _Account:
    requests: float
    bytes: float
    updated: float
    streams: int = 0


class Visit:
    """One answer under way."""

    def __init__(self, account: _Account | None, stall_s: float, upload: UploadBudget) -> None:
        self._account = account
        self._upload = upload
        self.stall_s = stall_s

    def spend(self, size: int) -> None:
        """Note bytes sent. Overspending is paid with the next requests, not with a cut."""
        self._upload.spend(size)
        if self._account is not None:
            self._account.bytes -= size


class Visitors:
    """The accounts of all visitors. Lives on one event loop. Units: `clock` in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, upload: UploadBudget | None = None) -> None:
        """With an `upload` budget, the gateway shares it with the node's peers."""
        self._upload = upload or UploadBudget(0)
        self._clock = clock
        self.stall_s = STALL_S
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._streams = 0

    @property
    def under_way(self) -> int:
        """How many answers are being given now."""
        return self._streams

    @contextmanager
    def entering(self, request: web.Request) -> Iterator[Visit | None]:
        """Yield the visit, None when this visitor or all together are over budget."""
        name = visitor_of(request)
        account = None if name is None else self._account(name)
        full = self._streams >= STREAMS_IN_ALL or self._upload.spent
        if full or (account is not None and not _admit(account)):
            yield None
            return
        self._streams += 1
        if account is not None:
            account.streams += 1
        try:
            yield Visit(account, self.stall_s, self._upload)
        finally:
            self._streams -= 1
            if account is not None:
                account.streams -= 1

    def _account(self, name: str) -> _Account:
        now = self._clock()
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = _Account(_burst(REQUESTS_PER_MINUTE), _burst(BYTES_PER_MINUTE), now)
            while len(self._accounts) > VISITORS_REMEMBERED:
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(name)
        passed_min = (now - account.updated) / 60
        account.requests = min(_burst(REQUESTS_PER_MINUTE), account.requests + passed_min * REQUESTS_PER_MINUTE)
        account.bytes = min(_burst(BYTES_PER_MINUTE), account.bytes + passed_min * BYTES_PER_MINUTE)
        account.updated = now
        return account


def _burst(per_minute: float) -> float:
    return per_minute * BURST_S / 60


def _admit(account: _Account) -> bool:
    if account.requests < 1 or account.bytes <= 0 or account.streams >= STREAMS_PER_VISITOR:
        return False
    account.requests -= 1
    return True


def visitor_of(request: web.Request) -> str | None:
    """The visitor's name in the books; None for the owner of this machine."""
    address = _address(request.remote or "")
    if address is not None and address.is_loopback:
        # Only the last hop's own word counts: what came before it is the visitor's to invent.
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", [])).rpartition(",")[2].strip()
        if not forwarded:
            return None
        address = _address(forwarded)
    if address is None:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


VISITORS = web.AppKey("gateway_visitors", Visitors)
VISIT = web.RequestKey("gateway_visit", Visit)
