"""The order document and the terms of an order, built from a store's published offer.

Rule: buyer and merchant both run these functions on the same published documents; if one byte differs, there is no
deal. A quote is therefore checked by building it oneself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from halle_node.trade.offer import Wanted
from halle_protocol.cid import CID
from halle_protocol.documents import PaymentOption, Profile, Shipping
from halle_protocol.errors import Refused
from halle_protocol.keys import ZERO_ADDRESS
from halle_protocol.money import token_amount
from halle_protocol.pricing import PricedLine, Totals, needs_shipping, price_order
from halle_protocol.terms import OrderDocument, OrderLine, Terms, order_hash


@dataclass(frozen=True)
class Choice:
    """What only the buyer can say: who they are, where to, how, a random number, and the delivery code's hash.

    The code comes from the hash of the order, so that a buyer finds it again from the chain and their phrase.
    """

    buyer: bytes
    country: str | None
    rate_id: str | None
    salt: bytes
    code_hash: Callable[[bytes], bytes]
    created: int
    valid_until: int


@dataclass(frozen=True)
class Offer:
    """What only the merchant can say: prices, delivery, payment and escrow terms, as published."""

    merchant: bytes
    profile: Profile
    option: PaymentOption
    shipping_cid: CID | None
    shipping: Shipping | None


@dataclass(frozen=True)
class Deal:
    """One order both sides can compute."""

    document: OrderDocument
    encoded: bytes
    terms: Terms
    totals: Totals

    @property
    def order_id(self) -> bytes:
        """The name of the order in messages and on chain."""
        return self.terms.order_id(self.document.chain_id, self.document.escrow)


def build(offer: Offer, choice: Choice, lines: Sequence[Wanted]) -> Deal:
    """Return the deal.

    Raises: Refused and the codes of pricing; LocalProtocolError inexact-amount.
    """
    items = [line.priced for line in lines]
    to_send = needs_shipping(items)
    rate_id = choice.rate_id if to_send else None
    totals = price_order(items, offer.shipping, rate_id, choice.country, offer.option.currency, at=choice.created)
    document = _document(offer, choice, lines, totals, rate_id)
    encoded = document.encode()
    return Deal(document, encoded, _terms(offer, choice, lines, totals, encoded), totals)


def differences(mine: Terms, theirs: Terms) -> tuple[str, ...]:
    """Return the names of the fields in which two terms differ."""
    return tuple(field.name for field in fields(Terms) if getattr(mine, field.name) != getattr(theirs, field.name))


def option_for(options: Sequence[PaymentOption], currency: str, symbol: str) -> PaymentOption:
    """Return the token to pay in; an empty symbol takes the first that fits the currency.

    Raises: Refused token-unknown.
    """
    fit = [option for option in options if option.currency == currency and symbol in ("", option.symbol)]
    if not fit:
        raise Refused(
            f"The store takes no token {symbol or 'for ' + currency} in this escrow.",
            code="token-unknown",
            hint="Choose one of the tokens the store names in its profile.",
        )
    return fit[0]


def _document(
    offer: Offer, choice: Choice, lines: Sequence[Wanted], totals: Totals, rate_id: str | None
) -> OrderDocument:
    option = offer.option
    return OrderDocument(
        salt=choice.salt,
        chain_id=option.chain_id,
        escrow=option.escrow,
        merchant=offer.merchant,
        buyer=choice.buyer,
        lines=tuple(_line(line, priced) for line, priced in zip(lines, totals.lines, strict=True)),
        currency=option.currency,
        subtotal=totals.subtotal.amount_minor,
        shipping=totals.shipping.amount_minor,
        tax=totals.tax.amount_minor,
        total=totals.total.amount_minor,
        token=option.token,
        token_symbol=option.symbol,
        token_decimals=option.decimals,
        country=choice.country,
        rate_id=rate_id,
        shipping_profile=offer.shipping_cid if rate_id else None,
        policies=dict(offer.profile.policies),
        arbiter_fee_bps=offer.profile.terms.arbiter_fee_bps,
        created=choice.created,
    )


def _line(line: Wanted, priced: PricedLine) -> OrderLine:
    listing = line.view.listing
    return OrderLine(
        listing=line.view.cid,
        handle=listing.handle,
        sku=priced.sku,
        title=listing.title.get(None),
        quantity=priced.quantity,
        unit=priced.unit,
        total=priced.total,
        tax=priced.tax,
        tax_included=priced.tax_included,
    )


def _terms(offer: Offer, choice: Choice, lines: Sequence[Wanted], totals: Totals, encoded: bytes) -> Terms:
    defaults = offer.profile.terms
    hashed = order_hash(encoded)
    proofs = {line.view.listing.delivery_proof for line in lines}
    return Terms(
        merchant=offer.merchant,
        buyer=choice.buyer,
        token=offer.option.token,
        amount=token_amount(totals.total, offer.option.decimals),
        arbiter=defaults.arbiter,
        backup_arbiter=defaults.backup_arbiter,
        arbiter_fee_bps=defaults.arbiter_fee_bps,
        default_buyer_bps=defaults.default_buyer_bps,
        valid_until=choice.valid_until,
        accept_within=defaults.accept_within_s,
        ship_within=defaults.ship_within_s,
        deliver_within=defaults.deliver_within_s,
        inspect_within=defaults.inspect_within_s,
        arbiter_within=defaults.arbiter_within_s,
        carrier=defaults.carrier if "carrier" in proofs else ZERO_ADDRESS,
        delivery_code=choice.code_hash(hashed),
        proof_required=defaults.proof_required or proofs != {"none"},
        order_hash=hashed,
    )
