"""The lines of an order, from its own document: later changes of a listing do not reach them."""

from __future__ import annotations

from halle_node.trade.book import Order
from halle_node.trade.offer import shipping_of
from halle_node.trade.room import Room
from halle_node.trade.views import LineView
from halle_protocol.documents import Listing, Profile, Shipping, decode_document, parse_body
from halle_protocol.errors import HalleError
from halle_protocol.keys import to_checksum
from halle_protocol.money import Money
from halle_protocol.terms import OrderLine


def lines_of(room: Room, order: Order) -> tuple[LineView, ...]:
    """Return the order's lines; none while the buyer's message is missing."""
    document = order.document
    if document is None:
        return ()
    return tuple(_line(room, order, line, document.currency, place) for place, line in enumerate(document.lines))


def rate_name(room: Room, order: Order) -> str:
    """Return the name of the chosen delivery, from the snapshot the order is bound to."""
    document = order.document
    if document is None or document.rate_id is None or document.shipping_profile is None:
        return ""
    try:
        bound = Profile(name="-", country="FR", currency=document.currency, shipping=document.shipping_profile)
        _, shipping = shipping_of(room, bound)
    except HalleError:
        return document.rate_id
    return _name_in(shipping, document.rate_id, room.config.language)


def _name_in(shipping: Shipping | None, rate_id: str, language: str) -> str:
    for zone in shipping.zones if shipping else ():
        for rate in zone.rates:
            if rate.id == rate_id:
                return rate.name.get(language)
    return rate_id


def _line(room: Room, order: Order, line: OrderLine, currency: str, place: int) -> LineView:
    listing = listing_of_line(room, line)
    variants = [each for each in listing.variants if each.sku == line.sku] if listing else []
    variant = variants[0] if variants else None
    position = (variant.image or 0) if variant else 0
    picture = listing.media[position] if listing and position < len(listing.media) else None
    title = listing.title.get(room.config.language) if listing else line.title or line.handle
    return LineView(
        line_id=str(place),
        store=to_checksum(order.merchant),
        handle=line.handle,
        sku=line.sku,
        title=title,
        options=dict(variant.options) if variant else {},
        quantity=line.quantity,
        unit_price=Money(line.unit, currency),
        total=Money(line.total, currency),
        image=str(picture.thumb or picture.cid) if picture else "",
        listing_cid=str(line.listing),
    )


def listing_of_line(room: Room, line: OrderLine) -> Listing | None:
    """Return exactly the listing that was sold, if its block is here."""
    try:
        body = parse_body(decode_document(room.blocks.get(line.listing)))
    except HalleError:
        return None
    return body if isinstance(body, Listing) else None
