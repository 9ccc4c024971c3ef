"""A review counts as a verified purchase only if the chain says that its author bought and the order ended.

Spec: docs/spec/10-order.md §7
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from halle_protocol.documents.pages import Review
from halle_protocol.order import ChainFact, Fact, fold
from halle_protocol.order_table import Status


@dataclass(frozen=True)
class ReviewVerdict:
    """Whether a review is verified, why not, and how much it weighs.

    Units: weight is what the merchant was paid, in the token's smallest unit.
    """

    verified: bool
    code: str
    weight: int = 0


def judge(
    review: Review, author: bytes, facts: Iterable[Fact], *, chain_id: int, escrow: bytes | None = None
) -> ReviewVerdict:
    """Judge a review by the chain facts of the order it names.

    `author` is the store that published it; `chain_id` and `escrow` say where the facts were read.
    Codes: `verified`, `other-chain`, `other-escrow`, `not-funded`, `other-order`, `not-the-buyer`,
    `other-merchant`, `self-trade`, `never-accepted`, `still-open`.
    """
    known = list(facts)
    state = fold(known)
    events = [fact for fact in known if isinstance(fact, ChainFact)]
    accepted = any(
        event.name in ("Accepted", "Shipped", "Delivered") or bool(event.args.get("accepted")) for event in events
    )
    checks = (
        ("other-chain", review.chain_id == chain_id),
        ("other-escrow", escrow is None or review.escrow is None or review.escrow == escrow),
        ("not-funded", state.funded_at is not None),
        ("other-order", state.order_id == review.order_id),
        ("other-merchant", state.merchant == review.merchant),
        ("not-the-buyer", state.buyer == author),
        ("self-trade", state.buyer != state.merchant),
        ("never-accepted", accepted),
        ("still-open", state.status == Status.CLOSED),
    )
    for code, passed in checks:
        if not passed:
            return ReviewVerdict(False, code)
    return ReviewVerdict(True, "verified", state.paid_out_merchant)


def is_verified(
    review: Review, author: bytes, facts: Iterable[Fact], *, chain_id: int, escrow: bytes | None = None
) -> bool:
    """Say whether a review is a verified purchase."""
    return judge(review, author, facts, chain_id=chain_id, escrow=escrow).verified
