"""Tokens, receivers and callers that misbehave: nobody blocks or takes another's share."""

from __future__ import annotations

import pytest

from contracts.evm_market import (
    ARBITER,
    BUYER,
    DAY,
    MERCHANT,
    NATIVE,
    STRANGER,
    Market,
    Reverted,
    fixture_code,
    word,
)
from halle_contracts import encode_call, terms_tuple
from halle_protocol.keys import keccak256
from halle_protocol.terms import Terms

EVIDENCE = b"\xe0" * 32


def selector(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


def with_bytes(head: bytes, data: bytes) -> bytes:
    """Append one dynamic `bytes` argument to a call whose static arguments are in `head`."""
    offset = len(head) - 4 + 32
    return head + word(offset) + word(len(data)) + data + bytes(-len(data) % 32)


class Nasty:
    def __init__(self, market: Market) -> None:
        self.market = market
        self.address = market.deploy(fixture_code("NastyToken"))

    def tell(self, signature: str, *words: bytes) -> None:
        data = selector(signature) + b"".join(word.rjust(32, b"\0") for word in words)
        self.market.send(STRANGER.address, self.address, data)

    def hook(self, target: bytes, data: bytes) -> None:
        head = selector("setHook(address,bytes)") + target.rjust(32, b"\0")
        self.market.send(STRANGER.address, self.address, with_bytes(head, data))

    def hook_worked(self) -> bool:
        return any(self.market.send(STRANGER.address, self.address, selector("hookWorked()")).output)


@pytest.fixture
def nasty(market: Market) -> Nasty:
    return Nasty(market)


def disputed(market: Market, token: bytes) -> Terms:
    terms = market.terms(token=token)
    market.fund(terms)
    market.do(BUYER, "dispute", terms, EVIDENCE)
    return terms


@pytest.mark.parametrize("blocked", [BUYER, MERCHANT, ARBITER])
def test_blacklisted_party_gets_a_credit_and_blocks_nobody(market: Market, nasty: Nasty, blocked) -> None:  # type: ignore[no-untyped-def]
    terms = disputed(market, nasty.address)
    nasty.tell("setBlocked(address,bool)", blocked.address, word(1))
    receipt = market.do(ARBITER, "rule", terms, 5_000)
    due = {ARBITER: 20_000, BUYER: 490_000, MERCHANT: 490_000}
    assert receipt.event("Credited") == {
        "token": nasty.address,
        "account": blocked.address,
        "amount": due[blocked],
    }
    for person, amount in due.items():
        paid = market.balance(nasty.address, person.address)
        assert paid == (0 if person is blocked else amount)
    with pytest.raises(Reverted):
        market.call(blocked.address, "withdraw", nasty.address, blocked.address)
    market.call(blocked.address, "withdraw", nasty.address, STRANGER.address)
    assert market.balance(nasty.address, STRANGER.address) == due[blocked]


@pytest.mark.parametrize("mode", [1, 3, 4, 5], ids=["false", "burns gas", "returns a bomb", "reverts with a bomb"])
def test_token_that_stops_paying_leaves_credits(market: Market, nasty: Nasty, mode: int) -> None:
    terms = market.terms(token=nasty.address)
    market.fund(terms)
    nasty.tell("setMode(uint256)", word(mode))
    receipt = market.do(BUYER, "release", terms, terms.amount)
    assert market.credit(nasty.address, MERCHANT.address) == terms.amount
    assert receipt.gas_used < 700_000
    nasty.tell("setMode(uint256)", word(0))
    market.call(MERCHANT.address, "withdraw", nasty.address, MERCHANT.address)
    assert market.balance(nasty.address, MERCHANT.address) == terms.amount


def test_token_that_returns_nothing_is_paid_in_and_out(market: Market, nasty: Nasty) -> None:
    nasty.tell("setMode(uint256)", word(2))
    terms = market.terms(token=nasty.address)
    market.fund(terms)
    market.do(BUYER, "release", terms, terms.amount)
    assert market.balance(nasty.address, MERCHANT.address) == terms.amount
    assert market.credit(nasty.address, MERCHANT.address) == 0


@pytest.mark.parametrize(
    "function", ["fund", "release", "refund", "claimMany", "withdraw", "settle", "lapse", "reclaim"]
)
def test_token_hook_cannot_reenter_what_moves_money(market: Market, nasty: Nasty, function: str) -> None:
    """The token itself is the attacker's buyer, so that the hook's call would be authorised."""
    mine = market.terms(token=nasty.address, buyer=nasty.address, merchant=STRANGER.address)
    market.fund(mine, b"", sender=BUYER.address)
    args: dict[str, tuple[object, ...]] = {
        "fund": (terms_tuple(market.terms(token=nasty.address)), b""),
        "release": (terms_tuple(mine), nasty.address, 1),
        "refund": (terms_tuple(mine), nasty.address, 1),
        "claimMany": ([terms_tuple(mine)], [nasty.address]),
        "withdraw": (nasty.address, STRANGER.address),
        "settle": (terms_tuple(mine), nasty.address, 1, b"", b""),
        "lapse": (terms_tuple(mine), nasty.address),
        "reclaim": (terms_tuple(mine), nasty.address),
    }
    nasty.hook(market.escrow, encode_call("Escrow", function, *args[function]))
    victim = market.terms(token=nasty.address)
    market.fund(victim)
    assert not nasty.hook_worked()
    reason = market.send(STRANGER.address, nasty.address, selector("hookResult()")).output
    assert selector("Reentered()") in reason
    nasty.hook(bytes(20), b"")


def test_credit_cannot_be_withdrawn_twice_from_inside_the_token(market: Market, nasty: Nasty) -> None:
    terms = market.terms(token=nasty.address)
    market.fund(terms)
    market.fund(market.terms(token=nasty.address))
    nasty.tell("setBlocked(address,bool)", MERCHANT.address, word(1))
    market.do(BUYER, "release", terms, terms.amount)
    nasty.hook(market.escrow, encode_call("Escrow", "withdraw", nasty.address, STRANGER.address))
    market.call(MERCHANT.address, "withdraw", nasty.address, STRANGER.address)
    assert not nasty.hook_worked()
    with pytest.raises(Reverted, match="NothingToWithdraw"):
        market.call(MERCHANT.address, "withdraw", nasty.address, STRANGER.address)


@pytest.mark.parametrize("target", ["zero", "escrow"])
def test_withdraw_refuses_targets_that_lose_the_money(market: Market, nasty: Nasty, target: str) -> None:
    terms = market.terms(token=nasty.address)
    market.fund(terms)
    nasty.tell("setBlocked(address,bool)", MERCHANT.address, word(1))
    market.do(BUYER, "release", terms, terms.amount)
    to = bytes(20) if target == "zero" else market.escrow
    with pytest.raises(Reverted, match="NothingToWithdraw"):
        market.call(MERCHANT.address, "withdraw", nasty.address, to)


# ── native coin ─────────────────────────────────────────────────────────────────────────────────────────────────


def receiver(market: Market, mode: int) -> bytes:
    address = market.deploy(fixture_code("NastyReceiver"))
    market.send(STRANGER.address, address, selector("setMode(uint256)") + word(mode))
    return address


@pytest.mark.parametrize("mode", [1, 2, 3], ids=["reverts", "burns gas", "reverts with a bomb"])
def test_receiver_that_refuses_coins_gets_a_credit(market: Market, mode: int) -> None:
    merchant = receiver(market, mode)
    terms = market.terms(token=NATIVE, merchant=merchant)
    market.fund(terms, b"")
    accept = encode_call("Escrow", "accept", terms_tuple(terms), BUYER.address)
    act(market, merchant, market.escrow, accept)
    receipt = market.do(BUYER, "release", terms, terms.amount)
    assert market.credit(NATIVE, merchant) == terms.amount
    assert receipt.gas_used < 200_000
    act(market, merchant, market.escrow, encode_call("Escrow", "withdraw", NATIVE, STRANGER.address))
    assert market.balance(NATIVE, STRANGER.address) == terms.amount


def act(market: Market, account: bytes, target: bytes, data: bytes) -> None:
    head = selector("act(address,uint256,bytes)") + target.rjust(32, b"\0") + word(0)
    market.send(STRANGER.address, account, with_bytes(head, data))


@pytest.mark.parametrize("again", [True, False])
def test_receiver_of_coins_gains_nothing_by_calling_back(market: Market, again: bool) -> None:
    """From inside its payout a merchant claims the same order again, or another that is due anyway."""
    merchant = receiver(market, 4)
    terms, other = (market.terms(token=NATIVE, merchant=merchant) for _ in range(2))
    for order in (terms, other):
        market.fund(order, b"")
        act(market, merchant, market.escrow, encode_call("Escrow", "accept", terms_tuple(order), BUYER.address))
        act(market, merchant, market.escrow, encode_call("Escrow", "ship", terms_tuple(order), BUYER.address, EVIDENCE))
    market.wait(15 * DAY)
    claim = encode_call("Escrow", "claim", terms_tuple(terms if again else other), BUYER.address)
    head = selector("setHook(address,bytes)") + market.escrow.rjust(32, b"\0")
    market.send(STRANGER.address, merchant, with_bytes(head, claim))
    market.do(STRANGER, "claim", terms)
    paid = market.balance(NATIVE, merchant) + market.credit(NATIVE, merchant)
    closed = [order for order in (terms, other) if market.status(order) == "None"]
    assert paid == sum(order.amount for order in closed)
    assert closed[0] == terms
    if again:
        assert market.status(other) == "Shipped"


def test_coins_sent_without_an_order_are_refused(market: Market) -> None:
    market.give(NATIVE, STRANGER.address, 5)
    with pytest.raises(Reverted):
        market.send(STRANGER.address, market.escrow, b"", value=5)


def test_low_gas_cannot_turn_a_push_into_a_credit(market: Market) -> None:
    """Whoever calls with too little gas gets a revert, never a half-paid order."""
    terms = market.terms()
    market.fund(terms)
    data = encode_call("Escrow", "release", terms_tuple(terms), BUYER.address, terms.amount)
    for gas in range(40_000, 90_000, 500):
        try:
            market.send(BUYER.address, market.escrow, data, gas=gas)
        except Reverted:
            continue
        break
    assert market.balance(market.token, MERCHANT.address) == terms.amount
    assert market.credit(market.token, MERCHANT.address) == 0
