"""The smaller documents: collections, policies, news, reviews, tombstones and warranty terms.

Spec: docs/spec/06-documents.md §7
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from halle_protocol.documents.listing import Media
from halle_protocol.documents.shape import (
    Address,
    Bps,
    Hash32,
    Link,
    LongText,
    Model,
    Positive,
    Seconds,
    ShortText,
    Title,
    UnixTime,
)
from halle_protocol.documents.text import Handle, Name, Word

DocumentKey = Annotated[str, StringConstraints(strict=True, max_length=200, pattern=r"^[a-z0-9-]+/[a-z0-9_/.-]+$")]


class Collection(Model):
    """A shelf: listings the merchant shows together."""

    handle: Handle
    title: Title
    description: LongText | None = None
    image: Media | None = None
    listings: Annotated[tuple[Handle, ...], Field(max_length=500)] = ()
    sort: Literal["manual", "title", "price", "newest"] = "manual"


class Policy(Model):
    """A text the store is bound by (returns, privacy, terms); each version has its own CID."""

    kind: Word
    title: Title
    text: LongText
    valid_from: UnixTime | None = None


class Post(Model):
    """News from the shop."""

    handle: Handle
    title: Title
    text: LongText
    media: Annotated[tuple[Media, ...], Field(max_length=10)] = ()
    listings: Annotated[tuple[Handle, ...], Field(max_length=20)] = ()
    published: UnixTime | None = None


class Review(Model):
    """A buyer's word on one order, published in the buyer's own catalog; readers check the order on chain."""

    order_id: Hash32
    chain_id: Positive
    escrow: Address | None = None
    merchant: Address
    listing: Link
    handle: Handle
    rating: Annotated[int, Field(strict=True, ge=1, le=5)]
    text: LongText | None = None
    tx: Hash32 | None = None
    answer_to: Link | None = None


class Tombstone(Model):
    """The thing under `key` is gone; readers drop it and do not resurrect older editions."""

    key: DocumentKey
    reason: ShortText | None = None


class WarrantyTerms(Model):
    """What a certificate covers, in words a judge and a buyer can read."""

    handle: Handle
    title: Title
    text: LongText
    days: Annotated[int, Field(strict=True, ge=1, le=36_525)]
    cover_bps: Bps = 10_000
    respond_within_s: Seconds = 14 * 86400
    arbiter: Address | None = None
    arbiter_within_s: Seconds = 14 * 86400
    transferable: Annotated[bool, Field(strict=True)] = True
    excludes: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
