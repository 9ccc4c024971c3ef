"""Fetch a picture from an address somebody else wrote, without becoming their way into this network."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp

from halle_node.outward import Address, Forbidden, forbidden_inside, guarded_session, is_public
from halle_protocol.errors import Refused, Unavailable

MAX_REDIRECTS = 3


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
        except (Forbidden, aiohttp.InvalidURL, aiohttp.InvalidUrlClientError) as exc:
            raise _bad_address(url) from exc
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            if forbidden_inside(exc):
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
            headers = {"User-Agent": "halle-import", "Accept": "image/webp,image/png,image/jpeg"}
            self._session = guarded_session(self._allowed, timeout=self._timeout, headers=headers)
        return self._session


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
