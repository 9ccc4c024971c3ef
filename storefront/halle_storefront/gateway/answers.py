"""How a gateway says no, and the headers with which any page of the web may read what it says."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from halle_protocol.errors import HalleError, Refused, Unavailable

from .budget import VISIT, VISITORS

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Cache-Control, Content-Type, If-None-Match, Range, User-Agent, "
    "X-Requested-With",
    "Access-Control-Expose-Headers": "Content-Disposition, Content-Length, Content-Location, Content-Range, Etag, "
    "X-Ipfs-Path, X-Ipfs-Roots",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


class Wrong(Exception):
    """An answer other than the content. The text is for the person who writes the client."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers or {}


def answering(handler: Handler) -> Handler:
    """Let a handler work within its visitor's budget, and turn every refusal into plain text that pages may read."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            with request.app[VISITORS].entering(request) as visit:
                if visit is None:
                    raise Wrong(429, "Too many requests at once; ask again later.", {"Retry-After": "10"})
                request[VISIT] = visit
                return await handler(request)
        except Wrong as wrong:
            return refusal(wrong.status, wrong.text, wrong.headers)
        except Refused as error:
            return refusal(404, error.message)
        except Unavailable as error:
            return refusal(404 if error.code == "block-missing" else 503, error.message)
        except HalleError as error:  # a block of ours that is no valid node on a path
            return refusal(502, error.message)

    return answer


def refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """A refusal as text."""
    kept = {"Cache-Control": "no-store", **CORS, **(headers or {})}
    return web.Response(status=status, text=text + "\n", headers=kept)


async def preflight(_request: web.Request) -> web.Response:
    """Tell a browser that other sites' pages may ask."""
    return web.Response(status=204, headers={**CORS, "Access-Control-Max-Age": "86400"})


def is_known(request: web.Request, etag: str) -> bool:
    """True when the visitor says that it has this already."""
    given = request.headers.get("If-None-Match", "")
    wanted = etag.removeprefix("W/")
    return given.strip() == "*" or any(one.strip().removeprefix("W/") == wanted for one in given.split(","))
