"""Warranty certificates that came to us: with an order, or from whoever owned the thing before."""

from __future__ import annotations

from aiohttp import web

from ..forms import read_form, see_other
from ..local_pages import here, market_page
from ..moves import read_move
from ..node_access import node_of


async def listing(request: web.Request) -> web.Response:
    node = node_of(request)
    found = node.trade.certificates("holder")
    for paper in found:
        await node.notify.seen(paper.name)
    return market_page(request, "market/certificates.html", certificates=found)


async def act(request: web.Request) -> web.Response:
    """Make one move, then show the certificates again."""
    trade = node_of(request).trade
    name, action = request.match_info["name"], request.match_info["action"]
    form = await read_form(request)
    await trade.act(name, action, **read_move(action, form, trade.certificate(name).token_decimals))
    return see_other(here(request, "/market/certificates?done=done"))
