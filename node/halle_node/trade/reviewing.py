"""Reviews of finished orders, published in the buyer's own catalog."""

from __future__ import annotations

from halle_node.catalog.profile import ReviewForm
from halle_node.trade import book
from halle_node.trade.book import Order
from halle_node.trade.folding import state_of
from halle_node.trade.legal import require
from halle_node.trade.room import Room
from halle_protocol.cid import CID
from halle_protocol.errors import Refused
from halle_protocol.order import OrderState

TEXT_CHARS = 20_000


class Reviewing:
    """The buyer's word about what was bought."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def review(self, order_key: str, rating: int, text: str, handle: str, language: str) -> None:
        """Publish the review and let the network know of the new catalog.

        Raises: Refused rating-out-of-range, order-not-closed, line-unknown.
        """
        room = self._room
        if not 1 <= rating <= 5:
            raise Refused("A rating has one to five stars.", code="rating-out-of-range")
        now = await room.ask_chain_time()
        order = room.db.read(lambda conn: book.find(conn, order_key))
        state = room.db.read(lambda conn: state_of(conn, order))
        if state.closed_at is None:
            raise Refused(
                "The order is not finished yet.", code="order-not-closed", hint="Review it when it is closed."
            )
        room.db.read(lambda conn: require(conn, order, "review", now))
        form = _form(order, state, rating, text, handle, language or room.config.language)
        published = await room.catalog.publish_review(form)
        if room.announce is not None:
            await room.announce(published)


def _form(order: Order, state: OrderState, rating: int, text: str, handle: str, language: str) -> ReviewForm:
    document = order.known_document()
    lines = [line for line in document.lines if handle in ("", line.handle)]
    if not lines:
        raise Refused(f"{handle!r} was not part of this order.", code="line-unknown")
    funded = order.row.funded_tx
    return ReviewForm(
        order_id=order.order_id,
        chain_id=document.chain_id,
        merchant=order.merchant,
        handle=lines[0].handle,
        rating=rating,
        listing_cid=CID(lines[0].listing),
        texts={language: text[:TEXT_CHARS]} if text else {},
        language=language,
        tx=bytes(funded) if funded else b"",
    )
