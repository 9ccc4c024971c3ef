"""The tables of an order's life: which event leads where, and who may do what when.

docs/spec/10-order.md prints these tables; the contract's own table (IEscrow.sol) says the same.
Spec: docs/spec/10-order.md §2, §4
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Role = Literal["buyer", "merchant", "arbiter", "anyone"]
When = Literal["any", "before", "after"]


class Status(IntEnum):
    """The escrow's word for where an order stands; NONE also means: not funded yet."""

    NONE = 0
    OFFERED = 1
    ACCEPTED = 2
    SHIPPED = 3
    DELIVERED = 4
    DISPUTED = 5
    ESCALATED = 6
    CLOSED = 7


_S = Status
OPEN = (_S.OFFERED, _S.ACCEPTED, _S.SHIPPED, _S.DELIVERED, _S.DISPUTED, _S.ESCALATED)
BOUND = OPEN[1:]
HOW = {
    1: "released",
    2: "claimed",
    3: "refunded",
    4: "settled",
    5: "lapsed",
    6: "reclaimed",
    7: "ruled",
    8: "defaulted",
}


@dataclass(frozen=True)
class Transition:
    """`event` of the escrow leads from `source` to `target`."""

    source: Status
    event: str
    target: Status


TRANSITIONS: tuple[Transition, ...] = (
    Transition(_S.NONE, "Funded(offer)", _S.OFFERED),
    Transition(_S.NONE, "Funded(accepted)", _S.ACCEPTED),
    Transition(_S.OFFERED, "Accepted", _S.ACCEPTED),
    Transition(_S.ACCEPTED, "Accepted", _S.ACCEPTED),
    Transition(_S.ACCEPTED, "Shipped", _S.SHIPPED),
    Transition(_S.ACCEPTED, "Delivered", _S.DELIVERED),
    Transition(_S.SHIPPED, "Delivered", _S.DELIVERED),
    *(Transition(source, "Disputed", _S.DISPUTED) for source in (_S.ACCEPTED, _S.SHIPPED, _S.DELIVERED)),
    Transition(_S.DISPUTED, "Escalated", _S.ESCALATED),
    *(Transition(source, "Closed", _S.CLOSED) for source in OPEN),
)
LEGAL = {(row.source, row.event): row.target for row in TRANSITIONS}
TARGET = {row.event: row.target for row in TRANSITIONS}
"""Each event has one target, so that a fold that missed earlier events still knows where the order stands."""


@dataclass(frozen=True)
class ActionRule:
    """Who may do `name`, in which status, relative to the deadline, if `needs` all hold."""

    name: str
    by: tuple[Role, ...]
    statuses: tuple[Status, ...]
    when: When
    channels: tuple[str, ...]
    needs: tuple[str, ...] = ()


_MSG, _CHAIN, _BOTH = ("message",), ("chain",), ("message", "chain")
_N, _O, _A, _H, _D, _X, _E, _C = Status
_TRADERS: tuple[Role, ...] = ("buyer", "merchant")
_SENT = (_H, _D, _X, _E, _C)

ACTIONS: tuple[ActionRule, ...] = (
    ActionRule("accept", ("merchant",), (_N,), "any", _MSG, ("requested", "unanswered", "wanted")),
    ActionRule("accept", ("merchant",), (_O,), "before", _CHAIN),
    ActionRule("decline", ("merchant",), (_N,), "any", _MSG, ("requested", "wanted")),
    ActionRule("decline", ("merchant",), (_O,), "any", _CHAIN),
    ActionRule("approve", ("buyer",), (_N,), "before", _CHAIN, ("terms", "wanted")),
    ActionRule("cancel", ("buyer",), (_N, _O, _A), "any", _MSG, ("requested", "wanted")),
    ActionRule("lapse", ("buyer", "merchant", "anyone"), (_O,), "after", _CHAIN),
    ActionRule("ship", ("merchant",), (_A,), "before", _BOTH),
    ActionRule("hand_over", ("merchant", "buyer", "anyone"), (_A,), "any", _CHAIN, ("code",)),
    ActionRule("hand_over", ("merchant", "buyer", "anyone"), (_H,), "before", _CHAIN, ("code",)),
    ActionRule("hand_over", ("merchant", "buyer", "anyone"), (_H,), "after", _CHAIN, ("code", "proof-required")),
    ActionRule("prove_delivery", ("merchant", "buyer", "anyone"), (_H,), "before", _CHAIN, ("carrier",)),
    ActionRule(
        "prove_delivery",
        ("merchant", "buyer", "anyone"),
        (_H,),
        "after",
        _CHAIN,
        ("carrier", "proof-required"),
    ),
    ActionRule("claim", ("merchant", "anyone"), (_H,), "after", _CHAIN, ("no-proof-required", "held")),
    ActionRule("claim", ("merchant", "anyone"), (_D,), "after", _CHAIN, ("held",)),
    ActionRule("release", ("buyer",), BOUND, "any", _CHAIN, ("held",)),
    ActionRule("refund", ("merchant",), OPEN, "any", _CHAIN, ("held",)),
    ActionRule("accept_settlement", _TRADERS, OPEN, "any", _BOTH, ("held", "proposal")),
    ActionRule("propose_settlement", _TRADERS, OPEN, "any", _MSG, ("held",)),
    ActionRule("reclaim", ("buyer", "anyone"), (_A,), "after", _CHAIN, ("held",)),
    ActionRule("reclaim", ("buyer",), (_H,), "after", _CHAIN, ("proof-required", "held")),
    ActionRule("dispute", _TRADERS, (_A, _H, _D), "before", _BOTH, ("held",)),
    ActionRule("dispute", ("merchant",), (_H,), "after", _BOTH, ("proof-required", "held")),
    ActionRule("rule", ("arbiter",), (_X, _E), "before", _CHAIN, ("held",)),
    ActionRule("ask_party", ("arbiter",), (_X, _E), "any", _MSG),
    ActionRule("escalate", ("buyer", "merchant", "anyone"), (_X,), "after", _CHAIN, ("backup",)),
    ActionRule("close_by_default", ("buyer", "merchant", "anyone"), (_X,), "after", _CHAIN, ("no-backup",)),
    ActionRule("close_by_default", ("buyer", "merchant", "anyone"), (_E,), "after", _CHAIN),
    ActionRule("review", ("buyer",), (_C,), "any", ("catalog",), ("merchant-paid",)),
    ActionRule("issue_warranty", ("merchant",), (_D, _C), "any", _BOTH, ("sold", "no-certificate")),
    ActionRule("add_evidence", _TRADERS, (_X, _E), "any", _MSG, ("arbiter",)),
    ActionRule("confirm_receipt", ("buyer",), (_H, _D), "any", _MSG, ("no-receipt",)),
    ActionRule("request_return", ("buyer",), (_H, _D), "any", _MSG, ("requested", "no-return")),
    ActionRule("request_return", ("buyer",), (_C,), "any", _MSG, ("requested", "no-return", "merchant-paid", "sold")),
    ActionRule("approve_return", ("merchant",), _SENT, "any", _MSG, ("return-requested",)),
    ActionRule("decline_return", ("merchant",), _SENT, "any", _MSG, ("return-requested",)),
    ActionRule("send_return", ("buyer",), _SENT, "any", _MSG, ("return-open", "return-not-sent")),
    ActionRule("receive_return", ("merchant",), _SENT, "any", _MSG, ("return-open",)),
    ActionRule("cancel_return", ("buyer",), _SENT, "any", _MSG, ("return-running",)),
    ActionRule("send_again", ("merchant",), (_H, _D, _X, _E), "any", _MSG, ("shipment",)),
    ActionRule("send_again", ("merchant",), (_C,), "any", _MSG, ("exchange",)),
    ActionRule("send_deliverable", ("merchant",), (_A, _H, _D, _X, _E, _C), "any", _MSG, ("requested", "earned")),
    ActionRule("ask_deliverable", ("buyer",), (_A, _H, _D, _X, _E, _C), "any", _MSG, ("resends",)),
    ActionRule("chat", _TRADERS, tuple(Status), "any", _MSG),
)
"""Order matters to people: the first legal row is what a page shows first."""
