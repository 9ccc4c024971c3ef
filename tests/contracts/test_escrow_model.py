"""The escrow against a model of it: any calls, by anyone, at any time, must do what the interface's table says.

A call works exactly when the model finds no reason against it, and else fails for one of the reasons found.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

import halle_contracts
from contracts.evm_market import (
    ARBITER,
    BACKUP,
    BUYER,
    CODE,
    DAY,
    MERCHANT,
    NATIVE,
    STRANGER,
    Account,
    Market,
    Reverted,
)
from halle_protocol.keys import ZERO_ADDRESS
from halle_protocol.signing import sign
from halle_protocol.terms import Terms, settlement_digest

PEOPLE = (BUYER, MERCHANT, ARBITER, BACKUP, STRANGER)
# Where an order may go, and which of the calls only work when its time is over.
COURSES = {
    "Offered": ("accept", "accept", "accept", "lapse"),
    "Accepted": ("ship", "ship", "ship", "deliver", "dispute", "dispute", "reclaim", "refund"),
    "Shipped": ("deliver", "deliver", "dispute", "dispute", "claim", "reclaim", "release"),
    "Delivered": ("dispute", "dispute", "claim", "settle"),
    "Disputed": ("judge", "escalate", "escalate", "close_by_default"),
    "Escalated": ("judge", "close_by_default"),
}
AFTER = ("lapse", "reclaim", "claim", "escalate", "close_by_default")
OPEN = ("Offered", "Accepted", "Shipped", "Delivered", "Disputed", "Escalated")


def only(by: Account, *people: Account | None) -> set[str]:
    return set() if by in people else {"NotAuthorised"}


@dataclass
class Modelled:
    """What the table of IEscrow says about one order."""

    terms: Terms
    status: str
    deadline: int
    paid: int = 0
    to_buyer: int = 0
    to_merchant: int = 0
    to_arbiter: int = 0

    @property
    def held(self) -> int:
        return self.terms.amount - self.paid if self.status in OPEN else 0

    def not_in(self, *statuses: str) -> set[str]:
        return set() if self.status in statuses else {"WrongStatus"}

    def late(self, now: int) -> set[str]:
        return {"TooLate"} if now > self.deadline else set()

    def early(self, now: int) -> set[str]:
        return {"TooEarly"} if now <= self.deadline else set()

    def not_within(self, amount: int) -> set[str]:
        return set() if 0 < amount <= self.held else {"BadAmount"}

    def pay(self, buyer: int, merchant: int, arbiter: int = 0) -> None:
        self.to_buyer += buyer
        self.to_merchant += merchant
        self.to_arbiter += arbiter
        self.paid += buyer + merchant + arbiter
        if self.paid == self.terms.amount:
            self.status = "Closed"

    def enter(self, status: str, deadline: int) -> None:
        self.status, self.deadline = status, deadline


class EscrowModel(RuleBasedStateMachine):
    orders: Bundle[Modelled] = Bundle("orders")

    @initialize()
    def open_market(self) -> None:
        self.market = Market()
        self.known: list[Modelled] = []
        self.worked: Counter[str] = Counter()

    @rule(
        target=orders,
        amount=st.integers(1, 10**12),
        signed=st.booleans(),
        native=st.booleans(),
        proof=st.booleans(),
        backup=st.booleans(),
        fee=st.integers(0, 1_000),
        default=st.integers(0, 10_000),
    )
    def fund(
        self, amount: int, signed: bool, native: bool, proof: bool, backup: bool, fee: int, default: int
    ) -> Modelled:
        market = self.market
        terms = market.terms(
            amount=amount,
            token=NATIVE if native else market.token,
            proof_required=proof,
            backup_arbiter=BACKUP.address if backup else ZERO_ADDRESS,
            arbiter_fee_bps=fee,
            default_buyer_bps=default,
        )
        market.fund(terms, None if signed else b"")
        window = terms.ship_within if signed else terms.accept_within
        order = Modelled(terms, "Accepted" if signed else "Offered", market.now + window)
        self.known.append(order)
        return order

    def attempt(self, reasons: set[str], by: Account, function: str, order: Modelled, *args: object) -> bool:
        """Call, and check that the contract allows exactly what the model allows."""
        failure = ""
        try:
            self.market.do(by, function, order.terms, *args)
        except Reverted as exc:
            failure = exc.name
        assert bool(failure) == bool(reasons), (function, failure, reasons, order, self.market.now)
        assert failure in (reasons or {""}), (function, failure, reasons, order)
        self.worked[function] += not failure
        return not failure

    @rule(order=orders, by=st.sampled_from(PEOPLE))
    def accept(self, order: Modelled, by: Account) -> None:
        reasons = order.not_in("Offered") | order.late(self.market.now) | only(by, MERCHANT)
        if self.attempt(reasons, by, "accept", order):
            order.enter("Accepted", self.market.now + order.terms.ship_within)

    @rule(order=orders, by=st.sampled_from(PEOPLE))
    def lapse(self, order: Modelled, by: Account) -> None:
        if self.attempt(order.not_in("Offered") | order.early(self.market.now), by, "lapse", order):
            order.pay(order.held, 0)

    @rule(order=orders, by=st.sampled_from((MERCHANT, BUYER)))
    def ship(self, order: Modelled, by: Account) -> None:
        reasons = order.not_in("Accepted") | order.late(self.market.now) | only(by, MERCHANT)
        if self.attempt(reasons, by, "ship", order, bytes(32)):
            inspect = 0 if order.terms.proof_required else order.terms.inspect_within
            order.enter("Shipped", self.market.now + order.terms.deliver_within + inspect)

    @rule(order=orders, by=st.sampled_from(PEOPLE), right=st.booleans())
    def deliver(self, order: Modelled, by: Account, right: bool) -> None:
        open_end = order.status == "Accepted" or order.terms.proof_required
        reasons = order.not_in("Accepted", "Shipped") | (set() if right else {"WrongCode"})
        reasons |= set() if open_end else order.late(self.market.now)
        if self.attempt(reasons, by, "deliver", order, CODE if right else b"guess"):
            order.enter("Delivered", self.market.now + order.terms.inspect_within)

    def _claimable(self, order: Modelled) -> bool:
        silent = order.status == "Shipped" and not order.terms.proof_required
        return (order.status == "Delivered" or silent) and self.market.now > order.deadline

    @rule(order=orders, by=st.sampled_from(PEOPLE))
    def claim(self, order: Modelled, by: Account) -> None:
        silent = {"Shipped"} - ({"Shipped"} if order.terms.proof_required else set())
        reasons = order.not_in("Delivered", *silent) | order.early(self.market.now)
        if self.attempt(reasons, by, "claim", order):
            order.pay(0, order.held)

    @rule()
    def claim_many(self) -> None:
        batch = [halle_contracts.terms_tuple(order.terms) for order in self.known]
        receipt = self.market.call(STRANGER.address, "claimMany", batch, [BUYER.address] * len(batch))
        due = [order for order in self.known if self._claimable(order)]
        assert int.from_bytes(receipt.output, "big") == len(due)
        for order in due:
            order.pay(0, order.held)

    @rule(order=orders, by=st.sampled_from((BUYER, MERCHANT)), part=st.integers(0, 4))
    def release(self, order: Modelled, by: Account, part: int) -> None:
        amount = order.held * part // 3
        reasons = order.not_in(*OPEN[1:]) | order.not_within(amount) | only(by, BUYER)
        if self.attempt(reasons, by, "release", order, amount):
            order.pay(0, amount)

    @rule(order=orders, by=st.sampled_from((BUYER, MERCHANT)), part=st.integers(0, 4))
    def refund(self, order: Modelled, by: Account, part: int) -> None:
        amount = order.held * part // 3
        reasons = order.not_in(*OPEN) | order.not_within(amount) | only(by, MERCHANT)
        if self.attempt(reasons, by, "refund", order, amount):
            order.pay(amount, 0)

    @rule(order=orders, part=st.integers(0, 4), stale=st.booleans())
    def settle(self, order: Modelled, part: int, stale: bool) -> None:
        share, market = order.held * part // 3, self.market
        paid = order.paid - 1 if stale else order.paid
        digest = settlement_digest(market.order_id(order.terms), share, paid % 2**128, market.chain_id, market.escrow)
        sigs = sign(BUYER.private, digest), sign(MERCHANT.private, digest)
        held = order.held
        reasons = order.not_in(*OPEN) | ({"BadAmount"} if share > held else set())
        reasons |= {"BadSignature"} if stale else set()
        if self.attempt(reasons, STRANGER, "settle", order, share, *sigs):
            order.pay(share, held - share)

    @rule(order=orders, by=st.sampled_from(PEOPLE))
    def reclaim(self, order: Modelled, by: Account) -> None:
        unproved = order.status == "Shipped" and order.terms.proof_required
        reasons = (set() if unproved else order.not_in("Accepted")) | order.early(self.market.now)
        reasons |= only(by, BUYER) if unproved else set()
        if self.attempt(reasons, by, "reclaim", order):
            order.pay(order.held, 0)

    @rule(order=orders, by=st.sampled_from(PEOPLE))
    def dispute(self, order: Modelled, by: Account) -> None:
        unproved = by is MERCHANT and order.status == "Shipped" and order.terms.proof_required
        reasons = order.not_in("Accepted", "Shipped", "Delivered") | only(by, BUYER, MERCHANT)
        reasons |= set() if unproved else order.late(self.market.now)
        if self.attempt(reasons, by, "dispute", order, bytes(32)):
            order.enter("Disputed", self.market.now + order.terms.arbiter_within)

    @rule(order=orders, by=st.sampled_from(PEOPLE))
    def escalate(self, order: Modelled, by: Account) -> None:
        reasons = order.not_in("Disputed") | order.early(self.market.now)
        reasons |= {"BadTerms"} if order.terms.backup_arbiter == ZERO_ADDRESS else set()
        if self.attempt(reasons, by, "escalate", order):
            order.enter("Escalated", self.market.now + order.terms.arbiter_within)

    @rule(order=orders, by=st.sampled_from((ARBITER, BACKUP, MERCHANT)), bps=st.integers(0, 10_001))
    def judge(self, order: Modelled, by: Account, bps: int) -> None:
        turn = {"Disputed": ARBITER, "Escalated": BACKUP}.get(order.status)
        reasons = order.not_in("Disputed", "Escalated") | order.late(self.market.now) | only(by, turn)
        reasons |= {"BadAmount"} if bps > 10_000 else set()
        if self.attempt(reasons, by, "rule", order, bps):
            fee = order.held * order.terms.arbiter_fee_bps // 10_000
            buyer = (order.held - fee) * bps // 10_000
            order.pay(buyer, order.held - fee - buyer, fee)

    @rule(order=orders, by=st.sampled_from(PEOPLE))
    def close_by_default(self, order: Modelled, by: Account) -> None:
        last = order.status == "Escalated" or (
            order.status == "Disputed" and order.terms.backup_arbiter == ZERO_ADDRESS
        )
        reasons = (set() if last else {"WrongStatus"}) | order.early(self.market.now)
        if self.attempt(reasons, by, "closeByDefault", order):
            buyer = order.held * order.terms.default_buyer_bps // 10_000
            order.pay(buyer, order.held - buyer)

    @rule(order=orders, seed=st.integers(0, 2**32))
    def go_on(self, order: Modelled, seed: int) -> None:
        """Lead an order on from state to state, which calls picked one by one would seldom do."""
        rng = random.Random(seed)
        for _ in range(5):
            name = rng.choice(COURSES.get(order.status, ("claim",)))
            if name in AFTER:
                self.market.until(max(self.market.now, order.deadline + 1))
            self._take(name, order, rng)
            self.every_order_is_as_modelled()
            self.everybody_has_exactly_their_share()

    def _take(self, name: str, order: Modelled, rng: random.Random) -> None:
        turn = BACKUP if order.status == "Escalated" else ARBITER
        calls: dict[str, Callable[[], None]] = {
            "accept": lambda: self.accept(order, MERCHANT),
            "ship": lambda: self.ship(order, MERCHANT),
            "deliver": lambda: self.deliver(order, STRANGER, True),
            "dispute": lambda: self.dispute(order, rng.choice((BUYER, MERCHANT))),
            "judge": lambda: self.judge(order, turn, rng.randrange(10_001)),
            "release": lambda: self.release(order, BUYER, 1),
            "refund": lambda: self.refund(order, MERCHANT, 1),
            "settle": lambda: self.settle(order, rng.randrange(4), False),
            **{late: partial(getattr(self, late), order, BUYER) for late in AFTER},
        }
        calls[name]()

    @rule(seconds=st.integers(0, 12 * DAY))
    def time_passes(self, seconds: int) -> None:
        self.market.wait(seconds)

    @rule(order=orders)
    def time_reaches_the_last_second(self, order: Modelled) -> None:
        if order.status in OPEN and order.deadline > self.market.now:
            self.market.until(order.deadline)

    @invariant()
    def every_order_is_as_modelled(self) -> None:
        for order in self.known:
            seen = self.market.order(order.terms)
            if order.status == "Closed":
                assert halle_contracts.STATUS[seen["status"]] in ("Closed", "None")
            else:
                shown = (halle_contracts.STATUS[seen["status"]], seen["deadline"], seen["paidOut"])
                assert shown == (order.status, order.deadline, order.paid)

    @invariant()
    def everybody_has_exactly_their_share(self) -> None:
        for token in (NATIVE, self.market.token):
            mine = [order for order in self.known if order.terms.token == token]
            shares = {
                self.market.escrow: sum(order.held for order in mine),
                BUYER.address: sum(order.to_buyer for order in mine),
                MERCHANT.address: sum(order.to_merchant for order in mine),
            }
            arbiters = sum(self.market.balance(token, person.address) for person in (ARBITER, BACKUP))
            assert arbiters == sum(order.to_arbiter for order in mine)
            for account, share in shares.items():
                assert self.market.balance(token, account) == share

    def teardown(self) -> None:
        """Liveness: time and single callers finish whatever is left."""
        if not hasattr(self, "market"):
            return
        for order in self.known:
            self._finish(order)
        for token in (NATIVE, self.market.token):
            assert self.market.balance(token, self.market.escrow) == 0

    def _finish(self, order: Modelled) -> None:
        exits = {
            "Offered": "lapse",
            "Accepted": "reclaim",
            "Shipped": "reclaim" if order.terms.proof_required else "claim",
            "Delivered": "claim",
            "Disputed": "closeByDefault" if order.terms.backup_arbiter == ZERO_ADDRESS else "escalate",
            "Escalated": "closeByDefault",
        }
        for _ in range(2):
            status = self.market.status(order.terms)
            if status not in exits:
                return
            self.market.until(max(self.market.now, self.market.order(order.terms)["deadline"] + 1))
            exit_call = "closeByDefault" if status == "Escalated" else exits[order.status]
            self.market.do(BUYER, exit_call, order.terms)
        assert self.market.status(order.terms) in ("Closed", "None")


TestEscrowModel = EscrowModel.TestCase
TestEscrowModel.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


CALLS = ("accept", "lapse", "ship", "deliver", "claim", "release", "refund", "settle", "reclaim", "dispute", "escalate")


def test_every_call_of_the_model_works() -> None:
    """The model does not pass for want of a case: fixed walks take every call."""
    worked: Counter[str] = Counter()
    for walk in range(5):
        model = EscrowModel()
        model.open_market()
        for seed in range(16 * walk, 16 * walk + 16):
            signed, native, proof, backup = (bool(seed >> bit & 1) for bit in range(4))
            model.go_on(model.fund(1_000 + seed, signed, native, proof, backup, 100, 5_000), seed)
        model.teardown()
        worked += model.worked
    assert not [name for name in (*CALLS, "rule", "closeByDefault") if not worked[name]]
