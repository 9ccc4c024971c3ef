from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halle_protocol import dagcbor
from halle_protocol.documents import Listing, Price, Tax
from halle_protocol.errors import Refused
from halle_protocol.money import Money
from halle_protocol.pricing import OrderItem, available_rates, price_order
from samples_people import NOW, listing, shipping, variant


def _price(lines: list[OrderItem], rate: str | None = "parcel", country: str | None = "FR", **more: Any) -> Any:
    return price_order(lines, shipping(), rate, country, "EUR", **more)


def test_order_sums_lines_and_shipping() -> None:
    totals = _price([(listing(), "SHIRT-S", 1)])
    assert (totals.subtotal, totals.shipping, totals.tax, totals.total) == (
        Money(4900, "EUR"),
        Money(900, "EUR"),
        Money(0, "EUR"),
        Money(5800, "EUR"),
    )


def test_both_sides_get_the_same_bytes_from_the_same_documents() -> None:
    mine, theirs = listing(), Listing.from_body(dagcbor.decode(dagcbor.encode(listing().to_body())))
    a, b = (_price([(shirt, "SHIRT-S", 3), (shirt, "SHIRT-M", 1)]).to_body() for shirt in (mine, theirs))
    assert dagcbor.encode(a) == dagcbor.encode(b)


def test_shipping_is_free_over_the_threshold() -> None:
    assert _price([(listing(), "SHIRT-S", 3)]).shipping == Money(0, "EUR")


def test_included_tax_is_shown_and_added_tax_is_charged() -> None:
    included = _price([(listing(tax=Tax(rate_bps=2000)), "SHIRT-S", 1)])
    added = _price([(listing(tax=Tax(rate_bps=2000, included=False)), "SHIRT-S", 1)])
    assert (included.tax.amount_minor, included.total.amount_minor) == (817, 5800)
    assert (added.tax.amount_minor, added.total.amount_minor) == (980, 6780)


@given(
    amount=st.integers(0, 10**9),
    rate=st.integers(0, 10_000),
    quantity=st.integers(1, 50),
    included=st.booleans(),
)
def test_tax_is_within_half_a_minor_unit(amount: int, rate: int, quantity: int, included: bool) -> None:
    item = listing(variants=[variant("A", "S", amount)], tax=Tax(rate_bps=rate, included=included), kind="digital")
    totals = price_order([(item, "A", quantity)], None, None, None, "EUR")
    base = 10_000 + rate if included else 10_000
    assert abs(2 * totals.tax.amount_minor * base - 2 * amount * quantity * rate) <= base
    expected = amount * quantity + (0 if included else totals.tax.amount_minor)
    assert totals.total.amount_minor == expected


def test_digital_goods_need_no_shipping() -> None:
    assert _price([(listing(kind="digital"), "SHIRT-S", 1)], None, None).shipping == Money(0, "EUR")


def test_rates_are_those_that_carry_the_weight_cheapest_first() -> None:
    light, heavy = [(listing(), "SHIRT-S", 1)], [(listing(), "SHIRT-S", 2)]
    assert [quote.rate.id for quote in available_rates(light, shipping(), "FR")] == ["letter", "parcel"]
    assert [quote.rate.id for quote in available_rates(heavy, shipping(), "FR")] == ["parcel"]
    assert [quote.rate.id for quote in available_rates(light, shipping(), "JP")] == ["world"]


_SHIRT = listing()
_GONE = listing(variants=[variant("A", "S", 1, availability="out_of_stock")])
_DOLLARS = listing(variants=[variant("A", "S", 1, price=Price(amount=1, currency="USD"))])
_PAIRS = listing(min_quantity=2, max_quantity=4)
_SEASON = listing(available_from=NOW, available_until=NOW + 10)
_DEAR = listing(kind="digital", variants=[variant("A", "S", 2**53 - 1)])


@pytest.mark.parametrize(
    ("lines", "rate", "country", "at", "code"),
    [
        ([], "parcel", "FR", None, "basket-empty"),
        ([(_SHIRT, "SHIRT-S", 1)] * 101, "parcel", "FR", None, "basket-too-large"),
        ([(_SHIRT, "XXL", 1)], "parcel", "FR", None, "variant-unknown"),
        ([(_GONE, "A", 1)], "parcel", "FR", None, "not-available"),
        ([(_SEASON, "SHIRT-S", 1)], "parcel", "FR", NOW - 1, "not-available"),
        ([(_SEASON, "SHIRT-S", 1)], "parcel", "FR", NOW + 11, "not-available"),
        ([(_SHIRT, "SHIRT-S", 0)], "parcel", "FR", None, "quantity-out-of-range"),
        ([(_SHIRT, "SHIRT-S", -1)], "parcel", "FR", None, "quantity-out-of-range"),
        ([(_SHIRT, "SHIRT-S", 100_001)], "parcel", "FR", None, "quantity-out-of-range"),
        ([(_PAIRS, "SHIRT-S", 1)], "parcel", "FR", None, "quantity-out-of-range"),
        ([(_PAIRS, "SHIRT-S", 5)], "parcel", "FR", None, "quantity-out-of-range"),
        ([(_DOLLARS, "A", 1)], "parcel", "FR", None, "currency-mixed"),
        ([(_SHIRT, "SHIRT-S", 1)], None, "FR", None, "rate-required"),
        ([(_SHIRT, "SHIRT-S", 1)], "drone", "FR", None, "rate-unknown"),
        ([(_SHIRT, "SHIRT-S", 1)], "world", "FR", None, "rate-not-available"),
        ([(_SHIRT, "SHIRT-S", 2)], "letter", "FR", None, "rate-not-available"),
        ([(_SHIRT, "SHIRT-S", 1)], "parcel", None, None, "no-shipping-to-country"),
        ([(_DEAR, "A", 2)], None, None, None, "amount-too-large"),
    ],
)
def test_order_is_refused_with_its_code(
    lines: list[OrderItem], rate: str | None, country: str | None, at: int | None, code: str
) -> None:
    with pytest.raises(Refused) as caught:
        _price(lines, rate, country, at=at)
    assert caught.value.code == code


def test_goods_are_refused_when_the_shop_does_not_ship_there() -> None:
    from halle_protocol.documents import Shipping

    only_france = Shipping(zones=shipping().zones[:1])
    for offer in (only_france, None):
        with pytest.raises(Refused) as caught:
            price_order([(_SHIRT, "SHIRT-S", 1)], offer, "parcel", "DE", "EUR")
        assert caught.value.code == "no-shipping-to-country"
