"""The node's own fold of an order against the contract on a real EVM.

After every call of a random sequence both must agree on state, deadline and every balance; and what the fold offers
as next actions must be exactly what the contract would let each side do.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import halle_contracts
from contracts.evm_market import (
    ARBITER,
    BACKUP,
    BUYER,
    CARRIER,
    CODE,
    DAY,
    HOUR,
    MERCHANT,
    NATIVE,
    OPERATOR,
    STRANGER,
    Account,
    Market,
    Receipt,
    Reverted,
    text,
    word,
)
from contracts.test_escrow_funding import PERMIT, RECEIVE, token_digest, vrs
from halle_protocol.keys import NO_CODE, ZERO_ADDRESS, keccak256
from halle_protocol.message_bodies import SettlementPropose
from halle_protocol.messages import sign_message
from halle_protocol.order import ChainFact, Fact, MessageFact, OrderState, fold, next_actions
from halle_protocol.order_table import ACTIONS, Role, Status
from halle_protocol.signing import sign
from halle_protocol.terms import Terms, release_digest, settlement_digest

SEQUENCES, STEPS, SLOTS = 70, 30, 2
PARCEL = b"\x9a" * 32
Arguments = Callable[["Case", Role], tuple[object, ...]]


@dataclass
class Case:
    """One order: what was asked of the contract, and the facts that came out of it."""

    market: Market
    terms: Terms
    signed: bool
    facts: list[Fact] = field(default_factory=list)
    calls: dict[tuple[object, ...], bytes] = field(default_factory=dict)
    folded: tuple[int, OrderState] = (-1, OrderState())

    @property
    def state(self) -> OrderState:
        if self.folded[0] != len(self.facts):
            self.folded = (len(self.facts), fold(self.facts, self.terms))
        return self.folded[1]

    @cached_property
    def order_id(self) -> bytes:
        return self.market.order_id(self.terms)

    @cached_property
    def quote(self) -> bytes:
        return self.market.signature(self.terms) if self.signed else b""

    def observe(self, receipt: Receipt) -> None:
        for name, args in receipt.events:
            place = (len(self.facts), 0)
            self.facts.append(ChainFact(name, args, self.market.now, "final", place))

    def calldata(self, function: str, *args: object) -> bytes:
        key = (function, *args)
        if key not in self.calls:
            head = (self.terms.as_tuple(),) if function == "fund" else (self.terms.as_tuple(), BUYER.address)
            self.calls[key] = halle_contracts.encode_call("Escrow", function, *head, *args)
        return self.calls[key]

    def settlement(self, share: int, paid_out: int) -> bytes:
        return settlement_digest(self.order_id, share, paid_out, self.market.chain_id, self.market.escrow)


@dataclass(frozen=True)
class Call:
    """How an action of the protocol is called on the contract."""

    function: str
    args: Arguments = lambda case, _: ()


def _settlement_args(case: Case, role: Role) -> tuple[object, ...]:
    """The other side's proposal with its signature, and our own; without a proposal a signature of nobody."""
    proposal = next((each for each in case.state.proposals if each.by != role), None)
    if proposal is None:
        return (0, bytes(65), bytes(65))
    mine = sign(
        (BUYER if role == "buyer" else MERCHANT).private, case.settlement(proposal.buyer_share, proposal.paid_out)
    )
    return (proposal.buyer_share, *((mine, proposal.sig) if role == "buyer" else (proposal.sig, mine)))


def _fund_args(case: Case, role: Role) -> tuple[object, ...]:
    return (case.quote,)


CALLS: dict[str, Call] = {
    "accept": Call("accept"),
    "decline": Call("refund", lambda case, _: (case.state.held,)),
    "approve": Call("fund", _fund_args),
    "lapse": Call("lapse"),
    "ship": Call("ship", lambda case, _: (PARCEL,)),
    "hand_over": Call("deliver", lambda case, _: (CODE,)),
    "prove_delivery": Call("deliverByCarrier", lambda case, _: (PARCEL,)),
    "claim": Call("claim"),
    "release": Call("release", lambda case, _: (case.state.held,)),
    "refund": Call("refund", lambda case, _: (case.state.held,)),
    "accept_settlement": Call("settle", _settlement_args),
    "reclaim": Call("reclaim"),
    "dispute": Call("dispute", lambda case, _: (bytes(32),)),
    "rule": Call("rule", lambda case, _: (4_000,)),
    "escalate": Call("escalate"),
    "close_by_default": Call("closeByDefault"),
}
ONWARD = {"accept", "approve", "ship", "hand_over", "prove_delivery", "dispute", "escalate"}
"""Moves that do not end an order; taken more often, so that every state is reached."""
OPERATED = {"decline", "ship", "refund", "dispute"}
"""Moves of the merchant that an operator may make as well."""
OTHER_WAYS = ("acceptBySig", "releaseBySig", "claimMany", "fundWithPermit", "fundWithAuthorization")
ELSEWHERE = {"issue_warranty"}
"""Actions on another contract: tests/contracts/test_warranty.py."""
PROPOSED = "propose_settlement"
NAMES = (*CALLS, PROPOSED)
STEP = st.fixed_dictionaries(
    {
        "slot": st.integers(0, SLOTS - 1),
        "legal": st.integers(0, 3),  # one in four is any call by anyone
        "pick": st.integers(0, 2**16),
        "part": st.sampled_from((1, 1, 2, 3)),
        "wait": st.sampled_from((0, 0, 0, 0, 1, HOUR, DAY, 5 * DAY)),
        "edge": st.integers(0, 3),
    }
)


def person(case: Case, role: Role, state: OrderState) -> Account | None:
    """Return who has the role; None when the terms name nobody."""
    if role != "arbiter":
        return {"buyer": BUYER, "merchant": MERCHANT}.get(role, STRANGER)
    who, address = (ARBITER, case.terms.arbiter)
    if state.status == Status.ESCALATED:
        who, address = (BACKUP, case.terms.backup_arbiter)
    return who if address != ZERO_ADDRESS else None


def allowed(state: OrderState, role: Role, now: int) -> set[str]:
    """Return the role's moves on the chain, with those that are anyone's."""
    sides: tuple[Role, ...] = (role, "anyone")
    moves = (action for side in sides for action in next_actions(state, side, now))
    return {action.name for action in moves if "chain" in action.channels} & set(CALLS)


@cache
def _hex_of(who: Account) -> str:
    return text(who.address)


def may(case: Case, by: Account, data: bytes, value: int = 0) -> bool:
    """Return whether the contract would do it, changing nothing."""
    evm, market = case.market.evm, case.market
    before = evm.snapshot()
    try:
        evm.message_call(_hex_of(by), text(market.escrow), data, value=value)
    except RuntimeError:
        return False
    finally:
        evm.revert(before)
        evm.reset_transient_storage()
    return True


def compare_actions(case: Case) -> None:
    """Both directions, for every role: what is offered works, what is not offered fails."""
    state, now = case.state, case.market.now
    for role in ("buyer", "merchant", "arbiter"):
        by = person(case, role, state)
        if by is None:
            continue
        offered = allowed(state, role, now)
        value = case.terms.amount if case.terms.token == NATIVE else 0
        found = set()
        for name, call in CALLS.items():
            data = case.calldata(call.function, *call.args(case, role))
            if name not in _not_theirs(state, role) and may(case, by, data, value if name == "approve" else 0):
                found.add(name)
        assert found == offered, (role, state.status, state.deadline, now, case.terms)


def _not_theirs(state: OrderState, role: Role) -> set[str]:
    """Calls the contract takes from more people, or in more states, than the move of that name means."""
    names = set()
    if role != "buyer":
        names.add("approve")  # whoever pays, it is the buyer's move
    if role == "arbiter":
        names.add("accept_settlement")  # a relay of both sides' signatures accepts nothing
    if state.status != Status.OFFERED:
        names.add("decline")  # the same call is named `refund` from there on
    return names


class Run:
    """A market with a few orders, driven step by step."""

    def __init__(self, seed: int) -> None:
        self.market = Market()
        self.market.call(MERCHANT.address, "setOperator", OPERATOR.address, 2**64 - 1)
        self.ways: Counter[bytes] = Counter()
        self.random = random.Random(seed)
        self.over: list[Case] = []
        self.open = [self._new() for _ in range(SLOTS)]
        self.serial = 0

    def _new(self) -> Case:
        rng = self.random
        carrier = rng.choice((ZERO_ADDRESS, CARRIER.address))
        code = rng.choice((NO_CODE, keccak256(CODE)))
        terms = self.market.terms(
            token=rng.choice((NATIVE, self.market.token)),
            amount=rng.choice((1, 2, 3, 7, 10_000, rng.randrange(1, 10**18))),
            arbiter=rng.choice((ZERO_ADDRESS, ARBITER.address, ARBITER.address)),
            backup_arbiter=rng.choice((ZERO_ADDRESS, BACKUP.address)),
            arbiter_fee_bps=rng.choice((0, 1, 250, 1_000)),
            default_buyer_bps=rng.choice((0, 3_333, 5_000, 10_000)),
            valid_until=self.market.now + rng.choice((DAY, 60 * DAY)),
            inspect_within=rng.choice((0, 4 * DAY)),
            carrier=carrier,
            delivery_code=code,
            proof_required=rng.random() < 0.5 and (carrier, code) != (ZERO_ADDRESS, NO_CODE),
        )
        case = Case(self.market, terms, signed=rng.random() < 0.6)
        self.market.supply(terms)
        shipment = halle_contracts.shipment_id(case.order_id, PARCEL)
        attested = halle_contracts.encode_call("DeliveryTracking", "attest", shipment, 6, self.market.now, bytes(32))
        self.market.send(CARRIER.address, self.market.tracking, attested, name="DeliveryTracking")
        return case

    def step(self, slot: int, legal: int, pick: int, part: int, wait: int, edge: int) -> None:
        case = self.open[slot]
        expired = case.state.status == Status.NONE and self.market.now > case.terms.valid_until
        if case.state.status == Status.CLOSED or expired:
            self.over.append(case)
            case = self.open[slot] = self._new()
        deadline = case.state.deadline
        if edge == 0 and deadline is not None and deadline >= self.market.now:
            self.market.until(deadline + pick % 2)  # the last second of the window, or the first after it
        else:
            self.market.wait(wait)
        role, name = self._choose(case, legal > 0, pick)
        if name == PROPOSED:
            self._propose(case, role, part)
        else:
            self._call(case, role, name, part)
        for each in self.open:
            self.compare(each)
        compare_actions(case)

    def _choose(self, case: Case, legal: bool, pick: int) -> tuple[Role, str]:
        state, now = case.state, self.market.now
        moves: dict[str, list[Role]] = {}
        for role in ("buyer", "merchant", "arbiter"):
            names = {action.name for action in next_actions(state, role, now)} & {PROPOSED}
            if person(case, role, state) is not None:
                for name in sorted(allowed(state, role, now) | names):
                    moves.setdefault(name, []).append(role)
        if not legal or not moves:
            moves = {name: ["buyer", "merchant", "arbiter", "anyone"] for name in CALLS}
        weighted = [name for name in moves for _ in range(6 if name in ONWARD else 1)]
        name = weighted[pick % len(weighted)]
        return self.random.choice(moves[name]), name

    def _propose(self, case: Case, role: Role, part: int) -> None:
        state = case.state
        share = state.held * part // 4
        by, to = (BUYER, MERCHANT) if role == "buyer" else (MERCHANT, BUYER)
        body = SettlementPropose(
            buyer_share=str(share),
            paid_out=str(state.paid_out),
            sig=sign(by.private, case.settlement(share, state.paid_out)),
        )
        self.serial += 1
        number = self.serial.to_bytes(16, "big")
        said = sign_message(
            by.private,
            id=number,
            thread=case.order_id,
            type="settlement/propose",
            sender=by.address,
            to=to.address,
            issued=self.market.now,
            body=body,
        )
        case.facts.append(MessageFact(said))

    def _call(self, case: Case, role: Role, name: str, part: int) -> None:
        """Call it with a part of what is held, where a part can be had."""
        by, call = person(case, role, case.state) or STRANGER, CALLS[name]
        if name == "approve":
            by = BUYER  # another's money would be right too, but the balances below count one payer
        args = call.args(case, role)
        if name in ("release", "refund"):
            args = (max(1, case.state.held * part // 3),)
        value = case.terms.amount if name == "approve" and case.terms.token == NATIVE else 0
        way = (by, case.calldata(call.function, *args), value)
        if by is not STRANGER:
            way = self.random.choice([way, *self._other_ways(case, role, name, args, value)])
        sender, data, value = way
        try:
            receipt = self.market.send(sender.address, self.market.escrow, data, value=value)
            case.observe(receipt)
        except Reverted:
            return
        finally:
            if name == "approve":  # a permit leaves its own allowance in the place of the unlimited one
                self.market.allow(case.terms.token)
        self.ways[data[:4]] += 1

    def _other_ways(
        self, case: Case, role: Role, name: str, args: tuple[object, ...], value: int
    ) -> list[tuple[Account, bytes, int]]:
        """Return every other call that is the same move: by signature, by an operator, in a batch, by a relayer."""
        market, terms = self.market, case.terms
        if name in OPERATED and role == "merchant":
            return [(OPERATOR, case.calldata(CALLS[name].function, *args), 0)]
        if name == "accept" and role == "merchant":
            by_sig = case.calldata("acceptBySig", market.signature(terms))
            return [(OPERATOR, case.calldata("accept"), 0), (STRANGER, by_sig, 0)]
        if name == "release" and role == "buyer":
            end = market.now + DAY
            place = (case.state.paid_out, end, market.chain_id, market.escrow)
            sig = sign(BUYER.private, release_digest(case.order_id, int(str(args[0])), *place))
            return [(STRANGER, case.calldata("releaseBySig", *args, end, sig), 0)]
        if name == "claim":
            batch = ([terms.as_tuple()], [BUYER.address])
            return [(STRANGER, halle_contracts.encode_call("Escrow", "claimMany", *batch), 0)]
        if name == "approve" and terms.token != NATIVE:
            return self._other_payments(case)
        return []

    def _other_payments(self, case: Case) -> list[tuple[Account, bytes, int]]:
        market, terms = self.market, case.terms
        amount, end = word(terms.amount), word(market.now + 1)
        nonce = market.read("TestToken", market.token, "nonces", BUYER.address)
        permit = token_digest(market, PERMIT, BUYER.address, market.escrow, amount, word(nonce), end)
        sent = (BUYER.address, market.escrow, amount, word(0), end, case.order_id)
        authorised = token_digest(market, RECEIVE, *sent)
        head = (terms.as_tuple(), case.quote)
        ways: list[tuple[Account, bytes, int]] = []
        for by, function, extra, digest in (
            (BUYER, "fundWithPermit", (market.now + 1,), permit),
            (STRANGER, "fundWithAuthorization", (BUYER.address, 0, market.now + 1), authorised),
        ):
            vrs_of = vrs(sign(BUYER.private, digest))
            ways.append((by, halle_contracts.encode_call("Escrow", function, *head, *extra, *vrs_of), 0))
        return ways

    def compare(self, case: Case) -> None:
        state = case.state
        assert not state.gaps
        shuffled = self.random.sample(case.facts, len(case.facts)) + case.facts[:1]
        assert fold(shuffled, case.terms) == state
        seen = self.market.order(case.terms)
        if state.status == Status.CLOSED:
            assert Status(seen["status"]) in (Status.CLOSED, Status.NONE)
            assert state.paid_out == case.terms.amount
        else:
            assert (seen["status"], seen["paidOut"]) == (state.status, state.paid_out)
            assert seen["deadline"] == (state.deadline or 0)

    def compare_balances(self) -> None:
        every = [*self.open, *self.over]
        for token in (NATIVE, self.market.token):
            mine = [(case, case.state) for case in every if case.terms.token == token]
            unspent = sum(case.terms.amount for case, state in mine if state.status == Status.NONE)
            shares = {
                self.market.escrow: sum(state.held for _, state in mine),
                BUYER.address: unspent + sum(state.paid_out_buyer for _, state in mine),
                MERCHANT.address: sum(state.paid_out_merchant for _, state in mine),
            }
            arbiters = sum(self.market.balance(token, each.address) for each in (ARBITER, BACKUP))
            assert arbiters == sum(state.paid_out_arbiter for _, state in mine)
            for account, share in shares.items():
                assert self.market.balance(token, account) == share


# Not shrunk: a sequence takes a tenth of a second or more; shrinking thousands takes longer than reading one.
@settings(
    max_examples=SEQUENCES,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**32), steps=st.lists(STEP, min_size=STEPS, max_size=STEPS))
@pytest.mark.timeout(300)
def test_fold_and_contract_agree_on_every_state_balance_and_move(seed: int, steps: list[dict[str, Any]]) -> None:
    run = Run(seed)
    for step in steps:
        run.step(**step)
        run.compare_balances()


def test_every_action_on_the_escrow_is_compared() -> None:
    on_chain = {rule.name for rule in ACTIONS if "chain" in rule.channels}
    assert on_chain - ELSEWHERE == set(CALLS)


def test_every_way_of_making_a_move_is_taken() -> None:
    """Signed, relayed, batched and operated moves are among the random ones, and work."""
    taken: Counter[bytes] = Counter()
    for seed in range(12):
        run, rng = Run(seed), random.Random(seed)
        for _ in range(STEPS):
            run.step(rng.randrange(SLOTS), 1, rng.randrange(2**16), rng.choice((1, 2, 3)), 0, rng.randrange(4))
            run.compare_balances()
        taken += run.ways
    missing = [name for name in OTHER_WAYS if not taken[halle_contracts.function_selector("Escrow", name)]]
    assert not missing
