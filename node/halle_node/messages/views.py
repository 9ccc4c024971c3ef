"""What the messages room shows of itself: what is on its way, what was taken in, what could not be used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WaitingAt:
    """A mailbox that keeps a message of ours. Units: unix seconds; `until` is when it drops it."""

    mailbox: str
    since: int
    until: int


@dataclass(frozen=True)
class OutgoingMessage:
    """One message of ours. `state` is queued, acknowledged or refused; `error_code` is the last failure.

    Units: unix seconds; `next_at` is when it is tried again, 0 at once.
    """

    recipient: str
    message_id: str
    type: str
    state: str
    attempts: int
    created_at: int
    acknowledged_at: int | None
    error_code: str
    error_text: str
    waiting_at: tuple[WaitingAt, ...] = ()
    next_at: int = 0


@dataclass(frozen=True)
class OutgoingCounts:
    """How many messages of ours are in each state; `left` of the queued wait at a mailbox."""

    queued: int
    acknowledged: int
    refused: int
    left: int


@dataclass(frozen=True)
class MailboxState:
    """One mailbox of ours: when it was last asked and with what result. Units: unix seconds, 0 is never."""

    mailbox: str
    asked_at: int = 0
    collected_at: int = 0
    collected: int = 0
    error_code: str = ""
    error_text: str = ""


@dataclass(frozen=True)
class PoisonedMessage:
    """One message or envelope that was set aside, with the reason.

    `sender` and `message_id` are empty when the envelope could not be opened: it is not kept, its sender has it.
    """

    sender: str
    type: str
    received_at: int
    error_code: str
    error_text: str
    from_peer: str = ""
    message_id: str = ""


@dataclass(frozen=True)
class InboundCounts:
    """How many received messages are in each state."""

    processed: int
    parked: int
    quarantined: int
    poisoned: int
