"""Every file of the static shop: path, what it depends on, and how it is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from halle_node.catalog.site import MARK, SiteFile
from halle_protocol.cid import CID

from .. import i18n, markup
from ..assets import ASSETS
from ..i18n import LANGUAGES
from ..pages import furnish, options
from ..product_view import product_view
from ..shop.structured import json_ld
from ..words import AVAILABILITY, POLICIES, badge
from . import search, sitemap
from .facts import Card, Facts, Get, Shelf, product_path

TYPE = "halle/site/1"
PAGE_SIZE = 60
NEWEST = 24
NEWS = 3
# Where a buyer's own node shows its market, unless they moved it: docs/settings.md, local_port.
CLIENT = "http://127.0.0.1:8480"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'"
)
USED_ASSETS = ("halle.css", "site.js", "icon.svg")
PACKAGE = Path(__file__).parent.parent
# What pages are made with: when one of these changes, so may every page.
INGREDIENTS = ("site/*.py", "templates/site/*", "templates/ui/*", "static/*", "locales/*/*/*.po", "*.py", "shop/*.py")


def _version() -> str:
    digest = hashlib.sha256()
    for pattern in INGREDIENTS:
        for path in sorted(PACKAGE.glob(pattern)):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    for name in ("Babel", "Jinja2", "nh3"):
        digest.update(f"{name}=={installed(name)}".encode())
    return digest.hexdigest()[:24]


class StaticShop:
    """The renderer. What it remembers of a catalog only spares work, so two threads may ask it at once."""

    def __init__(self) -> None:
        self.version = _version()
        self._cards: dict[CID, Card] = {}

    def files(self, catalog: CID, get: Get, base_url: str = "") -> Iterator[SiteFile]:
        """Yield every file of the shop behind this catalog."""
        facts = Facts(catalog, get, self._cards)
        self._cards = {card.cid: card for card in facts.cards}
        yield from Rendering(self.version, facts, base_url).files()


@dataclass(frozen=True)
class _Frame:
    """Where one page is: its language, its path below the root, and the way back to the root."""

    lang: str
    path: str

    @property
    def root(self) -> str:
        return "../" * self.path.count("/")


class Rendering:
    """One catalog on its way to files."""

    def __init__(self, version: str, facts: Facts, base_url: str) -> None:
        self._facts = facts
        self._base = base_url
        profile = facts.profile
        self._store = "0x" + facts.doc.store.hex()
        self._live = (profile.shop_url or "").rstrip("/")
        # What stands on every page; its hash is in every page's source.
        frame = [version, base_url, self._store, profile.name, profile.country, str(profile.logo), self._live]
        frame += [str(cid) for _, cid, _ in facts.policies]
        frame += ["news" if facts.posts else "", facts.main_language]
        self._frame = _hash(*frame)

    def files(self) -> Iterator[SiteFile]:
        """Yield all files."""
        yield from self._asset_files()
        for lang in LANGUAGES:
            yield from self._language(lang)
        main = self._facts.main_language
        yield self._page("index.html", main, "site/home.html", partial(self._home, main), self._home_source())
        for cid, path in self._facts.pictures.items():
            yield SiteFile(path, bytes(cid), lambda cid=cid: cid)  # type: ignore[misc]
        about = json.dumps(
            {"type": TYPE, "store": self._store, "catalog": str(self._facts.catalog), "languages": list(LANGUAGES)},
            indent=1,
        )
        yield SiteFile(MARK, _hash(about), (about + "\n").encode)
        if self._base:
            yield from sitemap.files(self._base, self._addresses())

    def _asset_files(self) -> Iterator[SiteFile]:
        for name in USED_ASSETS:
            body = ASSETS[name].body
            yield SiteFile(asset_path(name), hashlib.sha256(body).digest(), lambda body=body: body)  # type: ignore[misc]

    def _language(self, lang: str) -> Iterator[SiteFile]:
        facts = self._facts
        home = partial(self._home, lang)
        yield self._page(f"{lang}/index.html", lang, "site/home.html", home, self._home_source())
        pages = _pages(facts.alphabetical(lang))
        for number, cards in enumerate(pages, start=1):
            source = [number, len(pages), *(card.cid for card in cards)]
            make = partial(self._all, cards, number, len(pages))
            yield self._page(f"{lang}/all/{number}.html", lang, "site/all.html", make, source)
        for card in facts.cards:
            make = partial(self._product, card, lang)
            yield self._page(product_path(lang, card.handle), lang, "site/product.html", make, [card.cid])
        for shelf in facts.shelves:
            make = partial(_shelf, shelf)
            source = [shelf.cid, *(card.cid for card in shelf.cards)]
            yield self._page(f"{lang}/c/{shelf.handle}.html", lang, "site/collection.html", make, source)
        for kind, cid, policy in facts.policies:
            make = partial(dict, policy=policy, title=self._policy_title(kind, policy, lang))
            yield self._page(f"{lang}/policies/{kind}.html", lang, "site/policy.html", make, [cid])
        if facts.posts:
            make = partial(dict, posts=[post for _, post in facts.posts])
            yield self._page(f"{lang}/news.html", lang, "site/news.html", make, [cid for cid, _ in facts.posts])
        yield from self._search(lang, pages)

    # --- pages

    def _page(
        self, path: str, lang: str, template: str, context: Callable[[], dict[str, Any]], source: Sequence[object]
    ) -> SiteFile:
        key = hashlib.sha256(b"\0".join([self._frame, lang.encode(), path.encode()]))
        for part in source:
            key.update(b"\0" + (bytes(part) if isinstance(part, bytes) else str(part).encode()))
        return SiteFile(path, key.digest(), partial(self._render, _Frame(lang, path), template, context))

    def _render(self, frame: _Frame, template: str, context: Callable[[], dict[str, Any]]) -> bytes:
        environment = environment_of(frame.lang)
        text = environment.get_template(template).render({**self._common(frame), **context()})
        return text.encode()

    def _common(self, frame: _Frame) -> dict[str, Any]:
        facts, lang = self._facts, frame.lang
        rest = frame.path.removeprefix(f"{lang}/")
        return {
            "csp": CSP,
            "root": frame.root,
            "home": f"{frame.root}{lang}/",
            "rest": rest,
            "shop": facts.profile,
            "store": self._store,
            "pictures": facts.pictures,
            "policies": [(kind, self._policy_title(kind, policy, lang)) for kind, _, policy in facts.policies],
            "has_news": bool(facts.posts),
            "canonical": f"{self._base}/{frame.path}" if self._base else "",
            "alternates": [(code, self._alternate(code, rest, frame.root)) for code in LANGUAGES],
            "other_languages": [
                (code, name, f"{frame.root}{code}/{rest}") for code, name in i18n.LANGUAGE_NAMES.items() if code != lang
            ],
        }

    def _alternate(self, lang: str, rest: str, root: str) -> str:
        return f"{self._base}/{lang}/{rest}" if self._base else f"{root}{lang}/{rest}"

    def _policy_title(self, kind: str, policy: Any, lang: str) -> str:
        return i18n.translations(lang).gettext(POLICIES[kind]) if kind in POLICIES else str(policy.title.get(lang))

    def _home_source(self) -> list[object]:
        facts = self._facts
        about = facts.about.model_dump_json() if facts.about else ""
        shown = [card.cid for card in facts.newest[:NEWEST]]
        return [about, len(facts.cards), *shown, *(shelf.cid for shelf in facts.shelves), *(c for c, _ in facts.posts)]

    def _home(self, lang: str) -> dict[str, Any]:
        facts = self._facts
        return {
            "cards": facts.newest[:NEWEST],
            "total": len(facts.cards),
            "shelves": facts.shelves,
            "posts": [post for _, post in facts.posts[:NEWS]],
        }

    def _all(self, cards: Sequence[Card], number: int, count: int) -> dict[str, Any]:
        return {
            "cards": cards,
            "page_number": number,
            "pages": count,
            "page_link": lambda wanted: f"{wanted}.html",
            "total": len(self._facts.cards),
        }

    def _product(self, card: Card, lang: str) -> dict[str, Any]:
        facts = self._facts
        view = product_view(facts.listing(card), {}, "", lang)
        path = product_path(lang, card.handle)
        url, images = "", []
        if self._base:
            url = f"{self._base}/{path}"
            images = [f"{self._base}/{facts.pictures[media.cid]}" for media in view.listing.media[:10]]
        elif self._live:
            url = f"{self._live}/{lang}/p/{card.handle}"
            images = [f"{self._live}/img/{media.cid}" for media in view.listing.media[:10]]
        return {
            "view": view,
            "json_ld": json_ld(view, url, images),
            "live_link": f"{self._live}/{lang}/p/{card.handle}" if self._live else "",
            "client_link": f"{CLIENT}/{lang}/market/p/{self._store}/{card.handle}",
            "order_link": f"halle://{self._store}/{quote(card.handle)}",
            "orderable": any(variant.availability in ORDERABLE for variant in view.listing.variants),
        }

    # --- search

    def _search(self, lang: str, pages: Sequence[Sequence[Card]]) -> Iterator[SiteFile]:
        cards, count = self._facts.cards, search.file_count(len(self._facts.cards))
        ends = [(page[0].titles[lang], page[-1].titles[lang]) for page in pages if page]
        shown = pages[0] if len(pages) == 1 else ()
        make: Callable[[], dict[str, Any]] = partial(dict, files=count, ends=ends, cards=shown, stop=search.STOP_WORDS)
        source = [count, *(title for pair in ends for title in pair)]
        source += [card.cid for card in shown]
        yield self._page(f"{lang}/search.html", lang, "site/search.html", make, source)
        held: list[list[Card]] = [[] for _ in range(count)]
        for card in cards:
            held[search.file_of(card.handle, count)].append(card)
        for number, these in enumerate(held):
            key = hashlib.sha256(self._frame + lang.encode() + b"".join(card.cid for card in these)).digest()
            yield SiteFile(f"{lang}/search/{number}.json", key, partial(self._index_file, these, lang))

    def _index_file(self, cards: Sequence[Card], lang: str) -> bytes:
        return json.dumps([self._row(card, lang) for card in cards], ensure_ascii=False, separators=(",", ":")).encode()

    def _row(self, card: Card, lang: str) -> list[str]:
        """Title, page, picture, price, remark, words; paths begin at the root, as site.js knows."""
        say = i18n.translations(lang).gettext
        money = environment_of(lang).filters["money"]
        price = money(card.price)
        if card.price.amount_minor != card.price_max.amount_minor:
            price = say("from %(price)s") % {"price": price}
        remark = "" if card.availability == "in_stock" else say(badge(AVAILABILITY, card.availability).text)
        picture = self._facts.pictures[card.thumb] if card.thumb else ""
        return [card.titles[lang], product_path(lang, card.handle), picture, price, remark, card.words[lang]]

    def _addresses(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """Pages worth finding. Shape: path, then language and path of it in each language."""
        facts = self._facts
        rests = ["index.html"]
        rests += [f"c/{shelf.handle}.html" for shelf in facts.shelves]
        rests += ["news.html"] if facts.posts else []
        rests += [f"policies/{kind}.html" for kind, _, _ in facts.policies]
        rests += [product_path("", card.handle).lstrip("/") for card in facts.cards]
        for rest in rests:
            everywhere = [(lang, f"{lang}/{rest}") for lang in LANGUAGES]
            yield from ((path, everywhere) for _, path in everywhere)


ORDERABLE = ("in_stock", "backorder", "preorder")


def _shelf(shelf: Shelf) -> dict[str, Any]:
    return {"shelf": shelf.collection, "cards": shelf.cards}


def _pages(cards: Sequence[Card]) -> list[Sequence[Card]]:
    return [cards[start : start + PAGE_SIZE] for start in range(0, len(cards), PAGE_SIZE)] or [[]]


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()


def asset_path(name: str) -> str:
    """A name that changes with the content, for visitors of hosts that let browsers keep files for ever."""
    stem, _, suffix = name.partition(".")
    return f"assets/{stem}.{hashlib.sha256(ASSETS[name].body).hexdigest()[:12]}.{suffix}"


_ENVIRONMENTS: dict[str, jinja2.Environment] = {}


def environment_of(lang: str) -> jinja2.Environment:
    """Templates whose links are relative and whose days are those of UTC: the same page on every machine."""
    if lang not in _ENVIRONMENTS:
        environment = jinja2.Environment(**options())  # noqa: S701  autoescape is among the options
        furnish(environment, lang)
        environment.globals |= {"img": _img, "asset": _asset, "product_path": partial(product_path, lang)}
        environment.filters |= {"day": partial(i18n.show_day_utc, lang=lang), "plain": markup.plain_text}
        _ENVIRONMENTS[lang] = environment
    return _ENVIRONMENTS[lang]


@jinja2.pass_context
def _img(context: jinja2.runtime.Context, cid: CID) -> str:
    return f"{context['root']}{context['pictures'].get(cid, '')}"


@jinja2.pass_context
def _asset(context: jinja2.runtime.Context, name: str) -> str:
    return f"{context['root']}{asset_path(name)}"
