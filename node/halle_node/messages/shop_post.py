"""Hand an envelope to a recipient's shop over HTTP.

Rule: an HTTP server proves nothing. What counts is the recipient's signature in its answer; everything else, a refusal
too, means "try another way". The shop's address was written by somebody else, so only public addresses are reached.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
from pydantic_core import from_json

from halle_node.outward import Address, forbidden_inside, guarded_session, is_public
from halle_protocol.errors import Unavailable
from halle_protocol.mailbox import MAX_BYTES

PATH = "/halle/v1/messages"
CONTENT_TYPE = "application/vnd.ipld.dag-cbor"
PROBLEM_TYPE = "application/problem+json"
MAX_ANSWER_BYTES = 2 * MAX_BYTES
TIMEOUT_S = 10.0


class ShopPost:
    """A client for that one address. `allowed` says which IP addresses may be reached."""

    def __init__(self, *, allowed: Callable[[Address], bool] = is_public, timeout_s: float = TIMEOUT_S) -> None:
        self._allowed = allowed
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, shop_url: str, envelope: bytes) -> bytes:
        """Return what the shop says is the recipient's acknowledgement; the caller checks the signature.

        Raises: Unavailable shop-address, shop-unreachable.
        """
        parts = urlsplit(shop_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise _bad_address(shop_url)
        if parts.query or parts.fragment:
            raise _bad_address(shop_url)
        try:
            return await self._post(shop_url.rstrip("/") + PATH, envelope)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            if forbidden_inside(exc):
                raise _bad_address(shop_url) from exc
            raise _unreachable(shop_url, type(exc).__name__) from exc

    async def _post(self, url: str, envelope: bytes) -> bytes:
        async with self._client().post(url, data=envelope, allow_redirects=False) as response:
            answer = bytearray()
            async for chunk in response.content.iter_chunked(MAX_ANSWER_BYTES):
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise _unreachable(url, "a long answer")
        if response.content_type == CONTENT_TYPE:
            return bytes(answer)
        signed = _signed_refusal(answer) if response.content_type == PROBLEM_TYPE else b""
        if not signed:
            raise _unreachable(url, f"status {response.status}")
        return signed

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"User-Agent": "halle", "Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE}
            self._session = guarded_session(self._allowed, timeout=self._timeout, headers=headers)
        return self._session


def _signed_refusal(body: bytes | bytearray) -> bytes:
    """Return the acknowledgement inside a problem body, empty when there is none: then it is nobody's word."""
    try:
        value = from_json(bytes(body))
        return bytes.fromhex(value["acknowledgement"]) if isinstance(value, dict) else b""
    except (ValueError, KeyError, TypeError):
        return b""


def _bad_address(url: str) -> Unavailable:
    return Unavailable(f"{url[:120]} is not an address that messages are sent to.", code="shop-address")


def _unreachable(url: str, why: str) -> Unavailable:
    return Unavailable(f"The shop at {url[:120]} did not take the message ({why}).", code="shop-unreachable")
