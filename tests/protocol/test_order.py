from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halle_protocol.keys import NO_CODE, ZERO_ADDRESS, to_checksum
from halle_protocol.messages import (
    ClaimOpen,
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
from halle_protocol.order import (
    ACTIONS,
    TRANSITIONS,
    ChainFact,
    Fact,
    MessageFact,
    OrderState,
    Status,
    fold,
    next_actions,
)
from halle_protocol.order_actions import _NEEDS
from halle_protocol.order_table import HOW, OPEN, Role
from halle_protocol.terms import Terms
from samples_people import (
    ARBITER,
    BUYER,
    BUYER_KEY,
    DAY,
    ESCROW,
    MERCHANT,
    MERCHANT_KEY,
    NOW,
    STRANGER_KEY,
    event,
    funded,
    message,
    order_id,
    quote_body,
    request_body,
    terms,
)

AMOUNT = terms().amount
DEADLINE = NOW + 5 * DAY


def _said(private: bytes, type: str, body: Any, number: int, at: int = NOW) -> MessageFact:
    return MessageFact(message(private, type, body, number=number, at=at))


REQUEST = _said(BUYER_KEY, "order/request", request_body(), 1, NOW - 100)
QUOTE = _said(MERCHANT_KEY, "order/quote", quote_body(), 2, NOW - 50)
PARCEL = _said(MERCHANT_KEY, "shipment", Shipment(carrier="La Poste", commitment=bytes(32)), 3, NOW + 2)
FUNDED = funded(1)
SHIPPED = event("Shipped", 2, shipmentHash=bytes(32), deadline=DEADLINE)
DELIVERED = event("Delivered", 3, deadline=DEADLINE, byCarrier=False)
PAID = event("Paid", 4, toBuyer=0, toMerchant=AMOUNT, toArbiter=0)
CLOSED = event("Closed", 5, how=2)
HAPPY: list[Fact] = [REQUEST, QUOTE, FUNDED, SHIPPED, PARCEL, DELIVERED, PAID, CLOSED]


def _paid(block: int, *, buyer: int = 0, merchant: int = 0, arbiter: int = 0) -> ChainFact:
    return event("Paid", block, toBuyer=buyer, toMerchant=merchant, toArbiter=arbiter)


def _names(state: OrderState, role: Role, now: int = NOW) -> set[str]:
    return {action.name for action in next_actions(state, role, now)}


# --- the fold -----------------------------------------------------------------------------------------------


def test_nothing_is_an_order_that_nobody_paid() -> None:
    state = fold([])
    assert (state.status, state.payment, state.fulfilment, state.return_) == (
        Status.NONE,
        "unpaid",
        "unfulfilled",
        "none",
    )


@pytest.mark.parametrize(
    ("count", "status", "payment", "fulfilment"),
    [
        (1, Status.NONE, "unpaid", "unfulfilled"),
        (2, Status.NONE, "unpaid", "unfulfilled"),
        (3, Status.ACCEPTED, "escrowed", "in_progress"),
        (4, Status.SHIPPED, "escrowed", "fulfilled"),
        (5, Status.SHIPPED, "escrowed", "fulfilled"),
        (6, Status.DELIVERED, "escrowed", "fulfilled"),
        (7, Status.DELIVERED, "partially_paid", "fulfilled"),
        (8, Status.CLOSED, "released", "fulfilled"),
    ],
)
def test_happy_order_walks_its_axes(count: int, status: Status, payment: str, fulfilment: str) -> None:
    state = fold(HAPPY[:count])
    assert (state.status, state.payment, state.fulfilment) == (status, payment, fulfilment)
    assert state.gaps == ()


def test_closed_order_knows_its_amounts_parties_and_history() -> None:
    state = fold(HAPPY)
    assert state.amounts == {
        "total": AMOUNT,
        "paid_out_buyer": 0,
        "paid_out_merchant": AMOUNT,
        "paid_out_arbiter": 0,
        "held": 0,
    }
    assert (state.merchant, state.buyer, state.order_id, state.how) == (MERCHANT, BUYER, order_id(), "claimed")
    assert [entry.name for entry in state.history] == [
        "order/request",
        "order/quote",
        "Funded",
        "Shipped",
        "shipment",
        "Delivered",
        "Paid",
        "Closed",
    ]


_OFFER = funded(1, accepted=False)
_SETTLE = SettlementPropose(buyer_share=5, paid_out=0, sig=bytes(65))
_POOL: list[Fact] = [
    *HAPPY,
    _OFFER,
    event("Accepted", 6, deadline=DEADLINE),
    event("Disputed", 7, by=BUYER, evidence=bytes(32), deadline=DEADLINE),
    event("Escalated", 8, deadline=DEADLINE),
    event("OperatorSet", 9),
    funded(1, finality="seen"),
    _said(BUYER_KEY, "order/cancel", OrderCancel(reason="no"), 10),
    _said(MERCHANT_KEY, "order/decline", OrderDecline(reason="sold out"), 11),
    _said(BUYER_KEY, "return/request", ReturnRequest(reason="too small"), 12),
    _said(MERCHANT_KEY, "return/approve", ReturnAnswer(), 13, NOW + 1),
    _said(BUYER_KEY, "settlement/propose", _SETTLE, 14),
    _said(
        MERCHANT_KEY, "warranty/issued", WarrantyIssued(certificate_id=7, contract=ESCROW, chain_id=1, ends_at=1), 15
    ),
    _said(BUYER_KEY, "claim/open", ClaimOpen(certificate_id=7, amount=1), 16),
    _said(BUYER_KEY, "future/kind", {"x": 1}, 17),
    _said(STRANGER_KEY, "receipt", Receipt(received_at=1), 18),
    _said(BUYER_KEY, "receipt", Receipt(received_at=NOW), 19),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(range(len(_POOL))), max_size=30), st.randoms(use_true_random=False))
def test_fold_ignores_order_and_duplicates_and_survives_gaps(chosen: list[int], rng: random.Random) -> None:
    facts = [_POOL[index] for index in chosen]
    once = [_POOL[index] for index in sorted(set(chosen))]
    shuffled = facts * 2
    rng.shuffle(shuffled)
    state = fold(once)
    assert fold(shuffled) == state
    assert state.held >= 0
    for role in ("buyer", "merchant", "arbiter", "anyone"):
        next_actions(state, role, NOW)


@settings(max_examples=80, deadline=None)
@given(st.integers(min_value=0, max_value=3))
def test_order_is_found_again_when_early_events_are_missing(dropped: int) -> None:
    events = [FUNDED, SHIPPED, DELIVERED, CLOSED]
    assert fold(events[dropped:]).status == Status.CLOSED
    assert bool(fold(events[dropped:]).gaps) == (dropped > 0)


def test_funded_order_is_found_from_the_chain_alone() -> None:
    state = fold([FUNDED, SHIPPED], terms())
    assert (state.merchant, state.buyer, state.total, state.terms) == (MERCHANT, BUYER, AMOUNT, terms())
    assert "release" in _names(state, "buyer")


def test_event_at_one_place_counts_with_its_best_finality() -> None:
    assert fold([funded(1, finality="seen")]).payment == "pending"
    assert fold([funded(1, finality="seen"), funded(1, finality="safe")]).payment == "escrowed"


def test_addresses_may_come_as_text() -> None:
    as_text = funded(1, merchant=to_checksum(MERCHANT), buyer=to_checksum(BUYER))
    assert (fold([as_text]).merchant, fold([as_text]).buyer) == (MERCHANT, BUYER)


def test_event_after_the_end_is_a_gap_and_changes_nothing() -> None:
    late = event("Shipped", 9, shipmentHash=bytes(32), deadline=1)
    state = fold([*HAPPY, late])
    assert state.status == Status.CLOSED
    assert state.gaps == ("CLOSED+Shipped",)


@pytest.mark.parametrize(
    ("type_name", "body", "field"),
    [
        ("receipt", Receipt(received_at=NOW), "receipt"),
        ("order/decline", OrderDecline(reason="no"), "decline"),
        ("shipment", Shipment(commitment=bytes(32)), "shipments"),
    ],
)
def test_stranger_has_no_say(type_name: str, body: Any, field: str) -> None:
    told = fold([*HAPPY[:3], _said(STRANGER_KEY, type_name, body, 30)])
    assert not getattr(told, field)


def test_buyer_cannot_speak_as_the_merchant() -> None:
    told = fold([*HAPPY[:3], _said(BUYER_KEY, "shipment", Shipment(commitment=bytes(32)), 30)])
    assert told.shipments == ()


def test_message_with_a_malformed_body_says_nothing() -> None:
    import dataclasses

    broken = MessageFact(dataclasses.replace(REQUEST.message, type="receipt", body={"received_at": "soon"}))
    assert fold([*HAPPY[:3], broken]).receipt is None


def test_terms_are_those_the_chain_names() -> None:
    cheaper = terms(amount=1)
    other = _said(MERCHANT_KEY, "order/quote", quote_body(terms=cheaper), 40, NOW + 9)
    assert fold([REQUEST, QUOTE, FUNDED]).terms == terms()
    wrong_hash = funded(1, orderHash=bytes(32))
    assert fold([REQUEST, QUOTE, other, wrong_hash]).terms is None
    assert fold([REQUEST, QUOTE, other]).terms == cheaper


def test_partial_shipments_fill_the_lines() -> None:
    def parcel(number: int, quantity: int) -> MessageFact:
        body = Shipment(commitment=bytes(32), lines=[{"sku": "SHIRT-S", "quantity": quantity}])
        return _said(MERCHANT_KEY, "shipment", body, number)

    half = fold([REQUEST, QUOTE, FUNDED, parcel(50, 1)])
    full = fold([REQUEST, QUOTE, FUNDED, parcel(50, 1), parcel(51, 1)])
    assert [(line.original, line.fulfilled, line.status) for line in half.lines] == [(2, 1, "partial")]
    assert (half.fulfilment, full.fulfilment) == ("partially_fulfilled", "fulfilled")


@pytest.mark.parametrize(
    ("facts", "payment"),
    [
        ([_paid(3, buyer=5)], "partially_refunded"),
        ([_paid(3, merchant=5)], "partially_paid"),
        ([_paid(3, buyer=AMOUNT), event("Closed", 4, how=3)], "refunded"),
        ([_paid(3, merchant=AMOUNT), event("Closed", 4, how=1)], "released"),
        ([_paid(3, buyer=5, merchant=AMOUNT - 5), event("Closed", 4, how=4)], "partially_refunded"),
        ([event("Disputed", 3, by=BUYER, evidence=bytes(32), deadline=1)], "disputed"),
    ],
)
def test_payment_axis_follows_the_payouts(facts: list[Fact], payment: str) -> None:
    assert fold([FUNDED, *facts]).payment == payment


def test_return_axis_follows_the_messages() -> None:
    asked = _said(BUYER_KEY, "return/request", ReturnRequest(reason="too small"), 60, NOW + 10)
    steps = [("return/approve", "open"), ("return/received", "closed"), ("return/decline", "declined")]
    assert fold([*HAPPY, asked]).return_ == "requested"
    for number, (kind, word) in enumerate(steps):
        answer = _said(MERCHANT_KEY, kind, ReturnAnswer(), 61 + number, NOW + 11)
        assert fold([*HAPPY, asked, answer]).return_ == word


def test_certificate_is_issued_once() -> None:
    issued = _said(
        MERCHANT_KEY, "warranty/issued", WarrantyIssued(certificate_id=7, contract=ESCROW, chain_id=1, ends_at=1), 70
    )
    assert "issue_warranty" in _names(fold(HAPPY), "merchant")
    assert "issue_warranty" not in _names(fold([*HAPPY, issued]), "merchant")


# --- actions ------------------------------------------------------------------------------------------------


def test_unfunded_order_offers_an_answer_then_an_approval() -> None:
    asked, quoted = fold([REQUEST]), fold([REQUEST, QUOTE])
    assert _names(asked, "merchant") == {"accept", "decline", "chat"}
    assert _names(asked, "buyer") == {"cancel", "chat"}
    assert _names(quoted, "merchant") == {"decline", "chat"}
    assert _names(quoted, "buyer") == {"approve", "cancel", "chat"}


def test_quote_cannot_be_approved_when_expired_or_withdrawn() -> None:
    assert "approve" not in _names(fold([REQUEST, QUOTE]), "buyer", NOW + 3601)
    refused = _said(MERCHANT_KEY, "order/decline", OrderDecline(reason="no"), 80, NOW)
    assert "approve" not in _names(fold([REQUEST, QUOTE, refused]), "buyer")
    dropped = _said(BUYER_KEY, "order/cancel", OrderCancel(), 81, NOW)
    assert _names(fold([REQUEST, QUOTE, dropped]), "merchant") == {"chat"}


def test_offer_with_terms_can_be_funded_without_the_merchant() -> None:
    offer = _said(BUYER_KEY, "order/request", request_body(offer=terms()), 1, NOW - 100)
    assert "approve" in _names(fold([offer]), "buyer")


_ALWAYS = {"chat"}
_HELD = {"propose_settlement", "chat"}
_MINE = {*_HELD, "send_deliverable"}
_BACK = {"confirm_receipt", "request_return"}
_B, _M = "buyer", "merchant"
_OFFERED: list[Fact] = [QUOTE, REQUEST, _OFFER]
_ACCEPTED: list[Fact] = [QUOTE, REQUEST, FUNDED]
_SENT: list[Fact] = [*_ACCEPTED, SHIPPED]
_ARRIVED: list[Fact] = [*_SENT, DELIVERED]
_FOUGHT: list[Fact] = [*_ARRIVED, event("Disputed", 4, by=BUYER, evidence=bytes(32), deadline=DEADLINE)]
_RAISED: list[Fact] = [*_FOUGHT, event("Escalated", 5, deadline=DEADLINE)]
_IN, _OUT = NOW + 10, DEADLINE + 10 * DAY


@pytest.mark.parametrize(
    ("facts", "role", "now", "expected"),
    [
        (_OFFERED, _M, _IN, {"accept", "decline", "refund", *_HELD}),
        (_OFFERED, _B, _IN, {"cancel", *_HELD}),
        (_OFFERED, _B, _OUT, {"cancel", "lapse", *_HELD}),
        (_ACCEPTED, _M, _IN, {"ship", "hand_over", "refund", "dispute", *_MINE}),
        (_ACCEPTED, _B, _IN, {"cancel", "hand_over", "release", "dispute", *_HELD}),
        (_ACCEPTED, _M, _OUT, {"hand_over", "refund", *_MINE}),
        (_ACCEPTED, _B, _OUT, {"cancel", "hand_over", "release", "reclaim", *_HELD}),
        (_SENT, _M, _IN, {"hand_over", "refund", "dispute", *_MINE}),
        (_SENT, _B, _IN, {"hand_over", "release", "dispute", *_BACK, *_HELD}),
        (_SENT, _M, _OUT, {"claim", "refund", *_MINE}),
        (_SENT, _B, _OUT, {"release", *_BACK, *_HELD}),
        (_ARRIVED, _M, _IN, {"refund", "dispute", "issue_warranty", *_MINE}),
        (_ARRIVED, _M, _OUT, {"claim", "refund", "issue_warranty", *_MINE}),
        (_ARRIVED, _B, _IN, {"release", "dispute", *_BACK, *_HELD}),
        (_FOUGHT, "arbiter", _IN, {"rule", "ask_party"}),
        (_FOUGHT, "arbiter", _OUT, {"ask_party"}),
        (_FOUGHT, _B, _OUT, {"release", "close_by_default", "add_evidence", *_HELD}),
        (_FOUGHT, "anyone", _OUT, {"close_by_default"}),
        (_RAISED, _M, _OUT, {"refund", "close_by_default", *_MINE}),
        (HAPPY, _B, _OUT, {"review", "request_return", "chat"}),
        (HAPPY, _M, _OUT, {"issue_warranty", "send_deliverable", "chat"}),
    ],
)
def test_legal_moves_are_those_of_the_contract(facts: list[Fact], role: Role, now: int, expected: set[str]) -> None:
    assert _names(fold(facts), role, now) == expected


# --- returns

ASKED, APPROVED, BACK, ARRIVED = (
    _said(BUYER_KEY, "return/request", ReturnRequest(exchange=(ShippedLine(sku="SHIRT-S", quantity=2),)), 60, NOW + 10),
    _said(MERCHANT_KEY, "return/approve", ReturnAnswer(note="By post"), 61, NOW + 11),
    _said(BUYER_KEY, "return/sent", ReturnAnswer(tracking="R1"), 62, NOW + 12),
    _said(MERCHANT_KEY, "return/received", ReturnAnswer(), 63, NOW + 13),
)


@pytest.mark.parametrize(
    ("said", "buyer", "merchant"),
    [
        ((), {"request_return"}, set()),
        ((ASKED,), {"cancel_return"}, {"approve_return", "decline_return"}),
        ((ASKED, APPROVED), {"send_return", "cancel_return"}, {"receive_return"}),
        ((ASKED, APPROVED, BACK), set(), {"receive_return"}),
        ((ASKED, APPROVED, BACK, ARRIVED), {"request_return"}, set()),
    ],
)
def test_return_offers_each_side_its_own_next_step(said: tuple[Fact, ...], buyer: set[str], merchant: set[str]) -> None:
    state = fold([*_ARRIVED, *said])
    moves = {"request_return", "cancel_return", "send_return", "approve_return", "decline_return", "receive_return"}
    assert _names(state, "buyer", _IN) & moves == buyer
    assert _names(state, "merchant", _IN) & moves == merchant


def test_exchange_is_due_until_the_replacement_is_on_its_way() -> None:
    assert fold([*_ARRIVED, ASKED]).exchange == {}
    due = fold([*_ARRIVED, ASKED, APPROVED, BACK, ARRIVED])
    assert (due.exchange, due.return_) == ({"SHIRT-S": 2}, "closed")
    parcel = Shipment(commitment=bytes(32), replaces=True, lines=(ShippedLine(sku="SHIRT-S", quantity=2),))
    sent = fold([*_ARRIVED, ASKED, APPROVED, BACK, ARRIVED, _said(MERCHANT_KEY, "shipment", parcel, 64, NOW + 14)])
    assert sent.exchange == {}
    assert [line.fulfilled for line in sent.lines] == [0 for _ in sent.lines]


def test_answer_to_nothing_says_nothing() -> None:
    assert fold([*_ARRIVED, ARRIVED]).return_ == "none"
    assert fold([*_ARRIVED, ASKED, BACK]).return_parcel is None


def test_return_within_one_second_is_read_in_its_steps() -> None:
    said = [replace(each.message, issued=NOW + 20) for each in (ASKED, APPROVED, BACK, ARRIVED)]
    assert fold([*_ARRIVED, *(MessageFact(each) for each in reversed(said))]).return_parcel is not None


def _with(**changes: Any) -> Terms:
    return terms(**changes)


@pytest.mark.parametrize(
    ("agreed", "facts", "role", "now", "name", "legal"),
    [
        (_with(proof_required=True), _SENT, _B, _OUT, "reclaim", True),
        (_with(proof_required=True), _SENT, _M, _OUT, "claim", False),
        (_with(proof_required=True), _SENT, _M, _OUT, "dispute", True),
        (_with(proof_required=True), _SENT, _M, _OUT, "hand_over", True),
        (_with(delivery_code=NO_CODE), _SENT, _M, _IN, "hand_over", False),
        (_with(carrier=ARBITER), _SENT, _M, _IN, "prove_delivery", True),
        (_with(backup_arbiter=ARBITER), _FOUGHT, _B, _OUT, "escalate", True),
        (_with(backup_arbiter=ARBITER), _FOUGHT, _B, _OUT, "close_by_default", False),
        (_with(arbiter=ZERO_ADDRESS), _FOUGHT, _B, _OUT, "close_by_default", True),
    ],
)
def test_legal_moves_follow_the_terms(
    agreed: Terms, facts: list[Fact], role: Role, now: int, name: str, legal: bool
) -> None:
    chain = [fact for fact in facts if isinstance(fact, ChainFact)]
    assert (name in _names(fold(chain, agreed), role, now)) == legal


def test_settlement_is_acceptable_until_money_moves() -> None:
    offer = _said(BUYER_KEY, "settlement/propose", _SETTLE, 90)
    open_state = fold([*_ACCEPTED, offer])
    assert "accept_settlement" in _names(open_state, _M)
    assert "accept_settlement" not in _names(open_state, _B)
    assert "accept_settlement" not in _names(fold([*_ACCEPTED, offer, _paid(3, buyer=1)]), _M)


def test_action_says_until_when() -> None:
    by_name = {action.name: action for action in next_actions(fold(_SENT), _M, _IN)}
    assert by_name["dispute"].until == DEADLINE
    assert by_name["refund"].until is None
    accepted = {action.name: action for action in next_actions(fold(_ACCEPTED), _M, _IN)}
    assert accepted["ship"].until == FUNDED.at + terms().ship_within


# --- the tables ---------------------------------------------------------------------------------------------


def test_every_open_status_leads_to_closed() -> None:
    assert {row.source for row in TRANSITIONS if row.target == Status.CLOSED} == set(OPEN)


def test_each_event_has_one_target() -> None:
    targets = {(row.event, row.target) for row in TRANSITIONS}
    assert len(targets) == len({event for event, _ in targets})


def test_liveness_someone_alone_can_move_on_after_every_deadline() -> None:
    """The contract's third law, seen from the table: after the deadline a single party can finish or pass on."""
    for proof_required in (False, True):
        for backup in (ZERO_ADDRESS, ARBITER):
            agreed = terms(proof_required=proof_required, backup_arbiter=backup)
            for facts in (_OFFERED, _ACCEPTED, _SENT, _ARRIVED, _FOUGHT, _RAISED):
                chain = [fact for fact in facts if isinstance(fact, ChainFact)]
                state = fold(chain, agreed)
                moves = _names(state, "buyer", _OUT) | _names(state, "anyone", _OUT)
                assert moves & {"lapse", "reclaim", "claim", "escalate", "close_by_default"}, state.status


def test_every_need_of_the_table_is_defined_and_used() -> None:
    assert {need for rule in ACTIONS for need in rule.needs} == set(_NEEDS)


def test_every_way_to_close_has_a_word() -> None:
    for code, word in HOW.items():
        assert fold([FUNDED, event("Closed", 2, how=code)]).how == word
    assert fold([FUNDED, event("Closed", 2, how=99)]).how == "closed"
