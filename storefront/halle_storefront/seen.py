"""What a person has looked at is no news any more."""

from __future__ import annotations

from aiohttp import web

from halle_node.trade.views import OrderDetail

from .conversations import HTMX
from .node_access import node_of


async def seen_order(request: web.Request) -> OrderDetail:
    """The order of the address; its notices, and its conversation where it is all there is of it, count as seen.

    A page that renews itself in the background sees nothing. Raises: Refused order-unknown.
    """
    node = node_of(request)
    detail = node.trade.order(request.match_info["key"])
    if HTMX not in request.headers:
        await node.notify.seen(detail.order_key)
        if detail.talk_key and not detail.said_elsewhere:
            await node.trade.talks.mark_read(detail.talk_key)
    return detail
