"""The buyer's orders: what was agreed, where the money is, the delivery code, and every legal next move."""

from __future__ import annotations

from aiohttp import web

from ..forms import read_form, see_other
from ..local_pages import here, market_page
from ..moves import decimals_of, read_move
from ..node_access import node_of
from ..order_files import file_of
from ..seen import seen_order


async def listing(request: web.Request) -> web.Response:
    return market_page(request, "market/orders.html", orders=node_of(request).trade.orders(role="buyer"))


async def order(request: web.Request) -> web.Response:
    trade, found = node_of(request).trade, await seen_order(request)
    covers, choices = trade.covers("buyer", found.order_key), trade.insuring.choices(found.order_key)
    return market_page(request, "market/order.html", order=found, covers=covers, choices=choices)


async def act(request: web.Request) -> web.Response:
    """Make one move, then show the order again."""
    trade = node_of(request).trade
    key, action = request.match_info["key"], request.match_info["action"]
    form = await read_form(request)
    values = read_move(action, form, decimals_of(trade.order(key)))
    await trade.act(key, action, **values)
    return see_other(here(request, f"/market/orders/{key}?done=done"))


async def file(request: web.Request) -> web.Response:
    """A file that came with an order; never shown as a page of ours."""
    return await file_of(request)
