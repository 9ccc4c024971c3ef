"""The doors of both listeners: start page, set-up link, health."""

from __future__ import annotations

import asyncio

from aiohttp import web

from halle_node.metrics import CONTENT_TYPE as METRICS_TYPE

from . import security
from .i18n import choose_language
from .node_access import DOORKEEPER, node_of


async def welcome(request: web.Request) -> web.Response:
    """Send a visitor of the shop to its pages in their language."""
    raise web.HTTPFound(f"/{choose_language(request)}/", headers={"Vary": "Accept-Language, Cookie"})


async def welcome_local(request: web.Request) -> web.Response:
    """Send people to the admin, which holds the set-up steps; those who only ever bought, to the market."""
    node = node_of(request)
    only_buys = not node.catalog.product_count() and bool(node.trade.orders(role="buyer", limit=1))
    face = "market" if only_buys else "admin"
    raise web.HTTPFound(f"/{choose_language(request)}/{face}/")


async def metrics(request: web.Request) -> web.Response:
    """Give Prometheus its figures, when the owner has asked for them in the settings; on the local port only."""
    node = node_of(request)
    if not node.config.metrics:
        raise web.HTTPNotFound
    text = await asyncio.to_thread(node.metrics)
    return web.Response(body=text, headers={"Content-Type": METRICS_TYPE, "Cache-Control": "no-store"})


async def enter(request: web.Request) -> web.Response:
    """Turn a set-up link into a session, once."""
    keeper = request.app[DOORKEEPER]
    if keeper.admits(security.session_of(request)):
        raise web.HTTPFound("/")
    session = keeper.redeem(request.match_info["token"])
    response = web.Response(status=303, headers={"Location": "/", "Cache-Control": "no-store"})
    response.set_cookie(
        security.SESSION_COOKIE,
        session,
        max_age=security.SESSION_TTL_S,
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return response


async def new_setup_link(request: web.Request) -> web.Response:
    """A fresh set-up link, for the CLI of the same person."""
    keeper = request.app[DOORKEEPER]
    if not security.bears_secret(request, keeper):
        raise security.session_needed()
    return web.json_response({"url": f"http://{request.host}/setup/{keeper.new_link_token()}"})


async def health(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")
