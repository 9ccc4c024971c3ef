"""Sealed messages between stores: sent until acknowledged, acknowledged only after they were processed."""

from __future__ import annotations

from halle_node.messages.inbox import Early
from halle_node.messages.mailbox import Mailbox, MailboxUse, Quotas
from halle_node.messages.route import Route
from halle_node.messages.service import MessageService
from halle_node.messages.shop_post import ShopPost
from halle_node.messages.views import (
    InboundCounts,
    MailboxState,
    OutgoingCounts,
    OutgoingMessage,
    PoisonedMessage,
    WaitingAt,
)

__all__ = [
    "Early",
    "InboundCounts",
    "Mailbox",
    "MailboxState",
    "MailboxUse",
    "MessageService",
    "OutgoingCounts",
    "OutgoingMessage",
    "PoisonedMessage",
    "Quotas",
    "Route",
    "ShopPost",
    "WaitingAt",
]
