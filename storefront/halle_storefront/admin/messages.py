"""The merchant's inbox: conversations, and beside each who the customer is to the shop."""

from __future__ import annotations

from aiohttp import web

from .. import conversations
from ..failures import Problem
from ..forms import read_form, see_other
from ..local_pages import admin_page, here
from ..node_access import node_of

BASE = "/admin/messages"
NOTE_OF_BLOCK = "messages"


async def inbox(request: web.Request) -> web.Response:
    node = node_of(request)
    only_unread = request.query.get("view") == "unread"
    found = node.trade.talks.listing("merchant")
    return admin_page(
        request,
        "admin/messages.html",
        talks=[talk for talk in found if talk.unread or not only_unread],
        any_talks=bool(found),
        only_unread=only_unread,
        saved=node.trade.talks.saved_answers(),
        answer_time=node.trade.talks.answer_time(),
        tells_answer_time=node.catalog.profile().tell_answer_time,
    )


async def talk(request: web.Request) -> web.Response:
    return await _page(request)


async def _page(request: web.Request, wrong: Problem | None = None) -> web.Response:
    detail = await conversations.opened(request, "merchant")
    return admin_page(
        request,
        "admin/talk.html",
        status=wrong.status if wrong else 200,
        talk=detail,
        products=conversations.products(request, detail, "/admin/products"),
        saved=node_of(request).trade.talks.saved_answers(),
        wrong=wrong,
        typed=await conversations.typed(request) if wrong else "",
    )


async def say(request: web.Request) -> web.Response:
    done = await conversations.say(request, BASE)
    return await _page(request, done) if isinstance(done, Problem) else done


async def note(request: web.Request) -> web.Response:
    form, key = await read_form(request), request.match_info["key"]
    await node_of(request).trade.talks.note(key, form.text("note"))
    return see_other(here(request, f"{BASE}/{key}?done=noted"))


async def block(request: web.Request) -> web.Response:
    """Hear nothing more of a writer, or hear of them again. Orders with them go on."""
    node, form, key = node_of(request), await read_form(request), request.match_info["key"]
    other = node.trade.talks.show(key).summary.other
    if form.ticked("block"):
        await node.access.add(other, allows=False, note=NOTE_OF_BLOCK)
    else:
        await node.access.remove(other, allows=False)
    return see_other(here(request, f"{BASE}/{key}?done={'blocked' if form.ticked('block') else 'rule-removed'}"))


async def save_answers(request: web.Request) -> web.Response:
    """Keep answers at hand, and say whether customers may know how soon they come."""
    node, form = node_of(request), await read_form(request)
    await node.trade.talks.set_saved_answers(form.texts("answer"))
    await node.catalog.tell_answer_time(form.ticked("tell_answer_time"))
    return see_other(here(request, f"{BASE}?done=saved"))


photo = conversations.photo
