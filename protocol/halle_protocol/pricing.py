"""What an order costs: a pure function of signed documents, so that both sides get the same bytes.

Spec: docs/spec/09-terms.md §1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from halle_protocol.documents.listing import ORDERABLE, Listing, Variant
from halle_protocol.documents.shape import MAX_SAFE_INT
from halle_protocol.documents.shipping import Rate, Shipping
from halle_protocol.errors import Refused
from halle_protocol.money import Money

MAX_LINES = 100
MAX_QUANTITY = 100_000
OrderItem = tuple[Listing, str, int]


@dataclass(frozen=True)
class PricedLine:
    """One line of an order.

    Units: amounts in the order's minor unit; tax is the part of `total` that is tax, or comes on top of it.
    """

    handle: str
    sku: str
    quantity: int
    unit: int
    total: int
    tax: int
    tax_included: bool

    def to_body(self) -> dict[str, Any]:
        """Return the DAG-CBOR map."""
        body: dict[str, Any] = {"handle": self.handle, "sku": self.sku, "quantity": self.quantity}
        body |= {"unit": self.unit, "total": self.total}
        return body | {"tax": self.tax, "tax_included": self.tax_included}


@dataclass(frozen=True)
class Totals:
    """The priced order. `tax` sums every line's tax; only tax that is not included adds to `total`."""

    lines: tuple[PricedLine, ...]
    subtotal: Money
    shipping: Money
    tax: Money
    total: Money

    def to_body(self) -> dict[str, Any]:
        """Return the DAG-CBOR map both sides compare byte for byte."""
        sums = {name: getattr(self, name).amount_minor for name in ("subtotal", "shipping", "tax", "total")}
        return {"currency": self.total.currency, "lines": [line.to_body() for line in self.lines], **sums}


@dataclass(frozen=True)
class RateQuote:
    """A rate a buyer may choose, with its price for this basket."""

    rate: Rate
    price: Money


def price_order(
    lines: Sequence[OrderItem],
    shipping: Shipping | None,
    rate_id: str | None,
    country: str | None,
    currency: str,
    *,
    at: int | None = None,
) -> Totals:
    """Price a basket of (listing, sku, quantity); `at` checks the listings' dates.

    Raises: Refused `basket-empty`, `basket-too-large`, `variant-unknown`, `not-available`,
    `quantity-out-of-range`, `currency-mixed`, `no-shipping-to-country`, `rate-required`, `rate-unknown`,
    `rate-not-available`, `amount-too-large`.
    """
    if not 0 < len(lines) <= MAX_LINES:
        code = "basket-too-large" if lines else "basket-empty"
        raise Refused(
            f"An order has 1 to {MAX_LINES} lines, not {len(lines)}.",
            code=code,
            hint="Put between 1 and 100 lines in the order.",
        )
    priced = tuple(_price_line(*line, currency, at) for line in lines)
    subtotal = Money(sum(line.total for line in priced), currency)
    carriage = _shipping_price(lines, shipping, rate_id, country, subtotal)
    added = sum(line.tax for line in priced if not line.tax_included)
    total = subtotal + carriage + Money(added, currency)
    if total.amount_minor > MAX_SAFE_INT:
        raise Refused("The total is too large.", code="amount-too-large", hint="Split the order.")
    return Totals(priced, subtotal, carriage, Money(sum(line.tax for line in priced), currency), total)


def available_rates(lines: Sequence[OrderItem], shipping: Shipping | None, country: str) -> list[RateQuote]:
    """Return the rates that carry this basket to `country`, cheapest first.

    Raises: Refused `no-shipping-to-country`, `variant-unknown`.
    """
    zone = shipping.zone_for(country) if shipping else None
    if zone is None:
        raise Refused(
            f"This shop does not deliver to {country}.",
            code="no-shipping-to-country",
            hint="Choose another delivery country, or ask the shop.",
        )
    weight = _weight_g(lines)
    goods = _goods(lines)
    fit = [rate for rate in zone.rates if rate.max_weight_g is None or weight <= rate.max_weight_g]
    quotes = [RateQuote(rate, _rate_price(rate, goods)) for rate in fit if rate.price.currency == goods.currency]
    return sorted(quotes, key=lambda quote: (quote.price.amount_minor, quote.rate.id))


def needs_shipping(lines: Sequence[OrderItem]) -> bool:
    """Say whether anything in the basket has a body."""
    return any(listing.kind in ("physical", "rental") for listing, _, _ in lines)


def _price_line(listing: Listing, sku: str, quantity: int, currency: str, at: int | None) -> PricedLine:
    variant = listing.variant(sku)
    _check_available(listing, variant, at)
    limit = min(listing.max_quantity or MAX_QUANTITY, MAX_QUANTITY)
    if not listing.min_quantity <= quantity <= limit:
        raise Refused(
            f"{listing.handle} is sold in quantities {listing.min_quantity} to {limit}, not {quantity}.",
            code="quantity-out-of-range",
            hint="Change the quantity.",
        )
    if variant.price.currency != currency:
        raise Refused(
            f"{listing.handle} is priced in {variant.price.currency}, the order in {currency}.",
            code="currency-mixed",
            hint="Make one order for each currency.",
        )
    total = variant.price.amount * quantity
    tax, included = _tax(listing, total)
    return PricedLine(listing.handle, sku, quantity, variant.price.amount, total, tax, included)


def _check_available(listing: Listing, variant: Variant, at: int | None) -> None:
    early = at is not None and listing.available_from is not None and at < listing.available_from
    late = at is not None and listing.available_until is not None and at > listing.available_until
    if variant.availability not in ORDERABLE or early or late:
        raise Refused(
            f"{listing.handle} ({variant.sku}) is not available.",
            code="not-available",
            availability=variant.availability,
            hint="Choose another variant, or ask the shop.",
        )


def _tax(listing: Listing, total: int) -> tuple[int, bool]:
    """Round half up, once per line."""
    if listing.tax is None:
        return 0, True
    rate = listing.tax.rate_bps
    base = 10_000 + rate if listing.tax.included else 10_000
    return (2 * total * rate + base) // (2 * base), listing.tax.included


def _shipping_price(
    lines: Sequence[OrderItem],
    shipping: Shipping | None,
    rate_id: str | None,
    country: str | None,
    subtotal: Money,
) -> Money:
    if not needs_shipping(lines):
        return Money(0, subtotal.currency)
    if country is None:
        raise Refused(
            "Goods need a delivery country.", code="no-shipping-to-country", hint="Enter the delivery country."
        )
    quotes = available_rates(lines, shipping, country)
    if rate_id is None:
        raise Refused("Choose how the goods are sent.", code="rate-required", hint="Choose one of the offered rates.")
    for quote in quotes:
        if quote.rate.id == rate_id:
            return quote.price
    known = any(rate.id == rate_id for zone in (shipping.zones if shipping else ()) for rate in zone.rates)
    raise Refused(
        f"The rate {rate_id!r} does not carry this basket to {country}.",
        code="rate-not-available" if known else "rate-unknown",
        hint="Choose one of the offered rates.",
    )


def _rate_price(rate: Rate, subtotal: Money) -> Money:
    free = rate.free_over
    if free is not None and free.currency == subtotal.currency and subtotal.amount_minor >= free.amount:
        return Money(0, subtotal.currency)
    return rate.price.money


def _weight_g(lines: Sequence[OrderItem]) -> int:
    return sum((listing.variant(sku).weight_g or 0) * quantity for listing, sku, quantity in lines)


def _goods(lines: Sequence[OrderItem]) -> Money:
    currency = lines[0][0].variant(lines[0][1]).price.currency if lines else "XXX"
    amounts = [listing.variant(sku).price for listing, sku, _ in lines]
    if any(price.currency != currency for price in amounts):
        raise Refused("One order has one currency.", code="currency-mixed", hint="Make one order for each currency.")
    return Money(sum(price.amount * line[2] for price, line in zip(amounts, lines, strict=True)), currency)
