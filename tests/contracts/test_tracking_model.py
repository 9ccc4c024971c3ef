"""Delivery tracking against a model of it: checkpoints by any carrier, in any order, one by one, in vans, relayed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from contracts.evm_market import CARRIER, HOUR, MERCHANT, STRANGER, Account, Market, Receipt, Reverted, word
from halle_contracts import encode_call
from halle_protocol.keys import keccak256
from halle_protocol.signing import sign

CARRIERS = (CARRIER, MERCHANT)
PARCELS = tuple(bytes([n]) * 32 for n in range(1, 4))
TYPE = b"Attestation(address carrier,bytes32 shipmentId,uint8 status,uint40 at,bytes32 detailHash,uint256 deadline)"
DRIFT, DELIVERED, LAST_STATUS = 600, 6, 8
PARCEL = st.sampled_from(PARCELS)
STATUS = st.sampled_from((1, 2, 3, 4, 5, DELIVERED, DELIVERED, 7, LAST_STATUS, 0, 9, 255))
# Seconds from now: past, present, within the drift of clocks, and beyond it.
OFFSET = st.sampled_from((-HOUR, -1, -1, 0, 0, 0, 1, DRIFT, DRIFT + 1))


@dataclass(frozen=True)
class Said:
    """A checkpoint that the contract recorded."""

    carrier: bytes
    parcel: bytes
    status: int
    at: int
    detail: bytes


@dataclass(frozen=True)
class Paper:
    """A signed attestation, good for whoever holds it."""

    said: Said
    deadline: int
    sig: bytes
    genuine: bool


class TrackingModel(RuleBasedStateMachine):
    papers: Bundle[Paper] = Bundle("papers")

    @initialize()
    def open_market(self) -> None:
        self.market = Market()
        self.domain = self.market.read("DeliveryTracking", self.market.tracking, "DOMAIN_SEPARATOR")
        self.log: list[Said] = []
        self.used: Counter[Paper] = Counter()
        self.serial = 0

    # ── the reference: the answers follow from the whole log, of which nothing is ever lost ─────────────────────

    def latest(self, carrier: bytes, parcel: bytes) -> tuple[int, int, int]:
        """Return the newest status (of two of one second the later said), its time, and the first delivery said."""
        mine = [each for each in self.log if (each.carrier, each.parcel) == (carrier, parcel)]
        newest = max(enumerate(mine), key=lambda pair: (pair[1].at, pair[0]), default=(0, None))[1]
        delivered = [each.at for each in mine if each.status == DELIVERED]
        return (newest.status if newest else 0, newest.at if newest else 0, delivered[0] if delivered else 0)

    def refusals(self, said: Said) -> set[str]:
        found = set() if 0 < said.status <= LAST_STATUS else {"UnknownStatus"}
        return found | (set() if 0 < said.at <= self.market.now + DRIFT else {"BadTime"})

    def said(self, carrier: Account, parcel: bytes, status: int, offset: int) -> Said:
        self.serial += 1
        return Said(carrier.address, parcel, status, self.market.now + offset, word(self.serial))

    # ── calling ─────────────────────────────────────────────────────────────────────────────────────────────────

    def attempt(self, reasons: set[str], by: Account, said: list[Said], function: str, *args: object) -> bool:
        """Call, and check that it works exactly when there is no reason against it, and tells what was said."""
        receipt: Receipt | None = None
        failure = ""
        data = encode_call("DeliveryTracking", function, *args)
        try:
            receipt = self.market.send(by.address, self.market.tracking, data, name="DeliveryTracking")
        except Reverted as exc:
            failure = exc.name
        if receipt is None:
            assert failure in reasons, (function, failure, reasons)
            return False
        assert not reasons, (function, reasons)
        told = [
            Said(facts["carrier"], facts["shipmentId"], facts["status"], facts["at"], facts["detailHash"])
            for name, facts in receipt.events
            if name == "Checkpoint"
        ]
        assert told == said
        self.log += said
        return True

    @rule(by=st.sampled_from(CARRIERS), parcel=PARCEL, status=STATUS, offset=OFFSET)
    def attest(self, by: Account, parcel: bytes, status: int, offset: int) -> None:
        said = self.said(by, parcel, status, offset)
        self.attempt(self.refusals(said), by, [said], "attest", parcel, status, said.at, said.detail)

    @rule(by=st.sampled_from(CARRIERS), van=st.lists(st.tuples(PARCEL, STATUS, OFFSET), max_size=5))
    def attest_many(self, by: Account, van: list[tuple[bytes, int, int]]) -> None:
        """One bad parcel refuses the whole van."""
        said = [self.said(by, *parcel) for parcel in van]
        reasons = set().union(*(self.refusals(each) for each in said))
        rows = [(each.parcel, each.status, each.at, each.detail) for each in said]
        self.attempt(reasons, by, said, "attestMany", rows)

    @rule(
        target=papers,
        carrier=st.sampled_from(CARRIERS),
        signer=st.sampled_from((None, None, None, STRANGER, MERCHANT)),
        parcel=PARCEL,
        status=STATUS,
        offset=OFFSET,
        life=st.sampled_from((-1, 0, HOUR, HOUR)),
    )
    def sign(
        self, carrier: Account, signer: Account | None, parcel: bytes, status: int, offset: int, life: int
    ) -> Paper:
        return self.paper(self.said(carrier, parcel, status, offset), self.market.now + life, signer or carrier)

    def paper(self, said: Said, deadline: int, by: Account) -> Paper:
        words = (said.carrier, said.parcel, word(said.status), word(said.at), said.detail, word(deadline))
        struct = keccak256(keccak256(TYPE) + b"".join(part.rjust(32, b"\0") for part in words))
        sig = sign(by.private, keccak256(b"\x19\x01" + self.domain + struct))
        return Paper(said, deadline, sig, by.address == said.carrier)

    @rule(paper=papers, by=st.sampled_from((*CARRIERS, STRANGER)), forged=st.integers(0, 9))
    def attest_by_sig(self, paper: Paper, by: Account, forged: int) -> None:
        """Anybody may relay a paper, as long as it says something newer than what is known: so none works twice."""
        said = paper.said
        status = said.status % LAST_STATUS + 1 if forged == 0 else said.status
        reasons = self.refusals(said) | (set() if paper.genuine and status == said.status else {"BadSignature"})
        reasons |= {"TooLate"} if self.market.now > paper.deadline else set()
        reasons |= {"BadTime"} if said.at <= self.latest(said.carrier, said.parcel)[1] else set()
        row = (said.parcel, status, said.at, said.detail)
        if self.attempt(reasons, by, [said], "attestBySig", said.carrier, row, paper.deadline, paper.sig):
            self.used[paper] += 1
            assert self.used[paper] == 1

    @rule(
        carrier=st.sampled_from(CARRIERS),
        parcel=PARCEL,
        status=st.integers(1, LAST_STATUS),
        gap=st.sampled_from((1, HOUR)),
    )
    def news_are_relayed_once(self, carrier: Account, parcel: bytes, status: int, gap: int) -> None:
        at = self.latest(carrier.address, parcel)[1] + gap
        self.market.until(max(self.market.now, at))
        said = self.said(carrier, parcel, status, at - self.market.now)
        paper = self.paper(said, self.market.now, carrier)
        for _ in range(2):
            self.attest_by_sig(paper, STRANGER, 1)
        assert self.used[paper] == 1

    @rule(seconds=st.sampled_from((0, 1, DRIFT, HOUR)))
    def time_passes(self, seconds: int) -> None:
        self.market.wait(seconds)

    @invariant()
    def everything_is_as_the_log_says(self) -> None:
        for carrier in CARRIERS:
            for parcel in PARCELS:
                seen = self.market.read("DeliveryTracking", self.market.tracking, "latest", carrier.address, parcel)
                assert tuple(seen.values()) == self.latest(carrier.address, parcel)


TestTrackingModel = TrackingModel.TestCase
TestTrackingModel.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
