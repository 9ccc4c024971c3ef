"""Search, products and shops as this node knows them; every filter is in the address."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from halle_node.index.views import ListingView, SearchPage, StoreView
from halle_protocol.errors import HalleError, Refused
from halle_protocol.keys import parse_address

from .. import words
from ..forms import money, read_form, see_other
from ..i18n import N_, language_of, translations
from ..local_pages import PAGE_SIZE, here, market_page, page_number, paging
from ..node_access import node_of
from ..product_view import product_view

SORTS = (
    ("relevance", N_("Best match")),
    ("newest", N_("Newest")),
    ("price", N_("Price, low to high")),
    ("-price", N_("Price, high to low")),
)
MAX_WORDS = 200
SHOWN_VALUES = 8


async def home(request: web.Request) -> web.Response:
    node, lang, query = node_of(request), language_of(request), request.query
    q = query.get("q", "").strip()[:MAX_WORDS]
    sort = query.get("sort", "relevance")
    sort = sort if sort in dict(SORTS) else "relevance"
    chosen = chosen_facets(request)
    found = await node.index.search(
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
        price_min=query.get("min", "")[:12],
        price_max=query.get("max", "")[:12],
        **paging(request, found.total),
    )


def chosen_facets(request: web.Request) -> dict[str, Any]:
    """The filters of the address as the index takes them; what makes no sense is left out."""
    query = request.query
    chosen: dict[str, Any] = {
        name: query.getall(name)[:20] for name in ("kind", "store", "availability") if query.get(name)
    }
    currency = node_of(request).catalog.profile().currency
    for name, key in (("min", "price_min"), ("max", "price_max")):
        try:
            if query.get(name, "").strip():
                chosen[key] = money(query[name], currency).amount_minor
        except HalleError:
            continue
    return chosen


def facet_menus(request: web.Request, found: SearchPage, names: dict[str, str]) -> list[tuple[str, str, list[Any]]]:
    say = translations(language_of(request)).gettext
    titles = (("kind", say(N_("Kind"))), ("store", say(N_("Shop"))), ("availability", say(N_("Availability"))))
    menus = []
    for name, title in titles:
        on = set(request.query.getall(name, []))
        values = [
            (facet.value, _facet_text(name, facet.value, names, say), facet.count, facet.value in on)
            for facet in found.facets.get(name, ())[:SHOWN_VALUES]
        ]
        menus.append((name, title, values if len(values) > 1 or on else []))
    return menus


def _facet_text(name: str, value: str, names: dict[str, str], say: Any) -> str:
    if name == "kind":
        return str(say(words.KINDS.get(value, value)))
    if name == "availability":
        return str(say(words.badge(words.AVAILABILITY, value).text))
    return names.get(value.removeprefix("0x"), value)


async def product(request: web.Request) -> web.Response:
    found = listing_of(request)
    view = product_view(found, dict(request.query), request.path, language_of(request))
    return market_page(request, "market/product.html", view=view)


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
    page = await node.index.search(
        "",
        locale=language_of(request),
        facets={"store": ["0x" + found.store.hex()]},
        sort="newest",
        offset=(page_number(request) - 1) * PAGE_SIZE,
        limit=PAGE_SIZE,
    )
    return market_page(request, "market/store.html", store=found, hits=page.hits, **paging(request, page.total))


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
