"""What a store asks today: its listings, its shipping, its tokens and its escrow terms, as the index knows them."""

from __future__ import annotations

from dataclasses import dataclass

from halle_node.index.views import ListingView
from halle_node.trade.room import Room
from halle_node.trade.views import RateView
from halle_protocol.cid import CID
from halle_protocol.documents import (
    Listing,
    PaymentOption,
    Profile,
    Shipping,
    Variant,
    decode_document,
    parse_body,
)
from halle_protocol.errors import HalleError, Refused
from halle_protocol.keys import ZERO_ADDRESS, parse_address, to_checksum
from halle_protocol.pricing import price_order


@dataclass(frozen=True)
class Wanted:
    """One cart line resolved against today's listing."""

    view: ListingView
    variant: Variant
    quantity: int

    @property
    def priced(self) -> tuple[Listing, str, int]:
        """The line as pricing takes it."""
        return self.view.listing, self.variant.sku, self.quantity


def address_of(store: bytes | str) -> bytes:
    """Return the 20 bytes of a store given either way."""
    return parse_address(store) if isinstance(store, str) else store


def listing_of(room: Room, store: bytes, handle: str) -> ListingView:
    """Return today's listing.

    Raises: Refused listing-unknown.
    """
    found = _quietly(room, store, handle)
    if found is None:
        raise Refused(
            f"The store {to_checksum(store)} does not offer {handle!r} any more.",
            code="listing-unknown",
            hint="Remove it from the cart or search for it again.",
        )
    return found


def variant_of(listing: Listing, sku: str) -> Variant:
    """Return the variant named `sku`; an empty name means the only one.

    Raises: Refused variant-unknown.
    """
    if not sku and len(listing.variants) == 1:
        return listing.variants[0]
    for variant in listing.variants:
        if variant.sku == sku:
            return variant
    raise Refused(
        f"{listing.handle!r} has no variant {sku!r}.", code="variant-unknown", hint="Choose one of its variants."
    )


def profile_of(room: Room, store: bytes) -> Profile:
    """Return the store's newest profile.

    Raises: Refused store-unknown.
    """
    view = room.index.store(store)
    if view is None or view.profile is None:
        raise Refused(
            f"The profile of store {to_checksum(store)} is not here yet.",
            code="store-unknown",
            hint="Wait until the store's catalog has been fetched.",
        )
    return view.profile


def shipping_of(room: Room, profile: Profile) -> tuple[CID | None, Shipping | None]:
    """Return the store's shipping document and its CID.

    Raises: Unavailable block-missing.
    """
    if profile.shipping is None:
        return None, None
    body = parse_body(decode_document(room.blocks.get(profile.shipping)))
    return profile.shipping, body if isinstance(body, Shipping) else None


def payment_options(room: Room, profile: Profile) -> list[PaymentOption]:
    """Return the tokens the store takes in the escrow this node can see. The chain's own coin is not offered."""
    escrow = room.chain.contracts.escrow
    return [option for option in profile.payment if option.escrow == escrow and option.token != ZERO_ADDRESS]


def rates_for(
    shipping: Shipping | None, wanted: list[Wanted], country: str, currency: str, language: str
) -> list[RateView]:
    """Return every way to send these lines to `country`, cheapest first."""
    zone = shipping.zone_for(country) if shipping and country else None
    found = []
    for rate in zone.rates if zone else ():
        try:
            totals = price_order([line.priced for line in wanted], shipping, rate.id, country, currency)
        except HalleError:
            continue  # too heavy for this rate
        name = rate.name.get(language)
        found.append(RateView(rate.id, name, totals.shipping, rate.days_min, rate.days_max))
    return sorted(found, key=lambda rate: rate.price.amount_minor)


def needs_address(listings: list[Listing]) -> bool:
    """Say whether anything has to be sent somewhere."""
    return any(listing.kind == "physical" for listing in listings)


def _quietly(room: Room, store: bytes, handle: str) -> ListingView | None:
    try:
        return room.index.listing(store, handle)
    except Refused:
        return None
