from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halle_protocol.errors import LocalProtocolError
from halle_protocol.money import (
    MAX_AMOUNT_MINOR,
    Money,
    currencies,
    exponent,
    money_from_token,
    parse_decimal,
    token_amount,
)

amounts = st.builds(Money, st.integers(-MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR), st.sampled_from(currencies()))


@given(amounts, st.sampled_from(["en", "fr", "de-CH", "pt_BR"]))
def test_money_text_reads_back_as_the_same_amount(amount: Money, locale: str) -> None:
    assert parse_decimal(amount.text(locale), amount.currency) == amount


@given(amounts, st.integers(4, 18))
def test_money_survives_the_way_through_a_token(amount: Money, decimals: int) -> None:
    tokens = token_amount(amount, decimals)
    assert money_from_token(tokens, decimals, amount.currency) == amount


def test_money_adds_subtracts_multiplies_and_compares() -> None:
    price = Money(1999, "EUR")
    assert price * 3 == 3 * price == Money(5997, "EUR")
    assert price + Money(1, "EUR") - Money(2000, "EUR") == Money(0, "EUR")
    assert -price < Money(0, "EUR") <= Money(0, "EUR") < price
    assert str(price) == "19.99 EUR"


@pytest.mark.parametrize("wrong", [1.5, "1", True, None])
def test_money_refuses_what_is_no_whole_number(wrong: object) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        Money(wrong, "EUR")  # type: ignore[arg-type]
    assert caught.value.code == "amount-not-integer"
    with pytest.raises(LocalProtocolError):
        Money(1, "EUR") * wrong  # type: ignore[operator]


def test_money_refuses_two_currencies_at_once() -> None:
    for combine in (Money.__add__, Money.__sub__, Money.__lt__, Money.__ge__):
        with pytest.raises(LocalProtocolError) as caught:
            combine(Money(1, "EUR"), Money(1, "USD"))
        assert caught.value.code == "currency-mixed"


def test_money_refuses_a_token_amount_between_two_minor_units() -> None:
    assert money_from_token(12_340_000, 6, "EUR") == Money(1234, "EUR")
    with pytest.raises(LocalProtocolError) as caught:
        money_from_token(12_340_001, 6, "EUR")
    assert caught.value.code == "inexact-amount"


def test_exponent_knows_the_currencies_that_are_not_two() -> None:
    assert [exponent(code) for code in ("EUR", "JPY", "KWD", "CLF")] == [2, 0, 3, 4]
    assert len(currencies()) > 150
