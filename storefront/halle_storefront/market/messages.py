"""The buyer's conversations with shops: asked from a product or a shop, and answered here."""

from __future__ import annotations

from aiohttp import web

from .. import conversations
from ..failures import Problem
from ..forms import read_form, see_other
from ..local_pages import here, market_page
from ..node_access import node_of

BASE = "/market/messages"


async def inbox(request: web.Request) -> web.Response:
    return market_page(request, "market/messages.html", talks=node_of(request).trade.talks.listing("buyer"))


async def ask(request: web.Request) -> web.Response:
    """Send a question about the product of the address, or to its shop."""
    form = await read_form(request)
    key = await node_of(request).trade.talks.ask(
        request.match_info["store"],
        form.text("text"),
        handle=request.match_info.get("handle", ""),
        photos=conversations.photos_of(form),
        name=form.text("name")[:120],
    )
    return see_other(here(request, f"{BASE}/{key}?done=question-sent"))


async def talk(request: web.Request) -> web.Response:
    return await _page(request)


async def _page(request: web.Request, wrong: Problem | None = None) -> web.Response:
    detail = await conversations.opened(request, "buyer")
    return market_page(
        request,
        "market/talk.html",
        status=wrong.status if wrong else 200,
        talk=detail,
        products=conversations.products(request, detail, f"/market/p/{detail.summary.other}"),
        saved=(),
        wrong=wrong,
        typed=await conversations.typed(request) if wrong else "",
    )


async def say(request: web.Request) -> web.Response:
    done = await conversations.say(request, BASE)
    return await _page(request, done) if isinstance(done, Problem) else done


photo = conversations.photo
