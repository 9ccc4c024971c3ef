"""Delivery tracking: append-only checkpoints, one word of memory, no signature twice."""

from __future__ import annotations

import pytest

from contracts.evm_market import CARRIER, HOUR, STRANGER, Account, Market, Receipt, Reverted, word
from halle_contracts import encode_call
from halle_protocol.keys import keccak256
from halle_protocol.signing import sign

PARCEL = b"\x0a" * 32
DETAIL = b"\x0d" * 32
TYPE = "Attestation(address carrier,bytes32 shipmentId,uint8 status,uint40 at,bytes32 detailHash,uint256 deadline)"


def call(market: Market, by: Account, function: str, *args: object) -> Receipt:
    data = encode_call("DeliveryTracking", function, *args)
    return market.send(by.address, market.tracking, data, name="DeliveryTracking")


def latest(market: Market, parcel: bytes = PARCEL, carrier: Account = CARRIER) -> tuple[int, ...]:
    seen = market.read("DeliveryTracking", market.tracking, "latest", carrier.address, parcel)
    return tuple(seen.values())


def test_attest_keeps_the_newest_and_tells_the_rest(market: Market) -> None:
    receipt = call(market, CARRIER, "attest", PARCEL, 3, market.now, DETAIL)
    assert receipt.event("Checkpoint") == {
        "shipmentId": PARCEL,
        "carrier": CARRIER.address,
        "status": 3,
        "at": market.now,
        "detailHash": DETAIL,
    }
    late_report = call(market, CARRIER, "attest", PARCEL, 2, market.now - HOUR, DETAIL)
    assert late_report.event("Checkpoint")["status"] == 2
    assert latest(market) == (3, market.now, 0)


def test_attest_never_overwrites_the_first_delivery(market: Market) -> None:
    delivered = market.now
    call(market, CARRIER, "attest", PARCEL, 6, delivered, DETAIL)
    market.wait(HOUR)
    call(market, CARRIER, "attest", PARCEL, 6, market.now, DETAIL)
    call(market, CARRIER, "attest", PARCEL, 7, market.now, DETAIL)
    assert latest(market) == (7, market.now, delivered)


def test_attest_speaks_for_its_caller_only(market: Market) -> None:
    call(market, STRANGER, "attest", PARCEL, 6, market.now, DETAIL)
    assert latest(market) == (0, 0, 0)


@pytest.mark.parametrize("status", [0, 9, 255])
def test_attest_refuses_unknown_statuses(market: Market, status: int) -> None:
    with pytest.raises(Reverted, match="UnknownStatus"):
        call(market, CARRIER, "attest", PARCEL, status, market.now, DETAIL)


def test_attest_refuses_the_future_beyond_clock_drift(market: Market) -> None:
    call(market, CARRIER, "attest", PARCEL, 1, market.now + 600, DETAIL)
    for at in (market.now + 601, 0):
        with pytest.raises(Reverted, match="BadTime"):
            call(market, CARRIER, "attest", PARCEL, 1, at, DETAIL)


def test_attest_many_records_a_van(market: Market) -> None:
    parcels = [bytes([n]) * 32 for n in range(1, 6)]
    receipt = call(market, CARRIER, "attestMany", [(parcel, 6, market.now, DETAIL) for parcel in parcels])
    assert len(receipt.events) == 5
    assert {latest(market, parcel) for parcel in parcels} == {(6, market.now, market.now)}


def by_sig(market: Market, *, status: int = 6, signer: Account = CARRIER, deadline: int | None = None) -> Receipt:
    end = market.now if deadline is None else deadline
    words = (CARRIER.address, PARCEL, word(status), word(market.now), DETAIL, word(end))
    struct = keccak256(keccak256(TYPE.encode()) + b"".join(part.rjust(32, b"\0") for part in words))
    domain = market.read("DeliveryTracking", market.tracking, "DOMAIN_SEPARATOR")
    sig = sign(signer.private, keccak256(b"\x19\x01" + domain + struct))
    args = (CARRIER.address, (PARCEL, status, market.now, DETAIL), end, sig)
    return call(market, STRANGER, "attestBySig", *args)


def test_attest_by_sig_is_relayed_by_anyone_and_works_once(market: Market) -> None:
    assert by_sig(market).event("Checkpoint")["carrier"] == CARRIER.address
    with pytest.raises(Reverted, match="BadTime"):
        by_sig(market)


def test_attest_by_sig_refuses_others_and_old_papers(market: Market) -> None:
    with pytest.raises(Reverted, match="BadSignature"):
        by_sig(market, signer=STRANGER)
    with pytest.raises(Reverted, match="TooLate"):
        by_sig(market, deadline=market.now - 1)
