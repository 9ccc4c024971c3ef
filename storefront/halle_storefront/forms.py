"""Read what people typed: trimmed text, whole numbers, money; a wrong field is named in their words."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal, InvalidOperation

from aiohttp import web
from aiohttp.web_request import FileField

from halle_protocol.errors import HalleError, Refused
from halle_protocol.money import Money, parse_decimal

from .i18n import N_

MAX_TEXT = 20_000
MAX_SECRET = 1_000
MAX_DIGITS = 18
MAX_TOKEN_DECIMALS = 36


class Form:
    """One posted form."""

    def __init__(self, fields: Mapping[str, list[str]], files: Mapping[str, list[FileField]]) -> None:
        self.fields = fields
        self.files = files

    def text(self, name: str, default: str = "") -> str:
        values = self.fields.get(name)
        return values[-1].replace("\r\n", "\n").strip()[:MAX_TEXT] if values else default

    def secret(self, name: str) -> str:
        """A password, letter by letter as it was typed."""
        values = self.fields.get(name)
        return values[-1][:MAX_SECRET] if values else ""

    def texts(self, name: str) -> list[str]:
        return [value.strip()[:MAX_TEXT] for value in self.fields.get(name, [])]

    def ticked(self, name: str) -> bool:
        return self.text(name) not in ("", "0", "no")

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number. Raises: Refused `form-invalid`."""
        text = self.text(name)
        if not text and default is not None:
            return default
        return whole_number(text)

    def files_of(self, name: str) -> list[FileField]:
        return [file for file in self.files.get(name, []) if file.filename]


def whole_number(text: str) -> int:
    """A whole number of at most 18 digits. Raises: Refused `form-invalid`."""
    digits = text.replace("\u202f", "").replace("\xa0", "").replace(" ", "")
    if len(digits) <= MAX_DIGITS:
        with suppress(ValueError):
            return int(digits)
    raise Refused(f"“{text[:40]}” is not a whole number.", code="form-invalid", hint=N_("Write it with digits only."))


def money(text: str, currency: str) -> Money:
    """An amount as people write it: 12.50 or 12,50. Raises: Refused `amount-invalid`."""
    try:
        amount = parse_decimal(text.strip(), currency)
    except HalleError:
        raise _bad_amount(text) from None
    if amount.amount_minor < 0:
        raise _bad_amount(text)
    return amount


def token_units(text: str, decimals: int) -> int:
    """A token amount in its smallest unit. Raises: Refused `amount-invalid`."""
    try:
        value = Decimal(text.strip().replace(",", ".").replace("\u202f", "").replace(" ", ""))
        units = value.scaleb(min(decimals, MAX_TOKEN_DECIMALS))
        if not value.is_finite() or value < 0 or value > Decimal(10) ** 24 or units != units.to_integral_value():
            raise _bad_amount(text)
    except InvalidOperation:
        raise _bad_amount(text) from None
    return int(units)


def local_time(text: str) -> int:
    """A moment as a browser sends it, on this machine's clock. Raises: Refused `form-invalid`."""
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp())
    except (ValueError, OverflowError):
        raise Refused(
            f"“{text[:40]}” is not a moment.", code="form-invalid", hint=N_("Write it as 2026-05-31T18:00.")
        ) from None


def _bad_amount(text: str) -> Refused:
    return Refused(
        f"“{text[:40]}” is not an amount.", code="amount-invalid", hint=N_("Write it with digits, for example 12.50.")
    )


async def read_form(request: web.Request) -> Form:
    posted = await request.post()
    fields: dict[str, list[str]] = {}
    files: dict[str, list[FileField]] = {}
    for name, value in posted.items():
        if isinstance(value, FileField):
            files.setdefault(name, []).append(value)
        elif isinstance(value, str):
            fields.setdefault(name, []).append(value)
    return Form(fields, files)


def see_other(path: str) -> web.Response:
    """Go to another page after a change, so that reloading it does not send the form again."""
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
