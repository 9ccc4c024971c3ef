"""A warranty certificate is a fold over the Warranty contract's events, as an order is over the escrow's.

Spec: docs/spec/10-order.md §6
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Literal

from halle_protocol.keys import parse_address
from halle_protocol.order_facts import ChainFact, chain_facts
from halle_protocol.order_table import When

Party = Literal["holder", "underwriter", "arbiter", "anyone"]


class ClaimStatus(IntEnum):
    """The contract's word for where a certificate stands."""

    NONE = 0
    ACTIVE = 1
    CLAIMED = 2
    OFFERED = 3
    CONTESTED = 4
    ENDED = 5


_N, _A, _C, _O, _X, _E = ClaimStatus
TRANSITIONS: tuple[tuple[ClaimStatus, str, ClaimStatus], ...] = (
    (_N, "Registered", _A),
    (_A, "ClaimOpened", _C),
    (_C, "OfferMade", _O),
    (_O, "OfferAccepted", _A),
    (_O, "OfferLapsed", _A),
    (_C, "ClaimContested", _X),
    (_O, "ClaimContested", _X),
    *((source, event, _A) for event in ("ClaimAccepted", "ClaimPaid", "ClaimRuled") for source in (_C, _O, _X)),
    (_A, "Expired", _E),
)
_TARGET = {event: target for _, event, target in TRANSITIONS}


@dataclass(frozen=True)
class CertificateAction:
    """A legal move on a certificate."""

    name: str
    by: Party
    until: int | None


_RULES: tuple[tuple[str, tuple[Party, ...], tuple[ClaimStatus, ...], When], ...] = (
    ("open_claim", ("holder",), (_A,), "before"),
    ("accept_claim", ("underwriter",), (_C, _O, _X), "any"),
    ("offer", ("underwriter",), (_C,), "before"),
    ("contest", ("underwriter",), (_C,), "before"),
    ("accept_offer", ("holder",), (_O,), "any"),
    ("contest", ("holder",), (_O,), "before"),
    ("lapse_offer", ("holder", "underwriter", "anyone"), (_O,), "after"),
    ("pay_unanswered", ("holder", "anyone"), (_C, _X), "after"),
    ("rule_claim", ("arbiter",), (_X,), "before"),
    ("expire", ("underwriter", "anyone"), (_A,), "after"),
    ("transfer", ("holder",), (_A,), "any"),
    ("surrender", ("holder",), (_A,), "any"),
)


@dataclass(frozen=True)
class CertificateState:
    """Where one certificate stands.

    Units: cover, paid and claimed in the token's smallest unit; deadline and ends_at in unix seconds.
    """

    id: int = 0
    status: ClaimStatus = ClaimStatus.NONE
    underwriter: bytes = b""
    holder: bytes = b""
    order_id: bytes = b""
    cover: int = 0
    paid: int = 0
    claimed: int = 0
    claim_no: int = 0
    deadline: int | None = None
    ends_at: int | None = None

    @property
    def cover_left(self) -> int:
        """What can still be paid."""
        return max(0, self.cover - self.paid)


def fold_certificate(facts: Iterable[ChainFact]) -> CertificateState:
    """Return a certificate's state; order of arrival, duplicates and gaps never raise."""
    state = CertificateState()
    for fact in chain_facts(facts):
        state = _apply(state, fact)
    return state


def certificate_actions(state: CertificateState, party: Party, now: int) -> list[CertificateAction]:
    """Return every legal move of `party` at `now` (chain time)."""
    limit = state.ends_at if state.status == ClaimStatus.ACTIVE else state.deadline
    late = limit is not None and now > limit
    found = []
    for name, parties, statuses, when in _RULES:
        timely = when == "any" or (when == "after") == late
        if party in parties and state.status in statuses and timely:
            found.append(CertificateAction(name, party, limit if when == "before" else None))
    return found


def _apply(state: CertificateState, fact: ChainFact) -> CertificateState:
    args = fact.args
    effect = _EFFECTS.get(fact.name)
    state = effect(state, args) if effect else state
    target = _TARGET.get(fact.name)
    if target is None or state.status == ClaimStatus.ENDED:
        return state
    spent = target == ClaimStatus.ACTIVE and state.cover > 0 and state.cover_left == 0
    deadline = int(args["deadline"]) if "deadline" in args else None
    return replace(state, status=ClaimStatus.ENDED if spent else target, deadline=deadline)


def _registered(state: CertificateState, args: Any) -> CertificateState:
    return replace(
        state,
        id=int(args.get("id", 0)),
        underwriter=_address(args.get("underwriter")),
        holder=_address(args.get("holder")),
        order_id=args.get("orderId", b""),
        cover=int(args.get("cover", 0)),
        ends_at=int(args["endsAt"]) if "endsAt" in args else None,
    )


def _opened(state: CertificateState, args: Any) -> CertificateState:
    return replace(state, claimed=int(args.get("amount", 0)), claim_no=int(args.get("claimNo", 0)))


def _address(value: object) -> bytes:
    if isinstance(value, str):
        return parse_address(value)
    return value if isinstance(value, bytes) else b""


_EFFECTS: dict[str, Callable[[CertificateState, Any], CertificateState]] = {
    "Registered": _registered,
    "ClaimOpened": _opened,
    "ClaimPaid": lambda state, args: replace(state, paid=state.paid + int(args.get("amount", 0)), claimed=0),
    "OfferAccepted": lambda state, _: replace(state, claimed=0),
    "OfferLapsed": lambda state, _: replace(state, claimed=0),
    "Transfer": lambda state, args: replace(state, holder=_address(args.get("to"))),
}
