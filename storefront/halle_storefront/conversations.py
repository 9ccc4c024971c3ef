"""What both sides of the counter do with a conversation: show it, write, open a photo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from halle_node.trade.talk_views import TalkDetail
from halle_protocol.errors import HalleError, Refused
from halle_protocol.keys import parse_address

from .failures import Problem, describe
from .forms import Form, read_form, see_other
from .i18n import language_of
from .local_pages import here
from .node_access import node_of
from .order_files import file_response

HTMX = "HX-Request"


@dataclass(frozen=True)
class Product:
    """What a line is about."""

    title: str
    href: str


async def opened(request: web.Request, role: str) -> TalkDetail:
    """The conversation of the address, seen from now on; a page that renews itself in the background sees nothing.

    Raises: Refused talk-unknown.
    """
    talks, key = node_of(request).trade.talks, request.match_info["key"]
    detail = talks.show(key)
    if detail.summary.role != role:
        raise Refused("There is no such conversation here.", code="talk-unknown", hint="Look at the list of messages.")
    if HTMX not in request.headers:
        await talks.mark_read(key)
    return detail


def products(request: web.Request, detail: TalkDetail, base: str) -> Mapping[str, Product]:
    """The products that are asked about, by handle; one that is gone is named by its handle."""
    node, lang = node_of(request), language_of(request)
    shop = node.keys.store_address if detail.summary.role == "merchant" else parse_address(detail.summary.other)
    found = {}
    for handle in {line.handle for line in detail.lines if line.handle}:
        try:
            view = node.index.listing(shop, handle)
        except HalleError:
            view = None
        href = f"/{lang}{base}/{handle}" if view else ""
        found[handle] = Product(view.listing.title.get(lang) if view else handle, href)
    return found


async def say(request: web.Request, base: str) -> web.Response | Problem:
    """Send what was typed; what is wrong with it comes back in words, so that nothing has to be typed again."""
    form, key = await read_form(request), request.match_info["key"]
    try:
        photos = photos_of(form)
        await node_of(request).trade.talks.say(key, form.text("text"), photos=photos, order_key=form.text("order"))
    except HalleError as error:
        return describe(error, language_of(request))
    return see_other(here(request, f"{base}/{key}?done=sent#newest"))


def photos_of(form: Form) -> list[bytes]:
    """The files of the field `photos`."""
    return [file.file.read() for file in form.files_of("photos")]


async def typed(request: web.Request) -> str:
    """What was typed into a form that was refused."""
    return (await read_form(request)).text("text")


async def photo(request: web.Request) -> web.Response:
    """A photo of a conversation; never shown as a page of ours."""
    return file_response(await node_of(request).trade.talks.file(request.match_info["key"], request.match_info["file"]))
