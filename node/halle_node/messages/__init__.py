"""Sealed messages between stores: sent until acknowledged, acknowledged only after they were processed."""

from __future__ import annotations

from halle_node.messages.inbox import Early
from halle_node.messages.route import Route
from halle_node.messages.service import MessageService
from halle_node.messages.views import InboundCounts, OutgoingMessage, PoisonedMessage

__all__ = ["Early", "InboundCounts", "MessageService", "OutgoingMessage", "PoisonedMessage", "Route"]
