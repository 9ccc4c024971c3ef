"""The bodies of the messages, each field bounded; unknown fields are kept and ignored.

Spec: docs/spec/08-messages.md §3
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PlainValidator, model_validator

from halle_protocol.cover import Certificate
from halle_protocol.documents.profile import Email, Multiaddr, PeerId, PublishedPrekey
from halle_protocol.documents.shape import (
    Address,
    Amount,
    Bps,
    Count,
    Country,
    Flag,
    Hash32,
    Link,
    Model,
    Positive,
    Seconds,
    Signature,
    Uint256,
    UnixTime,
)
from halle_protocol.documents.text import Handle, Line, Name, Note, Paragraph, Sku, Url, Word
from halle_protocol.errors import ProtocolError
from halle_protocol.terms import MAX_ORDER_BYTES, Terms


def _terms(value: object) -> Terms:
    if isinstance(value, Terms):
        return value
    try:
        return Terms.from_body(value)
    except ProtocolError as exc:
        raise ValueError(exc.message) from exc


MAX_HISTORY_ORDERS = 64
MAX_HISTORY_MESSAGES = 2_000
# What fits into a message together with the outer one's own fields and grant.
MAX_INNER_BYTES = 216 * 1024

TermsField = Annotated[Terms, PlainValidator(_terms)]
OrderBytes = Annotated[bytes, Field(strict=True, min_length=1, max_length=MAX_ORDER_BYTES)]
FileBytes = Annotated[bytes, Field(strict=True, max_length=160 * 1024)]
BundleBytes = Annotated[bytes, Field(strict=True, min_length=1, max_length=192 * 1024)]
MessageBytes = Annotated[bytes, Field(strict=True, min_length=1, max_length=MAX_INNER_BYTES)]
RequestId = Annotated[bytes, Field(strict=True, min_length=16, max_length=16)]
SEALED_BLOCK_BYTES = 1024 * 1024
MAX_SEALED_BLOCKS = 64


class SealedFile(Model):
    """A file outside the message: raw blocks that only `key` opens, so that anybody may carry them.

    Each block is ChaCha20-Poly1305 of at most 1 MiB, its nonce the block's place. Units: size_bytes of the clear file.
    """

    name: Name
    mime: Line = ""
    size_bytes: Count = 0
    key: Hash32
    blocks: Annotated[tuple[Link, ...], Field(min_length=1, max_length=MAX_SEALED_BLOCKS)]


PhotoFiles = Annotated[tuple[SealedFile, ...], Field(max_length=8)]


class Contact(Model):
    """Who the buyer is to the merchant."""

    name: Name
    email: Email | None = None
    phone: Line | None = None


class PostalAddress(Model):
    """Where the goods go. `country` is ISO 3166-1 alpha-2."""

    name: Name
    street: Name
    city: Name
    postcode: Line
    country: Country
    street2: Line = ""
    region: Line = ""
    phone: Line = ""
    note: Paragraph = ""


class RequestedLine(Model):
    """One line a buyer asks for, by the CID of the listing they saw."""

    listing: Link
    handle: Handle
    sku: Sku
    quantity: Positive
    answers: Annotated[dict[Name, Paragraph], Field(max_length=20)] = Field(default_factory=dict)


class ReplyRoute(Model):
    """How to reach the buyer's node, and what to seal to."""

    peer_id: PeerId
    addrs: Annotated[tuple[Multiaddr, ...], Field(max_length=16)] = ()
    prekey: PublishedPrekey
    name: Line = ""
    mailboxes: Annotated[tuple[Multiaddr, ...], Field(max_length=8)] = ()
    shop_url: Url | None = None


class OrderRequest(Model):
    """A buyer asks for a quote; with `offer` and the order document they fund these terms without waiting."""

    lines: Annotated[tuple[RequestedLine, ...], Field(min_length=1, max_length=100)]
    contact: Contact
    address: PostalAddress | None = None
    country: Country | None = None
    rate_id: Word | None = None
    token: Address | None = None
    chain_id: Positive | None = None
    delivery_code_hash: Hash32 = bytes(32)
    coupon: Line = ""
    note: Note = ""
    reply: ReplyRoute
    order_document: OrderBytes | None = None
    offer: TermsField | None = None


class OrderQuote(Model):
    """The merchant's price, promise and signature.

    Units: currency amounts in minor units.
    """

    terms: TermsField
    signature: Signature
    chain_id: Positive
    escrow: Address
    order_document: OrderBytes
    currency: Line = ""
    subtotal: Count = 0
    shipping: Count = 0
    tax: Count = 0
    total: Count = 0
    request_id: RequestId | None = None
    note: Note = ""


class OrderAccept(Model):
    """The merchant takes the order on (beside the chain's own event), or the buyer takes the quote."""

    order_id: Hash32
    tx: Hash32 | None = None
    note: Note = ""


class OrderDecline(Model):
    """The merchant will not sell."""

    reason: Note
    code: Line = ""


class OrderCancel(Model):
    """The buyer no longer wants it; money that is held comes back by the contract's rules."""

    reason: Note = ""


class ShippedLine(Model):
    """How many of a line are in this parcel."""

    sku: Sku
    quantity: Positive


class Shipment(Model):
    """A parcel is on its way; `commitment` is the shipment hash given to the contract.

    With `replaces` it goes in the place of an earlier parcel and adds nothing to what was sent.
    """

    carrier: Line = ""
    tracking: Line = ""
    url: Url | None = None
    lines: Annotated[tuple[ShippedLine, ...], Field(max_length=100)] = ()
    commitment: Hash32
    salt: Hash32 | None = None
    carrier_address: Address | None = None
    expected_by: UnixTime | None = None
    replaces: Flag = False
    note: Note = ""


class CheckpointNote(Model):
    """What a carrier saw, in words; only its hash is on the chain."""

    shipment_id: Hash32
    order_id: Hash32 | None = None
    status: Annotated[int, Field(strict=True, ge=1, le=8)]
    at: UnixTime
    place: Line = ""
    text: Note = ""


class Receipt(Model):
    """The buyer has the goods in hand."""

    received_at: UnixTime
    note: Note = ""


class ParcelHandover(Model):
    """The merchant gives a parcel to the carrier whose word counts: what to attest, and where it goes."""

    shipment_id: Hash32
    order_id: Hash32
    tracking: Line = ""
    address: PostalAddress | None = None
    pieces: Count = 0
    note: Note = ""


class ReturnRequest(Model):
    """The buyer wants to send something back, for the money or for the pieces named in `exchange`."""

    lines: Annotated[tuple[ShippedLine, ...], Field(max_length=100)] = ()
    exchange: Annotated[tuple[ShippedLine, ...], Field(max_length=100)] = ()
    reason: Note = ""
    withdrawal: Flag = False
    photos: PhotoFiles = ()


class ReturnAnswer(Model):
    """An answer in a return: approved with instructions, declined, on its way back, arrived, called off."""

    note: Note = ""
    address: PostalAddress | None = None
    carrier: Line = ""
    tracking: Line = ""


class SettlementPropose(Model):
    """A split of what is held, signed by the proposer.

    Units: buyer_share and paid_out in the token's smallest unit.
    """

    buyer_share: Amount
    paid_out: Amount
    sig: Signature
    note: Note = ""


class SettlementAccept(Model):
    """The other signature for exactly this split."""

    buyer_share: Amount
    paid_out: Amount
    sig: Signature
    tx: Hash32 | None = None


class DisputeEvidence(Model):
    """One piece of a dispute; `digest` is what the chain committed to."""

    text: Note
    digest: Hash32 | None = None
    photos: PhotoFiles = ()


class CaseEvidence(Model):
    """One side's bundle for an arbiter; its sha2-256 is what that side committed to on the chain."""

    order_id: Hash32
    certificate_id: Uint256 | None = None
    bundle: BundleBytes


class CaseNote(Model):
    """An arbiter asks one side of a case."""

    order_id: Hash32
    certificate_id: Uint256 | None = None
    text: Annotated[Note, Field(min_length=1)]


class CaseRuling(Model):
    """Why the arbiter ruled as the chain shows. Units: amount (of a claim) in the token's smallest unit."""

    order_id: Hash32
    certificate_id: Uint256 | None = None
    buyer_bps: Bps | None = None
    amount: Amount | None = None
    text: Note = ""


class ClaimOpen(Model):
    """A holder claims on a warranty certificate.

    Units: amount in the token's smallest unit.
    """

    certificate_id: Uint256
    amount: Amount
    text: Note = ""
    evidence: Hash32 | None = None
    photos: PhotoFiles = ()


class ClaimAnswer(Model):
    """The underwriter accepts, offers repair or replacement, or declines."""

    certificate_id: Uint256
    note: Note = ""
    offer: Line = ""


class WarrantyIssued(Model):
    """A certificate was registered for this order."""

    certificate_id: Uint256
    contract: Address
    chain_id: Positive
    ends_at: UnixTime
    tx: Hash32 | None = None


class CoverRequest(Model):
    """A buyer asks an underwriter to insure a line of a paid order: `line` is its place in the order document.

    `policy`, `fee_bps` and `respond_within` are the underwriter's terms as the buyer has read them.
    Units: cover in the token's smallest unit; fee_bps in 1/10,000 of it; respond_within in seconds.
    """

    terms: TermsField
    order_document: OrderBytes
    line: Count
    cover: Amount
    days: Annotated[int, Field(strict=True, ge=1, le=3650)]
    policy: Link
    fee_bps: Bps
    respond_within: Seconds
    note: Note = ""
    reply: ReplyRoute


class CoverOffer(Model):
    """The underwriter's signature under a certificate: whoever pays the premium until `deadline` registers it."""

    request_id: RequestId
    certificate: Certificate
    chain_id: Positive
    contract: Address
    deadline: UnixTime
    signature: Signature
    note: Note = ""


class CoverDecline(Model):
    """The underwriter will not insure this. `code` says why."""

    request_id: RequestId
    code: Word
    note: Note = ""


class ChatText(Model):
    """Words and photos between a buyer and a shop, about an order or before there is one.

    Without an order a buyer's line says what it is about (`handle`, `listing`) and how to answer (`reply`).
    """

    text: Note = ""
    photos: PhotoFiles = ()
    handle: Handle | None = None
    listing: Link | None = None
    reply: ReplyRoute | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.text.strip() and not self.photos:
            raise ValueError("has neither words nor photos")
        return self


class Deliverable(Model):
    """What is handed over without a parcel: a licence key, a file, an appointment, a milestone reached.

    `left` is how often the merchant will still send it again.
    """

    name: Name
    kind: Word = "file"
    sku: Line = ""
    mime: Line = ""
    content: FileBytes | None = None
    text: Note = ""
    file: SealedFile | None = None
    at: UnixTime | None = None
    left: Count | None = None


class DeliverableRequest(Model):
    """The buyer asks for a digital good again."""

    note: Note = ""


class HistoryRequest(Model):
    """A store that lost its records asks what the two said in these orders; `reply` is where it is now."""

    orders: Annotated[tuple[Hash32, ...], Field(min_length=1, max_length=MAX_HISTORY_ORDERS)]
    reply: ReplyRoute


class HistoryAnswer(Model):
    """A part of what the two said in one order: signed messages as they were sent; `total` counts all parts."""

    order_id: Hash32
    total: Count
    messages: Annotated[tuple[MessageBytes, ...], Field(max_length=MAX_HISTORY_MESSAGES)] = ()


BODIES: dict[str, type[Model]] = {
    "order/request": OrderRequest,
    "order/quote": OrderQuote,
    "order/accept": OrderAccept,
    "order/decline": OrderDecline,
    "order/cancel": OrderCancel,
    "shipment": Shipment,
    "checkpoint": CheckpointNote,
    "receipt": Receipt,
    "return/request": ReturnRequest,
    "return/approve": ReturnAnswer,
    "return/decline": ReturnAnswer,
    "return/cancel": ReturnAnswer,
    "return/sent": ReturnAnswer,
    "return/received": ReturnAnswer,
    "settlement/propose": SettlementPropose,
    "settlement/accept": SettlementAccept,
    "dispute/evidence": DisputeEvidence,
    "claim/open": ClaimOpen,
    "claim/accept": ClaimAnswer,
    "claim/offer": ClaimAnswer,
    "claim/decline": ClaimAnswer,
    "claim/contest": ClaimAnswer,
    "warranty/issued": WarrantyIssued,
    "cover/request": CoverRequest,
    "cover/offer": CoverOffer,
    "cover/decline": CoverDecline,
    "chat": ChatText,
    "deliverable": Deliverable,
    "deliverable/request": DeliverableRequest,
    "parcel/handover": ParcelHandover,
    "parcel/checkpoint": CheckpointNote,
    "case/evidence": CaseEvidence,
    "case/question": CaseNote,
    "case/ruling": CaseRuling,
    "history/request": HistoryRequest,
    "history/answer": HistoryAnswer,
}
