"""What the pages show, read from the signed documents of one catalog and from nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from halle_node.index.views import ListingView
from halle_protocol import catalog as tree
from halle_protocol.cid import CID
from halle_protocol.documents import (
    Collection,
    Listing,
    LocalText,
    Media,
    Policy,
    Post,
    Profile,
    SignedDocument,
    decode_document,
    parse_body,
)
from halle_protocol.errors import HalleError
from halle_protocol.money import Money

from ..gateway.images import image_type
from ..i18n import LANGUAGES
from . import search

Get = Callable[[CID], bytes]

SUFFIXES = {"image/webp": ".webp", "image/jpeg": ".jpg", "image/png": ".png"}


@dataclass(frozen=True, slots=True)
class Card:
    """A listing as a tile, a line of the search index and a list of pictures. By language: `titles`, `words`."""

    cid: CID
    handle: str
    issued: int
    titles: dict[str, str]
    words: dict[str, str]
    price: Money
    price_max: Money
    availability: str
    thumb: CID | None
    pictures: tuple[tuple[CID, str], ...]


@dataclass(frozen=True)
class Shelf:
    """A collection with the tiles on it."""

    cid: CID
    handle: str
    collection: Collection
    cards: tuple[Card, ...]


class Facts:
    """One catalog, read. `cards` of an earlier reading spare the documents that did not change."""

    def __init__(self, catalog: CID, get: Get, cards: dict[CID, Card]) -> None:
        self.catalog = catalog
        self._get = get
        self._keys = dict(tree.entries(catalog, get))
        profile_cid = self._keys["profile/store"]
        self.doc = decode_document(get(profile_cid))
        profile = parse_body(self.doc)
        if not isinstance(profile, Profile):
            raise TypeError(f"profile/store is a {type(profile).__name__}")
        self.profile: Profile = profile
        self.cards = [card for cid in self._of("listing/") if (card := cards.get(cid) or self._card(cid)) is not None]

    def _of(self, prefix: str) -> Iterator[CID]:
        return (cid for key, cid in self._keys.items() if key.startswith(prefix))

    def _read(self, cid: CID) -> tuple[SignedDocument | None, Any]:
        """A document of ours; nothing while its block is not here or it is of a later version."""
        try:
            doc = decode_document(self._get(cid))
            return doc, parse_body(doc)
        except HalleError:
            return None, None

    def _card(self, cid: CID) -> Card | None:
        doc, listing = self._read(cid)
        if doc is None or not isinstance(listing, Listing):
            return None
        prices = sorted((variant.price.money for variant in listing.variants), key=lambda money: money.amount_minor)
        availabilities = {variant.availability for variant in listing.variants}
        first = listing.media[0] if listing.media else None
        return Card(
            cid=cid,
            handle=listing.handle,
            issued=doc.issued,
            titles={lang: listing.title.get(lang) for lang in LANGUAGES},
            words={lang: search.words_of(listing, lang) for lang in LANGUAGES},
            price=prices[0],
            price_max=prices[-1],
            availability="in_stock" if "in_stock" in availabilities else listing.variants[0].availability,
            thumb=(first.thumb or first.cid) if first else None,
            pictures=tuple(_pictures(listing.media)),
        )

    def listing(self, card: Card) -> ListingView:
        """The listing behind a card, as product pages want it. Reviews are not in the shop's own catalog."""
        doc, listing = self._read(card.cid)
        if doc is None or not isinstance(listing, Listing):
            raise LookupError(card.handle)
        return ListingView(
            store=self.doc.store,
            handle=card.handle,
            cid=card.cid,
            listing=listing,
            doc=doc,
            store_name=self.profile.name,
            store_profile=self.profile,
            reviews=(),
            rating_tenths=None,
            review_count=0,
        )

    @cached_property
    def by_handle(self) -> dict[str, Card]:
        return {card.handle: card for card in self.cards}

    @cached_property
    def newest(self) -> list[Card]:
        return sorted(self.cards, key=lambda card: (-card.issued, card.handle))

    def alphabetical(self, lang: str) -> list[Card]:
        return sorted(self.cards, key=lambda card: (search.fold(card.titles[lang]), card.handle))

    @cached_property
    def policies(self) -> list[tuple[str, CID, Policy]]:
        found = ((kind, cid, self._read(cid)[1]) for kind, cid in sorted(self.profile.policies.items()))
        return [(kind, cid, body) for kind, cid, body in found if isinstance(body, Policy)]

    @cached_property
    def posts(self) -> list[tuple[CID, Post]]:
        found = ((cid, self._read(cid)[1]) for cid in self._of("post/"))
        posts = [(cid, body) for cid, body in found if isinstance(body, Post)]
        return sorted(posts, key=lambda one: (-(one[1].published or 0), one[1].handle))

    @cached_property
    def shelves(self) -> list[Shelf]:
        return [shelf for cid in self._of("collection/") if (shelf := self._shelf(cid)) is not None]

    def _shelf(self, cid: CID) -> Shelf | None:
        _, body = self._read(cid)
        if not isinstance(body, Collection):
            return None
        cards = [self.by_handle[handle] for handle in body.listings if handle in self.by_handle]
        orders: dict[str, Callable[[Card], Any]] = {
            "title": lambda card: search.fold(card.titles[self.main_language]),
            "price": lambda card: card.price.amount_minor,
            "newest": lambda card: -card.issued,
        }
        if body.sort in orders:
            cards.sort(key=orders[body.sort])
        return Shelf(cid, body.handle, body, tuple(cards)) if cards else None

    @cached_property
    def main_language(self) -> str:
        """The language of the front page: the shop's own where there are pages in it."""
        wanted = [self.profile.fallback.split("-")[0], *(lang.split("-")[0] for lang in self.profile.languages)]
        return next((lang for lang in wanted if lang in LANGUAGES), LANGUAGES[0])

    @cached_property
    def about(self) -> LocalText | None:
        return self.profile.about

    @cached_property
    def pictures(self) -> dict[CID, str]:
        """Every picture of the shop and its path below the root."""
        found = {cid: picture_path(cid, suffix) for card in self.cards for cid, suffix in card.pictures}
        for _, post in self.posts:
            found |= {cid: picture_path(cid, suffix) for cid, suffix in _pictures(post.media)}
        for shelf in self.shelves:
            if shelf.collection.image is not None:
                found |= {cid: picture_path(cid, suffix) for cid, suffix in _pictures([shelf.collection.image])}
        if self.profile.logo is not None:
            found[self.profile.logo] = picture_path(self.profile.logo, self._logo_suffix(self.profile.logo))
        return found

    def _logo_suffix(self, logo: CID) -> str:
        try:
            return SUFFIXES.get(image_type(self._get(logo)) or "", "")
        except HalleError:
            return ""


def _pictures(media: Iterable[Media]) -> Iterator[tuple[CID, str]]:
    for one in media:
        suffix = SUFFIXES.get(one.mime, "")
        yield one.cid, suffix
        if one.thumb is not None:
            yield one.thumb, SUFFIXES["image/webp"]


def bucket(name: str) -> str:
    """One of 256 folders, so that a folder stays small however many names there are and an address never changes."""
    return hashlib.sha256(name.encode()).hexdigest()[:2]


def picture_path(cid: CID, suffix: str) -> str:
    return f"img/{bucket(str(cid))}/{cid}{suffix}"


def product_path(lang: str, handle: str) -> str:
    return f"{lang}/p/{bucket(handle)}/{handle}.html"
