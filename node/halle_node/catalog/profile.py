"""What a merchant says of the store itself: name, contact, delivery, payment, policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from halle_node.p2p.addresses import split_addr
from halle_protocol.cid import CID
from halle_protocol.errors import Refused
from halle_protocol.money import Money

MAX_MAILBOXES = 8


@dataclass(frozen=True, slots=True)
class PaymentForm:
    """One token the store takes. Addresses are 20 bytes."""

    chain_id: int
    escrow: bytes
    token: bytes
    symbol: str
    decimals: int
    currency: str


@dataclass(frozen=True, slots=True)
class EscrowForm:
    """The terms of every order unless a quote says otherwise. Units: seconds, and per ten thousand."""

    arbiter: bytes = bytes(20)
    backup_arbiter: bytes = bytes(20)
    arbiter_fee_bps: int = 300
    default_buyer_bps: int = 5_000
    quote_valid_s: int = 86_400
    accept_within_s: int = 3 * 86_400
    ship_within_s: int = 5 * 86_400
    deliver_within_s: int = 21 * 86_400
    inspect_within_s: int = 7 * 86_400
    arbiter_within_s: int = 14 * 86_400
    carrier: bytes = bytes(20)
    proof_required: bool = False


@dataclass(frozen=True, slots=True)
class LimitForm:
    """How much an underwriter covers in one token without being asked. Units: most in the token's smallest unit."""

    chain_id: int
    token: bytes
    most: int


@dataclass(frozen=True, slots=True)
class ServiceForm:
    """A role taken on for others; `about` by language, `limits` and `max_days` of an underwriter.

    Units: fee per ten thousand, answer in seconds.
    """

    about: Mapping[str, str] = field(default_factory=dict)
    fee_bps: int = 0
    respond_within_s: int = 7 * 86_400
    languages: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    limits: tuple[LimitForm, ...] = ()
    max_days: int = 0


@dataclass(frozen=True, slots=True)
class ProfileForm:
    """The store as its owner describes it; `about` and `policies` are texts by language.

    Units: `answers_within_s`, what the node computed of past answers, in seconds; 0 says nothing, as when the owner
    does not want it told.
    """

    name: str
    language: str = "en"
    languages: tuple[str, ...] = ()
    country: str = "FR"
    currency: str = "EUR"
    about: Mapping[str, str] = field(default_factory=dict)
    logo: CID | None = None
    email: str = ""
    shop_url: str = ""
    peer_id: str = ""
    addrs: tuple[str, ...] = ()
    mailboxes: tuple[str, ...] = ()
    payment: tuple[PaymentForm, ...] = ()
    terms: EscrowForm = field(default_factory=EscrowForm)
    policies: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    services: Mapping[str, ServiceForm] = field(default_factory=dict)
    answers_within_s: int = 0
    tell_answer_time: bool = True


@dataclass(frozen=True, slots=True)
class RateForm:
    """One way to send a parcel to a zone, and what it costs."""

    id: str
    name: Mapping[str, str]
    price: Money
    max_weight_g: int | None = None
    free_over: Money | None = None
    days_min: int = 1
    days_max: int = 7


@dataclass(frozen=True, slots=True)
class ZoneForm:
    """The countries one set of rates holds for; `*` is everywhere else."""

    countries: tuple[str, ...]
    rates: tuple[RateForm, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class ShippingForm:
    """All zones the store delivers to."""

    zones: tuple[ZoneForm, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewForm:
    """What a buyer says of something bought; published in the buyer's own catalog."""

    order_id: bytes
    chain_id: int
    merchant: bytes
    handle: str
    rating: int
    listing_cid: CID | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    language: str = "en"
    tx: bytes = b""
    escrow: bytes = b""


def check_mailboxes(addrs: Sequence[str], own_peer: str) -> None:
    """Refuse what cannot be a list of mailboxes.

    Raises: Refused("bad-multiaddr" | "own-address" | "mailboxes-too-many").
    """
    if len(addrs) > MAX_MAILBOXES:
        raise Refused(
            f"A profile names at most {MAX_MAILBOXES} mailboxes.",
            code="mailboxes-too-many",
            hint="Two or three that are always on are enough.",
        )
    if any(split_addr(addr)[1] == own_peer for addr in addrs):
        raise Refused(
            "That address is this node's own.", code="own-address", hint="A mailbox is somebody else's node, always on."
        )
