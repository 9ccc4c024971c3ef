"""The frame of admin and market pages: whose shop it is, and what waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from .i18n import language_of
from .node_access import SHOP_ADDRESS, ServedNode, node_of
from .pages import page

PAGE_SIZE = 24


def admin_page(request: web.Request, template: str, status: int = 200, **context: Any) -> web.Response:
    node = node_of(request)
    todo = context.get("todo") or node.trade.todo()
    frame = {"side": "admin", "store_name": store_name(node), "waiting": len(todo.to_pack) + len(todo.to_answer)}
    frame |= {"cases_waiting": len(todo.cases), "talks_waiting": node.trade.talks.unread().merchant}
    frame["news_count"] = node.notify.unread()
    return page(request, template, status, **frame, shop_url=request.app[SHOP_ADDRESS].url, **context)


def market_page(request: web.Request, template: str, status: int = 200, **context: Any) -> web.Response:
    node = node_of(request)
    cart = context.get("cart") or node.trade.cart()
    frame = {"side": "market", "store_name": "Halle", "waiting": cart.count}
    frame |= {"talks_waiting": node.trade.talks.unread().buyer, "news_count": node.notify.unread()}
    return page(request, template, status, **frame, **context)


def store_name(node: ServedNode) -> str:
    return node.catalog.profile().name or node.config.name


def page_number(request: web.Request) -> int:
    text = request.query.get("page", "1")
    return min(max(int(text), 1), 10_000) if text.isascii() and text.isdigit() and len(text) < 6 else 1


def page_count(total: int, size: int = PAGE_SIZE) -> int:
    return max(1, -(-total // size))


def link_with(request: web.Request, **changes: object) -> str:
    """This page's address with some parameters changed; None removes one."""
    pairs = [(key, value) for key, value in request.query.items() if key not in changes and key != "done"]
    pairs += [(key, str(value)) for key, value in changes.items() if value is not None]
    return f"{request.path}?{urlencode(pairs)}" if pairs else request.path


def paging(request: web.Request, total: int, size: int = PAGE_SIZE) -> dict[str, Any]:
    return {
        "page_number": page_number(request),
        "pages": page_count(total, size),
        "page_link": lambda number: link_with(request, page=number),
    }


def here(request: web.Request, path: str) -> str:
    """A path below this language."""
    return f"/{language_of(request)}{path}"


def query_text(values: Mapping[str, str]) -> str:
    return f"?{urlencode(values)}" if values else ""
