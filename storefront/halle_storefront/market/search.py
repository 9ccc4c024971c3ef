"""Search, products and shops as this node knows them; every filter is in the address."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from halle_node.index.views import ListingView, SearchPage, StoreView
from halle_protocol.documents import Profile
from halle_protocol.errors import Refused
from halle_protocol.keys import parse_address

from .. import words
from ..forms import read_form, see_other
from ..i18n import N_, countries, language_of, translations
from ..local_pages import PAGE_SIZE, here, market_page, page_number, paging
from ..node_access import node_of
from ..product_view import product_view

SORTS = (
    ("relevance", N_("Best match")),
    ("new", N_("Newest")),
    ("price", N_("Price, low to high")),
    ("-price", N_("Price, high to low")),
    ("rating", N_("Best rated")),
)
FACETS = ("kind", "availability", "store", "country", "vendor", "currency")
MAX_WORDS = 200
SHOWN_VALUES = 8


async def home(request: web.Request) -> web.Response:
    node, lang, query = node_of(request), language_of(request), request.query
    q = query.get("q", "").strip()[:MAX_WORDS]
    sort = query.get("sort", "relevance")
    sort = sort if sort in dict(SORTS) else "relevance"
    chosen = chosen_facets(request)
    found = await asyncio.to_thread(
        node.index.search,
        q,
        locale=lang,
        facets=chosen,
        sort=sort,
        offset=(page_number(request) - 1) * PAGE_SIZE,
        limit=PAGE_SIZE,
    )
    say = translations(lang).gettext
    return market_page(
        request,
        "market/home.html",
        q=q,
        sort=sort,
        sorts=[(key, say(text)) for key, text in SORTS],
        chosen=chosen,
        hits=found.hits,
        total=found.total,
        facets=facet_menus(request, found, {s.store.hex(): s.name for s in node.index.stores()}),
        **paging(request, found.total),
    )


def chosen_facets(request: web.Request) -> dict[str, list[str]]:
    """The filters of the address as the index takes them; what makes no sense is left out."""
    query = request.query
    return {name: query.getall(name)[:20] for name in FACETS if query.get(name)}


def facet_menus(request: web.Request, found: SearchPage, names: dict[str, str]) -> list[tuple[str, str, list[Any]]]:
    say = translations(language_of(request)).gettext
    titles = {
        "kind": say(N_("Kind")),
        "availability": say(N_("Availability")),
        "store": say(N_("Shop")),
        "country": say(N_("Country")),
        "vendor": say(N_("Maker")),
        "currency": say(N_("Currency")),
    }
    menus = []
    for name in FACETS:
        on = set(request.query.getall(name, []))
        values = [
            (facet.value, _facet_text(request, name, facet.value, names), facet.count, facet.value in on)
            for facet in found.facets.get(name, ())[:SHOWN_VALUES]
        ]
        menus.append((name, titles[name], values if len(values) > 1 or on else []))
    return menus


def _facet_text(request: web.Request, name: str, value: str, names: dict[str, str]) -> str:
    say = translations(language_of(request)).gettext
    if name == "kind":
        return say(words.KINDS.get(value, value))
    if name == "availability":
        return say(words.badge(words.AVAILABILITY, value).text)
    if name == "country":
        return dict(countries(language_of(request))).get(value, value)
    return names.get(value, value)


async def product(request: web.Request) -> web.Response:
    found = listing_of(request)
    view = product_view(found, dict(request.query), request.path, language_of(request))
    return market_page(
        request,
        "market/product.html",
        view=view,
        is_own=found.store == node_of(request).keys.store_address,
        answers=answers_of(request, found.store, found.store_profile),
    )


@dataclass(frozen=True)
class AnswerTimes:
    """How soon a shop answers: by its own word, and as this node has seen. Units: seconds, 0 when nothing is known."""

    told_s: int
    seen_s: int


def answers_of(request: web.Request, store: bytes, profile: Profile | None) -> AnswerTimes:
    told = (profile.answers_within_s if profile else None) or 0
    return AnswerTimes(told, node_of(request).trade.talks.seen_answer_time(store))


def listing_of(request: web.Request) -> ListingView:
    """Raises: Refused `listing-unknown`."""
    store = parse_address(request.match_info["store"])
    found = node_of(request).index.listing(store, request.match_info["handle"])
    if found is None:
        raise Refused(
            N_("This product is not known here."),
            code="listing-unknown",
            hint=N_("It may have been withdrawn. Search again."),
        )
    return found


async def stores(request: web.Request) -> web.Response:
    known = sorted(node_of(request).index.stores(), key=lambda store: (not store.followed, store.name.lower()))
    return market_page(request, "market/stores.html", stores=known)


async def store(request: web.Request) -> web.Response:
    node, found = node_of(request), store_of(request)
    page = await asyncio.to_thread(
        node.index.search,
        "",
        locale=language_of(request),
        facets={"store": [found.store.hex()]},
        sort="new",
        offset=(page_number(request) - 1) * PAGE_SIZE,
        limit=PAGE_SIZE,
    )
    progress = node.index.progress().get(found.store)
    return market_page(
        request,
        "market/store.html",
        store=found,
        hits=page.hits,
        progress=progress,
        answers=answers_of(request, found.store, found.profile),
        **paging(request, page.total),
    )


def store_of(request: web.Request) -> StoreView:
    """Raises: Refused `store-unknown`."""
    found = node_of(request).index.store(parse_address(request.match_info["store"]))
    if found is None:
        raise Refused(
            N_("This shop is not known here."),
            code="store-unknown",
            hint=N_("Connect to a peer that knows it, then search again."),
        )
    return found


async def follow(request: web.Request) -> web.Response:
    found, form = store_of(request), await read_form(request)
    index = node_of(request).index
    if form.ticked("follow"):
        await index.follow(found.store)
    else:
        await index.unfollow(found.store)
    done = "following" if form.ticked("follow") else "unfollowed"
    return see_other(here(request, f"/market/s/0x{found.store.hex()}?done={done}"))
