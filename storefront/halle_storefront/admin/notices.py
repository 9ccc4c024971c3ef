"""Notices: the list behind the bell."""

from __future__ import annotations

from aiohttp import web

from ..forms import see_other
from ..local_pages import admin_page, here
from ..node_access import node_of
from ..notice_words import page_of


async def listing(request: web.Request) -> web.Response:
    notify = node_of(request).notify
    return admin_page(request, "admin/notices.html", news=notify.listing(limit=100), mail=notify.mail())


async def follow(request: web.Request) -> web.Response:
    """Go where a notice leads; it counts as seen."""
    notice = await node_of(request).notify.open(int(request.match_info["id"]))
    return see_other(here(request, page_of(notice)))


async def read_all(request: web.Request) -> web.Response:
    await node_of(request).notify.read_all()
    return see_other(here(request, "/admin/notices?done=all-read"))
