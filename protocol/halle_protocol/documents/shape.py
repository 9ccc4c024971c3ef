"""The shapes all published values share: frozen, strict, bounded, and open: unknown fields are kept and
ignored.

A value read from bytes gives the same bytes again: only fields that were set are written, and nothing is
normalised.
Spec: docs/spec/06-documents.md §2
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
)
from pydantic import model_validator as _model_validator

from halle_protocol.cid import CID
from halle_protocol.documents.text import LOCALE, check_line, check_text
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.money import Money, exponent

MAX_SAFE_INT = 2**53 - 1
"""Amounts and counts stay exact in JavaScript too."""


def _known_currency(value: str) -> str:
    try:
        exponent(value)
    except LocalProtocolError as exc:
        raise ValueError(f"unknown currency {value}") from exc
    return value


class TokenAmount(int):
    """A uint256 of a contract; on the wire its decimal digits, as CBOR integers stop at 2^64."""


_DIGITS = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z", re.ASCII)


def _uint(bits: int) -> Any:
    def read(value: object) -> TokenAmount:
        if isinstance(value, str):
            if not _DIGITS.match(value):
                raise ValueError("expected decimal digits")
        elif type(value) not in (int, TokenAmount):
            raise ValueError("expected decimal digits")
        amount = TokenAmount(str(value))
        if not 0 <= amount < 1 << bits:
            raise ValueError("out of range")
        return amount

    return PlainValidator(read)


Amount = Annotated[TokenAmount, _uint(128)]
Uint256 = Annotated[TokenAmount, _uint(256)]
Count = Annotated[int, Field(strict=True, ge=0, le=MAX_SAFE_INT)]
Positive = Annotated[int, Field(strict=True, ge=1, le=MAX_SAFE_INT)]
Seconds = Annotated[int, Field(strict=True, ge=0, le=2**26 - 1)]
"""A window; the escrow refuses longer ones (about 776 days)."""
UnixTime = Annotated[int, Field(strict=True, ge=0, le=2**40 - 1)]
Bps = Annotated[int, Field(strict=True, ge=0, le=10_000)]
Flag = Annotated[bool, Field(strict=True)]
Address = Annotated[bytes, Field(strict=True, min_length=20, max_length=20)]
Hash32 = Annotated[bytes, Field(strict=True, min_length=32, max_length=32)]
Signature = Annotated[bytes, Field(strict=True, min_length=65, max_length=65)]
Country = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{2}$")]
Currency = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$"), AfterValidator(_known_currency)]
Locale = Annotated[str, StringConstraints(strict=True, max_length=35, pattern="^" + LOCALE.pattern.replace(r"\Z", "$"))]


def _not_plain_bytes(value: object) -> object:
    if not isinstance(value, CID):
        raise ValueError("expected a CID link")
    return value


Link = Annotated[CID, BeforeValidator(_not_plain_bytes)]


class Model(BaseModel):
    """A frozen value of the protocol."""

    model_config = ConfigDict(frozen=True, extra="allow", arbitrary_types_allowed=True, hide_input_in_errors=True)

    def to_body(self) -> dict[str, Any]:
        """Return the DAG-CBOR map: the fields that were set, unknown ones included."""
        return {name: _plain(getattr(self, name)) for name in self.model_fields_set}

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Self:
        """Read a map.

        Raises: RemoteProtocolError `body-invalid` naming the first wrong field.
        """
        try:
            return cls.model_validate(body)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part)[:60] for part in first["loc"][:8]) or cls.__name__
            raise RemoteProtocolError(
                f"{cls.__name__}: {where}: {first['msg'][:200]}",
                code="body-invalid",
                field=where,
                hint="Its author must correct this field and sign again.",
            ) from exc


def _plain(value: Any) -> Any:
    if hasattr(value, "to_body"):
        return value.to_body()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, TokenAmount):
        return str(int(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


class Price(Model):
    """Money on the wire.

    Units: amount in the currency's minor unit (ISO 4217).
    """

    amount: Count
    currency: Currency

    @_model_validator(mode="before")
    @classmethod
    def _from_money(cls, value: Any) -> Any:
        if isinstance(value, Money):
            return {"amount": value.amount_minor, "currency": value.currency}
        return value

    @property
    def money(self) -> Money:
        """The same as a Money."""
        return Money(self.amount, self.currency)

    @staticmethod
    def of(money: Money) -> Price:
        """Return the wire form of a Money."""
        return Price(amount=money.amount_minor, currency=money.currency)


class LocalText(Model):
    """One text in several languages (BCP 47); `fallback` names the one to show when none fits."""

    texts: Annotated[dict[Locale, Annotated[str, Field(strict=True)]], Field(min_length=1, max_length=40)]
    fallback: Locale

    @_model_validator(mode="after")
    def _check_fallback(self) -> Self:
        if self.fallback not in self.texts:
            raise ValueError(f"no text in the fallback locale {self.fallback}")
        return self

    def get(self, locale: str | None = None) -> str:
        """Return the text for `locale`, else its language, else the fallback."""
        if locale and locale in self.texts:
            return self.texts[locale]
        language = (locale or "").split("-")[0]
        if language in self.texts:
            return self.texts[language]
        related = [key for key in sorted(self.texts) if language and key.split("-")[0] == language]
        return self.texts[related[0] if related else self.fallback]

    @staticmethod
    def of(text: str, locale: str = "en") -> LocalText:
        """Return a text in one language."""
        return LocalText(texts={locale: text}, fallback=locale)


def local_text(max_chars: int, *, multiline: bool = False, min_chars: int = 0) -> Any:
    """Return the field type of a LocalText bounded to `max_chars` in every language."""
    check = check_text if multiline else check_line

    def bounded(value: LocalText) -> LocalText:
        for locale, text in value.texts.items():
            if not min_chars <= len(text) <= max_chars:
                raise ValueError(f"{locale}: must have {min_chars} to {max_chars} characters")
            check(text)
        return value

    return AfterValidator(bounded)


Title = Annotated[LocalText, local_text(300, min_chars=1)]
ShortText = Annotated[LocalText, local_text(1000, multiline=True)]
LongText = Annotated[LocalText, local_text(20_000, multiline=True)]
