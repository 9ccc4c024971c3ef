"""JSON bodies as the node's forms; a field of the wrong shape is refused by name, never guessed at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic_core import from_json

from halle_node.catalog.product import ProductForm, VariantForm, WarrantyForm
from halle_node.config import Config
from halle_node.trade.views import Address, CheckoutForm
from halle_protocol.errors import Refused
from halle_protocol.money import Money, parse_decimal


async def body_of(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a request; no body is an empty one. Raises: Refused "body-malformed"."""
    text = await request.text()
    try:
        value = from_json(text) if text else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused("The body is not a JSON object.", code="body-malformed", hint="Send {…} as application/json.")
    return value


def names(form: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of texts. Raises: Refused "form-invalid"."""
    value = form.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise refuse(name, "is not a list of texts")
    return tuple(value)


def refuse(name: str, why: str) -> Refused:
    """Return the refusal of one field."""
    return Refused(f"The field {name} {why}.", code="form-invalid", hint="See docs/api.md for its shape.")


def whole(form: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """Return a whole number. Raises: Refused "form-invalid"."""
    value = form.get(name, default)
    try:
        if isinstance(value, bool) or value is None:
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise refuse(name, "is not a whole number") from None


def text(form: Mapping[str, Any], name: str, default: str = "") -> str:
    """Return a text. Raises: Refused "form-invalid"."""
    value = form.get(name, default)
    if not isinstance(value, str):
        raise refuse(name, "is not a text")
    return value


def rows(form: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return a list of objects. Raises: Refused "form-invalid"."""
    value = form.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise refuse(name, "is not a list of objects")
    return value


def words(form: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return a text → text object. Raises: Refused "form-invalid"."""
    value = form.get(name) or {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise refuse(name, "is not an object of texts")
    return value


def product(form: Mapping[str, Any], config: Config) -> ProductForm:
    """Return a product: one variant from `price`, `stock`, or many from `variants`."""
    variants = rows(form, "variants") or [form]
    days = whole(form, "warranty_days", 0)
    return ProductForm(
        title=text(form, "title"),
        description=text(form, "description"),
        handle=text(form, "handle"),
        kind=text(form, "kind", "physical"),
        status=text(form, "status", "active"),
        language=text(form, "language") or config.language,
        options=tuple(dict.fromkeys(name for row in variants for name in words(row, "options"))),
        variants=tuple(_variant(row, config.currency) for row in variants),
        tags=tuple(tag.strip() for tag in text(form, "tags").split(",") if tag.strip()),
        vendor=text(form, "vendor"),
        product_type=text(form, "product_type"),
        warranty=WarrantyForm(days=days) if days else None,
        delivery_proof=text(form, "delivery_proof", "none"),
    )


def _variant(row: Mapping[str, Any], currency: str) -> VariantForm:
    weight = row.get("weight_g")
    return VariantForm(
        price=_price(row, currency),
        sku=text(row, "sku"),
        options=words(row, "options"),
        on_hand=whole(row, "stock", 0),
        tracked=row.get("tracked", True) is not False,
        weight_g=None if weight is None else whole(row, "weight_g"),
    )


def _price(row: Mapping[str, Any], currency: str) -> Money:
    return parse_decimal(text(row, "price"), currency)


def checkout(form: Mapping[str, Any]) -> CheckoutForm:
    """Return what a buyer says when asking a store for a quote."""
    given = form.get("address")
    if given is not None and not isinstance(given, dict):
        raise refuse("address", "is not an object")
    names = ("name", "street", "city", "postcode", "country", "street2", "region", "phone")
    address = Address(**{name: text(given, name) for name in names}) if given else None
    fields = ("store", "name", "email", "country", "rate_id", "token_symbol", "note")
    return CheckoutForm(**{name: text(form, name) for name in fields}, address=address)
