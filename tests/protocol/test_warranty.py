from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halle_protocol.order import ChainFact
from halle_protocol.warranty import (
    TRANSITIONS,
    ClaimStatus,
    Party,
    certificate_actions,
    fold_certificate,
)
from samples_people import BUYER, DAY, MERCHANT, NOW, STRANGER

ENDS = NOW + 365 * DAY
DEADLINE = NOW + 20 * DAY


def _event(name: str, block: int, **args: Any) -> ChainFact:
    return ChainFact(name, {"id": 7, **args}, NOW + block, "final", (block, 0))


ISSUED = _event("Registered", 1, underwriter=MERCHANT, holder=BUYER, orderId=bytes(32), cover=100, endsAt=ENDS)
OPENED = _event("ClaimOpened", 2, claimNo=1, amount=40, evidence=bytes(32), deadline=DEADLINE)
ACCEPTED = _event("ClaimAccepted", 3)
PAID = _event("ClaimPaid", 4, holder=BUYER, amount=40)
CONTESTED = _event("ClaimContested", 3, by=MERCHANT, evidence=bytes(32), deadline=DEADLINE)
OFFERED = _event("OfferMade", 3, offerHash=bytes(32), deadline=DEADLINE)


def test_certificate_pays_a_claim_and_keeps_the_rest_of_its_cover() -> None:
    state = fold_certificate([ISSUED, OPENED, ACCEPTED, PAID])
    assert (state.status, state.paid, state.cover_left, state.claimed) == (ClaimStatus.ACTIVE, 40, 60, 0)


def test_certificate_ends_when_its_cover_is_used_up() -> None:
    assert (
        fold_certificate([ISSUED, OPENED, _event("ClaimPaid", 4, holder=BUYER, amount=100)]).status == ClaimStatus.ENDED
    )


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ([], ClaimStatus.NONE),
        ([ISSUED], ClaimStatus.ACTIVE),
        ([ISSUED, OPENED], ClaimStatus.CLAIMED),
        ([ISSUED, OPENED, OFFERED], ClaimStatus.OFFERED),
        ([ISSUED, OPENED, CONTESTED], ClaimStatus.CONTESTED),
        ([ISSUED, OPENED, OFFERED, _event("OfferAccepted", 4)], ClaimStatus.ACTIVE),
        ([ISSUED, OPENED, OFFERED, _event("OfferLapsed", 4)], ClaimStatus.ACTIVE),
        ([ISSUED, _event("Expired", 9)], ClaimStatus.ENDED),
    ],
)
def test_certificate_walks_the_contracts_table(facts: list[ChainFact], status: ClaimStatus) -> None:
    assert fold_certificate(facts).status == status


def test_resold_certificate_belongs_to_the_new_holder() -> None:
    moved = _event("Transfer", 2, **{"from": BUYER, "to": STRANGER, "tokenId": 7})
    assert fold_certificate([ISSUED, moved]).holder == STRANGER


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([ISSUED, OPENED, ACCEPTED, PAID, _event("Expired", 9)]), max_size=10), st.randoms())
def test_certificate_fold_ignores_order_and_duplicates(facts: list[ChainFact], rng: random.Random) -> None:
    shuffled = facts * 2
    rng.shuffle(shuffled)
    assert fold_certificate(shuffled) == fold_certificate(facts)


@pytest.mark.parametrize(
    ("facts", "party", "now", "names"),
    [
        ([ISSUED], "holder", NOW, {"open_claim", "transfer", "surrender"}),
        ([ISSUED], "holder", ENDS + 1, {"transfer", "surrender"}),
        ([ISSUED], "anyone", ENDS + 1, {"expire"}),
        ([ISSUED, OPENED], "underwriter", NOW, {"accept_claim", "offer", "contest"}),
        ([ISSUED, OPENED], "underwriter", DEADLINE + 1, {"accept_claim"}),
        ([ISSUED, OPENED], "holder", DEADLINE + 1, {"pay_unanswered"}),
        ([ISSUED, OPENED, OFFERED], "holder", NOW, {"accept_offer", "contest"}),
        ([ISSUED, OPENED, OFFERED], "anyone", DEADLINE + 1, {"lapse_offer"}),
        ([ISSUED, OPENED, CONTESTED], "arbiter", NOW, {"rule_claim"}),
        ([ISSUED, OPENED, CONTESTED], "anyone", DEADLINE + 1, {"pay_unanswered"}),
    ],
)
def test_certificate_moves_are_those_of_the_contract(
    facts: list[ChainFact], party: Party, now: int, names: set[str]
) -> None:
    assert {action.name for action in certificate_actions(fold_certificate(facts), party, now)} == names


def test_each_certificate_event_has_one_target() -> None:
    pairs = {(event, target) for _, event, target in TRANSITIONS}
    assert len(pairs) == len({event for event, _ in pairs})
