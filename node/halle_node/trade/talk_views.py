"""Conversations as pages, the API and the CLI print them. Times are unix seconds, money minor units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from halle_node.trade.views import ChatLine, OrderSummary
from halle_protocol.money import Money

TalkRole = Literal["buyer", "merchant"]


@dataclass(frozen=True)
class TalkSummary:
    """One conversation in a list. `role` is ours; `other` is 0x… hex."""

    talk_key: str
    role: TalkRole
    other: str
    name: str
    handle: str
    unread: int
    last_at: int
    last_text: str
    last_by: TalkRole
    last_photos: int


@dataclass(frozen=True)
class OtherSide:
    """Whom we talk to: what they bought of us, or we of them. `sums` has one amount a currency, paid orders only."""

    orders: tuple[OrderSummary, ...]
    order_count: int
    paid_count: int
    sums: tuple[Money, ...]
    first_at: int
    blocked: bool = False


@dataclass(frozen=True)
class TalkDetail:
    """One conversation: `lines` oldest first. `about_order` is where an answer belongs: the order of the last line."""

    summary: TalkSummary
    lines: tuple[ChatLine, ...]
    other: OtherSide
    note: str
    about_order: str
    must_wait: bool


@dataclass(frozen=True)
class UnreadTalks:
    """How many conversations have lines nobody has seen: as a shop, and as a buyer."""

    merchant: int
    buyer: int
