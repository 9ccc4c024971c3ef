"""Cart and checkout: one cart over many shops; each shop's part becomes its own request for a quote."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from halle_node.trade.views import Address, CartStore, CheckoutForm
from halle_protocol.errors import HalleError, Refused

from ..failures import Problem, describe
from ..forms import Form, read_form, see_other
from ..i18n import N_, language_of
from ..local_pages import here, market_page
from ..node_access import node_of


@dataclass(frozen=True)
class Typed:
    """What the buyer typed, so that a refused form comes back filled in."""

    name: str = ""
    email: str = ""
    street: str = ""
    street2: str = ""
    postcode: str = ""
    city: str = ""
    country: str = ""
    phone: str = ""
    rate_id: str = ""
    token_symbol: str = ""
    note: str = ""


async def show(request: web.Request) -> web.Response:
    return market_page(request, "market/cart.html", cart=node_of(request).trade.cart())


async def add(request: web.Request) -> web.Response:
    form = await read_form(request)
    await node_of(request).trade.cart_add(
        form.text("store"), form.text("handle"), form.text("sku"), form.whole("quantity", 1)
    )
    return see_other(here(request, "/market/cart?done=added"))


async def change(request: web.Request) -> web.Response:
    form = await read_form(request)
    quantity = 0 if form.ticked("remove") else form.whole("quantity", 0)
    await node_of(request).trade.cart_set(form.text("line_id"), max(quantity, 0))
    return see_other(here(request, "/market/cart?done=cart-changed"))


async def checkout(request: web.Request) -> web.Response:
    node = node_of(request)
    return _page(request, Typed(country=node.catalog.profile().country))


def _page(request: web.Request, typed: Typed, wrong: Problem | None = None) -> web.Response:
    return market_page(
        request,
        "market/checkout.html",
        status=wrong.status if wrong else 200,
        part=part_of(request),
        form=typed,
        wrong=wrong,
    )


def part_of(request: web.Request) -> CartStore:
    """Raises: Refused `cart-empty`."""
    wanted = request.match_info["store"].lower()
    for part in node_of(request).trade.cart().stores:
        if part.store.lower() == wanted:
            return part
    raise Refused(N_("Your cart is empty."), code="cart-empty", hint=N_("Put something in it first."))


async def ask_quote(request: web.Request) -> web.Response:
    part, form = part_of(request), await read_form(request)
    typed = Typed(**{name: form.text(name)[:300] for name in Typed.__dataclass_fields__})
    try:
        key = await node_of(request).trade.request_quote(_checkout(part, typed, form))
    except HalleError as error:
        return _page(request, typed, describe(error, language_of(request)))
    return see_other(here(request, f"/market/orders/{key}?done=asked"))


def _checkout(part: CartStore, typed: Typed, form: Form) -> CheckoutForm:
    address = None
    if part.needs_address:
        address = Address(
            name=typed.name,
            street=typed.street,
            city=typed.city,
            postcode=typed.postcode,
            country=typed.country,
            street2=typed.street2,
            phone=typed.phone,
        )
    return CheckoutForm(
        store=part.store,
        name=typed.name,
        email=typed.email,
        address=address,
        country=typed.country,
        rate_id=typed.rate_id,
        token_symbol=typed.token_symbol,
        note=form.text("note"),
    )
