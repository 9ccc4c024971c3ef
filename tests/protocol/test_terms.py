from __future__ import annotations

from dataclasses import fields, replace
from hashlib import sha256
from typing import Any

import pytest
from eth_abi import encode as abi_encode
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from halle_protocol import dagcbor
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.keys import NO_CODE, ZERO_ADDRESS, to_checksum
from halle_protocol.signing import TYPES, recover, sign
from halle_protocol.terms import (
    OrderDocument,
    Terms,
    bind,
    check_binding,
    explain,
    order_hash,
    release_digest,
    set_operator_digest,
    settlement_digest,
    shipment_commitment,
    shipment_id,
    sign_terms,
    terms_signer,
)
from halle_protocol.terms_words import duration, utc_text
from samples_people import (
    ARBITER,
    BUYER,
    CARRIER,
    CHAIN_ID,
    ESCROW,
    MERCHANT,
    MERCHANT_KEY,
    STRANGER,
    order_document,
    terms,
)

_OTHER: dict[str, Any] = {
    "merchant": STRANGER,
    "buyer": STRANGER,
    "token": STRANGER,
    "arbiter": STRANGER,
    "backup_arbiter": STRANGER,
    "carrier": STRANGER,
    "delivery_code": bytes([1]) * 32,
    "order_hash": bytes([1]) * 32,
    "proof_required": True,
}


def test_terms_fields_follow_the_solidity_struct() -> None:
    names = [field.split(" ")[1] for field in TYPES["Terms"][6:-1].split(",")]
    assert [field.name for field in fields(Terms)] == [_snake(name) for name in names]


def _snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name)


def test_order_id_is_the_abi_hash_of_digest_and_buyer() -> None:
    agreed = terms()
    expected = keccak(abi_encode(["bytes32", "address"], [agreed.digest(CHAIN_ID, ESCROW), "0x" + BUYER.hex()]))
    assert agreed.order_id(CHAIN_ID, ESCROW) == expected


@pytest.mark.parametrize("field", [field.name for field in fields(Terms)])
def test_order_id_changes_when_a_term_is_tampered_with(field: str) -> None:
    agreed = terms()
    value = getattr(agreed, field)
    tampered = replace(agreed, **{field: _OTHER.get(field, value + 1 if isinstance(value, int) else value)})
    assert tampered.order_id(CHAIN_ID, ESCROW) != agreed.order_id(CHAIN_ID, ESCROW)
    sig = sign_terms(MERCHANT_KEY, agreed, CHAIN_ID, ESCROW)
    assert terms_signer(tampered, sig, CHAIN_ID, ESCROW) != MERCHANT


def test_quote_is_bound_to_chain_and_contract() -> None:
    agreed = terms()
    sig = sign_terms(MERCHANT_KEY, agreed, CHAIN_ID, ESCROW)
    assert terms_signer(agreed, sig, CHAIN_ID, ESCROW) == MERCHANT
    assert terms_signer(agreed, sig, CHAIN_ID + 1, ESCROW) != MERCHANT
    assert terms_signer(agreed, sig, CHAIN_ID, STRANGER) != MERCHANT


def test_open_terms_take_the_buyer_who_funds() -> None:
    anyone = terms(buyer=ZERO_ADDRESS)
    assert anyone.order_id(CHAIN_ID, ESCROW, BUYER) != anyone.order_id(CHAIN_ID, ESCROW, STRANGER)
    with pytest.raises(LocalProtocolError) as caught:
        anyone.order_id(CHAIN_ID, ESCROW)
    assert caught.value.code == "buyer-unknown"


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 0},
        {"amount": 2**128},
        {"amount": True},
        {"merchant": bytes(19)},
        {"merchant": ZERO_ADDRESS},
        {"buyer": MERCHANT},
        {"arbiter_fee_bps": 1001},
        {"default_buyer_bps": 10_001},
        {"valid_until": 2**40},
        {"ship_within": 2**26},
        {"ship_within": -1},
        {"proof_required": 1},
        {"proof_required": True, "delivery_code": NO_CODE},
        {"arbiter": MERCHANT},
        {"backup_arbiter": BUYER},
        {"delivery_code": b""},
    ],
)
def test_terms_are_refused_when_the_contract_could_not_hold_them(change: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        terms(**change)
    assert caught.value.code == "terms-invalid"
    body = terms().to_body() | change
    with pytest.raises(RemoteProtocolError) as remote:
        Terms.from_body(body)
    assert remote.value.code == "terms-invalid"


@given(st.integers(min_value=1, max_value=2**128 - 1))
def test_terms_survive_the_wire_with_any_amount(amount: int) -> None:
    agreed = replace(terms(), amount=amount)
    assert Terms.from_body(dagcbor.decode(dagcbor.encode(agreed.to_body()))) == agreed


@pytest.mark.parametrize("body", [None, [], {}, {"merchant": MERCHANT}])
def test_terms_are_refused_when_fields_are_missing(body: Any) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Terms.from_body(body)
    assert caught.value.code == "terms-shape"


@pytest.mark.parametrize("amount", ["01", "1.0", "-1", "", "١", 5])
def test_terms_amount_has_one_spelling(amount: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        Terms.from_body(terms().to_body() | {"amount": amount})


def test_settlement_and_release_digests_are_single_use() -> None:
    identity = bytes(32)
    digests = {
        settlement_digest(identity, 5, 0, CHAIN_ID, ESCROW),
        settlement_digest(identity, 5, 1, CHAIN_ID, ESCROW),
        settlement_digest(identity, 6, 0, CHAIN_ID, ESCROW),
        settlement_digest(identity, 5, 0, CHAIN_ID + 1, ESCROW),
        release_digest(identity, 5, 0, 9, CHAIN_ID, ESCROW),
        release_digest(identity, 5, 1, 9, CHAIN_ID, ESCROW),
        set_operator_digest(MERCHANT, BUYER, 9, 0, 9, CHAIN_ID, ESCROW),
        set_operator_digest(MERCHANT, BUYER, 9, 1, 9, CHAIN_ID, ESCROW),
    }
    assert len(digests) == 8
    digest = settlement_digest(identity, 5, 0, CHAIN_ID, ESCROW)
    assert recover(digest, sign(MERCHANT_KEY, digest)) == MERCHANT


def test_shipment_id_is_the_abi_hash_of_order_and_shipment() -> None:
    a, b = bytes([1]) * 32, bytes([2]) * 32
    assert shipment_id(a, b) == keccak(abi_encode(["bytes32", "bytes32"], [a, b]))


def test_shipment_commitment_is_of_all_that_the_parcel_says() -> None:
    salt, url = bytes(32), "https://example.org/1"
    said = [("a", "b", salt, None), ("b", "b", salt, None), ("a", "c", salt, None), ("a", "b", bytes([1]) * 32, None)]
    assert len({shipment_commitment(*each) for each in [*said, ("a", "b", salt, url)]}) == 5
    expected = dagcbor.encode({"carrier": "a", "tracking": "b", "salt": salt})
    assert shipment_commitment("a", "b", salt) == shipment_commitment("a", "b", salt, "") == sha256(expected).digest()


# --- the order document -------------------------------------------------------------------------------------


def test_order_document_reads_back_with_the_same_bytes() -> None:
    data = order_document().encode()
    assert OrderDocument.decode(data).encode() == data
    assert check_binding(terms(), data) == OrderDocument.decode(data)


def test_order_hash_cannot_be_guessed_because_of_the_salt() -> None:
    other = order_document(salt=bytes(32)).encode()
    assert order_hash(other) != order_hash(order_document().encode())


def _binding_code(agreed: Terms, data: bytes) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        check_binding(agreed, data)
    return caught.value.code


def test_terms_about_another_order_are_refused() -> None:
    assert _binding_code(terms(), order_document(salt=bytes(32)).encode()) == "order-hash-mismatch"
    for change in ({"buyer": STRANGER}, {"token": STRANGER}, {"merchant": STRANGER}):
        data = order_document(**change).encode()
        assert _binding_code(bind(terms(), data), data) == "order-terms-mismatch"


@pytest.mark.parametrize("change", [{"subtotal": 1}, {"shipping": 1}, {"total": 1}])
def test_order_document_is_refused_when_it_does_not_add_up(change: dict[str, int]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        OrderDocument.decode(order_document(**change).encode())
    assert caught.value.code == "order-sum"


def test_order_document_is_refused_when_misshapen_or_too_large() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        OrderDocument.decode(dagcbor.encode(order_document().to_body() | {"type": "halle/order/2"}))
    assert caught.value.code == "body-invalid"
    with pytest.raises(RemoteProtocolError) as caught:
        OrderDocument.decode(bytes(64 * 1024 + 1))
    assert caught.value.code == "order-too-large"


# --- words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("locale", "amount"), [("en", "107 EURT"), ("fr-FR", "107 EURT")])
def test_explanation_says_amount_holder_windows_proof_and_judge(locale: str, amount: str) -> None:
    words = explain(terms(), locale, symbol="EURT", decimals=6)
    text = " ".join(words)
    assert len(words) == 10
    assert amount in text
    assert to_checksum(ARBITER) in text
    for part in {
        "en": ("3 days", "7 days", "21 days", "14 days"),
        "fr": ("3 jours", "7 jours", "21 jours", "14 jours"),
    }[locale[:2]]:
        assert part in text


def test_explanation_follows_the_terms() -> None:
    def said(**changes: Any) -> str:
        return " ".join(explain(terms(**changes), "en", symbol="T", decimals=6))

    assert "delivery code" in said()
    assert "delivery code" not in said(delivery_code=NO_CODE)
    assert "needs no proof" in said(delivery_code=NO_CODE)
    assert to_checksum(CARRIER) in said(carrier=CARRIER)
    assert "Without that proof" in said(proof_required=True)
    assert "There is no arbiter" in said(arbiter=ZERO_ADDRESS)
    assert "stay silent" in said(backup_arbiter=STRANGER)
    assert "1.23 T" in said(amount=1_230_000)
    assert "0.000001 T" in said(amount=1)


def test_explanation_never_hides_the_amount_when_the_token_is_unknown() -> None:
    assert "107000000" in explain(terms(), "en")[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 seconds"), (1, "1 second"), (90, "90 seconds"), (3600, "1 hour"), (129_600, "36 hours")],
)
def test_duration_uses_the_largest_exact_unit(seconds: int, text: str) -> None:
    assert duration(seconds, "en") == text


@given(st.integers(min_value=0, max_value=253_402_300_799))
def test_utc_text_agrees_with_the_standard_library(at: int) -> None:
    from datetime import UTC, datetime

    assert utc_text(at) == datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M").zfill(16)
