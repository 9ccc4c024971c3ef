"""halle/profile/1: who a store is, how to reach it, and how it wants to be paid.

Spec: docs/spec/06-documents.md §4
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from halle_protocol.documents.shape import (
    Address,
    Amount,
    Bps,
    Count,
    Country,
    Currency,
    Flag,
    Link,
    Locale,
    LongText,
    Model,
    Positive,
    Seconds,
    UnixTime,
)
from halle_protocol.documents.text import Line, Name, Url, Word, check_line
from halle_protocol.keys import ZERO_ADDRESS
from halle_protocol.sealing import SUITES, Prekey

PeerId = Annotated[str, StringConstraints(strict=True, max_length=80, pattern=r"^[1-9A-HJ-NP-Za-km-z]*$")]
Multiaddr = Annotated[str, StringConstraints(strict=True, max_length=300, pattern=r"^/[!-~]+$")]
Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=254, pattern=r"^[^\s@<>\"]+@[^\s@<>\"]+$"),
    AfterValidator(check_line),
]


class PublishedPrekey(Model):
    """A prekey as the profile carries it; suites of the future are carried and not used."""

    id: Word
    suite: Word
    public: Annotated[bytes, Field(strict=True, min_length=32, max_length=2048)]
    not_after: UnixTime

    @model_validator(mode="before")
    @classmethod
    def _from_prekey(cls, value: Any) -> Any:
        return value.to_body() if isinstance(value, Prekey) else value

    @property
    def key(self) -> Prekey:
        """The prekey to seal to."""
        return Prekey(self.id, self.suite, self.public, self.not_after)


class PaymentOption(Model):
    """One token on one chain in which the store takes money; token zero is the chain's own coin."""

    chain_id: Positive
    escrow: Address
    token: Address
    symbol: Word
    decimals: Annotated[int, Field(strict=True, ge=0, le=36)]
    currency: Currency


class EscrowDefaults(Model):
    """The terms this store offers unless an order says otherwise.

    Units: …_within and quote_valid_s in seconds; …_bps in 1/10,000.
    """

    arbiter: Address = ZERO_ADDRESS
    backup_arbiter: Address = ZERO_ADDRESS
    arbiter_fee_bps: Bps = 0
    default_buyer_bps: Bps = 5000
    quote_valid_s: Seconds = 3600
    accept_within_s: Seconds = 3 * 86400
    ship_within_s: Seconds = 7 * 86400
    deliver_within_s: Seconds = 21 * 86400
    inspect_within_s: Seconds = 3 * 86400
    arbiter_within_s: Seconds = 14 * 86400
    carrier: Address = ZERO_ADDRESS
    proof_required: Flag = False


class CoverLimit(Model):
    """How much an underwriter covers in one token on one chain. Units: most in the token's smallest unit."""

    chain_id: Positive
    token: Address
    most: Amount


class Service(Model):
    """A role this address takes on for others: arbiter, carrier or underwriter; what it asks and how fast it answers.

    The binding text is the policy `service-<role>`. An underwriter's `limits` and `max_days` bound what may be asked;
    without limits each request waits for a person. Units: fee_bps in 1/10,000 of what is in dispute (arbiter) or
    covered (underwriter, whatever the length); respond_within_s in seconds.
    """

    about: LongText | None = None
    fee_bps: Bps = 0
    respond_within_s: Seconds = 7 * 86400
    languages: Annotated[tuple[Locale, ...], Field(max_length=40)] = ()
    countries: Annotated[tuple[Country, ...], Field(max_length=250)] = ()
    limits: Annotated[tuple[CoverLimit, ...], Field(max_length=32)] = ()
    max_days: Count = 0


class Profile(Model):
    """A store's card at the door of its stall.

    Units: answers_within_s, the store's own word on how soon it usually answers a question, in seconds.
    """

    name: Name
    languages: Annotated[tuple[Locale, ...], Field(max_length=40)] = ("en",)
    fallback: Locale = "en"
    country: Country
    currency: Currency
    about: LongText | None = None
    logo: Link | None = None
    email: Email | None = None
    phone: Line | None = None
    legal: Annotated[dict[Word, Line], Field(max_length=20)] = Field(default_factory=dict)
    peer_id: PeerId = ""
    addrs: Annotated[tuple[Multiaddr, ...], Field(max_length=16)] = ()
    mailboxes: Annotated[tuple[Multiaddr, ...], Field(max_length=8)] = ()
    gateways: Annotated[tuple[Url, ...], Field(max_length=8)] = ()
    prekeys: Annotated[tuple[PublishedPrekey, ...], Field(max_length=8)] = ()
    shop_url: Url | None = None
    links: Annotated[dict[Word, Url], Field(max_length=20)] = Field(default_factory=dict)
    payment: Annotated[tuple[PaymentOption, ...], Field(max_length=32)] = ()
    terms: EscrowDefaults = EscrowDefaults()
    policies: Annotated[dict[Word, Link], Field(max_length=20)] = Field(default_factory=dict)
    shipping: Link | None = None
    services: Annotated[dict[Word, Service], Field(max_length=8)] = Field(default_factory=dict)
    answers_within_s: Seconds | None = None

    def sealing_keys(self) -> list[Prekey]:
        """Return the prekeys this version can seal to."""
        return [entry.key for entry in self.prekeys if entry.suite in SUITES]
