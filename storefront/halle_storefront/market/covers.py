"""Insurance for what was bought: asked of an underwriter, and paid."""

from __future__ import annotations

from aiohttp import web

from ..forms import read_form, see_other, token_units
from ..local_pages import here
from ..node_access import node_of


async def ask(request: web.Request) -> web.Response:
    """Ask for cover of a line; the form's choice is an underwriter and a line."""
    trade, form, key = node_of(request).trade, await read_form(request), request.match_info["key"]
    underwriter, _, line = form.text("choice").partition("/")
    decimals = next((each.token_decimals for each in trade.insuring.choices(key)), 0)
    await trade.insuring.ask(
        key,
        underwriter,
        line=int(line) if line.isdecimal() else -1,
        cover=token_units(form.text("cover"), decimals) if form.text("cover") else None,
        days=form.whole("days") if form.text("days") else None,
        note=form.text("note"),
    )
    return see_other(here(request, f"/market/orders/{key}?done=done#covers"))


async def buy(request: web.Request) -> web.Response:
    """Pay the premium that the page showed."""
    trade, form, key = node_of(request).trade, await read_form(request), request.match_info["key"]
    await trade.insuring.buy(key, token_units(form.text("premium"), 0))
    return see_other(here(request, f"/market/orders/{trade.cover(key).order_key}?done=done#covers"))
