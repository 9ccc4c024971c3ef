"""The last second, the last unit, the last check: each test here is one that a changed contract once passed without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.evm_market import (
    ARBITER,
    BACKUP,
    BUYER,
    CODE,
    DAY,
    MERCHANT,
    OPERATOR,
    STRANGER,
    Account,
    Market,
    Reverted,
    fixture_code,
    word,
)
from contracts.test_escrow_attacks import Nasty, selector, with_bytes
from contracts.test_escrow_funding import authorise, permit
from halle_contracts import TERMS_FIELDS, encode_call, terms_tuple
from halle_protocol.keys import ZERO_ADDRESS
from halle_protocol.signing import sign
from halle_protocol.terms import Terms, release_digest, settlement_digest


def authorising(market: Market) -> Nasty:
    nasty = Nasty(market)
    nasty.address = market.deploy(fixture_code("AuthorisingToken"))
    return nasty


def test_permit_and_authorization_take_exactly_the_price(market: Market) -> None:
    for function in ("fundWithPermit", "fundWithAuthorization"):
        terms = market.terms()
        market.give(market.token, BUYER.address, terms.amount + 5)
        held = market.balance(market.token, market.escrow)
        paper = permit(market, terms) if function == "fundWithPermit" else None
        args = paper or authorise(market, market.order_id(terms), terms.amount)
        market.call(BUYER.address, function, terms_tuple(terms), market.signature(terms), *args)
        market.funded.append((terms, BUYER.address))
        assert market.balance(market.token, market.escrow) == held + terms.amount


def test_authorization_of_a_token_that_keeps_a_fee_is_refused(market: Market) -> None:
    nasty = authorising(market)
    terms = market.terms(token=nasty.address)
    market.give(nasty.address, BUYER.address, terms.amount)
    nasty.tell("setFee(uint256)", word(100))
    args = (BUYER.address, 0, market.now + 1, 27, bytes(32), bytes(32))
    with pytest.raises(Reverted, match="WrongPayment"):
        market.call(STRANGER.address, "fundWithAuthorization", terms_tuple(terms), b"", *args)


@pytest.mark.parametrize("function", ["fundWithPermit", "fundWithAuthorization"])
def test_token_hook_cannot_fund_a_second_order_with_one_payment(market: Market, function: str) -> None:
    """While one payment is measured no other may be: both would count the same money."""
    nasty = authorising(market)
    outer, inner = (market.terms(token=nasty.address, buyer=ZERO_ADDRESS) for _ in range(2))
    market.supply(outer)
    nasty.hook(market.escrow, encode_call("Escrow", "fund", terms_tuple(inner), b""))
    late = (market.now + 1, 27, bytes(32), bytes(32))
    args = late if function == "fundWithPermit" else (BUYER.address, 0, *late)
    market.call(BUYER.address, function, terms_tuple(outer), b"", *args)
    reason = market.send(STRANGER.address, nasty.address, selector("hookResult()")).output
    assert selector("Reentered()") in reason
    nasty.hook(bytes(20), b"")


@pytest.mark.parametrize("function", ["claim", "releaseBySig", "rule", "closeByDefault"])
def test_token_hook_cannot_pay_out_while_a_payment_is_measured(market: Market, function: str) -> None:
    """Beside the calls in test_escrow_attacks.py."""
    nasty = Nasty(market)
    mine = market.terms(token=nasty.address)
    market.fund(mine, b"")
    args: dict[str, tuple[object, ...]] = {
        "rule": (1,),
        "releaseBySig": (1, market.now, bytes(65)),
    }
    data = encode_call("Escrow", function, terms_tuple(mine), BUYER.address, *args.get(function, ()))
    nasty.hook(market.escrow, data)
    market.fund(market.terms(token=nasty.address))
    reason = market.send(STRANGER.address, nasty.address, selector("hookResult()")).output
    assert selector("Reentered()") in reason
    nasty.hook(bytes(20), b"")


@pytest.mark.parametrize("changes", [{"amount": 2**128 - 1}, {"arbiter_fee_bps": 1_000}, {"default_buyer_bps": 10_000}])
def test_fund_takes_terms_at_their_limits(market: Market, changes: dict[str, int]) -> None:
    terms = market.terms(**changes)
    market.fund(terms)
    market.do(BUYER, "release", terms, terms.amount)
    assert market.balance(market.token, MERCHANT.address) == terms.amount


@pytest.mark.parametrize("name", ["acceptWithin", "shipWithin", "deliverWithin", "inspectWithin", "arbiterWithin"])
def test_fund_takes_the_longest_window(market: Market, name: str) -> None:
    values = dict(zip(TERMS_FIELDS, terms_tuple(market.terms()), strict=True)) | {name: 2**26 - 1}
    market.give(market.token, BUYER.address, 10**6)
    market.send(BUYER.address, market.token, encode_call("TestToken", "approve", market.escrow, 10**6))
    assert market.call(BUYER.address, "fund", values, b"").event("Funded")


@pytest.mark.parametrize("field", ["merchant", "buyer", "arbiter", "backupArbiter"])
def test_fund_refuses_the_escrow_itself_as_a_party(market: Market, field: str) -> None:
    values = dict(zip(TERMS_FIELDS, terms_tuple(market.terms()), strict=True)) | {field: market.escrow}
    with pytest.raises(Reverted) as caught:
        market.call(BUYER.address, "fund", values, b"")
    assert (caught.value.name, caught.value.facts) == ("BadTerms", {"field": field})


def test_accept_by_sig_refuses_whoever_is_not_the_merchant(market: Market) -> None:
    terms = market.terms()
    market.fund(terms, b"")
    for sig in (
        market.signature(terms, STRANGER),
        market.signature(replace(terms, amount=terms.amount + 1)),
        bytes(65),
    ):
        with pytest.raises(Reverted, match="BadSignature"):
            market.do(STRANGER, "acceptBySig", terms, sig)


def test_accept_by_sig_is_too_late_after_the_window(market: Market) -> None:
    terms = market.terms()
    market.fund(terms, b"")
    market.wait(terms.accept_within + 1)
    with pytest.raises(Reverted, match="TooLate"):
        market.do(STRANGER, "acceptBySig", terms, market.signature(terms))


def test_operator_acts_in_its_last_second_and_not_after(market: Market) -> None:
    terms, late = market.terms(), market.terms()
    for each in (terms, late):
        market.fund(each, b"")
    market.call(MERCHANT.address, "setOperator", OPERATOR.address, market.now + DAY)
    market.wait(DAY)
    market.do(OPERATOR, "accept", terms)
    market.wait(1)
    with pytest.raises(Reverted, match="NotAuthorised"):
        market.do(OPERATOR, "accept", late)


def test_deliver_by_carrier_refuses_terms_without_a_carrier(market: Market) -> None:
    """Nobody is no carrier, even if somebody attests with the zero address' storage still empty."""
    terms = market.terms(carrier=ZERO_ADDRESS)
    market.fund(terms)
    market.do(MERCHANT, "ship", terms, b"\x9a" * 32)
    with pytest.raises(Reverted, match="NotDelivered"):
        market.do(BUYER, "deliverByCarrier", terms, b"\x9a" * 32)


def test_claim_many_skips_what_is_due_only_a_second_later(market: Market) -> None:
    terms = market.terms()
    market.fund(terms)
    market.do(MERCHANT, "ship", terms, bytes(32))
    market.until(market.order(terms)["deadline"])
    batch = ([terms_tuple(terms)], [BUYER.address])
    assert not any(market.call(STRANGER.address, "claimMany", *batch).output)
    market.wait(1)
    market.call(STRANGER.address, "claimMany", *batch)
    assert market.balance(market.token, MERCHANT.address) == terms.amount


def test_claim_many_pays_one_merchant_in_each_token_of_its_own(market: Market) -> None:
    """Neighbours in a batch share one payment only if merchant and token are the same."""
    orders = [market.terms(token=token) for token in (market.token, market.token, bytes(20), market.token)]
    for terms in orders:
        market.fund(terms)
        market.do(MERCHANT, "ship", terms, bytes(32))
    market.wait(15 * DAY)
    batch = ([terms_tuple(terms) for terms in orders], [BUYER.address] * 4)
    paid = int.from_bytes(market.call(STRANGER.address, "claimMany", *batch).output, "big")
    assert paid == 4
    assert market.balance(market.token, MERCHANT.address) == 3_000_000
    assert market.balance(bytes(20), MERCHANT.address) == 1_000_000


def test_withdraw_tells_who_took_what_where(market: Market) -> None:
    nasty = Nasty(market)
    terms = market.terms(token=nasty.address)
    market.fund(terms)
    nasty.tell("setBlocked(address,bool)", MERCHANT.address, word(1))
    market.do(BUYER, "release", terms, terms.amount)
    event = market.call(MERCHANT.address, "withdraw", nasty.address, STRANGER.address).event("Withdrawn")
    assert event == {
        "token": nasty.address,
        "account": MERCHANT.address,
        "to": STRANGER.address,
        "amount": terms.amount,
    }


def test_withdraw_of_coins_reverts_when_the_target_refuses(market: Market) -> None:
    """A credit asked for is paid or kept, never lost."""
    refusing = market.deploy(fixture_code("NastyReceiver"))
    market.send(STRANGER.address, refusing, selector("setMode(uint256)") + word(1))
    terms = market.terms(token=bytes(20), buyer=refusing)
    market.fund(terms, b"")
    market.wait(terms.accept_within + 1)
    market.do(STRANGER, "lapse", terms)
    back = encode_call("Escrow", "withdraw", bytes(20), refusing)
    head = selector("act(address,uint256,bytes)") + market.escrow.rjust(32, b"\0") + word(0)
    with pytest.raises(Reverted, match="PushFailed"):
        market.send(STRANGER.address, refusing, with_bytes(head, back))
    assert market.credit(bytes(20), refusing) == terms.amount


def test_a_release_or_a_settlement_is_worth_nothing_for_another_order_or_function(market: Market) -> None:
    mine, other = market.terms(), market.terms()
    for terms in (mine, other):
        market.fund(terms)
    deadline = market.now + DAY
    place = (market.chain_id, market.escrow)
    released = sign(BUYER.private, release_digest(market.order_id(mine), 5, 0, deadline, *place))
    settled = [sign(by.private, settlement_digest(market.order_id(mine), 5, 0, *place)) for by in (BUYER, MERCHANT)]
    with pytest.raises(Reverted, match="BadSignature"):
        market.do(STRANGER, "releaseBySig", other, 5, deadline, released)
    with pytest.raises(Reverted, match="BadSignature"):
        market.do(STRANGER, "settle", other, 5, *settled)
    with pytest.raises(Reverted, match="BadSignature"):
        market.do(STRANGER, "releaseBySig", mine, 5, deadline, settled[0])
    with pytest.raises(Reverted, match="BadSignature"):
        market.do(STRANGER, "settle", mine, 5, released, settled[1])
    with pytest.raises(Reverted, match="BadSignature"):
        market.do(STRANGER, "acceptBySig", _offered(market), settled[1])
    twins = [sig[:32] + (2**256 - 2**32).to_bytes(32, "big") + sig[64:] for sig in settled]
    with pytest.raises(Reverted, match="BadSignature"):
        market.do(STRANGER, "settle", mine, 5, *twins)


def _offered(market: Market) -> Terms:
    terms = market.terms()
    market.fund(terms, b"")
    return terms


# ── arbiters that collude ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", ["Offered", "Accepted", "Shipped", "Delivered", "Disputed"])
@pytest.mark.parametrize("judge", [ARBITER, BACKUP], ids=["arbiter", "backup"])
def test_arbiters_can_do_nothing_but_rule_when_it_is_their_turn(market: Market, status: str, judge: Account) -> None:
    """Whoever bribes an arbiter buys a split of one disputed order, and no other call."""
    terms = market.terms()
    market.fund(terms, b"" if status == "Offered" else None)
    if status in ("Shipped", "Delivered"):
        market.do(MERCHANT, "ship", terms, bytes(32))
    if status == "Delivered":
        market.do(STRANGER, "deliver", terms, CODE)
    if status == "Disputed":
        market.do(BUYER, "dispute", terms, bytes(32))
    before = market.order(terms)
    mine = sign(judge.private, settlement_digest(market.order_id(terms), 0, 0, market.chain_id, market.escrow))
    tries: dict[str, tuple[object, ...]] = {
        "release": (1,),
        "refund": (1,),
        "settle": (0, mine, mine),
        "dispute": (bytes(32),),
        "ship": (bytes(32),),
        **dict.fromkeys(("accept", "lapse", "claim", "reclaim", "escalate", "closeByDefault"), ()),
    }
    if (judge, status) != (ARBITER, "Disputed"):
        tries["rule"] = (0,)
    for function, args in tries.items():
        with pytest.raises(Reverted):
            market.do(judge, function, terms, *args)
    assert market.order(terms) == before


@pytest.mark.parametrize("bps", [0, 10_000])
def test_arbiter_that_was_bribed_gets_its_fee_and_no_more(market: Market, bps: int) -> None:
    terms, other = market.terms(), market.terms()
    for each in (terms, other):
        market.fund(each)
    market.do(MERCHANT, "dispute", terms, bytes(32))
    market.do(ARBITER, "rule", terms, bps)
    fee = terms.amount * terms.arbiter_fee_bps // 10_000
    assert market.balance(market.token, ARBITER.address) == fee
    loser, winner = (BUYER, MERCHANT) if bps == 0 else (MERCHANT, BUYER)
    assert market.balance(market.token, winner.address) == terms.amount - fee
    assert market.balance(market.token, loser.address) == 0
    assert market.status(other) == "Accepted"
    with pytest.raises(Reverted):
        market.do(ARBITER, "rule", terms, bps)
