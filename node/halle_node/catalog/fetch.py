"""Fetch a picture from an address somebody else wrote, without becoming their way into this network.

Rule: the address a name resolved to is checked at the moment of connecting, for every hop, so that neither a
redirect nor a name that changes its mind can reach a private, mapped, translated or special address.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from halle_protocol.errors import Refused, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_REDIRECTS = 3
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


class ImageFetcher:
    """An HTTP client for pictures only: no cookies, no proxy, no compression, few redirects, bounded size."""

    def __init__(self, *, max_bytes: int, timeout_s: float, allowed: Callable[[Address], bool] = is_public) -> None:
        self._max_bytes = max_bytes
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._allowed = allowed
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str) -> bytes:
        """The bytes at `url`.

        Raises: Refused("image-address" | "image-too-large"), Unavailable("image-unreachable").
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise _bad_address(url)
        try:
            async with self._client().get(url, max_redirects=MAX_REDIRECTS) as response:
                if response.status != 200:
                    raise _unreachable(url, f"status {response.status}")
                return await self._body(response)
        except (_Forbidden, aiohttp.InvalidURL, aiohttp.InvalidUrlClientError) as exc:
            raise _bad_address(url) from exc
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            if _forbidden_inside(exc):
                raise _bad_address(url) from exc
            raise _unreachable(url, type(exc).__name__) from exc

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        kept = bytearray()
        async for chunk in response.content.iter_chunked(64 * 1024):
            kept += chunk
            if len(kept) > self._max_bytes:
                raise Refused(
                    f"The picture has more than {self._max_bytes >> 20} MB.",
                    code="image-too-large",
                    hint="Use a smaller file.",
                )
        return bytes(kept)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=8, limit_per_host=4, socket_factory=self._socket, force_close=True)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                headers={"User-Agent": "halle-import", "Accept": "image/webp,image/png,image/jpeg"},
            )
        return self._session

    def _socket(self, addr_info: Any) -> socket.socket:
        family, kind, protocol, _, target = addr_info
        if not self._allowed(ipaddress.ip_address(str(target[0]).split("%")[0])):
            raise _Forbidden(f"{target[0]} is not a public address")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


class _Forbidden(OSError):
    """The guard's refusal, recognisable however deep a client wraps it."""


def _forbidden_inside(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, _Forbidden) or "is not a public address" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _bad_address(url: str) -> Refused:
    return Refused(
        f"{url[:120]} is not an address pictures are fetched from.",
        code="image-address",
        hint="Use a public http or https address, or a file beside the CSV.",
    )


def _unreachable(url: str, why: str) -> Unavailable:
    return Unavailable(
        f"The picture at {url[:120]} could not be fetched ({why}).",
        code="image-unreachable",
        hint="Add the picture by hand, or import again later.",
    )
