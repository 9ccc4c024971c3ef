"""The warranty at its limits, and against tokens that call back."""

from __future__ import annotations

import pytest

from contracts.evm_market import (
    ARBITER,
    BUYER,
    DAY,
    NATIVE,
    OPERATOR,
    STRANGER,
    UNDERWRITER,
    Market,
    Reverted,
    text,
    word,
)
from contracts.test_escrow_attacks import Nasty, selector
from contracts.test_warranty import ACTIVE, CLAIMED, EVIDENCE, Desk, offer_sig
from halle_contracts import encode_call


@pytest.fixture
def desk(market: Market) -> Desk:
    return Desk(market)


def test_bond_tells_what_comes_and_goes(desk: Desk) -> None:
    place = {"underwriter": UNDERWRITER.address, "token": desk.token}
    assert desk.deposit(7).event("Deposited") == {**place, "amount": 7}
    withdrawn = desk.call(UNDERWRITER, "withdrawBond", desk.token, 7)
    assert withdrawn.event("BondWithdrawn") == {**place, "amount": 7}
    granted = desk.call(UNDERWRITER, "setOperatorCover", desk.token, 9)
    assert granted.event("OperatorCoverSet") == {**place, "cover": 9}


def test_bond_takes_up_to_128_bits_and_not_nothing(desk: Desk) -> None:
    with pytest.raises(Reverted, match="BadAmount"):
        desk.deposit(0)
    with pytest.raises(Reverted, match="BadAmount"):
        desk.deposit(2**128 - 1_000)
    desk.deposit(2**128 - 1_001)
    assert desk.bond() == (2**128 - 1, 0)
    desk.register(cover=2**128 - 1)
    assert desk.bond() == (2**128 - 1, 2**128 - 1)


def test_claims_tell_their_steps(desk: Desk) -> None:
    number = desk.register()
    deadline = desk.market.now + 5 * DAY
    opened = desk.call(BUYER, "openClaim", number, 3, EVIDENCE).event("ClaimOpened")
    assert opened == {"id": number, "claimNo": 1, "amount": 3, "evidence": EVIDENCE, "deadline": deadline}
    offered = desk.call(UNDERWRITER, "offer", number, EVIDENCE).event("OfferMade")
    assert offered == {"id": number, "offerHash": EVIDENCE, "deadline": deadline}
    assert desk.call(BUYER, "acceptOffer", number).event("OfferAccepted") == {"id": number}
    desk.call(BUYER, "openClaim", number, 3, EVIDENCE)
    assert desk.call(UNDERWRITER, "acceptClaim", number).event("ClaimAccepted") == {"id": number}
    assert desk.call(BUYER, "surrender", number).event("Expired") == {"id": number}


@pytest.mark.parametrize("changes", [{"respondWithin": 730 * DAY}, {"arbiterWithin": 730 * DAY}, {"arbiterWithin": 0}])
def test_register_takes_certificates_at_their_limits(desk: Desk, changes: dict[str, int]) -> None:
    assert desk.status(desk.register(**changes)) == ACTIVE


def test_register_takes_the_last_second_of_the_term_and_all_of_the_bond(desk: Desk) -> None:
    now = desk.market.now
    number = desk.register(startsAt=now - 1, endsAt=now, cover=1_000)
    desk.call(BUYER, "openClaim", number, 1_000, EVIDENCE)
    assert desk.status(number) == CLAIMED
    with pytest.raises(Reverted, match="BadCertificate"):
        desk.register(startsAt=now, endsAt=now)


def test_register_refuses_a_certificate_without_underwriter(desk: Desk) -> None:
    """Nobody can speak for the zero address; an offer signed by nobody is none either."""
    with pytest.raises(Reverted, match="NotAuthorised"):
        desk.register(underwriter=bytes(20))
    paper = desk.certificate(underwriter=bytes(20), premium=1)
    with pytest.raises(Reverted, match="BadSignature"):
        desk.call(BUYER, "buy", paper, desk.market.now, bytes(65))


def test_operator_commits_exactly_what_was_granted_until_it_expires(desk: Desk) -> None:
    desk.market.call(UNDERWRITER.address, "setOperator", OPERATOR.address, desk.market.now + DAY)
    desk.call(UNDERWRITER, "setOperatorCover", desk.token, 500)
    desk.market.wait(DAY)
    number = desk.register(by=OPERATOR)
    desk.call(BUYER, "openClaim", number, 100, EVIDENCE)
    desk.call(OPERATOR, "acceptClaim", number)
    assert desk.read("operatorCover", UNDERWRITER.address, desk.token) == 0
    desk.call(UNDERWRITER, "setOperatorCover", desk.token, 500)
    desk.market.wait(1)
    with pytest.raises(Reverted, match="NotAuthorised"):
        desk.register(by=OPERATOR)


def test_buy_wants_the_premium_in_full(desk: Desk) -> None:
    coins = Desk(desk.market, NATIVE)
    paper = coins.certificate(premium=30)
    now = coins.market.now
    sig = offer_sig(coins, coins.read("idOf", paper), now, UNDERWRITER)
    coins.market.give(NATIVE, BUYER.address, 100)
    with pytest.raises(Reverted, match="WrongPayment"):
        coins.call(BUYER, "buy", paper, now, sig, value=29)
    coins.call(BUYER, "buy", paper, now, sig, value=30)
    assert coins.bond() == (1_030, 400)


def test_accept_claim_wants_an_open_claim_and_takes_a_contested_one(desk: Desk) -> None:
    number = desk.register()
    with pytest.raises(Reverted, match="WrongClaimStatus"):
        desk.call(UNDERWRITER, "acceptClaim", number)
    desk.call(BUYER, "openClaim", number, 400, EVIDENCE)
    desk.call(UNDERWRITER, "contest", number, EVIDENCE)
    desk.call(UNDERWRITER, "acceptClaim", number)
    assert desk.paid() == 400
    with pytest.raises(Reverted, match="WrongClaimStatus"):
        desk.call(UNDERWRITER, "acceptClaim", number)


def test_offer_answers_an_open_claim_once(desk: Desk) -> None:
    number = desk.register()
    with pytest.raises(Reverted, match="WrongClaimStatus"):
        desk.call(UNDERWRITER, "offer", number, EVIDENCE)
    desk.call(BUYER, "openClaim", number, 1, EVIDENCE)
    desk.call(UNDERWRITER, "offer", number, EVIDENCE)
    with pytest.raises(Reverted, match="WrongClaimStatus"):
        desk.call(UNDERWRITER, "offer", number, EVIDENCE)


def test_two_guarded_calls_fit_into_one_transaction(desk: Desk) -> None:
    """As a smart account batches them: the guard is off again after the first."""
    desk.market.give(desk.token, UNDERWRITER.address, 2)
    data = encode_call("Warranty", "deposit", desk.token, 1)
    for _ in range(2):  # without the end of the transaction in between
        desk.market.evm.message_call(text(UNDERWRITER.address), text(desk.market.warranty), data)
    desk.market.evm.reset_transient_storage()
    assert desk.bond() == (1_002, 0)


# ── tokens that call back ───────────────────────────────────────────────────────────────────────────────────────

ENTRIES = ("deposit", "withdrawBond", "register", "buy", "acceptClaim", "payUnanswered", "ruleClaim", "withdraw")


@pytest.mark.parametrize(
    "inner", [*ENTRIES, "openClaim", "offer", "acceptOffer", "lapseOffer", "contest", "expire", "surrender"]
)
@pytest.mark.parametrize(
    "outer", ["deposit", "withdrawBond", "buy", "acceptClaim", "payUnanswered", "ruleClaim", "withdraw"]
)
def test_token_hook_cannot_reenter_the_warranty(market: Market, outer: str, inner: str) -> None:
    nasty = Nasty(market)
    desk = Desk(market, nasty.address)
    number, paper = desk.claimed(100), desk.certificate(premium=5)
    market.give(nasty.address, UNDERWRITER.address, 50)
    desk.deposit(20, by=STRANGER)  # leaves the allowance behind
    market.give(nasty.address, STRANGER.address, 50)
    if outer == "withdraw":
        nasty.tell("setBlocked(address,bool)", BUYER.address, word(1))
        desk.call(UNDERWRITER, "acceptClaim", number)
    if outer == "ruleClaim":
        desk.call(UNDERWRITER, "contest", number, EVIDENCE)
    if outer == "payUnanswered":
        market.wait(5 * DAY + 1)
    sig = offer_sig(desk, desk.read("idOf", paper), market.now, UNDERWRITER)
    calls: dict[str, tuple[object, ...]] = {
        "deposit": (nasty.address, 1),
        "withdrawBond": (nasty.address, 1),
        "register": (paper,),
        "buy": (paper, market.now, sig),
        "withdraw": (nasty.address, STRANGER.address),
        "acceptClaim": (number,),
        "payUnanswered": (number,),
        "ruleClaim": (number, 1),
        "openClaim": (number, 1, EVIDENCE),
        "offer": (number, EVIDENCE),
        "contest": (number, EVIDENCE),
        **dict.fromkeys(("acceptOffer", "lapseOffer", "expire", "surrender"), (number,)),
    }
    callers = {"buy": STRANGER, "payUnanswered": STRANGER, "withdraw": BUYER, "ruleClaim": ARBITER}
    nasty.hook(market.warranty, encode_call("Warranty", inner, *calls[inner]))
    desk.call(callers.get(outer, UNDERWRITER), outer, *calls[outer])
    reason = market.send(STRANGER.address, nasty.address, selector("hookResult()")).output
    assert selector("Reentered()") in reason
    assert not nasty.hook_worked()
