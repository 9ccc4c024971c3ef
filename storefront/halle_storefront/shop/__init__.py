"""The public shop: server-rendered, cached by catalog root, readable without any script."""

from __future__ import annotations

from aiohttp import web

from ..i18n import LANGUAGE_PATTERN
from . import pages


def routes() -> list[web.AbstractRouteDef]:
    base = f"/{LANGUAGE_PATTERN}"
    return [
        web.get(f"{base}/", pages.home),
        web.get(base + "/p/{handle}", pages.product),
        web.get(base + "/o/{key}", pages.order_status),
        web.get(base + "/policies/{kind}", pages.policy),
    ]
