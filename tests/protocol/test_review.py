from __future__ import annotations

from typing import Any

import pytest

from halle_protocol.documents import Review
from halle_protocol.order import Fact
from halle_protocol.review import is_verified, judge
from samples_people import BUYER, CHAIN_ID, ESCROW, MERCHANT, STRANGER, event, funded, listing_cid, order_id, terms

AMOUNT = terms().amount
CLOSED = event("Closed", 5, how=1)
PAID = event("Paid", 4, toBuyer=0, toMerchant=AMOUNT, toArbiter=0)
BOUGHT: list[Fact] = [funded(), PAID, CLOSED]


def _review(**changes: Any) -> Review:
    fields: dict[str, Any] = {"order_id": order_id(), "chain_id": CHAIN_ID, "escrow": ESCROW, "merchant": MERCHANT}
    return Review(**(fields | {"listing": listing_cid(), "handle": "blue-shirt", "rating": 5} | changes))


def test_review_by_the_buyer_of_a_closed_order_is_verified_and_weighs_what_was_paid() -> None:
    verdict = judge(_review(), BUYER, BOUGHT, chain_id=CHAIN_ID, escrow=ESCROW)
    assert (verdict.verified, verdict.code, verdict.weight) == (True, "verified", AMOUNT)
    assert is_verified(_review(), BUYER, BOUGHT, chain_id=CHAIN_ID)


def test_buyer_whose_order_never_came_may_review_too() -> None:
    reclaimed: list[Fact] = [funded(), event("Paid", 4, toBuyer=AMOUNT), event("Closed", 5, how=6)]
    assert judge(_review(), BUYER, reclaimed, chain_id=CHAIN_ID).weight == 0
    assert is_verified(_review(), BUYER, reclaimed, chain_id=CHAIN_ID)


@pytest.mark.parametrize(
    ("review", "author", "facts", "chain_id", "code"),
    [
        (_review(), STRANGER, BOUGHT, CHAIN_ID, "not-the-buyer"),
        (_review(), MERCHANT, BOUGHT, CHAIN_ID, "not-the-buyer"),
        (_review(order_id=bytes(32)), BUYER, BOUGHT, CHAIN_ID, "other-order"),
        (_review(merchant=STRANGER), BUYER, BOUGHT, CHAIN_ID, "other-merchant"),
        (_review(escrow=STRANGER), BUYER, BOUGHT, CHAIN_ID, "other-escrow"),
        (_review(), BUYER, BOUGHT, CHAIN_ID + 1, "other-chain"),
        (_review(), BUYER, [], CHAIN_ID, "not-funded"),
        (_review(), BUYER, [funded()], CHAIN_ID, "still-open"),
        (_review(), BUYER, [funded(accepted=False), CLOSED], CHAIN_ID, "never-accepted"),
        (_review(), MERCHANT, [funded(buyer=MERCHANT), CLOSED], CHAIN_ID, "self-trade"),
    ],
)
def test_review_is_not_verified_with_its_reason(
    review: Review, author: bytes, facts: list[Fact], chain_id: int, code: str
) -> None:
    verdict = judge(review, author, facts, chain_id=chain_id, escrow=ESCROW)
    assert (verdict.verified, verdict.code, verdict.weight) == (False, code, 0)
