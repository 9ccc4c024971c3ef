"""The facts an order is folded from, and the one order they are read in, whatever order they came in.

Spec: docs/spec/10-order.md §1
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from halle_protocol.messages import Message

Finality = Literal["seen", "safe", "final"]
_FINALITY: tuple[Finality, ...] = ("seen", "safe", "final")


@dataclass(frozen=True)
class ChainFact:
    """One event of the escrow, as decoded.

    Shape: position = (block number, log index); args named as in Solidity. Units: at = block time, unix
    seconds.
    """

    name: str
    args: Mapping[str, Any]
    at: int
    finality: Finality
    position: tuple[int, int]
    tx: bytes = b""


@dataclass(frozen=True)
class MessageFact:
    """One verified message of the order's thread."""

    message: Message


Fact = ChainFact | MessageFact


@dataclass(frozen=True)
class HistoryEntry:
    """One thing that happened, in the order's own words."""

    at: int
    source: Literal["chain", "message"]
    name: str
    by: bytes = b""
    finality: Finality | None = None
    tx: bytes = b""


def chain_facts(facts: Iterable[Fact]) -> list[ChainFact]:
    """Sort by place in the chain; of equal places the most final fact counts."""
    best: dict[tuple[int, int], ChainFact] = {}
    for fact in facts:
        if isinstance(fact, ChainFact):
            other = best.get(fact.position)
            if other is None or _weight(fact) > _weight(other):
                best[fact.position] = fact
    return [best[place] for place in sorted(best)]


def _weight(fact: ChainFact) -> tuple[int, str, bytes, int, str]:
    """Order even facts that cannot both be true, so that a confused source still gives one state."""
    return _FINALITY.index(fact.finality), fact.name, fact.tx, fact.at, repr(sorted(fact.args.items()))


# Within one second an answer comes after what it answers, whoever's id sorts first; a return has more than two steps.
ANSWERS = frozenset(
    {
        "order/quote",
        "order/accept",
        "order/decline",
        "return/approve",
        "return/decline",
        "return/received",
        "settlement/accept",
    }
)


_STEPS = {**dict.fromkeys(ANSWERS, 1), "order/decline": 2, "return/sent": 2, "return/received": 3}


def message_facts(facts: Iterable[Fact]) -> list[Message]:
    """Sort by (issued, step of an exchange, sender, id); of two messages with one (sender, id) the earlier counts."""
    best: dict[tuple[bytes, bytes], Message] = {}
    for fact in facts:
        if isinstance(fact, MessageFact):
            message = fact.message
            other = best.get((message.sender, message.id))
            if other is None or (message.issued, message.sig) < (other.issued, other.sig):
                best[message.sender, message.id] = message
    return sorted(best.values(), key=lambda m: (m.issued, _STEPS.get(m.type, 0), m.sender, m.id))


def history(events: list[ChainFact], messages: list[Message]) -> tuple[HistoryEntry, ...]:
    entries = [HistoryEntry(e.at, "chain", e.name, b"", e.finality, e.tx) for e in events]
    entries += [HistoryEntry(m.issued, "message", m.type, m.sender) for m in messages]
    return tuple(sorted(entries, key=lambda entry: entry.at))
