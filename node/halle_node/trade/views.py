"""What the trade room answers with: frozen values that pages, the API and the CLI only print.

Texts are keys with parameters; the faces translate them. Money is minor units with its currency; token amounts
are in the token's smallest unit. Times are unix seconds.

Long because it is the room's one vocabulary: records without behaviour, read side by side by whoever builds a face.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from halle_node.messages.views import WaitingAt
from halle_protocol.money import Money

Role = Literal["buyer", "merchant", "arbiter"]
Side = Literal["buyer", "merchant"]
Finality = Literal["", "pending", "seen", "safe", "final", "failed"]
Param = str | int | bool | None


@dataclass(frozen=True)
class Action:
    """One legal move: `act(order_key, name, **form)` makes it."""

    name: str
    by: Role | Literal["anyone"]
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
    pieces: Mapping[str, int] = field(default_factory=dict)
    replaces: bool = False


@dataclass(frozen=True)
class CheckpointView:
    """What the carrier recorded: status word, and the words the merchant passed on."""

    status: str
    at: int
    place: str = ""
    text: str = ""
    tx_hash: str = ""


@dataclass(frozen=True)
class FileView:
    """A sealed file of an order; `file(order_key, file_id)` opens it."""

    file_id: str
    name: str
    mime: str
    size_bytes: int


@dataclass(frozen=True)
class DeliverableView:
    """Something handed over without a parcel. `left`: how often it will be sent again."""

    name: str
    kind: str
    sku: str
    text: str
    at: int
    left: int | None
    file: FileView | None = None
    appointment_at: int | None = None


@dataclass(frozen=True)
class ReturnView:
    """Where a return stands, in the words of its two sides."""

    reason: str
    pieces: Mapping[str, int]
    exchange: Mapping[str, int]
    instructions: str = ""
    tracking: str = ""
    withdrawal: bool = False
    photos: tuple[FileView, ...] = ()


@dataclass(frozen=True)
class BundleView:
    """One side's evidence as an arbiter sees it. `findings`: what was checked → whether it holds."""

    by: Side
    at: int
    text: str
    findings: Mapping[str, bool]
    photos: tuple[FileView, ...]
    messages: int


@dataclass(frozen=True)
class ParcelView:
    """A parcel we carry for a merchant."""

    shipment_id: str
    merchant: str
    tracking: str
    pieces: int
    note: str
    address: Address | None
    received_at: int
    status: str
    status_at: int | None


@dataclass(frozen=True)
class DigitalGood:
    """Something on the shelf of digital goods; `left` counts licence keys not spent yet."""

    good_id: int
    sku: str
    kind: str
    name: str
    left: int
    resends: int


@dataclass(frozen=True)
class ServiceView:
    """Somebody who arbitrates, carries or underwrites, with what the chain says of their work.

    `record` counts by word; `median_s` is the time from a dispute to a ruling.
    """

    address: str
    name: str
    role: str
    about: str
    terms: str
    fee_bps: int
    respond_within_s: int
    languages: tuple[str, ...]
    countries: tuple[str, ...]
    record: Mapping[str, int]
    median_s: int | None = None
    own: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)
    """An underwriter's, by token symbol. Units: token's smallest unit."""
    max_days: int = 0


@dataclass(frozen=True)
class ChatLine:
    """One line of conversation. `refused` is the code with which the other side's node declined it."""

    at: int
    by: Role
    text: str
    delivered: bool
    message_id: str = ""
    photos: tuple[FileView, ...] = ()
    refused: str = ""
    order_key: str = ""
    handle: str = ""
    unread: bool = False


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
    name: str = ""
    """What `act` takes in the place of an order key."""
    said: tuple[ChatLine, ...] = ()
    """What was said of it outside the order."""


@dataclass(frozen=True)
class CertificateCard:
    """A certificate we hold or back, whoever's order it came from, and what we may do with it."""

    name: str
    role: str
    status: str
    cover_token: int
    claimed_token: int
    token_symbol: str
    token_decimals: int
    ends_at: int
    deadline_at: int | None
    holder: str
    underwriter: str
    order_key: str
    title: str
    next_actions: tuple[Action, ...]
    said: tuple[ChatLine, ...] = ()


@dataclass(frozen=True)
class CoverPrice:
    """What an underwriter would cover of a line of an order, and for how much."""

    line: int
    title: str
    cover_token: int
    premium_token: int


@dataclass(frozen=True)
class CoverChoice:
    """An underwriter who may insure an order."""

    address: str
    name: str
    fee_bps: int
    max_days: int
    respond_within_s: int
    record: Mapping[str, int]
    token_symbol: str
    token_decimals: int
    prices: tuple[CoverPrice, ...]


@dataclass(frozen=True)
class CoverCard:
    """Cover that was asked for, of us or by us, and what came of it.

    `status`: asked, undelivered, declined, offered, expired, paying or bought. `code`: why it was declined, or waits
    for the underwriter's person. `certificate`: what it became, or will. Units: token's smallest unit.
    """

    key: str
    role: str
    status: str
    other: str
    name: str
    order_key: str
    order_id: str
    merchant: str
    title: str
    pieces: int
    paid_token: int
    cover_token: int
    premium_token: int
    token_symbol: str
    token_decimals: int
    days: int
    asked_at: int
    valid_until: int | None
    code: str
    note: str
    asked_note: str
    certificate: str
    next_actions: tuple[str, ...]


@dataclass(frozen=True)
class BondView:
    """Our bond in one token, and what the account holds beside it. Units: token's smallest unit."""

    token: bytes
    token_symbol: str
    token_decimals: int
    bond: int
    reserved: int
    balance: int

    @property
    def free(self) -> int:
        """What backs nothing."""
        return self.bond - self.reserved


@dataclass(frozen=True)
class SettlementView:
    """A split one side has signed; `live` until any payout makes it void. Units: token's smallest unit."""

    by: Side
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
    error_code: str = ""


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
    unsent: Mapping[str, int] = field(default_factory=dict)
    checkpoints: tuple[CheckpointView, ...] = ()
    deliverables: tuple[DeliverableView, ...] = ()
    returning: ReturnView | None = None
    bundles: tuple[BundleView, ...] = ()
    problem: str = ""
    waiting: int = 0
    """How many messages of ours the other side's node has not taken yet: more than 0 while it is away."""
    waiting_at: tuple[WaitingAt, ...] = ()
    """The mailboxes that keep them meanwhile, first used first."""
    talk_key: str = ""
    """The conversation these two have, of which `chat` is this order's part; empty when nobody has written yet."""
    said_elsewhere: int = 0
    """How many lines of it belong to no order or to another one."""
    books: Mapping[str, Any] = field(default_factory=dict)
    """What is kept for the books once the customer was erased."""

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
    returns: tuple[OrderSummary, ...] = ()
    refunds_due: tuple[OrderSummary, ...] = ()
    disputes: tuple[OrderSummary, ...] = ()
    warranty_claims: tuple[OrderSummary, ...] = ()
    low_stock: tuple[LowStock, ...] = ()
    cases: tuple[OrderSummary, ...] = ()

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
                self.returns,
                self.refunds_due,
                self.disputes,
                self.warranty_claims,
                self.low_stock,
                self.cases,
            )
        )
