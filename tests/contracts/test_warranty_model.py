"""The warranty contract against a model of it: any calls, by anyone, at any time.

Three that know nothing of each other must agree after every step: the contract, the reference below (written from the
interface's table), and the fold of the contract's events that nodes use. A call works exactly when the reference finds
no reason against it, and else fails for one of the reasons found.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.evm_market import (
    ARBITER,
    BUYER,
    CARRIER,
    DAY,
    HOUR,
    MERCHANT,
    NATIVE,
    OPERATOR,
    STRANGER,
    UNDERWRITER,
    Account,
    Market,
    Receipt,
    Reverted,
    fixture_code,
    text,
    word,
)
from halle_contracts import encode_call
from halle_protocol.keys import ZERO_ADDRESS, keccak256
from halle_protocol.order import ChainFact
from halle_protocol.signing import sign
from halle_protocol.warranty import CertificateState, ClaimStatus, Party, certificate_actions, fold_certificate

UNDERWRITERS, HOLDERS, PAYERS = (UNDERWRITER, MERCHANT), (BUYER, STRANGER), (CARRIER, ARBITER)
PEOPLE = (UNDERWRITER, MERCHANT, OPERATOR, BUYER, STRANGER, ARBITER, CARRIER)
NONE, ACTIVE, CLAIMED, OFFERED, CONTESTED, ENDED = ClaimStatus
OPEN = (CLAIMED, OFFERED, CONTESTED)
HASH = b"\xe0" * 32
# Who calls: the one whose call it is, more often than just anybody.
CALLER = st.one_of(st.none(), st.none(), st.sampled_from(PEOPLE))
PART = st.sampled_from((0, 1, 1, 2, 2, 3, 4))
PICK = st.integers(0, 10**6)
ENDING = {"expire", "surrender"}
SPOILED: tuple[dict[str, Any], ...] = (
    *({},) * 12,
    {"holder": ZERO_ADDRESS},
    {"underwriter": ZERO_ADDRESS},
    {"arbiter": UNDERWRITER.address},
    {"cover": 0},
    {"cover": 2**128},
    {"endsAt": 5},
    {"respondWithin": 0},
    {"respondWithin": 730 * DAY + 1},
    {"arbiterWithin": 730 * DAY + 1},
)
CALLS = {
    "open_claim": lambda policy: ("openClaim", policy.id, max(1, policy.cover_left), HASH),
    "accept_claim": lambda policy: ("acceptClaim", policy.id),
    "offer": lambda policy: ("offer", policy.id, HASH),
    "contest": lambda policy: ("contest", policy.id, HASH),
    "accept_offer": lambda policy: ("acceptOffer", policy.id),
    "lapse_offer": lambda policy: ("lapseOffer", policy.id),
    "pay_unanswered": lambda policy: ("payUnanswered", policy.id),
    "rule_claim": lambda policy: ("ruleClaim", policy.id, policy.claimed),
    "expire": lambda policy: ("expire", policy.id),
    "surrender": lambda policy: ("surrender", policy.id),
    "transfer": lambda policy: ("transferFrom", policy.holder, STRANGER.address, policy.id),
}


_CALLER = text(STRANGER.address)


@lru_cache(maxsize=10_000)
def calldata(name: str, function: str, *args: object) -> bytes:
    return encode_call(name, function, *args)


@dataclass
class Policy:
    """What the table of IWarranty says about one certificate."""

    id: int
    paper: dict[str, Any]
    holder: bytes
    cover_left: int
    status: ClaimStatus = ACTIVE
    claimed: int = 0
    deadline: int = 0
    paid: int = 0
    facts: list[ChainFact] = field(default_factory=list)

    @property
    def place(self) -> tuple[bytes, bytes]:
        """The bond that backs it."""
        return self.paper["underwriter"], self.paper["token"]

    def wait_for(self, status: ClaimStatus, deadline: int) -> None:
        self.status, self.deadline = status, deadline

    def settle(self) -> None:
        self.status, self.claimed, self.deadline = ACTIVE, 0, 0

    def not_in(self, *statuses: ClaimStatus) -> set[str]:
        return set() if self.status in statuses else {"WrongClaimStatus"}

    def late(self, now: int) -> set[str]:
        return {"TooLate"} if now > self.deadline else set()

    def early(self, now: int) -> set[str]:
        return {"TooEarly"} if now <= self.deadline else set()

    def not_held_by(self, by: Account) -> set[str]:
        return set() if by.address == self.holder else {"NotAuthorised"}


@dataclass(frozen=True)
class Plan:
    """A call before it is made: every reason against it, and what it does when there is none."""

    reasons: set[str]
    then: Callable[[], None]
    more: tuple[object, ...] = ()


class WarrantyModel(RuleBasedStateMachine):
    @initialize()
    def open_desk(self) -> None:
        self.market = market = Market()
        self.nasty = market.deploy(fixture_code("NastyToken"))
        self.tokens = (NATIVE, market.token, self.nasty)
        self.known: list[Policy] = []
        self.touched: Policy | None = None
        self.serial = 0
        self.worked: Counter[str] = Counter()
        self.blocked: set[bytes] = set()
        self.bonds: Counter[tuple[bytes, bytes]] = Counter()
        self.grants: Counter[tuple[bytes, bytes]] = Counter()
        self.operator_until: Counter[bytes] = Counter()
        self.purses: Counter[tuple[bytes, bytes]] = Counter()
        self.credits: Counter[tuple[bytes, bytes]] = Counter()
        for token in self.tokens[1:]:
            for each in PEOPLE:
                market.send(each.address, token, encode_call("TestToken", "approve", market.warranty, 2**256 - 1))
        for kind, who in enumerate((UNDERWRITER, MERCHANT, UNDERWRITER)):
            self.deposit(who, kind, 3_000, wrong=9)
            self.issue(self.paper(who, kind, 1, 40, {}), set(), who, "register")

    # ── the reference ───────────────────────────────────────────────────────────────────────────────────────────

    def reserved(self, place: tuple[bytes, bytes]) -> int:
        return sum(each.cover_left for each in self.known if each.place == place)

    def free(self, place: tuple[bytes, bytes]) -> int:
        return self.bonds[place] - self.reserved(place)

    def not_for(self, underwriter: bytes, by: Account) -> set[str]:
        """Why `by` may not speak for the underwriter."""
        operates = by is OPERATOR and self.operator_until[underwriter] >= self.market.now
        return set() if by.address == underwriter or operates else {"NotAuthorised"}

    def not_committing(self, underwriter: bytes, token: bytes, amount: int, by: Account) -> set[str]:
        """Why `by` may not put `amount` of the bond at risk."""
        found = self.not_for(underwriter, by)
        own = by.address == underwriter
        return found if own or amount <= self.grants[underwriter, token] else found | {"BadAmount"}

    def commit(self, underwriter: bytes, token: bytes, amount: int, by: Account) -> None:
        if by.address != underwriter:
            self.grants[underwriter, token] -= amount

    def pay(self, policy: Policy, amount: int) -> None:
        """The claim is over, `amount` of the bond goes to the holder."""
        token = policy.paper["token"]
        policy.settle()
        policy.paid += amount
        policy.cover_left -= amount
        self.bonds[policy.place] -= amount
        refused = token == self.nasty and policy.holder in self.blocked
        (self.credits if refused else self.purses)[policy.holder, token] += amount
        if policy.cover_left == 0:
            policy.status = ENDED

    def end(self, policy: Policy) -> None:
        policy.status, policy.cover_left = ENDED, 0

    # ── calling ─────────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, by: Account, function: str, *args: object, value: int = 0) -> Receipt:
        data = encode_call("Warranty", function, *args)
        return self.market.send(by.address, self.market.warranty, data, value=value, name="Warranty")

    def attempt(self, reasons: set[str], by: Account, function: str, *args: object, value: int = 0) -> bool:
        """Call, and check that it works exactly when there is no reason against it."""
        failure, receipt = "", None
        try:
            receipt = self.call(by, function, *args, value=value)
        except Reverted as exc:
            failure = exc.name
        if receipt is None:
            assert failure in reasons, (function, failure, reasons)
            return False
        assert not reasons, (function, reasons)
        self.worked[function] += 1
        for name, facts in receipt.events:
            self._note(int(facts.get("id", facts.get("tokenId", 0))), name, facts)
        return True

    def _note(self, number: int, name: str, facts: dict[str, Any]) -> None:
        for policy in self.known:
            if policy.id == number:
                policy.facts.append(ChainFact(name, facts, self.market.now, "final", (len(policy.facts), 0)))

    def account(self, address: bytes) -> Account:
        return next(each for each in PEOPLE if each.address == address)

    # ── bonds ───────────────────────────────────────────────────────────────────────────────────────────────────

    def give(self, to: Account, token: bytes, amount: int) -> None:
        if amount:
            self.market.give(token, to.address, amount)
        self.purses[to.address, token] += amount

    @rule(
        by=st.sampled_from(UNDERWRITERS), kind=st.integers(0, 2), amount=st.integers(0, 5_000), wrong=st.integers(0, 9)
    )
    def deposit(self, by: Account, kind: int, amount: int, wrong: int) -> None:
        token = self.tokens[kind]
        self.give(by, token, amount)
        value = amount if token == NATIVE else 0
        if wrong == 0 and value:
            value -= 1
            reasons = {"WrongPayment"}
        else:
            reasons = set() if amount else {"BadAmount"}
        if self.attempt(reasons, by, "deposit", token, amount, value=value):
            self.bonds[by.address, token] += amount
            self.purses[by.address, token] -= amount

    @rule(by=st.sampled_from(UNDERWRITERS), kind=st.integers(0, 2), part=PART)
    def withdraw_bond(self, by: Account, kind: int, part: int) -> None:
        place = (by.address, self.tokens[kind])
        amount = self.free(place) * part // 3
        reasons = set() if 0 < amount <= self.free(place) else {"BadAmount"}
        if self.attempt(reasons, by, "withdrawBond", place[1], amount):
            self.bonds[place] -= amount
            self.purses[place] += amount

    @rule(by=st.sampled_from(UNDERWRITERS), kind=st.integers(0, 2), cover=st.integers(0, 5_000))
    def set_operator_cover(self, by: Account, kind: int, cover: int) -> None:
        if self.attempt(set(), by, "setOperatorCover", self.tokens[kind], cover):
            self.grants[by.address, self.tokens[kind]] = cover

    @rule(by=st.sampled_from(UNDERWRITERS), seconds=st.integers(0, 30 * DAY))
    def set_operator(self, by: Account, seconds: int) -> None:
        self.market.call(by.address, "setOperator", OPERATOR.address, self.market.now + seconds)
        self.operator_until[by.address] = self.market.now + seconds

    @rule(who=st.sampled_from(HOLDERS), yes=st.booleans())
    def blacklist(self, who: Account, yes: bool) -> None:
        data = keccak256(b"setBlocked(address,bool)")[:4] + who.address.rjust(32, b"\0") + word(yes)
        self.market.send(STRANGER.address, self.nasty, data)
        (self.blocked.add if yes else self.blocked.discard)(who.address)

    @rule(who=st.sampled_from((*HOLDERS, UNDERWRITER)), kind=st.integers(0, 2))
    def withdraw(self, who: Account, kind: int) -> None:
        token = self.tokens[kind]
        due = self.credits[who.address, token]
        if self.attempt(set() if due else {"NothingToWithdraw"}, who, "withdraw", token, CARRIER.address):
            self.credits[who.address, token] = 0
            self.purses[CARRIER.address, token] += due

    # ── issuing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def paper(self, underwriter: Account, kind: int, part: int, days: int, spoiled: dict[str, Any]) -> dict[str, Any]:
        """Return a certificate that mostly fits into the free bond."""
        self.serial += 1
        now, token = self.market.now, self.tokens[kind]
        return {
            "underwriter": underwriter.address,
            "holder": HOLDERS[self.serial % 2].address,
            "token": token,
            "cover": max(1, self.free((underwriter.address, token)) * part // 3),
            "premium": 0,
            "startsAt": now + (days % 3) * DAY,
            "endsAt": now + (days % 3 + 5 * days) * DAY + 1,
            "respondWithin": DAY,
            "arbiter": ARBITER.address,
            "arbiterWithin": 2 * DAY,
            "orderId": word(self.serial),
            "itemHash": bytes(32),
            "serialHash": bytes(32),
            "termsHash": HASH,
        } | spoiled

    def unsound(self, paper: dict[str, Any]) -> set[str]:
        """Why a certificate could not be kept."""
        sound = (
            paper["underwriter"] != ZERO_ADDRESS
            and paper["holder"] not in (ZERO_ADDRESS, paper["underwriter"])
            and paper["arbiter"] not in (paper["underwriter"], paper["holder"])
            and 0 < paper["cover"] < 2**128
            and paper["endsAt"] > paper["startsAt"]
            and paper["endsAt"] >= self.market.now
            and 0 < paper["respondWithin"] <= 730 * DAY
            and paper["arbiterWithin"] <= 730 * DAY
        )
        return set() if sound else {"BadCertificate"}

    def unfunded(self, paper: dict[str, Any], premium: int = 0) -> set[str]:
        free = self.free((paper["underwriter"], paper["token"])) + premium
        return {"BadAmount"} if paper["cover"] > free else set()

    def issue(
        self, paper: dict[str, Any], reasons: set[str], by: Account, function: str, *args: object, value: int = 0
    ) -> None:
        number = int(self.market.read("Warranty", self.market.warranty, "idOf", paper))
        policy = Policy(number, paper, paper["holder"], paper["cover"])
        self.known.append(policy)  # so that its own events are noted
        if self.attempt(reasons, by, function, paper, *args, value=value):
            self.touched = policy
        else:
            self.known.remove(policy)

    @rule(
        who=st.sampled_from(UNDERWRITERS),
        caller=CALLER,
        kind=st.integers(0, 2),
        part=PART,
        days=st.integers(1, 40),
        spoiled=st.sampled_from(SPOILED),
    )
    def register(
        self, who: Account, caller: Account | None, kind: int, part: int, days: int, spoiled: dict[str, Any]
    ) -> None:
        paper, by = self.paper(who, kind, part, days, spoiled), caller or who
        named, token, cover = paper["underwriter"], paper["token"], paper["cover"]
        reasons = self.unsound(paper) | self.unfunded(paper) | self.not_committing(named, token, cover, by)
        self.issue(paper, reasons, by, "register")
        if not reasons:
            self.commit(named, token, cover, by)

    @rule(
        who=st.sampled_from(UNDERWRITERS),
        by=st.sampled_from(PAYERS),
        kind=st.integers(0, 2),
        part=PART,
        premium=st.integers(0, 500),
        lateness=st.integers(-3, 1),
        signer=st.sampled_from((None, None, None, STRANGER, OPERATOR)),
        spoiled=st.sampled_from(SPOILED),
    )
    def buy(
        self,
        who: Account,
        by: Account,
        kind: int,
        part: int,
        premium: int,
        lateness: int,
        signer: Account | None,
        spoiled: dict[str, Any],
    ) -> None:
        paper = self.paper(who, kind, part, 20, spoiled) | {"premium": premium}
        deadline, token = self.market.now - max(0, lateness), paper["token"]
        sig = self.offer_sig(paper, deadline, signer or who)
        reasons = self.unsound(paper) | self.unfunded(paper, premium)
        reasons |= {"TooLate"} if lateness > 0 else set()
        reasons |= {"BadSignature"} if signer or paper["underwriter"] != who.address else set()
        reasons |= set() if premium else {"BadAmount"}
        self.give(by, token, premium)
        self.issue(paper, reasons, by, "buy", deadline, sig, value=premium if token == NATIVE else 0)
        if not reasons:
            self.bonds[who.address, token] += premium
            self.purses[by.address, token] -= premium

    def offer_sig(self, paper: dict[str, Any], deadline: int, by: Account) -> bytes:
        read = self.market.read
        number = int(read("Warranty", self.market.warranty, "idOf", paper))
        struct = keccak256(keccak256(b"CertificateOffer(uint256 id,uint256 deadline)") + word(number) + word(deadline))
        domain = read("Warranty", self.market.warranty, "DOMAIN_SEPARATOR")
        return sign(by.private, keccak256(b"\x19\x01" + domain + struct))

    @precondition(lambda self: self.known)
    @rule(policy=PICK)
    def register_again(self, policy: int) -> None:
        paper = self.picked(policy).paper
        reasons = {"WrongClaimStatus"} | self.unsound(paper)
        self.attempt(reasons, self.account(paper["underwriter"]), "register", paper)

    def picked(self, number: int) -> Policy:
        """Return a certificate, one that is not over if there is one."""
        alive = [each for each in self.known if each.status != ENDED]
        choice = alive if alive and number % 8 else self.known
        return choice[number % len(choice)]

    # ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────

    def plan_open(self, policy: Policy, by: Account, part: int) -> Plan:
        now, amount = self.market.now, policy.cover_left * part // 3
        reasons = policy.not_in(ACTIVE) | policy.not_held_by(by)
        reasons |= {"TooEarly"} if now < policy.paper["startsAt"] else set()
        reasons |= {"TooLate"} if now > policy.paper["endsAt"] else set()
        reasons |= set() if 0 < amount <= policy.cover_left else {"BadAmount"}

        def then() -> None:
            policy.claimed = amount
            policy.wait_for(CLAIMED, now + policy.paper["respondWithin"])

        return Plan(reasons, then, (amount, HASH))

    def plan_accept(self, policy: Policy, by: Account, _part: int) -> Plan:
        (who, token), amount = policy.place, policy.claimed

        def then() -> None:
            self.commit(who, token, amount, by)
            self.pay(policy, amount)

        return Plan(policy.not_in(*OPEN) | self.not_committing(who, token, amount, by), then)

    def plan_offer(self, policy: Policy, by: Account, _part: int) -> Plan:
        end = self.market.now + policy.paper["respondWithin"]
        reasons = policy.not_in(CLAIMED) | self.not_for(policy.place[0], by) | policy.late(self.market.now)
        return Plan(reasons, lambda: policy.wait_for(OFFERED, end), (HASH,))

    def plan_accept_offer(self, policy: Policy, by: Account, _part: int) -> Plan:
        return Plan(policy.not_in(OFFERED) | policy.not_held_by(by), policy.settle)

    def plan_lapse_offer(self, policy: Policy, _by: Account, _part: int) -> Plan:
        return Plan(policy.not_in(OFFERED) | policy.early(self.market.now), policy.settle)

    def plan_contest(self, policy: Policy, by: Account, _part: int) -> Plan:
        end = self.market.now + policy.paper["arbiterWithin"]
        side = policy.not_held_by(by) if policy.status == OFFERED else self.not_for(policy.place[0], by)
        reasons = policy.not_in(CLAIMED, OFFERED) | side | policy.late(self.market.now)
        return Plan(reasons, lambda: policy.wait_for(CONTESTED, end), (HASH,))

    def plan_pay_unanswered(self, policy: Policy, _by: Account, _part: int) -> Plan:
        reasons = policy.not_in(CLAIMED, CONTESTED) | policy.early(self.market.now)
        return Plan(reasons, lambda: self.pay(policy, policy.claimed))

    def plan_rule(self, policy: Policy, by: Account, part: int) -> Plan:
        amount = policy.claimed * part // 3
        reasons = policy.not_in(CONTESTED) | policy.late(self.market.now)
        reasons |= set() if by is ARBITER else {"NotAuthorised"}
        reasons |= {"BadAmount"} if amount > policy.claimed else set()
        return Plan(reasons, lambda: self.pay(policy, amount), (amount,))

    def plan_expire(self, policy: Policy, _by: Account, _part: int) -> Plan:
        over = self.market.now > policy.paper["endsAt"]
        return Plan(policy.not_in(ACTIVE) | (set() if over else {"TooEarly"}), lambda: self.end(policy))

    def plan_surrender(self, policy: Policy, by: Account, _part: int) -> Plan:
        return Plan(policy.not_in(ACTIVE) | policy.not_held_by(by), lambda: self.end(policy))

    MOVES = {
        "openClaim": plan_open,
        "acceptClaim": plan_accept,
        "offer": plan_offer,
        "acceptOffer": plan_accept_offer,
        "lapseOffer": plan_lapse_offer,
        "contest": plan_contest,
        "payUnanswered": plan_pay_unanswered,
        "ruleClaim": plan_rule,
        "expire": plan_expire,
        "surrender": plan_surrender,
    }

    @precondition(lambda self: self.known)
    @rule(policy=PICK, move=PICK, by=PICK, part=PART)
    def any_call_by_anyone(self, policy: int, move: int, by: int, part: int) -> None:
        self.make(self.picked(policy), list(self.MOVES)[move % len(self.MOVES)], PEOPLE[by % len(PEOPLE)], part)

    @precondition(lambda self: self.known)
    @rule(seed=st.integers(0, 2**32))
    def calls_that_are_due(self, seed: int) -> None:
        """Lead one certificate on through its claims; each step is checked as any other.

        The choices are evenly random: hypothesis prefers small numbers, and would hardly leave the first state.
        """
        rng = random.Random(seed)
        chosen = self.picked(rng.randrange(10**6))
        for _ in range(rng.randrange(3, 9)):
            self.market.wait(rng.choice((0, 0, 0, 0, HOUR, DAY, DAY + 1, 2 * DAY + 1)))
            part = rng.choice((1, 1, 2, 3))
            due = {
                name: who
                for name, plan in self.MOVES.items()
                if (who := [each for each in PEOPLE if not plan(self, chosen, each, part).reasons])
            }
            names = sorted(due.keys() - (ENDING if rng.randrange(8) else set())) or sorted(due)
            if names:
                name = rng.choice(names)
                self.make(chosen, name, rng.choice(due[name]), part)
            self.the_laws_hold()

    more_calls_that_are_due = and_again = calls_that_are_due  # three times as often as the other rules

    def make(self, policy: Policy, name: str, by: Account, part: int) -> None:
        plan = self.MOVES[name](self, policy, by, part)
        self.touched = policy
        if self.attempt(plan.reasons, by, name, policy.id, *plan.more):
            plan.then()

    @precondition(lambda self: self.known)
    @rule(policy=PICK, caller=CALLER, to=st.sampled_from((*HOLDERS, *HOLDERS, UNDERWRITER, ARBITER)))
    def resell(self, policy: int, caller: Account | None, to: Account) -> None:
        chosen = self.touched = self.picked(policy)
        by = caller or self.account(chosen.holder)
        reasons = {"ERC721InsufficientApproval"} if by.address != chosen.holder else set()
        reasons |= {"WrongClaimStatus"} if chosen.status in OPEN else set()
        if self.attempt(reasons, by, "transferFrom", chosen.holder, to.address, chosen.id):
            chosen.holder = to.address

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(seconds=st.sampled_from((0, 1, HOUR, DAY, 3 * DAY)))
    def time_passes(self, seconds: int) -> None:
        self.market.wait(seconds)

    @precondition(lambda self: self.known)
    @rule(policy=PICK, beyond=st.integers(-1, 1))
    def time_reaches_the_edge(self, policy: int, beyond: int) -> None:
        chosen = self.picked(policy)
        edges = [chosen.deadline] if chosen.status in OPEN else [chosen.paper["startsAt"], chosen.paper["endsAt"]]
        coming = [edge + beyond for edge in edges if edge + beyond > self.market.now]
        if coming:
            self.market.until(coming[0])

    # ── the laws ────────────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def the_laws_hold(self) -> None:
        self.every_certificate_is_as_modelled()
        self.nodes_read_the_same_from_the_events()
        self.bonds_back_every_certificate()
        self.no_money_appears_or_vanishes()

    def words(self, to: bytes, function: str, *args: object, name: str = "Warranty") -> tuple[int, ...]:
        """Return what a view answers, word by word: many are read after each step."""
        output = bytes(self.market.evm.message_call(_CALLER, text(to), calldata(name, function, *args)))
        return tuple(int.from_bytes(output[at : at + 32], "big") for at in range(0, len(output), 32))

    def every_certificate_is_as_modelled(self) -> None:
        for policy in self.known:
            status, _, _, left, claimed, deadline, _ = self.words(self.market.warranty, "certificateOf", policy.id)
            shown = (status, left, claimed, deadline)
            assert shown == (policy.status, policy.cover_left, policy.claimed, policy.deadline)
            assert self.words(self.market.warranty, "ownerOf", policy.id) == (int.from_bytes(policy.holder, "big"),)
            assert policy.paid <= policy.paper["cover"]

    def nodes_read_the_same_from_the_events(self) -> None:
        for policy in self.known:
            state = fold_certificate(policy.facts)
            read = (state.status, state.holder, state.claimed, state.deadline or 0, state.paid)
            assert read == (policy.status, policy.holder, policy.claimed, policy.deadline, policy.paid)
            assert policy.status == ENDED or state.cover_left == policy.cover_left
        if self.touched is not None:
            self._compare_moves(self.touched, fold_certificate(self.touched.facts))

    def _compare_moves(self, policy: Policy, state: CertificateState) -> None:
        """What nodes offer to each side is what the contract would do for it."""
        roles: dict[Party, bytes] = {
            "holder": policy.holder,
            "underwriter": policy.place[0],
            "arbiter": ARBITER.address,
            "anyone": CARRIER.address,
        }
        if len(set(roles.values())) < 4 or self.market.now < policy.paper["startsAt"]:
            return
        for party, address in roles.items():
            offered = {each.name for each in certificate_actions(state, party, self.market.now)}
            offered |= {each.name for each in certificate_actions(state, "anyone", self.market.now)}
            possible = {name for name, call in CALLS.items() if self._would(address, *call(policy))}
            if state.status is ENDED:
                possible.discard("transfer")  # what has ended can still change hands, but nobody is offered to
            assert possible == offered, (party, policy)

    def _would(self, by: bytes, function: str, *args: object) -> bool:
        evm = self.market.evm
        before = evm.snapshot()
        try:
            evm.message_call(text(by), text(self.market.warranty), calldata("Warranty", function, *args))
        except RuntimeError:
            return False
        finally:
            evm.revert(before)
            evm.reset_transient_storage()
        return True

    def bonds_back_every_certificate(self) -> None:
        for place in ((who.address, token) for who in UNDERWRITERS for token in self.tokens):
            bond, reserved = self.words(self.market.warranty, "bondOf", *place)
            assert (bond, reserved) == (self.bonds[place], self.reserved(place))
            assert reserved <= bond
            assert self.words(self.market.warranty, "operatorCover", *place) == (self.grants[place],)

    def no_money_appears_or_vanishes(self) -> None:
        for token in self.tokens:
            held = sum(self.bonds[who.address, token] for who in UNDERWRITERS)
            owed = sum(self.credits[who.address, token] for who in PEOPLE)
            assert self.balance(token, self.market.warranty) == held + owed
            for who in PEOPLE:
                assert self.balance(token, who.address) == self.purses[who.address, token]
        for who in HOLDERS:
            credit = self.words(self.market.warranty, "credits", self.nasty, who.address)
            assert credit == (self.credits[who.address, self.nasty],)

    def balance(self, token: bytes, of: bytes) -> int:
        if token == NATIVE:
            return self.market.balance(token, of)
        return self.words(token, "balanceOf", of, name="TestToken")[0]

    def teardown(self) -> None:
        """Liveness: time and a stranger's calls finish every claim and certificate, and all the money comes out."""
        if not hasattr(self, "market"):
            return
        for policy in self.known:
            self._finish(policy)
        for who in UNDERWRITERS:
            for token in self.tokens:
                assert self.reserved((who.address, token)) == 0
                if self.bonds[who.address, token]:
                    self.call(who, "withdrawBond", token, self.bonds[who.address, token])
        for (owner, token), due in self.credits.items():
            if due:
                self.call(self.account(owner), "withdraw", token, CARRIER.address)
        assert [self.market.balance(token, self.market.warranty) for token in self.tokens] == [0, 0, 0]

    def _finish(self, policy: Policy) -> None:
        claim = {CLAIMED: "payUnanswered", OFFERED: "lapseOffer", CONTESTED: "payUnanswered"}.get(policy.status)
        if claim is not None:
            paid = policy.claimed if claim == "payUnanswered" else 0
            self.market.until(max(self.market.now, policy.deadline + 1))
            self.call(CARRIER, claim, policy.id)
            self.pay(policy, paid) if paid else policy.settle()
        if policy.status != ENDED:
            self.market.until(max(self.market.now, policy.paper["endsAt"] + 1))
            self.call(CARRIER, "expire", policy.id)
            self.end(policy)


TestWarrantyModel = WarrantyModel.TestCase
TestWarrantyModel.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_every_call_of_the_model_works() -> None:
    """The model does not pass for want of a case: a fixed walk takes every move of a claim."""
    model = WarrantyModel()
    model.open_desk()
    for seed in range(120):
        if seed % 8 == 7:
            model.market.wait(220 * DAY)
        if seed % 3 == 2:
            model.known = [each for each in model.known if each.status != ENDED]
            model.deposit(UNDERWRITER, seed % 3, 3_000, wrong=9)
            model.issue(model.paper(UNDERWRITER, seed % 3, 1, 40, {}), set(), UNDERWRITER, "register")
        model.calls_that_are_due(seed)
    missing = {name for name in model.MOVES if not model.worked[name]}
    assert not missing
    model.teardown()
