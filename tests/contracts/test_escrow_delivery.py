"""From acceptance to the money: shipping, the two proofs of delivery, claims."""

from __future__ import annotations

import pytest

from contracts.evm_market import (
    ARBITER,
    BUYER,
    CARRIER,
    CODE,
    DAY,
    MERCHANT,
    STRANGER,
    Account,
    Market,
    Reverted,
)
from halle_contracts import encode_call, shipment_id, terms_tuple
from halle_protocol.keys import ZERO_ADDRESS
from halle_protocol.terms import Terms

SHIPMENT = b"\x5a" * 32
DELIVERED = 6


def shipped(market: Market, **changes: object) -> Terms:
    terms = market.terms(**changes)
    market.fund(terms)
    market.do(MERCHANT, "ship", terms, SHIPMENT)
    return terms


def attest(market: Market, parcel: bytes, status: int = DELIVERED, by: Account = CARRIER) -> None:
    data = encode_call("DeliveryTracking", "attest", parcel, status, market.now, bytes(32))
    market.send(by.address, market.tracking, data, name="DeliveryTracking")


def test_ship_opens_the_delivery_and_inspection_windows(market: Market) -> None:
    terms = market.terms()
    market.fund(terms)
    event = market.do(MERCHANT, "ship", terms, SHIPMENT).event("Shipped")
    assert event["shipmentHash"] == SHIPMENT
    assert event["deadline"] == market.now + terms.deliver_within + terms.inspect_within


def test_ship_opens_the_delivery_window_only_when_proof_is_required(market: Market) -> None:
    terms = shipped(market, proof_required=True)
    assert market.order(terms)["deadline"] == market.now + terms.deliver_within


def test_ship_is_the_merchants_in_time_and_once(market: Market) -> None:
    terms, late = market.terms(), market.terms()
    market.fund(terms)
    market.fund(late)
    with pytest.raises(Reverted, match="NotAuthorised"):
        market.do(BUYER, "ship", terms, SHIPMENT)
    market.wait(terms.ship_within)
    market.do(MERCHANT, "ship", terms, SHIPMENT)
    with pytest.raises(Reverted, match="WrongStatus"):
        market.do(MERCHANT, "ship", terms, SHIPMENT)
    market.wait(1)
    with pytest.raises(Reverted, match="TooLate"):
        market.do(MERCHANT, "ship", late, SHIPMENT)


def test_reclaim_returns_the_money_of_a_late_merchant(market: Market) -> None:
    terms = market.terms()
    market.fund(terms)
    market.wait(terms.ship_within)
    with pytest.raises(Reverted, match="TooEarly"):
        market.do(BUYER, "reclaim", terms)
    market.wait(1)
    assert market.do(STRANGER, "reclaim", terms).event("Closed")["how"] == 6
    assert market.balance(market.token, BUYER.address) == terms.amount


def test_deliver_takes_the_code_from_anyone(market: Market) -> None:
    terms = shipped(market)
    event = market.do(STRANGER, "deliver", terms, CODE).event("Delivered")
    assert (event["deadline"], event["byCarrier"]) == (market.now + terms.inspect_within, False)
    assert market.status(terms) == "Delivered"


def test_deliver_works_over_the_counter_without_a_shipment(market: Market) -> None:
    terms = market.terms()
    market.fund(terms)
    market.wait(terms.ship_within + 1)
    market.do(MERCHANT, "deliver", terms, CODE)
    assert market.status(terms) == "Delivered"


def test_deliver_refuses_a_wrong_code(market: Market) -> None:
    terms, codeless = shipped(market), shipped(market, delivery_code=bytes(32))
    for order, code in ((terms, CODE + b"!"), (terms, b""), (codeless, b""), (codeless, CODE)):
        with pytest.raises(Reverted, match="WrongCode"):
            market.do(MERCHANT, "deliver", order, code)


def test_deliver_cannot_reopen_a_window_that_already_pays_the_merchant(market: Market) -> None:
    terms = shipped(market)
    market.wait(terms.deliver_within + terms.inspect_within + 1)
    with pytest.raises(Reverted, match="TooLate"):
        market.do(BUYER, "deliver", terms, CODE)


def test_deliver_late_still_counts_when_proof_is_required(market: Market) -> None:
    terms = shipped(market, proof_required=True)
    market.wait(terms.deliver_within + 1)
    market.do(MERCHANT, "deliver", terms, CODE)
    assert market.status(terms) == "Delivered"


def test_deliver_by_carrier_reads_the_named_carriers_checkpoint(market: Market) -> None:
    terms = shipped(market)
    parcel = shipment_id(market.order_id(terms), SHIPMENT)
    assert market.read("Escrow", market.escrow, "shipmentIdOf", market.order_id(terms), SHIPMENT) == parcel
    attest(market, parcel)
    assert market.do(STRANGER, "deliverByCarrier", terms, SHIPMENT).event("Delivered")["byCarrier"] is True


def test_deliver_by_carrier_refuses_what_proves_nothing(market: Market) -> None:
    terms, other, carrierless = shipped(market), shipped(market), shipped(market, carrier=ZERO_ADDRESS)
    parcel = shipment_id(market.order_id(terms), SHIPMENT)
    attest(market, parcel, status=3)
    attest(market, parcel, by=STRANGER)
    attest(market, SHIPMENT)
    attest(market, shipment_id(market.order_id(other), SHIPMENT))
    for order in (terms, carrierless):
        with pytest.raises(Reverted, match="NotDelivered"):
            market.do(MERCHANT, "deliverByCarrier", order, SHIPMENT)


def test_deliver_by_carrier_refuses_a_parcel_that_went_back(market: Market) -> None:
    terms = shipped(market)
    parcel = shipment_id(market.order_id(terms), SHIPMENT)
    attest(market, parcel)
    attest(market, parcel, status=7)
    with pytest.raises(Reverted, match="NotDelivered"):
        market.do(MERCHANT, "deliverByCarrier", terms, SHIPMENT)


def test_deliver_by_carrier_needs_a_shipment(market: Market) -> None:
    terms = market.terms()
    market.fund(terms)
    attest(market, shipment_id(market.order_id(terms), SHIPMENT))
    with pytest.raises(Reverted, match="WrongStatus"):
        market.do(MERCHANT, "deliverByCarrier", terms, SHIPMENT)


def test_claim_pays_after_silence(market: Market) -> None:
    terms = shipped(market)
    market.wait(terms.deliver_within + terms.inspect_within)
    with pytest.raises(Reverted, match="TooEarly"):
        market.do(MERCHANT, "claim", terms)
    market.wait(1)
    receipt = market.do(STRANGER, "claim", terms)
    assert receipt.event("Closed")["how"] == 2
    assert receipt.event("Paid") == {
        "orderId": market.order_id(terms),
        "toBuyer": 0,
        "toMerchant": terms.amount,
        "toArbiter": 0,
    }
    assert market.balance(market.token, MERCHANT.address) == terms.amount


def test_claim_pays_after_inspection_of_what_was_delivered(market: Market) -> None:
    terms = shipped(market, proof_required=True)
    market.do(MERCHANT, "deliver", terms, CODE)
    market.wait(terms.inspect_within)
    with pytest.raises(Reverted, match="TooEarly"):
        market.do(MERCHANT, "claim", terms)
    market.wait(1)
    market.do(MERCHANT, "claim", terms)
    assert market.balance(market.token, MERCHANT.address) == terms.amount


def test_claim_without_required_proof_is_refused_and_the_buyer_reclaims(market: Market) -> None:
    terms = shipped(market, proof_required=True)
    market.wait(terms.deliver_within + 1)
    with pytest.raises(Reverted, match="WrongStatus"):
        market.do(MERCHANT, "claim", terms)
    with pytest.raises(Reverted, match="NotAuthorised"):
        market.do(STRANGER, "reclaim", terms)
    market.do(BUYER, "reclaim", terms)
    assert market.balance(market.token, BUYER.address) == terms.amount


def test_reclaim_after_shipment_is_refused_when_no_proof_was_asked_for(market: Market) -> None:
    terms = shipped(market)
    market.wait(30 * DAY)
    with pytest.raises(Reverted, match="WrongStatus"):
        market.do(BUYER, "reclaim", terms)


def test_claim_pays_only_what_is_left(market: Market) -> None:
    terms = shipped(market)
    market.do(BUYER, "release", terms, 300_000)
    market.do(MERCHANT, "refund", terms, 200_000)
    market.wait(15 * DAY)
    assert market.do(STRANGER, "claim", terms).event("Paid")["toMerchant"] == 500_000
    assert market.balance(market.token, MERCHANT.address) == 800_000
    assert market.balance(market.token, BUYER.address) == 200_000


def claim_many(market: Market, orders: list[Terms]) -> dict[str, int]:
    batch, buyers = [terms_tuple(terms) for terms in orders], [market.buyer_of(terms) for terms in orders]
    receipt = market.call(STRANGER.address, "claimMany", batch, buyers)
    names = [name for name, _ in receipt.events]
    return {"claimed": int.from_bytes(receipt.output, "big"), **{n: names.count(n) for n in ("Paid", "Closed")}}


def test_claim_many_pays_the_due_and_skips_the_rest(market: Market) -> None:
    due = [shipped(market) for _ in range(3)]
    disputed, gone, unshipped = shipped(market), shipped(market), market.terms()
    market.fund(unshipped)
    market.do(BUYER, "dispute", disputed, SHIPMENT)
    market.do(BUYER, "release", gone, gone.amount)
    before = market.balance(market.token, MERCHANT.address)
    market.wait(15 * DAY)
    young = shipped(market)
    orders = [due[0], disputed, due[1], gone, unshipped, young, due[2], due[2]]
    assert claim_many(market, orders) == {"claimed": 3, "Paid": 3, "Closed": 3}
    assert market.balance(market.token, MERCHANT.address) - before == 3_000_000
    assert market.status(disputed) == "Disputed"


def test_claim_many_pays_each_merchant_its_own(market: Market) -> None:
    mine, theirs = shipped(market), market.terms(merchant=STRANGER.address)
    market.fund(theirs, market.signature(theirs, STRANGER))
    market.do(STRANGER, "ship", theirs, SHIPMENT)
    market.wait(15 * DAY)
    claim_many(market, [mine, theirs])
    assert market.balance(market.token, MERCHANT.address) == 1_000_000
    assert market.balance(market.token, STRANGER.address) == 1_000_000


def test_claim_many_wants_a_buyer_for_each_order(market: Market) -> None:
    terms = shipped(market)
    with pytest.raises(Reverted, match="LengthMismatch"):
        market.call(ARBITER.address, "claimMany", [terms_tuple(terms)], [])
