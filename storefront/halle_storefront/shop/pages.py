"""The shop's pages: what the catalog alone decides is rendered once per catalog and language, then kept in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import web

from halle_protocol import catalog as catalogs
from halle_protocol.cid import CID
from halle_protocol.documents import LocalText, Policy, Post, decode_document, parse_body
from halle_protocol.errors import HalleError

from ..cache import CACHE, send
from ..failures import not_found
from ..i18n import LANGUAGES, language_of, translations
from ..local_pages import PAGE_SIZE, page_number, paging
from ..node_access import ServedNode, node_of
from ..pages import page, render
from ..product_view import product_view
from ..words import POLICIES
from .structured import json_ld

MAX_WORDS = 200
MAX_POSTS = 5
CACHED_PARAMETERS = frozenset({"sku", "photo", "page"})


@dataclass(frozen=True)
class ShopCard:
    """What every page of the shop says of it."""

    name: str
    country: str
    logo: CID | None
    about: LocalText | None
    policies: list[tuple[str, str]]
    answers_within_s: int = 0


def shop_card(node: ServedNode, lang: str) -> ShopCard:
    store = node.index.store(node.keys.store_address)
    profile = store.profile if store else None
    if profile is None:
        mine = node.catalog.profile()
        return ShopCard(mine.name, mine.country, None, None, [])
    policies = [(kind, _policy(node, cid)) for kind, cid in sorted(profile.policies.items())]
    return ShopCard(
        profile.name,
        profile.country,
        profile.logo,
        profile.about,
        [(kind, policy_title(kind, found, lang)) for kind, found in policies if found is not None],
        profile.answers_within_s or 0,
    )


def policy_title(kind: str, found: Policy, lang: str) -> str:
    """The usual name of a policy in the reader's language, else what its document says."""
    return translations(lang).gettext(POLICIES[kind]) if kind in POLICIES else found.title.get(lang)


def _policy(node: ServedNode, cid: CID) -> Policy | None:
    body = _body(node, cid)
    return body if isinstance(body, Policy) else None


def _body(node: ServedNode, cid: CID) -> Any:
    """The body of a document of ours, None while its block is not here."""
    try:
        return parse_body(decode_document(node.blocks.get(cid)))
    except HalleError:
        return None


async def _cached(request: web.Request, build: Callable[[], Awaitable[str]]) -> web.Response:
    """Serve from memory when only the catalog decides what the page shows."""
    if not CACHED_PARAMETERS.issuperset(request.query):
        return web.Response(text=await build(), content_type="text/html", headers={"Cache-Control": "no-store"})
    cache, node = request.app[CACHE], node_of(request)
    key = (cache.root(lambda: _root(node)), request.host, request.path_qs)
    kept = cache.find(key)
    return send(request, kept if kept is not None else cache.store(key, await build()))


def _root(node: ServedNode) -> CID | None:
    head = node.catalog.current_head()
    return head.catalog_root if head else None


async def home(request: web.Request) -> web.Response:
    async def build() -> str:
        node, lang = node_of(request), language_of(request)
        q = request.query.get("q", "").strip()[:MAX_WORDS]
        found = await asyncio.to_thread(
            node.index.search,
            q,
            locale=lang,
            facets={"store": [node.keys.store_address.hex()]},
            sort="relevance" if q else "new",
            offset=(page_number(request) - 1) * PAGE_SIZE,
            limit=PAGE_SIZE,
        )
        return _render(
            request, "shop/home.html", q=q, hits=found.hits, posts=_posts(node), **paging(request, found.total)
        )

    return await _cached(request, build)


async def product(request: web.Request) -> web.Response:
    async def build() -> str:
        node, lang = node_of(request), language_of(request)
        found = node.index.listing(node.keys.store_address, request.match_info["handle"])
        if found is None:
            raise not_found()
        view = product_view(found, dict(request.query), request.path, lang)
        origin = _origin(request)
        images = [f"{origin}/img/{media.cid}" for media in view.listing.media[:10]]
        return _render(
            request,
            "shop/product.html",
            view=view,
            json_ld=json_ld(view, f"{origin}/{lang}/p/{view.handle}", images),
            order_link=f"halle://{view.store_hex}/{quote(view.handle)}",
        )

    return await _cached(request, build)


def _render(request: web.Request, template: str, **context: Any) -> str:
    return render(request, template, {**_frame(request), **context})


def _frame(request: web.Request) -> dict[str, Any]:
    lang = language_of(request)
    rest = request.path.removeprefix(f"/{lang}/")
    origin = _origin(request)
    return {
        "shop": shop_card(node_of(request), lang),
        "alternates": [(code, f"{origin}/{code}/{rest}") for code in LANGUAGES],
    }


def _origin(request: web.Request) -> str:
    """The shop's public origin; the Host was checked, so it may stand in for a missing setting."""
    return node_of(request).config.shop_url.rstrip("/") or f"{request.scheme}://{request.host}"


def _posts(node: ServedNode) -> list[Post]:
    head = node.catalog.current_head()
    if head is None:
        return []
    entries = list(catalogs.entries(head.catalog_root, node.blocks.get, "post/"))
    posts = [body for _key, cid in entries if isinstance(body := _body(node, cid), Post)]
    return sorted(posts, key=lambda post: post.published or 0, reverse=True)[:MAX_POSTS]


async def order_status(request: web.Request) -> web.Response:
    """The order of whoever knows its 128-bit key; address and messages are not shown here."""
    node, key = node_of(request), request.match_info["key"]
    if len(key) < 32:
        raise not_found()
    try:
        order = node.trade.order(key)
    except HalleError as error:
        raise not_found() from error
    if order.summary.role != "merchant" or order.order_key != key:
        raise not_found()
    response = page(request, "shop/status.html", order=order, **_frame(request))
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


async def policy(request: web.Request) -> web.Response:
    node = node_of(request)
    store = node.index.store(node.keys.store_address)
    policies = store.profile.policies if store and store.profile else {}
    cid = policies.get(request.match_info["kind"])
    found = _policy(node, cid) if cid else None
    if found is None:
        raise not_found()
    title = policy_title(request.match_info["kind"], found, language_of(request))
    return page(request, "shop/policy.html", policy=found, title=title, **_frame(request))
