"""Warranty certificates: fully backed, payable when unanswered, never for a former holder."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.evm_market import (
    ARBITER,
    BUYER,
    DAY,
    NATIVE,
    OPERATOR,
    STRANGER,
    UNDERWRITER,
    Account,
    Market,
    Receipt,
    Reverted,
    fixture_code,
    word,
)
from halle_contracts import encode_call
from halle_protocol.keys import keccak256
from halle_protocol.signing import sign

EVIDENCE = b"\xe0" * 32
ACTIVE, CLAIMED, OFFERED, CONTESTED, ENDED = range(1, 6)


class Desk:
    """The warranty contract with a bonded underwriter."""

    def __init__(self, market: Market, token: bytes | None = None) -> None:
        self.market = market
        self.token = market.token if token is None else token
        self.serial = 0
        self.deposit(1_000)

    def deposit(self, amount: int, by: Account = UNDERWRITER) -> Receipt:
        self.market.give(self.token, by.address, amount)
        if self.token != NATIVE:
            approve = encode_call("TestToken", "approve", self.market.warranty, 2**256 - 1)
            self.market.send(by.address, self.token, approve)
        value = amount if self.token == NATIVE else 0
        return self.call(by, "deposit", self.token, amount, value=value)

    def call(self, by: Account, function: str, *args: object, value: int = 0) -> Receipt:
        data = encode_call("Warranty", function, *args)
        return self.market.send(by.address, self.market.warranty, data, value=value, name="Warranty")

    def read(self, function: str, *args: object) -> Any:
        return self.market.read("Warranty", self.market.warranty, function, *args)

    def certificate(self, **changes: object) -> dict[str, object]:
        self.serial += 1
        return {
            "underwriter": UNDERWRITER.address,
            "holder": BUYER.address,
            "token": self.token,
            "cover": 400,
            "premium": 0,
            "startsAt": self.market.now,
            "endsAt": self.market.now + 365 * DAY,
            "respondWithin": 5 * DAY,
            "arbiter": ARBITER.address,
            "arbiterWithin": 7 * DAY,
            "orderId": b"\x01" * 32,
            "itemHash": word(self.serial),
            "serialHash": bytes(32),
            "termsHash": b"\x07" * 32,
        } | changes

    def register(self, by: Account = UNDERWRITER, **changes: object) -> int:
        receipt = self.call(by, "register", self.certificate(**changes))
        return int(receipt.event("Registered")["id"])

    def claimed(self, amount: int = 100, **changes: object) -> int:
        number = self.register(**changes)
        self.call(BUYER, "openClaim", number, amount, EVIDENCE)
        return number

    def status(self, number: int) -> int:
        return int(self.read("certificateOf", number)["status"])

    def bond(self) -> tuple[int, int]:
        bond = self.read("bondOf", UNDERWRITER.address, self.token)
        return bond["bond"], bond["reserved"]

    def paid(self, to: Account = BUYER) -> int:
        return self.market.balance(self.token, to.address)


@pytest.fixture
def desk(market: Market) -> Desk:
    return Desk(market)


def test_register_reserves_the_cover_and_mints_the_certificate(desk: Desk) -> None:
    certificate = desk.certificate()
    event = desk.call(UNDERWRITER, "register", certificate).event("Registered")
    assert event["id"] == desk.read("idOf", certificate)
    assert desk.bond() == (1_000, 400)
    assert desk.read("ownerOf", event["id"]) == BUYER.address
    assert desk.status(event["id"]) == ACTIVE


def test_register_refuses_more_cover_than_free_bond(desk: Desk) -> None:
    desk.register()
    desk.register()
    with pytest.raises(Reverted) as caught:
        desk.register()
    assert (caught.value.name, caught.value.facts) == ("BadAmount", {"amount": 400, "available": 200})


def test_register_refuses_the_same_certificate_twice(desk: Desk) -> None:
    certificate = desk.certificate()
    desk.call(UNDERWRITER, "register", certificate)
    with pytest.raises(Reverted, match="WrongClaimStatus"):
        desk.call(UNDERWRITER, "register", certificate)


@pytest.mark.parametrize(
    ("field", "value"),
    [("holder", UNDERWRITER.address), ("holder", bytes(20)), ("arbiter", UNDERWRITER.address),
     ("arbiter", BUYER.address), ("cover", 0), ("cover", 2**128), ("endsAt", 5), ("respondWithin", 0),
     ("respondWithin", 731 * DAY), ("arbiterWithin", 731 * DAY)],
)  # fmt: skip
def test_register_refuses_certificates_that_could_not_be_kept(desk: Desk, field: str, value: object) -> None:
    with pytest.raises(Reverted) as caught:
        desk.register(**{field: value})
    assert (caught.value.name, caught.value.facts) == ("BadCertificate", {"field": field})


def test_withdraw_bond_gives_back_what_backs_nothing(desk: Desk) -> None:
    desk.register()
    with pytest.raises(Reverted, match="BadAmount"):
        desk.call(UNDERWRITER, "withdrawBond", desk.token, 601)
    desk.call(UNDERWRITER, "withdrawBond", desk.token, 600)
    assert desk.paid(UNDERWRITER) == 600
    assert desk.bond() == (400, 400)


def test_operator_commits_no_more_than_it_was_granted(desk: Desk) -> None:
    desk.market.call(UNDERWRITER.address, "setOperator", OPERATOR.address, desk.market.now + 30 * DAY)
    with pytest.raises(Reverted, match="BadAmount"):
        desk.register(by=OPERATOR)
    desk.call(UNDERWRITER, "setOperatorCover", desk.token, 450)
    number = desk.register(by=OPERATOR)
    assert desk.read("operatorCover", UNDERWRITER.address, desk.token) == 50
    desk.call(BUYER, "openClaim", number, 51, EVIDENCE)
    with pytest.raises(Reverted, match="BadAmount"):
        desk.call(OPERATOR, "acceptClaim", number)
    desk.call(OPERATOR, "contest", number, EVIDENCE)
    assert desk.status(number) == CONTESTED


def test_stranger_can_neither_issue_nor_answer(desk: Desk) -> None:
    with pytest.raises(Reverted, match="NotAuthorised"):
        desk.register(by=STRANGER)
    number = desk.claimed()
    for function, args in (("acceptClaim", ()), ("offer", (EVIDENCE,)), ("contest", (EVIDENCE,))):
        with pytest.raises(Reverted, match="NotAuthorised"):
            desk.call(STRANGER, function, number, *args)


def offer_sig(desk: Desk, number: int, deadline: int, by: Account) -> bytes:
    struct = keccak256(keccak256(b"CertificateOffer(uint256 id,uint256 deadline)") + word(number) + word(deadline))
    return sign(by.private, keccak256(b"\x19\x01" + desk.read("DOMAIN_SEPARATOR") + struct))


def test_buy_pays_the_premium_into_the_bond(desk: Desk) -> None:
    desk.deposit(1, by=BUYER)  # leaves the allowance behind
    desk.market.give(desk.token, BUYER.address, 30)
    certificate = desk.certificate(premium=30)
    deadline = desk.market.now
    sig = offer_sig(desk, desk.read("idOf", certificate), deadline, UNDERWRITER)
    desk.call(BUYER, "buy", certificate, deadline, sig)
    assert desk.bond() == (1_030, 400)
    with pytest.raises(Reverted):
        desk.call(BUYER, "buy", certificate, deadline, sig)


def test_buy_refuses_a_foreign_offer_and_an_old_one(desk: Desk) -> None:
    certificate = desk.certificate(premium=30)
    number, now = desk.read("idOf", certificate), desk.market.now
    with pytest.raises(Reverted, match="BadSignature"):
        desk.call(BUYER, "buy", certificate, now, offer_sig(desk, number, now, STRANGER))
    with pytest.raises(Reverted, match="TooLate"):
        desk.call(BUYER, "buy", certificate, now - 1, offer_sig(desk, number, now - 1, UNDERWRITER))


# ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_claim_accepted_pays_and_leaves_the_rest_of_the_cover(desk: Desk) -> None:
    number = desk.claimed(100)
    event = desk.call(UNDERWRITER, "acceptClaim", number).event("ClaimPaid")
    assert event == {"id": number, "holder": BUYER.address, "amount": 100}
    assert (desk.paid(), desk.bond(), desk.status(number)) == (100, (900, 300), ACTIVE)
    assert desk.call(BUYER, "openClaim", number, 300, EVIDENCE).event("ClaimOpened")["claimNo"] == 2


def test_claim_of_the_whole_cover_ends_the_certificate(desk: Desk) -> None:
    number = desk.claimed(400)
    desk.call(UNDERWRITER, "acceptClaim", number)
    assert (desk.status(number), desk.bond()) == (ENDED, (600, 0))
    with pytest.raises(Reverted, match="WrongClaimStatus"):
        desk.call(BUYER, "openClaim", number, 1, EVIDENCE)


def test_claim_unanswered_is_paid_by_anyone_after_the_window(desk: Desk) -> None:
    number = desk.claimed(100)
    desk.market.wait(5 * DAY)
    with pytest.raises(Reverted, match="TooEarly"):
        desk.call(STRANGER, "payUnanswered", number)
    desk.market.wait(1)
    with pytest.raises(Reverted, match="TooLate"):
        desk.call(UNDERWRITER, "contest", number, EVIDENCE)
    desk.call(STRANGER, "payUnanswered", number)
    assert desk.paid() == 100


def test_claim_is_for_the_present_holder_in_the_term_and_within_the_cover(desk: Desk) -> None:
    number = desk.register(startsAt=desk.market.now + DAY)
    with pytest.raises(Reverted, match="TooEarly"):
        desk.call(BUYER, "openClaim", number, 1, EVIDENCE)
    desk.market.wait(DAY)
    with pytest.raises(Reverted, match="NotAuthorised"):
        desk.call(STRANGER, "openClaim", number, 1, EVIDENCE)
    for amount in (0, 401):
        with pytest.raises(Reverted, match="BadAmount"):
            desk.call(BUYER, "openClaim", number, amount, EVIDENCE)
    desk.market.wait(365 * DAY)
    with pytest.raises(Reverted, match="TooLate"):
        desk.call(BUYER, "openClaim", number, 1, EVIDENCE)


def test_resale_moves_the_right_to_claim(desk: Desk) -> None:
    number = desk.register()
    desk.call(BUYER, "transferFrom", BUYER.address, STRANGER.address, number)
    with pytest.raises(Reverted, match="NotAuthorised"):
        desk.call(BUYER, "openClaim", number, 1, EVIDENCE)
    desk.call(STRANGER, "openClaim", number, 1, EVIDENCE)
    with pytest.raises(Reverted, match="WrongClaimStatus"):
        desk.call(STRANGER, "transferFrom", STRANGER.address, BUYER.address, number)


def test_offer_accepted_settles_the_claim_without_money(desk: Desk) -> None:
    number = desk.claimed()
    desk.call(UNDERWRITER, "offer", number, EVIDENCE)
    with pytest.raises(Reverted, match="NotAuthorised"):
        desk.call(STRANGER, "acceptOffer", number)
    desk.call(BUYER, "acceptOffer", number)
    assert (desk.status(number), desk.bond(), desk.paid()) == (ACTIVE, (1_000, 400), 0)


def test_offer_rejected_goes_to_the_arbiter(desk: Desk) -> None:
    number = desk.claimed(100)
    desk.call(UNDERWRITER, "offer", number, EVIDENCE)
    with pytest.raises(Reverted, match="NotAuthorised"):
        desk.call(UNDERWRITER, "contest", number, EVIDENCE)
    desk.call(BUYER, "contest", number, EVIDENCE)
    desk.call(ARBITER, "ruleClaim", number, 60)
    assert desk.paid() == 60


def test_offer_nobody_answers_lapses(desk: Desk) -> None:
    number = desk.claimed()
    desk.call(UNDERWRITER, "offer", number, EVIDENCE)
    with pytest.raises(Reverted, match="TooEarly"):
        desk.call(STRANGER, "lapseOffer", number)
    desk.market.wait(5 * DAY + 1)
    desk.call(STRANGER, "lapseOffer", number)
    assert desk.status(number) == ACTIVE


def test_contested_claim_is_the_arbiters_and_silence_pays(desk: Desk) -> None:
    ruled, silent = desk.claimed(100), desk.claimed(50)
    for number in (ruled, silent):
        desk.call(UNDERWRITER, "contest", number, EVIDENCE)
    with pytest.raises(Reverted, match="NotAuthorised"):
        desk.call(BUYER, "ruleClaim", ruled, 100)
    with pytest.raises(Reverted, match="BadAmount"):
        desk.call(ARBITER, "ruleClaim", ruled, 101)
    desk.call(ARBITER, "ruleClaim", ruled, 0)
    assert (desk.paid(), desk.status(ruled)) == (0, ACTIVE)
    desk.market.wait(7 * DAY + 1)
    with pytest.raises(Reverted, match="TooLate"):
        desk.call(ARBITER, "ruleClaim", silent, 0)
    desk.call(STRANGER, "payUnanswered", silent)
    assert desk.paid() == 50


def test_expire_and_surrender_free_the_bond(desk: Desk) -> None:
    old, given_up, open_claim = desk.register(), desk.register(), desk.claimed(1, cover=100)
    with pytest.raises(Reverted, match="NotAuthorised"):
        desk.call(UNDERWRITER, "surrender", given_up)
    desk.call(BUYER, "surrender", given_up)
    with pytest.raises(Reverted, match="TooEarly"):
        desk.call(STRANGER, "expire", old)
    desk.market.wait(366 * DAY)
    desk.call(STRANGER, "expire", old)
    with pytest.raises(Reverted, match="WrongClaimStatus"):
        desk.call(STRANGER, "expire", open_claim)
    assert desk.bond() == (1_000, 100)


def test_token_uri_is_the_cid_of_the_terms(desk: Desk) -> None:
    number = desk.register()
    assert desk.read("tokenURI", number) == "ipfs://f01711220" + "07" * 32


def test_native_coin_backs_certificates_too(market: Market) -> None:
    desk = Desk(market, NATIVE)
    number = desk.claimed(100)
    desk.call(UNDERWRITER, "acceptClaim", number)
    assert desk.paid() == 100
    desk.call(UNDERWRITER, "withdrawBond", NATIVE, 600)
    assert desk.paid(UNDERWRITER) == 600


def test_blacklisted_holder_is_credited(market: Market) -> None:
    token = market.deploy(fixture_code("NastyToken"))
    desk = Desk(market, token)
    number = desk.claimed(100)
    block = keccak256(b"setBlocked(address,bool)")[:4] + BUYER.address.rjust(32, b"\0") + word(1)
    market.send(STRANGER.address, token, block)
    desk.call(UNDERWRITER, "acceptClaim", number)
    assert desk.read("credits", token, BUYER.address) == 100
    desk.call(BUYER, "withdraw", token, STRANGER.address)
    assert desk.paid(STRANGER) == 100
