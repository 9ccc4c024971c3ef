"""Speak the reader's language: one gettext catalogue a language, compiled in memory from the .po at start.

The runtime needs no build step: what is committed is what runs. `python -m halle_storefront.i18n`
rewrites the catalogues from the templates and the code (existing translations are kept).
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from aiohttp import web
from babel import Locale, negotiate_locale
from babel.dates import format_date, format_datetime, format_timedelta
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from babel.numbers import format_currency, format_decimal

PACKAGE = Path(__file__).parent
LANGUAGES = ("en", "fr")
LANGUAGE_NAMES = {"en": "English", "fr": "Français"}
LANGUAGE_COOKIE = "halle_lang"
LANGUAGE_PATTERN = "{lang:" + "|".join(LANGUAGES) + "}"
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2"), ("templates/**.txt", "jinja2")]
AMOUNTS = frozenset({"amount", "to_buyer", "to_merchant", "to_arbiter"})
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}


def N_(message: str) -> str:
    """Mark `message` for translation; it is translated where it is shown."""
    return message


def catalogue_path(lang: str) -> Path:
    return PACKAGE / "locales" / lang / "LC_MESSAGES" / "halle.po"


@cache
def translations(lang: str) -> gettext.GNUTranslations:
    """The catalogue of one language."""
    with catalogue_path(lang).open("rb") as file:
        catalog = read_po(file, locale=lang)
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def choose_language(request: web.Request) -> str:
    """The language of a request that names none: cookie, then Accept-Language, then English."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    wanted = [part.split(";")[0].strip() for part in request.headers.get("Accept-Language", "").split(",")]
    return negotiate_locale([w for w in wanted if w], LANGUAGES, sep="-") or "en"


def language_of(request: web.Request) -> str:
    return request.match_info.get("lang") or choose_language(request)


@lru_cache(maxsize=4096)
def show_money(amount_minor: int, currency: str, exponent: int, lang: str) -> str:
    """An amount as people of `lang` write it: `12,50 €`."""
    value = Decimal(amount_minor).scaleb(-exponent)
    try:
        return format_currency(value, currency, locale=lang)
    except (ValueError, LookupError):
        return f"{value} {currency}"


def show_token(amount: int, decimals: int, symbol: str, lang: str) -> str:
    """A token amount, at least two and at most six decimals: `42.00 hEUR`."""
    value = Decimal(amount).scaleb(-decimals)
    return _number_and_symbol(value, symbol, lang)


def show_amounts(params: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """Values of a line of history, its amounts (`42.50 hEUR`) as people of `lang` write them."""
    return {name: _amount(str(value), lang) if name in AMOUNTS else value for name, value in params.items()}


def _amount(text: str, lang: str) -> str:
    digits, _, symbol = text.partition(" ")
    try:
        return _number_and_symbol(Decimal(digits), symbol, lang)
    except ArithmeticError:
        return text


def _number_and_symbol(value: Decimal, symbol: str, lang: str) -> str:
    return f"{format_decimal(value, format='#,##0.00####', locale=lang)} {symbol}"


def show_time(seconds: int, lang: str) -> str:
    """A moment in this machine's own time zone: the shopkeeper's day, not Greenwich's."""
    return format_datetime(
        datetime.fromtimestamp(seconds, UTC).astimezone(), "d MMM y, HH:mm", tzinfo=None, locale=lang
    )


def show_day(seconds: int, lang: str) -> str:
    return format_date(datetime.fromtimestamp(seconds, UTC).astimezone(), "long", locale=lang)


def show_day_utc(seconds: int, lang: str) -> str:
    """The day as it is in UTC: the same on every machine."""
    return format_date(datetime.fromtimestamp(seconds, UTC), "long", locale=lang)


SIZE_UNITS = {"en": ("B", "kB", "MB", "GB"), "fr": ("o", "ko", "Mo", "Go")}


def show_size(size_bytes: int, lang: str) -> str:
    """A number of bytes in its largest useful unit: `1.2 MB`, `1,2 Mo`."""
    power = min(max(len(str(size_bytes)) - 1, 0) // 3, 3)
    value = format_decimal(size_bytes / 1000**power, format="#,##0.0" if power else "0", locale=lang)
    return f"{value}\u00a0{SIZE_UNITS[lang][power]}"


def show_left(seconds: int, lang: str) -> str:
    """A duration in its largest useful unit: `3 hours`."""
    return format_timedelta(seconds, locale=lang, threshold=1.2)


@cache
def countries(lang: str) -> list[tuple[str, str]]:
    """ISO 3166 codes with their names, sorted for a menu."""
    names = Locale.parse(lang).territories
    return sorted(
        (
            (code, name)
            for code, name in names.items()
            if len(code) == 2 and code.isalpha() and code not in {"EU", "EZ", "UN", "ZZ", "XA", "XB", "QO"}
        ),
        key=lambda pair: pair[1],
    )


def extract() -> Catalog:
    """Every message of the templates and the code."""
    catalog = Catalog(project="Halle", charset="utf-8")
    found = extract_from_dir(str(PACKAGE), METHODS, keywords=KEYWORDS, comment_tags=("Translators:",))
    for filename, _line, message, comments, context in found:
        catalog.add(message, None, [(filename, 0)], auto_comments=comments, context=context)
    return catalog


def update() -> None:
    """Rewrite the catalogues: new messages come in empty, stale ones go."""
    template = extract()
    for lang in LANGUAGES:
        path = catalogue_path(lang)
        old = Catalog(locale=lang)
        if path.exists():
            with path.open("rb") as file:
                old = read_po(file, locale=lang)
        old.update(template, no_fuzzy_matching=True)
        old.obsolete.clear()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, old, width=110, sort_output=True, ignore_obsolete=True, omit_header=False)


if __name__ == "__main__":
    update()
