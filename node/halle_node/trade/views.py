"""What the trade room answers with: frozen values that pages, the API and the CLI only print.

Texts are keys with parameters; the faces translate them. Money is minor units with its currency; token amounts
are in the token's smallest unit. Times are unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from halle_node.messages.views import WaitingAt
from halle_protocol.money import Money

Role = Literal["buyer", "merchant"]
Finality = Literal["", "pending", "seen", "safe", "final", "failed"]
Param = str | int | bool | None


@dataclass(frozen=True)
class Action:
    """One legal move: `act(order_key, name, **form)` makes it."""

    name: str
    by: Role | Literal["anyone", "arbiter"]
    until: int | None = None
    channels: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    primary: bool = False


@dataclass(frozen=True)
class TimelineEntry:
    """One thing that happened to an order.

    `key` is the human sentence to translate ("timeline.funded"), `params` its values.
    """

    at: int
    kind: Literal["message", "chain", "node"]
    key: str
    params: Mapping[str, Param] = field(default_factory=dict)
    by: str = ""
    tx_hash: str = ""
    block_number: int | None = None
    finality: Finality = ""


@dataclass(frozen=True)
class LineView:
    """One line of a cart, a quote or an order."""

    line_id: str
    store: str
    handle: str
    sku: str
    title: str
    options: Mapping[str, str]
    quantity: int
    unit_price: Money
    total: Money
    image: str = ""
    listing_cid: str = ""
    problem: str = ""


@dataclass(frozen=True)
class RateView:
    """One way to have it delivered, priced for this cart."""

    rate_id: str
    name: str
    price: Money
    days_min: int
    days_max: int


@dataclass(frozen=True)
class TokenView:
    """One token a store takes."""

    symbol: str
    address: str
    decimals: int
    chain_id: int
    currency: str
    balance: int | None = None


@dataclass(frozen=True)
class CartStore:
    """The part of the cart that becomes one order with one store."""

    store: str
    name: str
    lines: tuple[LineView, ...]
    subtotal: Money
    rates: tuple[RateView, ...]
    tokens: tuple[TokenView, ...]
    needs_address: bool
    problem: str = ""


@dataclass(frozen=True)
class CartView:
    """One cart over many shops; `count` is pieces."""

    stores: tuple[CartStore, ...]
    count: int


@dataclass(frozen=True)
class Address:
    """Where a parcel goes. `country` is ISO 3166-1 alpha-2."""

    name: str
    street: str
    city: str
    postcode: str
    country: str
    street2: str = ""
    region: str = ""
    phone: str = ""


@dataclass(frozen=True)
class CheckoutForm:
    """What a buyer says when asking one store for a quote; `store` is 0x… hex."""

    store: str
    name: str
    email: str = ""
    address: Address | None = None
    country: str = ""
    rate_id: str = ""
    token_symbol: str = ""
    note: str = ""


@dataclass(frozen=True)
class QuoteView:
    """The terms on the table, in values and in human words."""

    signed: bool
    valid_until: int
    amount_token: int
    token_symbol: str
    token_decimals: int
    total: Money
    words: tuple[str, ...]
    mismatch: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShipmentView:
    """One parcel as its merchant announced it."""

    carrier: str
    tracking: str
    url: str
    at: int
    commitment: str


@dataclass(frozen=True)
class ChatLine:
    """One line of conversation."""

    at: int
    by: Role
    text: str
    delivered: bool


@dataclass(frozen=True)
class CertificateView:
    """A warranty certificate bound to the order."""

    certificate_id: int
    cover_token: int
    token_symbol: str
    starts_at: int
    ends_at: int
    status: str
    respond_by: int | None = None
    claim_amount: int | None = None


@dataclass(frozen=True)
class SettlementView:
    """A split one side has signed; `live` until any payout makes it void. Units: token's smallest unit."""

    by: Role
    buyer_share: int
    merchant_share: int
    live: bool
    at: int


@dataclass(frozen=True)
class TransactionView:
    """One transaction of ours in the chain outbox."""

    row_id: int
    purpose: str
    state: str
    tx_hash: str
    error: str = ""


@dataclass(frozen=True)
class Balance:
    """Where the money of one order is, in the token's smallest unit.

    `total_in == to_buyer + to_merchant + to_arbiter + held` always.
    """

    total_in: int = 0
    to_buyer: int = 0
    to_merchant: int = 0
    to_arbiter: int = 0
    held: int = 0

    @property
    def balanced(self) -> bool:
        """True when nothing is missing and nothing was made up."""
        return self.total_in == self.to_buyer + self.to_merchant + self.to_arbiter + self.held


@dataclass(frozen=True)
class BalanceRow:
    """One order of the balance sheet; `credited` is the part of the payouts waiting as pull credits."""

    order_key: str
    order_id: str
    role: Role
    status: str
    token: str
    token_symbol: str
    token_decimals: int
    balance: Balance
    credited: int = 0


@dataclass(frozen=True)
class OrderSummary:
    """One order in a list."""

    order_key: str
    order_id: str
    role: Role
    status: str
    payment: str
    fulfilment: str
    returns: str
    store: str
    store_name: str
    customer: str
    title: str
    pieces: int
    total: Money
    created_at: int
    updated_at: int
    deadline_at: int | None
    next_actions: tuple[str, ...]
    from_chain_only: bool = False
    outcome: str = ""
    buyer: str = ""
    problem: str = ""


@dataclass(frozen=True)
class OrderDetail:
    """One order with everything its page shows."""

    summary: OrderSummary
    lines: tuple[LineView, ...]
    subtotal: Money
    shipping: Money
    tax: Money
    total: Money
    contact_name: str
    contact_email: str
    address: Address | None
    rate_name: str
    note: str
    quote: QuoteView | None
    terms_words: tuple[str, ...]
    delivery_code: str
    balance: Balance
    shipments: tuple[ShipmentView, ...]
    certificates: tuple[CertificateView, ...]
    chat: tuple[ChatLine, ...]
    timeline: tuple[TimelineEntry, ...]
    next_actions: tuple[Action, ...]
    transactions: tuple[TransactionView, ...]
    settlements: tuple[SettlementView, ...] = ()
    problem: str = ""
    waiting: int = 0
    """How many messages of ours the other side's node has not taken yet: more than 0 while it is away."""
    waiting_at: tuple[WaitingAt, ...] = ()
    """The mailboxes that keep them meanwhile, first used first."""

    @property
    def order_key(self) -> str:
        """The key `act` takes."""
        return self.summary.order_key

    @property
    def status(self) -> str:
        """The folded status word."""
        return self.summary.status


@dataclass(frozen=True)
class LowStock:
    """One variant about to run out."""

    handle: str
    sku: str
    title: str
    available: int


@dataclass(frozen=True)
class Todo:
    """The shopkeeper's day: everything that waits for them."""

    to_pack: tuple[OrderSummary, ...] = ()
    to_answer: tuple[OrderSummary, ...] = ()
    to_hand_over: tuple[OrderSummary, ...] = ()
    to_claim: tuple[OrderSummary, ...] = ()
    refunds_due: tuple[OrderSummary, ...] = ()
    disputes: tuple[OrderSummary, ...] = ()
    warranty_claims: tuple[OrderSummary, ...] = ()
    low_stock: tuple[LowStock, ...] = ()

    @property
    def count(self) -> int:
        """How many things wait."""
        return sum(
            len(part)
            for part in (
                self.to_pack,
                self.to_answer,
                self.to_hand_over,
                self.to_claim,
                self.refunds_due,
                self.disputes,
                self.warranty_claims,
                self.low_stock,
            )
        )
