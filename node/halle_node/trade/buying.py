"""From the cart to a request on its way.

Rule: the request carries the whole deal (order document, terms, code hash), so that a merchant who is away can be
funded on exactly these terms, and a merchant who is there can only sign them or say no.
"""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection

from halle_node.trade import book, cart, deal, letters, offer
from halle_node.trade.cart import Cart
from halle_node.trade.chainwork import is_live
from halle_node.trade.deal import Choice, Deal, Offer
from halle_node.trade.folding import refresh, state_of
from halle_node.trade.offer import Wanted
from halle_node.trade.room import Room
from halle_node.trade.views import Address, CheckoutForm
from halle_protocol.errors import Refused
from halle_protocol.keys import delivery_code_hash
from halle_protocol.messages import Message, thread_of
from halle_protocol.order import Status
from halle_protocol.terms import Terms

SALT_BYTES = 32
TITLE_CHARS = 200


class Buying:
    """The buyer's moves before any money moves."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._cart = Cart(room)

    async def request_quote(self, form: CheckoutForm) -> str:
        """Send one store the order its part of the cart makes; return the order key."""
        room = self._room
        store = offer.address_of(form.store)
        wanted = self._cart.wanted(store)
        chain_time = await room.ask_chain_time()
        agreed = self._deal(store, wanted, form, chain_time)
        code = room.keys.delivery_code(agreed.terms.order_hash)
        message = self._request(store, wanted, form, agreed, code)
        destination = letters.store_destination(room, store)
        row = self._row(store, wanted, form, agreed, code, message)

        def change(conn: Connection) -> None:
            book.add(conn, **row)
            letters.post(room, conn, row["order_key"], message, destination)
            cart.clear(conn, store)
            refresh(conn, row["order_key"], room.clock())

        await room.db.write(change)
        return str(row["order_key"])

    async def cancel(self, order_key: str, reason: str) -> None:
        """Tell the merchant that we no longer want it.

        Raises: Refused already-funded when the money is on its way; then ask for a refund instead.
        """
        room = self._room

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            if order.role != "buyer":
                raise Refused("Only the buyer cancels.", code="action-not-yours")
            if state_of(conn, order).status == Status.NONE and is_live(conn, order, ("fund",)):
                raise Refused(
                    "The payment is already on its way.",
                    code="already-funded",
                    hint="Wait until it has arrived, then ask for a refund.",
                )
            letters.send(room, conn, order, "order/cancel", {"reason": reason})
            refresh(conn, order.key, room.clock())

        await room.db.write(change)

    def _deal(self, store: bytes, wanted: list[Wanted], form: CheckoutForm, chain_time: int) -> Deal:
        room = self._room
        profile = offer.profile_of(room, store)
        currency = wanted[0].variant.price.currency
        option = deal.option_for(offer.payment_options(room, profile), currency, form.token_symbol)
        if offer.needs_address([line.view.listing for line in wanted]) and form.address is None:
            raise Refused("Goods need an address.", code="address-missing", hint="Say where to send them.")
        shipping_cid, shipping = offer.shipping_of(room, profile)
        country = form.country or (form.address.country if form.address else "") or None
        choice = Choice(
            buyer=room.me,
            country=country,
            rate_id=form.rate_id or None,
            salt=secrets.token_bytes(SALT_BYTES),
            code_hash=lambda order_hash: delivery_code_hash(room.keys.delivery_code(order_hash)),
            created=chain_time,
            valid_until=chain_time + profile.terms.quote_valid_s,
        )
        return deal.build(Offer(store, profile, option, shipping_cid, shipping), choice, wanted)

    def _request(self, store: bytes, wanted: list[Wanted], form: CheckoutForm, agreed: Deal, code: bytes) -> Message:
        room, document = self._room, agreed.document
        body: dict[str, Any] = {
            "lines": [
                {
                    "listing": line.view.cid,
                    "handle": line.view.listing.handle,
                    "sku": line.variant.sku,
                    "quantity": line.quantity,
                }
                for line in wanted
            ],
            "contact": {"name": form.name} | ({"email": form.email} if form.email else {}),
            "token": document.token,
            "chain_id": document.chain_id,
            "delivery_code_hash": delivery_code_hash(code),
            "note": form.note,
            "reply": letters.reply_route(room, form.name),
            "order_document": agreed.encoded,
            "offer": agreed.terms,
        }
        optional = {"country": document.country, "rate_id": document.rate_id}
        body |= {name: value for name, value in optional.items() if value is not None}
        if form.address is not None:
            body["address"] = _address_body(form.address)
        request_id = secrets.token_bytes(letters.MESSAGE_ID_BYTES)
        thread = thread_of(room.me, store, request_id)
        return letters.compose(room, store, thread, "order/request", body, id=request_id)

    def _row(
        self,
        store: bytes,
        wanted: list[Wanted],
        form: CheckoutForm,
        agreed: Deal,
        code: bytes,
        message: Message,
    ) -> dict[str, Any]:
        now = self._room.clock()
        return {
            "order_key": message.id.hex(),
            "role": "buyer",
            "order_id": agreed.order_id,
            "merchant": store,
            "buyer": self._room.me,
            "thread": message.thread,
            "terms": book.encode_terms(agreed.terms),
            "request": message.encode(),
            "delivery_code": code,
            "merchant_name": wanted[0].view.store_name[:TITLE_CHARS],
            "customer": form.name[:TITLE_CHARS],
            "title": wanted[0].view.listing.title.get(self._room.config.language)[:TITLE_CHARS],
            "pieces": sum(line.quantity for line in wanted),
            "total_minor": agreed.totals.total.amount_minor,
            "currency": agreed.totals.total.currency,
            "created_at": now,
            "updated_at": now,
        }


def own_code(room: Room, terms: Terms) -> bytes | None:
    """Return the delivery code of an order of ours, found again from the phrase; None for one that was drawn at random.

    Raises: Refused keys-locked in a home that was not unlocked since an older Halle.
    """
    code = room.keys.delivery_code(terms.order_hash)
    return code if delivery_code_hash(code) == terms.delivery_code else None


def _address_body(address: Address) -> dict[str, Any]:
    given = {name: value for name, value in vars(address).items() if value}
    return {"name": "", "street": "", "city": "", "postcode": "", "country": ""} | given
