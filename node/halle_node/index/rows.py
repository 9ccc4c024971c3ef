"""A verified document as the rows this node keeps of it.

Rule: what is written here was signed by the store or its operator, hashes to its CID and keeps every limit of the
protocol; text is stripped of markup, because it will be searched and shown among other people's text.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import nh3

from halle_protocol.cid import CID
from halle_protocol.documents import (
    LISTING,
    PROFILE,
    REVIEW,
    TOMBSTONE,
    Listing,
    LocalText,
    Profile,
    Review,
    SignedDocument,
    decode_document,
    document_key,
    parse_body,
    verify_document,
)
from halle_protocol.errors import ProtocolError, RemoteProtocolError
from halle_protocol.grant import Grant

SUMMARY_CHARS = 200
WORDS_CHARS = 6_000
AVAILABLE = ("in_stock", "backorder", "preorder")

Row = dict[str, Any]


@dataclass
class Rows:
    """What one batch of a store's documents changes."""

    listings: list[Row] = field(default_factory=list)
    reviews: list[Row] = field(default_factory=list)
    documents: list[Row] = field(default_factory=list)
    profile: Row | None = None
    gone: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.listings) + len(self.reviews) + len(self.documents) + len(self.gone)


class Reader:
    """Reads the documents of one store under one head."""

    def __init__(self, store: bytes, grant: Grant | None, min_grant_sequence: int) -> None:
        self._store = store
        self._grant = grant
        self._min_sequence = min_grant_sequence

    def take(self, rows: Rows, key: str, cid: CID, block: bytes) -> None:
        """Add what a document says to `rows`; one that breaks a rule is noted with its code and not shown."""
        try:
            doc = self._verified(block)
            if doc.type == TOMBSTONE:
                rows.gone.append(key)
                return
            body = parse_body(doc)
            if body is not None and document_key(doc.type, body) != key:
                raise RemoteProtocolError(f"The document under {key} is another one.", code="key-mismatch")
        except ProtocolError as exc:
            rows.documents.append(self._document(key, cid, "", exc.code))
            rows.gone.append(key)
            return
        if isinstance(body, Listing) and doc.type == LISTING:
            rows.listings.append(listing_row(self._store, cid, doc, body))
            return
        if isinstance(body, Review) and doc.type == REVIEW:
            rows.reviews.append(review_row(self._store, key, cid, doc, body))
        elif isinstance(body, Profile) and doc.type == PROFILE:
            rows.profile = profile_row(self._store, block, body)
        rows.documents.append(self._document(key, cid, doc.type, None))

    def _verified(self, block: bytes) -> SignedDocument:
        doc = decode_document(block)
        if doc.store != self._store:
            raise RemoteProtocolError("The document is of another store.", code="store-mismatch")
        verify_document(doc, self._grant, min_sequence=self._min_sequence)
        return doc

    def _document(self, key: str, cid: CID, type_name: str, problem: str | None) -> Row:
        return {"store": self._store, "key": key, "cid": bytes(cid), "type": type_name, "problem": problem}


def plain(text: str) -> str:
    """Text without markup."""
    if "<" not in text:
        return text
    return html.unescape(nh3.clean(text, tags=set(), attributes={}))


def listing_row(store: bytes, cid: CID, doc: SignedDocument, listing: Listing) -> Row:
    """The row of a listing."""
    prices = [variant.price.amount for variant in listing.variants]
    return {
        "store": store,
        "handle": listing.handle,
        "cid": bytes(cid),
        "seq": doc.seq,
        "issued": doc.issued,
        "title": plain(listing.title.get()),
        "texts": _texts(listing),
        "words": " ".join(_words(listing))[:WORDS_CHARS],
        "kind": listing.kind,
        "category": plain(listing.categories[0].value) if listing.categories else listing.product_type,
        "vendor": plain(listing.vendor),
        "price_minor": min(prices),
        "price_max_minor": max(prices),
        "currency": listing.variants[0].price.currency,
        "availability": _availability(listing),
        "thumb": _thumb(listing),
    }


def _availability(listing: Listing) -> str:
    """The best of its variants."""
    found = {variant.availability for variant in listing.variants}
    return next((one for one in AVAILABLE if one in found), listing.variants[0].availability)


def _thumb(listing: Listing) -> bytes | None:
    if not listing.media:
        return None
    first = listing.media[0]
    return bytes(first.thumb or first.cid)


def _texts(listing: Listing) -> str:
    """Title and summary by language. Shape: {"fallback": …, "title": {…}, "summary": {…}}."""
    about = listing.summary or listing.description
    kept = {
        "fallback": listing.title.fallback,
        "title": {locale: plain(text) for locale, text in listing.title.texts.items()},
        "summary": {locale: shorten(plain(text)) for locale, text in about.texts.items()} if about else {},
    }
    return json.dumps(kept, ensure_ascii=False)


def shorten(text: str) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: SUMMARY_CHARS * 2].split())
    return line if len(line) <= SUMMARY_CHARS else line[: SUMMARY_CHARS - 1].rsplit(" ", 1)[0] + "…"


def _words(listing: Listing) -> Iterator[str]:
    """Everything a listing may be found by."""
    yield from _all(listing.title)
    yield listing.handle
    yield plain(listing.vendor)
    yield plain(listing.product_type)
    yield from (plain(one.value) for one in listing.categories)
    yield from (plain(tag) for tag in listing.tags)
    yield from (plain(value) for value in listing.attributes.values())
    for variant in listing.variants:
        yield variant.sku
        yield from (plain(value) for value in variant.options.values())
    yield from _all(listing.summary)
    yield from _all(listing.description)


def _all(text: LocalText | None) -> Iterator[str]:
    if text is not None:
        yield from (plain(one) for one in text.texts.values())


def review_row(author: bytes, key: str, cid: CID, doc: SignedDocument, review: Review) -> Row:
    """The row of a review; whether it is verified is found out later."""
    texts = {locale: plain(text) for locale, text in review.text.texts.items()} if review.text else {}
    return {
        "author": author,
        "key": key,
        "cid": bytes(cid),
        "store": review.merchant,
        "handle": review.handle,
        "rating": review.rating,
        "texts": json.dumps(texts, ensure_ascii=False),
        "fallback": review.text.fallback if review.text else "",
        "order_id": review.order_id,
        "chain_id": review.chain_id,
        "tx": review.tx or b"",
        "issued": doc.issued,
    }


def profile_row(store: bytes, block: bytes, profile: Profile) -> Row:
    """The row of a store."""
    return {
        "store": store,
        "name": plain(profile.name),
        "country": profile.country,
        "currency": profile.currency,
        "peer_id": profile.peer_id,
        "addrs": json.dumps(list(profile.addrs)),
        "profile": block,
    }
