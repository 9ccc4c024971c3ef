"""Money is a whole number of minor units and an ISO 4217 code; nothing in Halle is ever a float.

A price in EUR cents meets a token with 6 decimals only here, and only when the conversion is exact.
Spec: docs/spec/01-bytes.md, section Money.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from halle_protocol.errors import LocalProtocolError

MAX_AMOUNT_MINOR: Final = (1 << 63) - 1
MAX_TOKEN_DECIMALS: Final = 36

# ISO 4217 active codes by number of decimals; the funds and metals codes (X…) are not used for prices.
_ZERO = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"
_TWO = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ "
    "GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD "
    "MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON "
    "RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS "
    "UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
_EXPONENTS: Final[dict[str, int]] = {
    code: exponent for exponent, codes in ((0, _ZERO), (2, _TWO), (3, _THREE), (4, _FOUR)) for code in codes.split()
}

_DECIMAL = re.compile(r"(-?)([0-9]{1,19})(?:[.,]([0-9]{1,18}))?", re.ASCII)
# Languages that write a decimal point; every other one gets the comma that most of the world uses.
_POINT_LANGUAGES: Final = frozenset({"en", "ja", "zh", "ko", "th", "he", "hi", "ga", "cy", "ms", "mt"})


def exponent(currency: str) -> int:
    """Return how many decimals the currency has.

    Raises: LocalProtocolError "currency-unknown".
    """
    found = _EXPONENTS.get(currency)
    if found is None:
        raise LocalProtocolError(
            f"{currency!r} is not an active ISO 4217 currency code.",
            code="currency-unknown",
            hint="Use three capital letters, such as EUR, USD or JPY.",
        )
    return found


def currencies() -> tuple[str, ...]:
    """Return every known currency code, sorted."""
    return tuple(sorted(_EXPONENTS))


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount of one currency. Units: `amount_minor` is in the currency's smallest unit."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent(self.currency)
        if type(self.amount_minor) is not int:
            raise LocalProtocolError(
                f"An amount of money must be a whole number of minor units, not {self.amount_minor!r}.",
                code="amount-not-integer",
                hint="Write 12.34 EUR as 1234.",
            )
        if abs(self.amount_minor) > MAX_AMOUNT_MINOR:
            raise LocalProtocolError(
                f"The amount {self.amount_minor} does not fit in 64 bits.",
                code="amount-out-of-range",
                hint="Check the number of digits.",
            )

    def __add__(self, other: Money) -> Money:
        return Money(self.amount_minor + self._minor_of(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount_minor - self._minor_of(other), self.currency)

    def __mul__(self, factor: int) -> Money:
        if type(factor) is not int:
            raise LocalProtocolError(
                f"Money can only be multiplied by a whole number, not by {factor!r}.",
                code="amount-not-integer",
                hint="Compute shares in minor units with a stated rounding.",
            )
        return Money(self.amount_minor * factor, self.currency)

    __rmul__ = __mul__

    def __neg__(self) -> Money:
        return Money(-self.amount_minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount_minor < self._minor_of(other)

    def __le__(self, other: Money) -> bool:
        return self.amount_minor <= self._minor_of(other)

    def __gt__(self, other: Money) -> bool:
        return self.amount_minor > self._minor_of(other)

    def __ge__(self, other: Money) -> bool:
        return self.amount_minor >= self._minor_of(other)

    def text(self, locale: str = "en") -> str:
        """Return the plain decimal text, such as 12.34, or 12,34 where the language writes a comma."""
        decimals = exponent(self.currency)
        sign = "-" if self.amount_minor < 0 else ""
        whole, part = divmod(abs(self.amount_minor), 10**decimals)
        if not decimals:
            return f"{sign}{whole}"
        separator = "." if re.split("[-_]", locale, maxsplit=1)[0].lower() in _POINT_LANGUAGES else ","
        return f"{sign}{whole}{separator}{part:0{decimals}d}"

    def __str__(self) -> str:
        return f"{self.text()} {self.currency}"

    def _minor_of(self, other: Money) -> int:
        if self.currency != other.currency:
            raise LocalProtocolError(
                f"Amounts in {self.currency} and {other.currency} cannot be combined.",
                code="currency-mixed",
                hint="Convert with a quoted rate first.",
            )
        return other.amount_minor


def parse_decimal(text: str, currency: str) -> Money:
    """Read "12.34" or "12,34" exactly; grouping marks are refused because 1,234 is two different prices.

    Raises: LocalProtocolError "amount-malformed", "amount-too-precise", "amount-out-of-range".
    """
    match = _DECIMAL.fullmatch(text.strip())
    if match is None:
        raise LocalProtocolError(
            f"{text!r} is not an amount.",
            code="amount-malformed",
            hint="Write digits with one decimal mark, such as 1234.50, and no thousands mark.",
        )
    sign, whole, part = match.group(1), match.group(2), match.group(3) or ""
    decimals = exponent(currency)
    if part[decimals:].strip("0"):
        raise LocalProtocolError(
            f"{text!r} has more decimals than {currency} ({decimals}).",
            code="amount-too-precise",
            hint="Round the price first.",
        )
    minor = int(whole + part[:decimals].ljust(decimals, "0"))
    return Money(-minor if sign else minor, currency)


def token_amount(money: Money, token_decimals: int) -> int:
    """Return the same value in a token's base units.

    Raises: LocalProtocolError "inexact-amount" when the token has too few decimals for it.
    """
    shift = _checked_decimals(token_decimals) - exponent(money.currency)
    if shift >= 0:
        return money.amount_minor * int(10**shift)
    amount, rest = divmod(money.amount_minor, int(10**-shift))
    if rest:
        raise _inexact(f"{money} cannot be paid exactly in a token with {token_decimals} decimals.")
    return amount


def money_from_token(amount: int, token_decimals: int, currency: str) -> Money:
    """Return a token amount as money.

    Raises: LocalProtocolError "inexact-amount" when it is not a whole number of minor units.
    """
    shift = _checked_decimals(token_decimals) - exponent(currency)
    if shift <= 0:
        return Money(amount * int(10**-shift), currency)
    minor, rest = divmod(amount, int(10**shift))
    if rest:
        raise _inexact(f"{amount} token units are not a whole number of {currency} minor units.")
    return Money(minor, currency)


def _checked_decimals(token_decimals: int) -> int:
    if type(token_decimals) is not int or not 0 <= token_decimals <= MAX_TOKEN_DECIMALS:
        raise LocalProtocolError(
            f"A token cannot have {token_decimals!r} decimals.",
            code="token-decimals",
            hint=f"Expected 0 to {MAX_TOKEN_DECIMALS}.",
        )
    return token_decimals


def _inexact(message: str) -> LocalProtocolError:
    return LocalProtocolError(message, code="inexact-amount", hint="Choose an amount both sides can express.")
