"""The fold under facts that nobody planned: any type by anyone at any time, events that cannot both be true.

State is a function of the set of facts: two nodes that know the same show the same, however it came to them, and one
that hears of something late stands in the end where the other stood all along.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from halle_protocol.keys import ZERO_ADDRESS
from halle_protocol.messages import (
    ChatText,
    Deliverable,
    OrderCancel,
    OrderDecline,
    Receipt,
    ReturnAnswer,
    ReturnRequest,
    SettlementPropose,
    Shipment,
    ShippedLine,
    WarrantyIssued,
)
from halle_protocol.order import ACTIONS, ChainFact, Fact, MessageFact, OrderState, Status, fold, next_actions
from halle_protocol.order_facts import Finality
from halle_protocol.order_table import Role
from samples_people import (
    ARBITER,
    BUYER,
    BUYER_KEY,
    DAY,
    ESCROW,
    MERCHANT_KEY,
    NOW,
    STRANGER_KEY,
    event,
    funded,
    message,
    quote_body,
    request_body,
    terms,
)

ROLES: tuple[Role, ...] = ("buyer", "merchant", "arbiter", "anyone")
SKU = ShippedLine(sku="SHIRT-S", quantity=1)
BODIES: tuple[tuple[str, Any], ...] = (
    ("order/request", request_body()),
    ("order/request", request_body(offer=terms())),
    ("order/quote", quote_body()),
    ("order/quote", quote_body(terms=terms(amount=1))),
    ("order/decline", OrderDecline(reason="no")),
    ("order/cancel", OrderCancel()),
    ("shipment", Shipment(commitment=bytes(32), lines=(SKU,))),
    ("shipment", Shipment(commitment=bytes(32), replaces=True)),
    ("receipt", Receipt(received_at=NOW)),
    ("return/request", ReturnRequest(lines=(SKU,), exchange=(SKU,))),
    *((kind, ReturnAnswer()) for kind in ("return/approve", "return/decline", "return/cancel")),
    *((kind, ReturnAnswer()) for kind in ("return/sent", "return/received")),
    ("settlement/propose", SettlementPropose(buyer_share=5, paid_out=0, sig=bytes(65))),
    ("settlement/propose", SettlementPropose(buyer_share=7, paid_out=3, sig=bytes(65))),
    ("warranty/issued", WarrantyIssued(certificate_id=7, contract=ESCROW, chain_id=1, ends_at=1)),
    ("deliverable", Deliverable(name="Key", text="K-1", left=2)),
    ("deliverable", Deliverable(name="Key", text="K-1", left=1)),
    ("chat", ChatText(text="Hello")),
    ("future/kind", {"x": 1}),
)
KEYS = (MERCHANT_KEY, BUYER_KEY, STRANGER_KEY)


def _messages() -> list[Fact]:
    """Everything that anyone could say within some seconds; each of it really signed, once."""
    said: list[Fact] = []
    for place, (kind, body) in enumerate(BODIES):
        for private in KEYS:
            for second in (0, 1, 3):
                number = 1 + len(said) % 97  # ids are used again: by others, and by one sender for other content
                said.append(MessageFact(message(private, kind, body, number=number, at=NOW + second + place % 3)))
    return said


SAID = _messages()
FINALITY: tuple[Finality, ...] = ("seen", "safe", "final")


@st.composite
def events(draw: st.DrawFn) -> ChainFact:
    """One event at one of few places, so that some stand where others stand."""
    block, finality = draw(st.integers(1, 6)), draw(st.sampled_from(FINALITY))
    name = draw(
        st.sampled_from(("Funded", "Accepted", "Shipped", "Delivered", "Disputed", "Escalated", "Paid", "Closed"))
    )
    share = draw(st.integers(0, 3))
    args: dict[str, Any] = {
        "Accepted": {"deadline": NOW + share * DAY},
        "Shipped": {"shipmentHash": bytes(32), "deadline": NOW + share * DAY},
        "Delivered": {"deadline": NOW + share * DAY, "byCarrier": False},
        "Disputed": {"by": BUYER, "evidence": bytes(32), "deadline": NOW + share * DAY},
        "Escalated": {"deadline": NOW + share * DAY},
        "Paid": {"toBuyer": share, "toMerchant": 1, "toArbiter": 0},
        "Closed": {"how": share + 1},
    }.get(name, {})
    if name == "Funded":
        return funded(block, accepted=bool(share), finality=finality)
    return event(name, block, finality=finality, **args)


facts = st.lists(st.one_of(st.sampled_from(SAID), events()), max_size=24)
agreed = st.sampled_from(
    (None, terms(), terms(proof_required=True, backup_arbiter=ARBITER), terms(arbiter=ZERO_ADDRESS))
)


@settings(max_examples=200, deadline=None)
@given(facts, agreed, st.randoms(use_true_random=False))
def test_state_depends_on_the_set_of_facts_alone(known: list[Fact], given_terms: Any, rng: random.Random) -> None:
    again = known * 2
    rng.shuffle(again)
    state = fold(known, given_terms)
    assert fold(again, given_terms) == state
    assert 0 <= state.held <= max(state.total, 0)


@settings(max_examples=100, deadline=None)
@given(facts, facts, agreed, st.randoms(use_true_random=False))
def test_late_facts_bring_two_nodes_together(
    early: list[Fact], late: list[Fact], given_terms: Any, rng: random.Random
) -> None:
    mine, theirs = [*early, *late], [*late, *early]
    rng.shuffle(theirs)
    fold(early, given_terms)  # what was folded before leaves nothing behind
    assert fold(mine, given_terms) == fold(theirs, given_terms)


@settings(max_examples=200, deadline=None)
@given(facts, agreed, st.integers(-DAY, 40 * DAY))
def test_offered_moves_are_those_of_the_table_and_their_limits_lie_ahead(
    known: list[Fact], given_terms: Any, later: int
) -> None:
    state, now = fold(known, given_terms), NOW + later
    for role in ROLES:
        for action in next_actions(state, role, now):
            rows = [rule for rule in ACTIONS if rule.name == action.name and role in rule.by]
            assert any(state.status in rule.statuses for rule in rows)
            assert action.until is None or action.until >= now
    assert (
        _chain_moves(state, now)
        or state.status in (Status.NONE, Status.CLOSED)
        or not state.held
        or state.terms is None
    )


def _chain_moves(state: OrderState, now: int) -> set[str]:
    """Return what somebody can do with the money, whoever it is: there is always something while it is held."""
    moves = (action for role in ROLES for action in next_actions(state, role, now))
    return {action.name for action in moves if "chain" in action.channels}
