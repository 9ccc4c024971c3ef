from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halle_protocol import dagcbor
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.messages import (
    BODIES,
    MAX_BYTES,
    ChatText,
    ClaimOpen,
    Message,
    OrderQuote,
    OrderRequest,
    SettlementPropose,
    Shipment,
    parse_message,
    sign_message,
    thread_of,
)
from samples_people import (
    BUYER,
    BUYER_KEY,
    DAY,
    MERCHANT,
    MERCHANT_KEY,
    NOW,
    OPERATOR_KEY,
    STRANGER,
    THREAD,
    grant,
    message,
    order_document,
    quote_body,
    request_body,
    terms,
)


def _chat(**changes: Any) -> Message:
    return message(BUYER_KEY, "chat", ChatText(text="Bonjour"), **changes)


def _by_operator(**options: Any) -> Message:
    fields: dict[str, Any] = {"id": bytes(16), "thread": THREAD, "type": "chat", "to": BUYER, "issued": NOW}
    body = ChatText(text="Bonjour Léa")
    return sign_message(OPERATOR_KEY, sender=MERCHANT, body=body, **(fields | options))


def test_message_reads_back_with_the_same_bytes() -> None:
    made = _chat()
    read = Message.decode(made.encode())
    assert read == made
    assert read.encode() == made.encode()
    read.verify(to=MERCHANT, now=NOW)


def test_operator_speaks_for_the_store_with_its_grant_along() -> None:
    read = Message.decode(_by_operator(grant=grant()).encode())
    read.verify(to=BUYER, now=NOW)
    assert read.grant == grant()


@pytest.mark.parametrize(
    ("options", "now", "code"),
    [
        ({}, NOW, "not-authorised"),
        ({"grant": grant(scopes=["publish"])}, NOW, "grant-scope"),
        ({"grant": grant()}, NOW + 31 * DAY, "grant-expired"),
        ({"grant": grant()}, NOW - 2 * DAY, "grant-not-yet"),
    ],
)
def test_operator_without_authority_is_refused(options: dict[str, Any], now: int, code: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        _by_operator(**options).verify(to=BUYER, now=now)
    assert caught.value.code == code


def test_message_for_someone_else_is_refused() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        _chat().verify(to=STRANGER)
    assert caught.value.code == "message-not-for-us"


@pytest.mark.parametrize("field", ["id", "thread", "type", "sender", "to", "issued", "body"])
def test_message_is_refused_when_a_signed_field_changed(field: str) -> None:
    changed = {
        "id": bytes([9]) * 16,
        "thread": bytes(32),
        "type": "receipt",
        "sender": STRANGER,
        "to": STRANGER,
        "issued": 1,
        "body": {"text": "Bonsoir"},
    }[field]
    with pytest.raises(RemoteProtocolError) as caught:
        replace(_chat(), **{field: changed}).verify()
    assert caught.value.code in ("not-authorised", "bad-signature")


@pytest.mark.parametrize(
    "change",
    [
        {"id": bytes(15)},
        {"thread": bytes(31)},
        {"type": ""},
        {"type": "Order/Request"},
        {"type": "chat\n"},
        {"type": "x" * 81},
        {"body": "text"},
        {"issued": -1},
        {"sig": b""},
        {"grant": None},
        {"grant": {}},
        {"more": 1},
    ],
)
def test_message_is_refused_when_its_shape_is_wrong(change: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Message.decode(dagcbor.encode(dagcbor.decode(_chat().encode()) | change))
    assert caught.value.code == "message-shape"


def test_message_is_refused_when_too_large() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Message.decode(bytes(MAX_BYTES + 1))
    assert caught.value.code == "message-too-large"
    with pytest.raises(LocalProtocolError) as local:
        message(BUYER_KEY, "future/kind", {"blob": bytes(MAX_BYTES)})
    assert local.value.code == "message-too-large"


def test_unknown_type_is_carried() -> None:
    made = message(BUYER_KEY, "rental/extend", {"days": 3})
    made.verify()
    assert parse_message(made) is None


def test_request_and_quote_survive_the_wire_with_their_terms() -> None:
    request = message(BUYER_KEY, "order/request", request_body(offer=terms(), order_document=order_document().encode()))
    quote = message(MERCHANT_KEY, "order/quote", quote_body())
    read_request = parse_message(Message.decode(request.encode()))
    read_quote = parse_message(Message.decode(quote.encode()))
    assert isinstance(read_request, OrderRequest)
    assert isinstance(read_quote, OrderQuote)
    assert read_request.offer == read_quote.terms == terms()
    assert read_request.reply.prekey.key.suite == "mlkem768-x25519"
    assert read_quote.to_body() == quote.body


def test_token_amounts_pass_the_limits_of_cbor_integers() -> None:
    body = SettlementPropose(buyer_share=2**128 - 1, paid_out=0, sig=bytes(65))
    assert body.to_body()["buyer_share"] == str(2**128 - 1)
    read = SettlementPropose.from_body(dagcbor.decode(dagcbor.encode(body.to_body())))
    assert read.buyer_share == 2**128 - 1
    claim = ClaimOpen(certificate_id=2**256 - 1, amount=1)
    assert ClaimOpen.from_body(claim.to_body()).certificate_id == 2**256 - 1


_HOSTILE: list[tuple[str, dict[str, Any]]] = [
    ("chat", {}),
    ("chat", {"text": ""}),
    ("chat", {"text": "x" * 4001}),
    ("chat", {"text": "a\u202eb"}),
    ("chat", {"text": b"bytes"}),
    ("settlement/propose", {"buyer_share": "-1", "paid_out": "0", "sig": bytes(65)}),
    ("settlement/propose", {"buyer_share": "007", "paid_out": "0", "sig": bytes(65)}),
    ("settlement/propose", {"buyer_share": str(2**128), "paid_out": "0", "sig": bytes(65)}),
    ("settlement/propose", {"buyer_share": "1", "paid_out": True, "sig": bytes(65)}),
    ("settlement/propose", {"buyer_share": "1", "paid_out": "0", "sig": bytes(64)}),
    ("shipment", {"commitment": bytes(31)}),
    ("shipment", {"commitment": bytes(32), "url": "javascript:alert(1)"}),
    ("shipment", {"commitment": bytes(32), "lines": [{"sku": "A", "quantity": 0}]}),
    ("checkpoint", {"shipment_id": bytes(32), "status": 9, "at": 1}),
    ("order/decline", {}),
    ("order/accept", {"order_id": "0x"}),
    ("order/request", {"lines": []}),
    ("claim/open", {"certificate_id": str(2**256), "amount": "1"}),
]


@pytest.mark.parametrize(("kind", "body"), _HOSTILE)
def test_body_is_refused_when_a_field_is_hostile(kind: str, body: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        BODIES[kind].from_body(body)
    assert caught.value.code == "body-invalid"


@pytest.mark.parametrize("change", [{"amount": "0"}, {"merchant": bytes(20)}, {"extra": 1}])
def test_quote_is_refused_when_its_terms_are_malformed(change: dict[str, Any]) -> None:
    body = quote_body().to_body()
    with pytest.raises(RemoteProtocolError) as caught:
        OrderQuote.from_body(body | {"terms": body["terms"] | change})
    assert caught.value.code == "body-invalid"


def test_html_in_a_chat_is_kept_as_data() -> None:
    hostile = "<script>alert(1)</script>"
    read = parse_message(Message.decode(message(BUYER_KEY, "chat", ChatText(text=hostile)).encode()))
    assert isinstance(read, ChatText)
    assert read.text == hostile


def test_signing_refuses_a_body_that_readers_would_refuse() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        message(BUYER_KEY, "chat", {"text": ""})
    assert caught.value.code == "body-invalid"


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20), st.binary(max_size=16))
def test_thread_is_the_same_from_both_sides(a: bytes, b: bytes, reference: bytes) -> None:
    assert thread_of(a, b, reference) == thread_of(b, a, reference)
    assert thread_of(a, b, reference) != thread_of(a, b, reference + b"\x00")


def test_shipment_keeps_what_it_was_given() -> None:
    body = Shipment(carrier="La Poste", tracking="6A123", lines=[{"sku": "A", "quantity": 1}], commitment=bytes(32))
    assert Shipment.from_body(body.to_body()) == body
