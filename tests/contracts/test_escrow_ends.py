"""Release, refund, settlement and dispute: who may divide the money, and how."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.evm_market import (
    ARBITER,
    BACKUP,
    BUYER,
    CODE,
    DAY,
    HOUR,
    MERCHANT,
    OPERATOR,
    STRANGER,
    Account,
    Market,
    Reverted,
    fixture_code,
)
from halle_protocol.keys import ZERO_ADDRESS, keccak256
from halle_protocol.signing import sign
from halle_protocol.terms import Terms, release_digest, settlement_digest

EVIDENCE = b"\xe0" * 32
HELD = ("Accepted", "Shipped", "Delivered", "Disputed", "Escalated")


def brought_to(market: Market, status: str, **changes: object) -> Terms:
    """Return an order in the given status."""
    terms = market.terms(**changes)
    market.fund(terms, b"" if status == "Offered" else None)
    if status in ("Shipped", "Delivered", "Disputed", "Escalated"):
        market.do(MERCHANT, "ship", terms, EVIDENCE)
    if status == "Delivered":
        market.do(BUYER, "deliver", terms, CODE)
    if status in ("Disputed", "Escalated"):
        market.do(BUYER, "dispute", terms, EVIDENCE)
    if status == "Escalated":
        market.wait(terms.arbiter_within + 1)
        market.do(STRANGER, "escalate", terms)
    assert market.status(terms) == status
    return terms


# ── release and refund ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", HELD)
def test_release_pays_the_merchant_in_parts_whatever_the_status(market: Market, status: str) -> None:
    terms = brought_to(market, status)
    market.do(BUYER, "release", terms, 400_000)
    assert (market.status(terms), market.order(terms)["paidOut"]) == (status, 400_000)
    assert market.do(BUYER, "release", terms, 600_000).event("Closed")["how"] == 1
    assert market.balance(market.token, MERCHANT.address) == terms.amount


@pytest.mark.parametrize("status", ["Offered", *HELD])
def test_refund_pays_the_buyer_in_parts_whatever_the_status(market: Market, status: str) -> None:
    terms = brought_to(market, status)
    market.do(MERCHANT, "refund", terms, 1)
    assert market.status(terms) == status
    assert market.do(MERCHANT, "refund", terms, terms.amount - 1).event("Closed")["how"] == 3
    assert market.balance(market.token, BUYER.address) == terms.amount


@pytest.mark.parametrize("function", ["release", "refund"])
def test_release_and_refund_refuse_nothing_and_too_much(market: Market, function: str) -> None:
    terms = brought_to(market, "Shipped")
    by = BUYER if function == "release" else MERCHANT
    market.do(by, function, terms, 1)
    for amount in (0, terms.amount, 2**256 - 1):
        with pytest.raises(Reverted) as caught:
            market.do(by, function, terms, amount)
        assert (caught.value.name, caught.value.facts["held"]) == ("BadAmount", terms.amount - 1)


def test_release_and_refund_are_each_sides_own(market: Market) -> None:
    terms = brought_to(market, "Delivered")
    for person, function in ((MERCHANT, "release"), (STRANGER, "release"), (BUYER, "refund"), (ARBITER, "refund")):
        with pytest.raises(Reverted, match="NotAuthorised"):
            market.do(person, function, terms, 1)


def test_nothing_moves_once_an_order_is_closed(market: Market) -> None:
    closed, cleared = brought_to(market, "Shipped"), brought_to(market, "Shipped")
    market.do(BUYER, "release", closed, closed.amount)
    market.wait(HOUR + 1)
    market.do(BUYER, "release", cleared, cleared.amount)
    assert (market.status(closed), market.status(cleared)) == ("Closed", "None")
    market.wait(40 * DAY)
    calls: list[tuple[Account, str, tuple[object, ...]]] = [
        (BUYER, "release", (1,)), (MERCHANT, "refund", (1,)), (MERCHANT, "accept", ()), (STRANGER, "lapse", ()),
        (MERCHANT, "ship", (EVIDENCE,)), (BUYER, "deliver", (CODE,)), (BUYER, "deliverByCarrier", (EVIDENCE,)),
        (STRANGER, "claim", ()), (BUYER, "reclaim", ()), (BUYER, "dispute", (EVIDENCE,)),
        (STRANGER, "escalate", ()), (ARBITER, "rule", (0,)), (STRANGER, "closeByDefault", ()),
        (BUYER, "settle", (0, b"", b"")),
    ]  # fmt: skip
    for terms in (closed, cleared):
        for person, function, args in calls:
            with pytest.raises(Reverted, match="WrongStatus"):
                market.do(person, function, terms, *args)


def release_by_sig(market: Market, terms: Terms, amount: int, *, by: Account = BUYER, deadline: int = 0) -> None:
    deadline = deadline or market.now
    digest = release_digest(
        market.order_id(terms), amount, market.order(terms)["paidOut"], deadline, market.chain_id, market.escrow
    )
    market.do(STRANGER, "releaseBySig", terms, amount, deadline, sign(by.private, digest))


def test_release_by_sig_needs_no_gas_of_the_buyer(market: Market) -> None:
    terms = brought_to(market, "Shipped")
    release_by_sig(market, terms, 400_000)
    assert market.balance(market.token, MERCHANT.address) == 400_000


def test_release_by_sig_works_once(market: Market) -> None:
    terms = brought_to(market, "Shipped")
    digest = release_digest(market.order_id(terms), 1, 0, market.now, market.chain_id, market.escrow)
    sig = sign(BUYER.private, digest)
    market.do(STRANGER, "releaseBySig", terms, 1, market.now, sig)
    with pytest.raises(Reverted, match="BadSignature"):
        market.do(STRANGER, "releaseBySig", terms, 1, market.now, sig)


def test_release_by_sig_refuses_others_and_old_papers(market: Market) -> None:
    terms = brought_to(market, "Shipped")
    with pytest.raises(Reverted, match="BadSignature"):
        release_by_sig(market, terms, 1, by=MERCHANT)
    with pytest.raises(Reverted, match="TooLate"):
        release_by_sig(market, terms, 1, deadline=market.now - 1)


# ── settlement ──────────────────────────────────────────────────────────────────────────────────────────────────


def settlement(market: Market, terms: Terms, share: int, by: Account) -> bytes:
    paid = market.order(terms)["paidOut"]
    digest = settlement_digest(market.order_id(terms), share, paid, market.chain_id, market.escrow)
    return sign(by.private, digest)


@pytest.mark.parametrize("status", ["Offered", *HELD])
def test_settle_divides_as_both_signed_whatever_the_status(market: Market, status: str) -> None:
    terms = brought_to(market, status)
    sigs = settlement(market, terms, 250_000, BUYER), settlement(market, terms, 250_000, MERCHANT)
    assert market.do(STRANGER, "settle", terms, 250_000, *sigs).event("Closed")["how"] == 4
    assert market.balance(market.token, BUYER.address) == 250_000
    assert market.balance(market.token, MERCHANT.address) == 750_000


def test_settle_takes_the_callers_word_for_its_own_side(market: Market) -> None:
    terms, other = brought_to(market, "Shipped"), brought_to(market, "Shipped")
    market.do(BUYER, "settle", terms, 1, b"", settlement(market, terms, 1, MERCHANT))
    market.do(MERCHANT, "settle", other, 1, settlement(market, other, 1, BUYER), b"")
    assert market.balance(market.token, BUYER.address) == 2


def test_settle_takes_an_operators_signature(market: Market) -> None:
    market.call(MERCHANT.address, "setOperator", OPERATOR.address, market.now + DAY)
    terms = brought_to(market, "Shipped")
    market.do(BUYER, "settle", terms, 1, b"", settlement(market, terms, 1, OPERATOR))
    assert market.balance(market.token, MERCHANT.address) == terms.amount - 1


def test_settle_refuses_half_an_agreement(market: Market) -> None:
    terms, other = brought_to(market, "Shipped"), brought_to(market, "Shipped")
    buyer, merchant = settlement(market, terms, 5, BUYER), settlement(market, terms, 5, MERCHANT)
    for sigs in ((buyer, b""), (b"", merchant), (merchant, buyer), (buyer, buyer)):
        with pytest.raises(Reverted, match="BadSignature"):
            market.do(STRANGER, "settle", terms, 5, *sigs)
    for order, share in ((terms, 6), (other, 5)):
        with pytest.raises(Reverted, match="BadSignature"):
            market.do(STRANGER, "settle", order, share, buyer, merchant)


def test_settle_refuses_an_agreement_from_before_a_part_payment(market: Market) -> None:
    terms = brought_to(market, "Shipped")
    sigs = settlement(market, terms, 5, BUYER), settlement(market, terms, 5, MERCHANT)
    market.do(MERCHANT, "refund", terms, 1)
    with pytest.raises(Reverted, match="BadSignature"):
        market.do(STRANGER, "settle", terms, 5, *sigs)


def test_settle_refuses_more_than_is_held(market: Market) -> None:
    terms = brought_to(market, "Shipped")
    with pytest.raises(Reverted, match="BadAmount"):
        market.do(BUYER, "settle", terms, terms.amount + 1, b"", b"")


def test_smart_account_buyer_agrees_by_contract(market: Market) -> None:
    buyer = market.deploy(fixture_code("SmartAccount"))
    terms = market.terms(buyer=buyer)
    market.fund(terms)
    digest = settlement_digest(market.order_id(terms), 5, 0, market.chain_id, market.escrow)
    with pytest.raises(Reverted, match="BadSignature"):
        market.do(MERCHANT, "settle", terms, 5, b"", b"")
    market.send(BUYER.address, buyer, keccak256(b"approve(bytes32,bool)")[:4] + digest + (1).to_bytes(32, "big"))
    market.do(MERCHANT, "settle", terms, 5, b"", b"")
    assert market.balance(market.token, buyer) == 5


# ── disputes ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", ["Accepted", "Shipped", "Delivered"])
@pytest.mark.parametrize("by", [BUYER, MERCHANT])
def test_dispute_stops_the_clock_for_either_side(market: Market, status: str, by: Account) -> None:
    terms = brought_to(market, status)
    event = market.do(by, "dispute", terms, EVIDENCE).event("Disputed")
    assert (event["by"], event["evidence"]) == (by.address, EVIDENCE)
    assert event["deadline"] == market.now + terms.arbiter_within
    market.wait(40 * DAY)
    with pytest.raises(Reverted, match="WrongStatus"):
        market.do(MERCHANT, "claim", terms)


@pytest.mark.parametrize("status", ["Accepted", "Shipped", "Delivered"])
@pytest.mark.parametrize("by", [BUYER, MERCHANT])
def test_dispute_after_the_deadline_is_refused(market: Market, status: str, by: Account) -> None:
    terms = brought_to(market, status)
    market.until(market.order(terms)["deadline"] + 1)
    with pytest.raises(Reverted, match="TooLate"):
        market.do(by, "dispute", terms, EVIDENCE)


def test_dispute_is_for_the_two_sides_and_while_money_is_held(market: Market) -> None:
    terms, offer, twice = (brought_to(market, status) for status in ("Shipped", "Offered", "Disputed"))
    for person in (STRANGER, ARBITER):
        with pytest.raises(Reverted, match="NotAuthorised"):
            market.do(person, "dispute", terms, EVIDENCE)
    for order in (offer, twice):
        with pytest.raises(Reverted, match="WrongStatus"):
            market.do(BUYER, "dispute", order, EVIDENCE)


def test_merchant_without_required_proof_may_dispute_until_the_buyer_reclaims(market: Market) -> None:
    terms, taken = (brought_to(market, "Shipped", proof_required=True) for _ in range(2))
    market.wait(terms.deliver_within + 1)
    with pytest.raises(Reverted, match="TooLate"):
        market.do(BUYER, "dispute", terms, EVIDENCE)
    market.do(MERCHANT, "dispute", terms, EVIDENCE)
    market.do(BUYER, "reclaim", taken)
    with pytest.raises(Reverted, match="WrongStatus"):
        market.do(MERCHANT, "dispute", taken, EVIDENCE)
    with pytest.raises(Reverted, match="WrongStatus"):
        market.do(BUYER, "reclaim", terms)


@given(
    amount=st.integers(1, 2**128 - 1),
    paid=st.integers(0, 2**128 - 1),
    fee_bps=st.integers(0, 1_000),
    buyer_bps=st.integers(0, 10_000),
)
@settings(max_examples=40, deadline=None)
def test_rule_divides_exactly_what_is_held(amount: int, paid: int, fee_bps: int, buyer_bps: int) -> None:
    market = Market()
    terms = brought_to(market, "Disputed", amount=amount, arbiter_fee_bps=fee_bps)
    paid = paid % amount
    if paid:
        market.do(MERCHANT, "refund", terms, paid)
    receipt = market.do(ARBITER, "rule", terms, buyer_bps)
    held = amount - paid
    fee = held * fee_bps // 10_000
    to_buyer = (held - fee) * buyer_bps // 10_000
    event = receipt.event("Paid")
    assert (event["toArbiter"], event["toBuyer"]) == (fee, to_buyer)
    assert event["toMerchant"] == held - fee - to_buyer
    assert market.balance(market.token, ARBITER.address) == fee
    assert market.balance(market.token, BUYER.address) == paid + to_buyer
    assert market.balance(market.token, MERCHANT.address) == held - fee - to_buyer
    assert market.balance(market.token, market.escrow) == 0


def test_rule_is_the_arbiters_in_time_and_in_range(market: Market) -> None:
    terms = brought_to(market, "Disputed")
    for person in (BUYER, MERCHANT, BACKUP, STRANGER):
        with pytest.raises(Reverted, match="NotAuthorised"):
            market.do(person, "rule", terms, 5_000)
    with pytest.raises(Reverted, match="BadAmount"):
        market.do(ARBITER, "rule", terms, 10_001)
    market.wait(terms.arbiter_within + 1)
    with pytest.raises(Reverted, match="TooLate"):
        market.do(ARBITER, "rule", terms, 5_000)


def test_rule_needs_a_dispute(market: Market) -> None:
    terms = brought_to(market, "Delivered")
    with pytest.raises(Reverted, match="WrongStatus"):
        market.do(ARBITER, "rule", terms, 5_000)


def test_escalate_hands_a_silent_arbiters_case_to_the_backup(market: Market) -> None:
    terms = brought_to(market, "Disputed")
    market.wait(terms.arbiter_within)
    with pytest.raises(Reverted, match="TooEarly"):
        market.do(STRANGER, "escalate", terms)
    market.wait(1)
    event = market.do(STRANGER, "escalate", terms).event("Escalated")
    assert event["deadline"] == market.now + terms.arbiter_within
    with pytest.raises(Reverted, match="NotAuthorised"):
        market.do(ARBITER, "rule", terms, 0)
    assert market.do(BACKUP, "rule", terms, 10_000).event("Closed")["how"] == 7
    assert market.balance(market.token, BACKUP.address) == 20_000
    assert market.balance(market.token, BUYER.address) == 980_000


def test_escalate_needs_a_backup_arbiter(market: Market) -> None:
    terms = brought_to(market, "Disputed", backup_arbiter=ZERO_ADDRESS)
    market.wait(terms.arbiter_within + 1)
    with pytest.raises(Reverted, match="BadTerms"):
        market.do(STRANGER, "escalate", terms)


@pytest.mark.parametrize("status", ["Disputed", "Escalated"])
def test_close_by_default_ends_what_nobody_ruled(market: Market, status: str) -> None:
    backup = ZERO_ADDRESS if status == "Disputed" else BACKUP.address
    terms = brought_to(market, status, backup_arbiter=backup, default_buyer_bps=3_000)
    market.wait(terms.arbiter_within)
    with pytest.raises(Reverted, match="TooEarly"):
        market.do(STRANGER, "closeByDefault", terms)
    market.wait(1)
    assert market.do(STRANGER, "closeByDefault", terms).event("Closed")["how"] == 8
    assert market.balance(market.token, BUYER.address) == 300_000
    assert market.balance(market.token, MERCHANT.address) == 700_000


def test_close_by_default_waits_for_the_backup_arbiter(market: Market) -> None:
    terms = brought_to(market, "Disputed")
    market.wait(terms.arbiter_within + 1)
    with pytest.raises(Reverted, match="WrongStatus"):
        market.do(STRANGER, "closeByDefault", terms)


def test_dispute_without_any_arbiter_ends_by_default(market: Market) -> None:
    terms = brought_to(market, "Disputed", arbiter=ZERO_ADDRESS, backup_arbiter=ZERO_ADDRESS)
    market.wait(terms.arbiter_within + 1)
    market.do(STRANGER, "closeByDefault", terms)
    assert market.balance(market.token, BUYER.address) == 500_000
