"""Render a template in the reader's language, with the few things every page needs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web

from halle_protocol.errors import ProtocolError
from halle_protocol.money import exponent

from . import i18n, markup
from .assets import static_url
from .icons import icon
from .moves import move_of
from .notice_words import told, wording
from .words import Words, notice, problem, quote_parts, sentence

TEMPLATES = Path(__file__).parent / "templates"
ENVIRONMENTS = {lang: web.AppKey(f"templates_{lang}", jinja2.Environment) for lang in i18n.LANGUAGES}


def set_up(app: web.Application) -> None:
    """Give the app one template environment a language."""
    for lang, key in ENVIRONMENTS.items():
        furnish(aiohttp_jinja2.setup(app, app_key=key, default_helpers=False, **options()), lang)


def options() -> dict[str, Any]:
    """How every template environment is set up."""
    return {
        "loader": jinja2.FileSystemLoader(TEMPLATES),
        "extensions": ["jinja2.ext.i18n", "jinja2.ext.do"],
        "autoescape": True,
        "undefined": jinja2.StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "auto_reload": False,
    }


def furnish(environment: Any, lang: str) -> None:
    """Give an environment its language, its words and its filters."""
    catalogue = i18n.translations(lang)
    environment.install_gettext_callables(catalogue.gettext, catalogue.ngettext, newstyle=True)
    environment.globals.update(_shared(lang))
    environment.filters.update(_filters(lang))


def _shared(lang: str) -> dict[str, Any]:
    return {
        "lang": lang,
        # `_()` trusts its message; words that came from elsewhere are translated by `tr()`, which is escaped.
        "tr": i18n.translations(lang).gettext,
        "languages": i18n.LANGUAGE_NAMES,
        "icon": icon,
        "img": lambda cid: f"/img/{cid}",
        "qr": markup.qr,
        "static_url": static_url,
        "words": Words,
        "move_of": move_of,
        "told": lambda notice: told(notice, i18n.translations(lang).gettext, lang),
        "wording": wording,
        "happened": lambda entry: sentence(
            entry.key, i18n.show_amounts(entry.params, lang), i18n.translations(lang).gettext
        ),
        "quote_parts": lambda names: quote_parts(names, i18n.translations(lang).gettext),
        "problem": lambda code: problem(code, i18n.translations(lang).gettext),
        "countries": lambda: i18n.countries(lang),
    }


def _filters(lang: str) -> dict[str, Any]:
    def money(value: Any, currency: str | None = None) -> str:
        amount = value if currency is not None else value.amount_minor
        code = currency if currency is not None else value.currency
        try:
            decimals = exponent(code)
        except ProtocolError:  # a currency this version does not know
            decimals = 0
        return i18n.show_money(amount, code, decimals, lang)

    def token(amount: int, decimals: int, symbol: str) -> str:
        return i18n.show_token(amount, decimals, symbol, lang)

    def local(text: Any) -> str:
        return text.get(lang) if text is not None else ""

    return {
        "money": money,
        "token": token,
        "local": local,
        "rich": markup.rich_text,
        "plain": markup.plain_text,
        "when": lambda seconds: i18n.show_time(seconds, lang),
        "day": lambda seconds: i18n.show_day(seconds, lang),
        "left": lambda seconds: i18n.show_left(seconds, lang),
        "short": shorten,
        "size": lambda size_bytes: i18n.show_size(size_bytes, lang),
        "hex": lambda value: value.hex() if isinstance(value, bytes) else str(value),
    }


def shorten(text: Any, head: int = 8, tail: int = 6) -> str:
    """`bafyreih…x5a2qe`: enough of a long identifier to compare by eye."""
    whole = "0x" + text.hex() if type(text) is bytes else str(text)
    return whole if len(whole) <= head + tail + 1 else f"{whole[:head]}…{whole[-tail:]}"


def page(request: web.Request, template: str, status: int = 200, **context: Any) -> web.Response:
    """A page as a response."""
    response = web.Response(text=render(request, template, context), content_type="text/html", status=status)
    response.headers["Cache-Control"] = "no-store"
    return response


def render(request: web.Request, template: str, context: Mapping[str, Any]) -> str:
    lang = i18n.language_of(request)
    shared = {
        "path": request.path,
        "here": request.path_qs,
        "other_languages": other_languages(request, lang),
        "notice": notice(request.query.get("done", "")),
        "query": request.query,
        "now": int(time.time()),
    }
    text: str = aiohttp_jinja2.render_string(template, request, {**shared, **context}, app_key=ENVIRONMENTS[lang])
    return text


def other_languages(request: web.Request, lang: str) -> list[tuple[str, str, str]]:
    """(code, name, same page there) for the language menu."""
    rest = request.path_qs.removeprefix(f"/{lang}/")
    return [(code, name, f"/{code}/{rest}") for code, name in i18n.LANGUAGE_NAMES.items() if code != lang]
