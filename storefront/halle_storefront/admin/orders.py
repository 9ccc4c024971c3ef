"""Orders as the merchant works them: saved views, one page an order, its legal moves as forms."""

from __future__ import annotations

from aiohttp import web

from halle_protocol.errors import Refused

from ..forms import read_form, see_other
from ..i18n import N_
from ..local_pages import admin_page, here
from ..moves import decimals_of, read_move
from ..node_access import node_of
from ..order_files import file_of
from ..seen import seen_order

VIEWS = (
    ("to-pack", N_("To pack")),
    ("to-answer", N_("To answer")),
    ("unpaid", N_("Unpaid")),
    ("returns", N_("Returns")),
    ("disputes", N_("Disputes")),
    ("all", N_("All")),
)
KNOWN_VIEWS = ("to-pack", "to-answer", "unpaid", "disputes", "all", "open", "returns", "closed")


async def listing(request: web.Request) -> web.Response:
    trade = node_of(request).trade
    view = request.query.get("view", "all")
    view = view if view in KNOWN_VIEWS else "all"
    q = request.query.get("q", "").strip()[:200]
    todo = trade.todo()
    counts = {"to-pack": len(todo.to_pack), "to-answer": len(todo.to_answer), "disputes": len(todo.disputes)}
    counts["returns"] = len(todo.returns)
    return admin_page(
        request,
        "admin/orders.html",
        orders=trade.orders(role="merchant", view=view, query=q),
        views=[(key, text, counts.get(key, 0)) for key, text in VIEWS],
        view=view,
        q=q,
        todo=todo,
    )


async def order(request: web.Request) -> web.Response:
    detail = await seen_order(request)
    return admin_page(request, "admin/order.html", order=detail)


async def act(request: web.Request) -> web.Response:
    """Make one move, then show the order again."""
    trade = node_of(request).trade
    key, action = request.match_info["key"], request.match_info["action"]
    form = await read_form(request)
    await trade.act(key, action, **read_move(action, form, decimals_of(trade.order(key))))
    return see_other(here(request, f"/admin/orders/{key}?done=done"))


async def erase_customer(request: web.Request) -> web.Response:
    """Forget who bought this, in all their orders; refused unless the box was ticked."""
    trade = node_of(request).trade
    key, form = request.match_info["key"], await read_form(request)
    if not form.ticked("sure"):
        raise Refused(
            N_("Nothing was erased: the box was not ticked."),
            code="not-confirmed-by-you",
            hint=N_("Go back and tick it if you are sure."),
        )
    await trade.erase_customer(trade.order(key).summary.buyer, apply=True)
    return see_other(here(request, f"/admin/orders/{key}?done=erased"))


async def file(request: web.Request) -> web.Response:
    """A file that came with an order; never shown as a page of ours."""
    return await file_of(request)
