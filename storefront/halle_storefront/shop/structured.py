"""schema.org data of a product page, as JSON that no HTML parser can leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from halle_protocol.documents import Variant
from halle_protocol.money import exponent

from ..markup import plain_text
from ..product_view import ProductView

SCHEMA = "https://schema.org/"
AVAILABILITY = {
    "in_stock": "InStock",
    "backorder": "BackOrder",
    "preorder": "PreOrder",
    "out_of_stock": "OutOfStock",
    "discontinued": "Discontinued",
}


def json_ld(view: ProductView, url: str, images: Sequence[str] = ()) -> Markup:
    """The data block of a product, one offer a variant; addresses are absolute, or left out."""
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": view.title,
        "description": plain_text(view.description)[:5000],
        "sku": view.variant.sku,
        "offers": [_offer(view, variant, url) for variant in view.listing.variants],
    }
    if url:
        data["url"] = url
    if images:
        data["image"] = list(images)
    if view.listing.vendor:
        data["brand"] = {"@type": "Brand", "name": view.listing.vendor}
    if view.review_count:
        data["aggregateRating"] = {
            "@type": "AggregateRating",
            "ratingValue": view.rating_tenths / 10,
            "reviewCount": view.review_count,
        }
    return inert_json(data)


def inert_json(data: Any) -> Markup:
    """JSON whose text can end no script element and open no comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for letter, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028")):
        text = text.replace(letter, escaped)
    return Markup(text)  # noqa: S704


def _offer(view: ProductView, variant: Variant, url: str) -> dict[str, Any]:
    offer: dict[str, Any] = {
        "@type": "Offer",
        "sku": variant.sku,
        "price": decimal_text(variant.price.amount, exponent(variant.price.currency)),
        "priceCurrency": variant.price.currency,
        "availability": SCHEMA + AVAILABILITY.get(variant.availability, "OutOfStock"),
        "seller": {"@type": "Organization", "name": view.store_name},
    }
    if url:
        offer["url"] = f"{url}?sku={quote(variant.sku)}"
    return offer


def decimal_text(amount: int, decimals: int) -> str:
    if not decimals:
        return str(amount)
    digits = str(amount).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"
