"""The merchant's answer to a request, and the buyer's check of that answer.

Rule: the merchant prices the order from its own published documents and signs only what came out equal to the
buyer's offer; the buyer compares the quote with its own offer, field by field, before any money can move.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from halle_node.trade import book, deal, goods, letters, offer
from halle_node.trade.book import Order
from halle_node.trade.chainwork import merchant_private
from halle_node.trade.deal import Choice, Offer
from halle_node.trade.offer import Wanted
from halle_node.trade.room import Room
from halle_protocol.cid import CID
from halle_protocol.documents import decode_document
from halle_protocol.errors import ProtocolError, Refused, Unavailable
from halle_protocol.grant import authorise
from halle_protocol.messages import Message, OrderQuote
from halle_protocol.terms import OrderDocument, Terms, sign_terms, terms_signer

LONGEST_LEAD_S = 3_600


def check_offer(room: Room, order: Order) -> OrderDocument:
    """Return the order's document after building the same deal from our own published documents.

    Raises: Refused listing-changed, prices-changed, terms-changed, delivery-changed, token-unknown, and pricing's.
    """
    document, terms = order.known_document(), order.known_terms()
    profile = offer.profile_of(room, room.me)
    shipping_cid, shipping = offer.shipping_of(room, profile)
    shipping_cid = _as_ordered(room, document.shipping_profile, shipping_cid)
    if document.shipping_profile not in (None, shipping_cid):
        raise _changed("delivery-changed", "The delivery prices have changed since.")
    options = [each for each in offer.payment_options(room, profile) if each.token == document.token]
    option = deal.option_for(options, document.currency, document.token_symbol)
    choice = Choice(
        buyer=order.buyer,
        country=document.country,
        rate_id=document.rate_id,
        salt=document.salt,
        code_hash=lambda _: terms.delivery_code,
        created=document.created,
        valid_until=terms.valid_until,
    )
    policies = {kind: _as_ordered(room, document.policies.get(kind), cid) for kind, cid in profile.policies.items()}
    profile = profile.model_copy(update={"policies": policies})
    wanted = [_current(room, line.handle, line.sku, line.quantity, line.listing) for line in document.lines]
    mine = deal.build(Offer(room.me, profile, option, shipping_cid, shipping), choice, wanted)
    request = order.request
    if request is None or mine.encoded != request.order_document:
        raise _changed("prices-changed", "This is not what the shop asks for these goods.")
    changed = deal.differences(mine.terms, terms)
    if changed:
        raise _changed("terms-changed", f"The terms differ in {', '.join(changed)}.", changed)
    return document


def quote(room: Room, conn: Connection, order: Order, note: str = "") -> None:
    """Set the goods aside, sign the terms and send them.

    Raises: Refused quote-expired, quote-too-long, chain-time-old, out-of-stock, keys-locked and check_offer's codes.
    """
    document, terms = check_offer(room, order), order.known_terms()
    now = room.chain_time()
    if terms.valid_until < now:
        raise Refused(
            "The time in which these terms may be paid is over.",
            code="quote-expired",
            hint="The buyer orders again.",
        )
    if terms.valid_until > now + offer.profile_of(room, room.me).terms.quote_valid_s + LONGEST_LEAD_S:
        if order.row.created_at >= room.chain_clock.asked_at:
            # The buyer has just asked the chain, we have not since: the clock that is behind may be ours.
            raise Refused(
                "The chain is asked for its time first.", code="chain-time-old", hint="Try again in a moment."
            )
        raise Refused(
            "The terms ask for more time to pay than this shop gives.",
            code="quote-too-long",
            hint="The buyer orders again; its chain's time may be ahead of the shop's.",
        )
    goods.reserve(conn, order.key, document.lines, room.clock() + room.rules.reservation_s)
    private = merchant_private(room, conn)
    signature = sign_terms(private, terms, document.chain_id, document.escrow)
    book.change(conn, order.key, merchant_signature=signature)
    letters.send(room, conn, order, "order/quote", _quote_body(order, document, terms, signature, note))


def check_quote(room: Room, order: Order, message: Message, body: OrderQuote) -> bytes:
    """Return the merchant's signature after comparing the quote with our own offer.

    Raises: Refused quote-mismatch naming in `facts["changed"]` what was altered, quote-signature.
    """
    document, request = order.known_document(), order.request
    changed = list(deal.differences(order.known_terms(), body.terms))
    sums = {name: getattr(document, name) for name in ("currency", "subtotal", "shipping", "tax", "total")}
    shown: dict[str, Any] = {"chain_id": document.chain_id, "escrow": document.escrow, **sums}
    changed += [name for name, value in shown.items() if getattr(body, name) != value]
    if request is None or body.order_document != request.order_document:
        changed.append("order_document")
    if changed:
        raise Refused(
            f"The shop's quote is not what was ordered; it differs in {', '.join(changed)}.",
            code="quote-mismatch",
            hint="Do not pay. Ask the shop, or order again.",
            changed=tuple(changed),
        )
    signer = terms_signer(body.terms, body.signature, document.chain_id, document.escrow)
    authorise(signer, order.merchant, message.grant, scope="quote", at=room.clock())
    return body.signature


def _current(room: Room, handle: str, sku: str, quantity: int, cid: CID) -> Wanted:
    view = offer.listing_of(room, room.me, handle)
    view = replace(view, cid=_as_ordered(room, cid, view.cid))
    if view.cid != cid:
        raise _changed("listing-changed", f"The listing {handle!r} has changed since.", (handle,))
    return Wanted(view, offer.variant_of(view.listing, sku), quantity)


def _as_ordered(room: Room, then: CID | None, now: Any) -> Any:
    """Return the CID that was ordered from, when today's document says the same: a restored store signs all anew."""
    if then is None or now is None or then == now:
        return now
    try:
        old, new = decode_document(room.blocks.get(then)), decode_document(room.blocks.get(now))
    except (ProtocolError, Unavailable):
        return now
    same = (old.type, old.store, old.body) == (new.type, new.store, new.body)
    return then if same else now


def _quote_body(order: Order, document: OrderDocument, terms: Terms, signature: bytes, note: str) -> dict[str, Any]:
    request, message = order.request, order.message
    assert request is not None and message is not None  # noqa: PT018 a document implies both
    sums = {name: getattr(document, name) for name in ("currency", "subtotal", "shipping", "tax", "total")}
    return {
        "terms": terms,
        "signature": signature,
        "chain_id": document.chain_id,
        "escrow": document.escrow,
        "order_document": request.order_document,
        "request_id": message.id,
        "note": note,
        **sums,
    }


def _changed(code: str, text: str, names: tuple[str, ...] = ()) -> Refused:
    return Refused(text, code=code, hint="The buyer orders again with today's catalog.", changed=names)
