"""An underwriter's desk: what others ask us to insure, and the bond behind it."""

from __future__ import annotations

from aiohttp import web

from ..forms import read_form, see_other, token_units
from ..local_pages import here
from ..node_access import node_of


async def answer(request: web.Request) -> web.Response:
    """Offer what was asked for, or less of it, or decline."""
    trade, form = node_of(request).trade, await read_form(request)
    key = request.match_info["key"]
    note = form.text("note")
    if request.match_info["action"] == "decline":
        await trade.covering.decline(key, note)
    else:
        decimals = trade.cover(key).token_decimals
        amounts = {name: token_units(form.text(name), decimals) for name in ("premium", "cover") if form.text(name)}
        days = form.whole("days") if form.text("days") else None
        await trade.covering.offer(key, days=days, note=note, **amounts)
    return see_other(here(request, "/admin/roles?done=done#covers"))


async def bond(request: web.Request) -> web.Response:
    """Add to the bond, or take back what is free of it; without an amount all of that."""
    node, form = node_of(request), await read_form(request)
    token, decimals = node.chain.contracts.tokens.get(form.text("token"), (b"", 0))
    amount = token_units(form.text("amount"), decimals) if form.text("amount") else None
    if form.text("then") == "take":
        await node.trade.bonding.withdraw(token, amount)
    else:
        await node.trade.bonding.deposit(token, amount or 0)
    return see_other(here(request, "/admin/roles?done=done#bond"))
