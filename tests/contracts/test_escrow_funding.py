"""Opening an order: who may, with what money, and what is refused."""

from __future__ import annotations

import pytest
from pyrevm import AccountInfo

from contracts.evm_market import (
    ARBITER,
    BUYER,
    DAY,
    HOUR,
    MERCHANT,
    NATIVE,
    OPERATOR,
    STRANGER,
    Account,
    Market,
    Reverted,
    fixture_code,
    text,
    word,
)
from halle_contracts import TERMS_FIELDS, encode_call, terms_tuple
from halle_protocol.keys import ZERO_ADDRESS, keccak256
from halle_protocol.signing import sign
from halle_protocol.terms import Terms, set_operator_digest

SECP_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def token_digest(market: Market, type_text: str, *words: bytes) -> bytes:
    struct = keccak256(keccak256(type_text.encode()) + b"".join(word.rjust(32, b"\0") for word in words))
    domain = market.read("TestToken", market.token, "DOMAIN_SEPARATOR")
    return keccak256(b"\x19\x01" + domain + struct)


def vrs(sig: bytes) -> tuple[int, bytes, bytes]:
    return sig[64], sig[:32], sig[32:64]


def test_fund_accepts_at_once_when_the_merchant_signed(market: Market) -> None:
    terms = market.terms()
    event = market.fund(terms).event("Funded")
    assert event["accepted"] is True
    assert event["orderId"] == market.order_id(terms)
    assert (event["merchant"], event["buyer"], event["token"]) == (MERCHANT.address, BUYER.address, market.token)
    assert (event["amount"], event["orderHash"]) == (terms.amount, terms.order_hash)
    assert market.order(terms) == {"status": 2, "deadline": market.now + terms.ship_within, "paidOut": 0}
    assert market.balance(market.token, market.escrow) == terms.amount


def test_fund_makes_an_offer_when_nobody_signed(market: Market) -> None:
    terms = market.terms()
    assert market.fund(terms, b"").event("Funded")["accepted"] is False
    assert market.order(terms) == {"status": 1, "deadline": market.now + terms.accept_within, "paidOut": 0}


def test_contract_and_protocol_agree_on_digest_and_order_id(market: Market) -> None:
    terms = market.terms()
    args = terms_tuple(terms)
    assert market.read("Escrow", market.escrow, "digestOf", args) == terms.digest(market.chain_id, market.escrow)
    assert market.read("Escrow", market.escrow, "orderIdOf", args, BUYER.address) == market.order_id(terms)


def test_fund_binds_a_public_quote_to_whoever_pays(market: Market) -> None:
    terms = market.terms(buyer=ZERO_ADDRESS)
    assert market.fund(terms).event("Funded")["buyer"] == BUYER.address
    assert market.status(terms) == "Accepted"


def test_fund_by_a_stranger_serves_the_named_buyer(market: Market) -> None:
    terms = market.terms()
    market.fund(terms, sender=STRANGER.address)
    market.do(MERCHANT, "refund", terms, terms.amount)
    assert market.balance(market.token, BUYER.address) == terms.amount


def test_fund_takes_native_coin(market: Market) -> None:
    terms = market.terms(token=NATIVE)
    market.fund(terms)
    assert market.balance(NATIVE, market.escrow) == terms.amount


@pytest.mark.parametrize("sent", [0, 999_999, 1_000_001])
def test_fund_refuses_another_amount_of_native_coin(market: Market, sent: int) -> None:
    terms = market.terms(token=NATIVE)
    market.supply(terms)
    market.supply(terms)
    with pytest.raises(Reverted, match="WrongPayment"):
        market.call(BUYER.address, "fund", terms_tuple(terms), b"", value=sent)


def test_fund_refuses_native_coin_beside_a_token(market: Market) -> None:
    terms = market.terms()
    market.supply(terms)
    market.give(NATIVE, BUYER.address, 1)
    with pytest.raises(Reverted, match="WrongPayment"):
        market.call(BUYER.address, "fund", terms_tuple(terms), b"", value=1)


def test_fund_refuses_a_second_payment_of_the_same_order(market: Market) -> None:
    terms = market.terms()
    market.fund(terms)
    with pytest.raises(Reverted, match="WrongStatus"):
        market.fund(terms)


def test_fund_refuses_a_closed_order_before_and_after_its_quote_expired(market: Market) -> None:
    early, late = market.terms(), market.terms()
    market.fund(early)
    market.fund(late)
    market.do(MERCHANT, "refund", early, early.amount)
    with pytest.raises(Reverted, match="WrongStatus"):
        market.fund(early)
    market.wait(HOUR + 1)
    market.do(MERCHANT, "refund", late, late.amount)
    assert market.status(late) == "None"
    for terms in (early, late):
        with pytest.raises(Reverted, match="TooLate"):
            market.fund(terms)


def test_fund_works_in_the_last_second_of_the_quote_only(market: Market) -> None:
    in_time, late = market.terms(valid_until=market.now), market.terms(valid_until=market.now - 1)
    market.fund(in_time)
    with pytest.raises(Reverted, match="TooLate"):
        market.fund(late)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("merchant", {"merchant": ZERO_ADDRESS}),
        ("buyer", {"buyer": ZERO_ADDRESS, "merchant": BUYER.address}),
        ("amount", {"amount": 0}),
        ("amount", {"amount": 2**128}),
        ("arbiter", {"arbiter": BUYER.address}),
        ("arbiter", {"arbiter": MERCHANT.address}),
        ("backupArbiter", {"backupArbiter": BUYER.address}),
        ("backupArbiter", {"backupArbiter": MERCHANT.address}),
        ("arbiterFeeBps", {"arbiterFeeBps": 1_001}),
        ("defaultBuyerBps", {"defaultBuyerBps": 10_001}),
        ("window", {"acceptWithin": 2**26}),
        ("window", {"shipWithin": 2**26}),
        ("window", {"deliverWithin": 2**26}),
        ("window", {"inspectWithin": 2**26}),
        ("window", {"arbiterWithin": 2**26}),
        ("proofRequired", {"proofRequired": True, "carrier": ZERO_ADDRESS, "deliveryCode": bytes(32)}),
    ],
)
def test_fund_refuses_terms_that_could_not_be_kept(market: Market, field: str, changes: dict[str, object]) -> None:
    values = dict(zip(TERMS_FIELDS, terms_tuple(market.terms()), strict=True)) | changes
    with pytest.raises(Reverted) as caught:
        market.call(BUYER.address, "fund", values, b"")
    assert (caught.value.name, caught.value.facts) == ("BadTerms", {"field": field})


@pytest.mark.parametrize("index", [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 0])
def test_fund_refuses_terms_with_dirty_bits(market: Market, index: int) -> None:
    """The order id hashes raw calldata: two encodings of one value would be two orders."""
    terms = market.terms()
    market.supply(terms)
    data = bytearray(encode_call("Escrow", "fund", terms_tuple(terms), b""))
    data[4 + 32 * index] |= 0x80
    with pytest.raises(Reverted, match="BadTerms"):
        market.send(BUYER.address, market.escrow, bytes(data))


def test_fund_refuses_a_foreign_signature(market: Market) -> None:
    terms = market.terms()
    for sig in (market.signature(terms, STRANGER), market.signature(market.terms()), bytes(65), b"\1" * 64):
        with pytest.raises(Reverted, match="BadSignature"):
            market.fund(terms, sig)


def test_fund_refuses_the_high_s_twin_of_a_signature(market: Market) -> None:
    terms = market.terms()
    sig = market.signature(terms)
    high_s = SECP_ORDER - int.from_bytes(sig[32:64], "big")
    twin = sig[:32] + high_s.to_bytes(32, "big") + bytes([55 - sig[64]])
    with pytest.raises(Reverted, match="BadSignature"):
        market.fund(terms, twin)


def test_fund_refuses_a_signature_for_another_chain_or_contract(market: Market) -> None:
    terms = market.terms()
    elsewhere = [(market.chain_id + 1, market.escrow), (market.chain_id, market.warranty)]
    for chain_id, escrow in elsewhere:
        with pytest.raises(Reverted, match="BadSignature"):
            market.fund(terms, sign(MERCHANT.private, terms.digest(chain_id, escrow)))


def test_fund_refuses_a_token_that_keeps_a_fee(market: Market) -> None:
    token = market.deploy(fixture_code("NastyToken"))
    market.send(STRANGER.address, token, encode_call("TestToken", "mint", BUYER.address, 10**9))
    market.send(STRANGER.address, token, keccak256(b"setFee(uint256)")[:4] + word(100))
    with pytest.raises(Reverted) as caught:
        market.fund(market.terms(token=token))
    assert (caught.value.name, caught.value.facts) == ("WrongPayment", {"expected": 1_000_000, "got": 990_000})


def test_fund_refuses_an_address_without_code_as_token(market: Market) -> None:
    terms = market.terms(token=STRANGER.address)
    with pytest.raises(Reverted):
        market.call(BUYER.address, "fund", terms_tuple(terms), b"")


# ── smart accounts and operators ────────────────────────────────────────────────────────────────────────────────


def test_fund_takes_the_approval_of_a_smart_account(market: Market) -> None:
    merchant = market.deploy(fixture_code("SmartAccount"))
    terms = market.terms(merchant=merchant)
    with pytest.raises(Reverted, match="BadSignature"):
        market.fund(terms, b"anything")
    digest = terms.digest(market.chain_id, market.escrow)
    market.send(MERCHANT.address, merchant, keccak256(b"approve(bytes32,bool)")[:4] + digest + word(1))
    assert market.fund(terms, b"anything").event("Funded")["accepted"] is True


def test_fund_takes_the_plain_signature_of_a_delegated_key(market: Market) -> None:
    """By EIP-7702 a key may have code that knows nothing of ERC-1271; it still signs as before."""
    market.evm.insert_account_info(text(MERCHANT.address), AccountInfo(code=b"\xfe"))
    assert market.fund(market.terms()).event("Funded")["accepted"] is True


def test_operator_acts_for_its_merchant_until_it_expires(market: Market) -> None:
    event = market.call(MERCHANT.address, "setOperator", OPERATOR.address, market.now + DAY).event("OperatorSet")
    assert event == {"merchant": MERCHANT.address, "operator": OPERATOR.address, "until": market.now + DAY}
    terms, offer = market.terms(), market.terms()
    market.fund(terms, market.signature(terms, OPERATOR))
    market.fund(offer, b"")
    market.do(OPERATOR, "accept", offer)
    market.do(OPERATOR, "ship", offer, bytes(32))
    market.wait(DAY + 1)
    for function, args in (("ship", (bytes(32),)), ("refund", (1,)), ("dispute", (bytes(32),))):
        with pytest.raises(Reverted, match="NotAuthorised"):
            market.do(OPERATOR, function, terms, *args)


def test_operator_of_one_merchant_is_nobody_for_another(market: Market) -> None:
    market.call(STRANGER.address, "setOperator", OPERATOR.address, market.now + DAY)
    terms = market.terms()
    with pytest.raises(Reverted, match="BadSignature"):
        market.fund(terms, market.signature(terms, OPERATOR))


def test_operator_is_revoked_at_once(market: Market) -> None:
    market.call(MERCHANT.address, "setOperator", OPERATOR.address, market.now + DAY)
    market.call(MERCHANT.address, "setOperator", OPERATOR.address, 0)
    assert market.read("Escrow", market.escrow, "operatorUntil", MERCHANT.address, OPERATOR.address) == 0
    terms = market.terms()
    with pytest.raises(Reverted, match="BadSignature"):
        market.fund(terms, market.signature(terms, OPERATOR))


def set_operator_by_sig(market: Market, nonce: int, by: Account, deadline: int) -> None:
    until = market.now + DAY
    args = (MERCHANT.address, OPERATOR.address, until, nonce, deadline)
    digest = set_operator_digest(*args, market.chain_id, market.escrow)
    market.call(STRANGER.address, "setOperatorBySig", *args, sign(by.private, digest))


def test_operator_can_be_set_by_the_merchants_signature_once(market: Market) -> None:
    set_operator_by_sig(market, 0, MERCHANT, market.now)
    assert market.read("Escrow", market.escrow, "operatorUntil", MERCHANT.address, OPERATOR.address) > 0
    assert market.read("Escrow", market.escrow, "nonces", MERCHANT.address) == 1
    with pytest.raises(Reverted, match="BadNonce"):
        set_operator_by_sig(market, 0, MERCHANT, market.now)


def test_operator_by_sig_refuses_strangers_and_old_papers(market: Market) -> None:
    with pytest.raises(Reverted, match="BadSignature"):
        set_operator_by_sig(market, 0, STRANGER, market.now)
    with pytest.raises(Reverted, match="TooLate"):
        set_operator_by_sig(market, 0, MERCHANT, market.now - 1)
    with pytest.raises(Reverted, match="BadNonce"):
        set_operator_by_sig(market, 1, MERCHANT, market.now)


# ── permit and authorisation ────────────────────────────────────────────────────────────────────────────────────

PERMIT = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
RECEIVE = (
    "ReceiveWithAuthorization(address from,address to,uint256 value,"
    "uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)


def permit(market: Market, terms: Terms) -> tuple[int, int, bytes, bytes]:
    words = (BUYER.address, market.escrow, word(terms.amount), word(0), word(market.now))
    return (market.now, *vrs(sign(BUYER.private, token_digest(market, PERMIT, *words))))


def test_fund_with_permit_needs_no_approval(market: Market) -> None:
    terms = market.terms()
    market.give(market.token, BUYER.address, terms.amount)
    args = permit(market, terms)
    market.call(BUYER.address, "fundWithPermit", terms_tuple(terms), market.signature(terms), *args)
    assert market.status(terms) == "Accepted"


def test_fund_with_permit_works_when_somebody_else_submitted_the_permit(market: Market) -> None:
    terms = market.terms()
    market.give(market.token, BUYER.address, terms.amount)
    args = permit(market, terms)
    front_run = encode_call("TestToken", "permit", BUYER.address, market.escrow, terms.amount, *args)
    market.send(STRANGER.address, market.token, front_run)
    market.call(BUYER.address, "fundWithPermit", terms_tuple(terms), market.signature(terms), *args)
    assert market.status(terms) == "Accepted"


def authorise(market: Market, nonce: bytes, amount: int, by: Account = BUYER) -> tuple[object, ...]:
    words = (BUYER.address, market.escrow, word(amount), word(0), word(market.now + 1), nonce)
    sig = sign(by.private, token_digest(market, RECEIVE, *words))
    return (BUYER.address, 0, market.now + 1, *vrs(sig))


def test_fund_with_authorization_needs_no_gas_of_the_buyer(market: Market) -> None:
    terms = market.terms()
    market.give(market.token, BUYER.address, terms.amount)
    args = authorise(market, market.order_id(terms), terms.amount)
    sig = market.signature(terms)
    receipt = market.call(STRANGER.address, "fundWithAuthorization", terms_tuple(terms), sig, *args)
    assert receipt.event("Funded")["buyer"] == BUYER.address
    market.funded.append((terms, BUYER.address))


def test_authorization_funds_no_other_order(market: Market) -> None:
    terms, other = market.terms(), market.terms(merchant=STRANGER.address)
    market.give(market.token, BUYER.address, terms.amount)
    args = authorise(market, market.order_id(terms), terms.amount)
    with pytest.raises(Reverted):
        market.call(STRANGER.address, "fundWithAuthorization", terms_tuple(other), b"", *args)


def test_authorization_must_be_the_payers(market: Market) -> None:
    terms = market.terms()
    market.give(market.token, BUYER.address, terms.amount)
    args = authorise(market, market.order_id(terms), terms.amount, by=STRANGER)
    with pytest.raises(Reverted):
        market.call(STRANGER.address, "fundWithAuthorization", terms_tuple(terms), b"", *args)


def test_relayer_that_drops_the_signature_only_delays(market: Market) -> None:
    terms = market.terms()
    market.give(market.token, BUYER.address, terms.amount)
    args = authorise(market, market.order_id(terms), terms.amount)
    market.call(STRANGER.address, "fundWithAuthorization", terms_tuple(terms), b"", *args)
    assert market.status(terms) == "Offered"
    market.do(BUYER, "acceptBySig", terms, market.signature(terms))
    assert market.status(terms) == "Accepted"


# ── offers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_order_registered_by_a_stranger_is_a_gift_the_merchant_signature_still_accepts(market: Market) -> None:
    """Squatting an order id costs the whole price, and does not stop the sale."""
    terms = market.terms()
    market.fund(terms, b"", sender=STRANGER.address)
    market.do(STRANGER, "acceptBySig", terms, market.signature(terms))
    assert market.status(terms) == "Accepted"


def test_accept_starts_the_shipping_window(market: Market) -> None:
    terms = market.terms()
    market.fund(terms, b"")
    market.wait(DAY)
    event = market.do(MERCHANT, "accept", terms).event("Accepted")
    assert event["deadline"] == market.now + terms.ship_within == market.order(terms)["deadline"]


def test_accept_is_the_merchants_and_in_time(market: Market) -> None:
    terms = market.terms()
    market.fund(terms, b"")
    for person in (BUYER, STRANGER, ARBITER):
        with pytest.raises(Reverted, match="NotAuthorised"):
            market.do(person, "accept", terms)
    market.wait(terms.accept_within + 1)
    with pytest.raises(Reverted, match="TooLate"):
        market.do(MERCHANT, "accept", terms)


def test_lapse_returns_an_unanswered_offer(market: Market) -> None:
    terms = market.terms()
    market.fund(terms, b"")
    market.wait(terms.accept_within)
    with pytest.raises(Reverted, match="TooEarly"):
        market.do(STRANGER, "lapse", terms)
    market.wait(1)
    assert market.do(STRANGER, "lapse", terms).event("Closed")["how"] == 5
    assert market.balance(market.token, BUYER.address) == terms.amount
    with pytest.raises(Reverted, match="WrongStatus"):
        market.do(STRANGER, "lapse", terms)


def test_refund_declines_an_offer(market: Market) -> None:
    terms = market.terms()
    market.fund(terms, b"")
    assert market.do(MERCHANT, "refund", terms, terms.amount).event("Closed")["how"] == 3
    assert market.balance(market.token, BUYER.address) == terms.amount


def test_release_of_an_offer_is_refused(market: Market) -> None:
    terms = market.terms()
    market.fund(terms, b"")
    with pytest.raises(Reverted, match="WrongStatus"):
        market.do(BUYER, "release", terms, 1)
