"""What the market shows of other people's stores: verified facts, ready to be put on a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from halle_protocol.cid import CID
from halle_protocol.documents import Listing, Profile, SignedDocument
from halle_protocol.money import Money


@dataclass(frozen=True, slots=True)
class ListingHit:
    """One result of a search, with all a result card needs."""

    store: bytes
    store_name: str
    handle: str
    cid: CID
    title: str
    summary: str
    price: Money
    price_max: Money
    availability: str
    kind: str
    thumb: CID | None
    country: str
    rating_tenths: int | None
    review_count: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Facet:
    """One value a search can be narrowed to, and how many results it leaves."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of results. `facets`: kind, category, store, currency, availability, country → values."""

    hits: tuple[ListingHit, ...]
    total: int
    offset: int
    limit: int
    facets: Mapping[str, tuple[Facet, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReviewView:
    """One review and whether the chain shows that its author bought what it praises."""

    author: bytes
    author_name: str
    store: bytes
    handle: str
    rating: int
    texts: Mapping[str, str]
    fallback: str
    verified: bool
    order_id: bytes
    chain_id: int
    issued: int
    cid: CID
    tx: bytes = b""


@dataclass(frozen=True, slots=True)
class StoreView:
    """One store as this node knows it."""

    store: bytes
    name: str
    seq: int
    catalog: CID
    listing_count: int
    followed: bool
    equivocates: bool
    updated_at: int
    country: str
    currency: str
    profile: Profile | None
    peer_id: str
    addrs: tuple[str, ...]
    rating_tenths: int | None
    review_count: int
    own: bool = False


@dataclass(frozen=True, slots=True)
class ListingView:
    """One listing with the signed document behind it, its store and its reviews."""

    store: bytes
    handle: str
    cid: CID
    listing: Listing
    doc: SignedDocument
    store_name: str
    store_profile: Profile | None
    reviews: tuple[ReviewView, ...]
    rating_tenths: int | None
    review_count: int
