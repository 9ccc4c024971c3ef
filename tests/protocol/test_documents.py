from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halle_protocol import dagcbor
from halle_protocol.cid import CID
from halle_protocol.documents import (
    LISTING,
    MAX_BYTES,
    MODELS,
    Listing,
    LocalText,
    Policy,
    Price,
    Profile,
    Review,
    SignedDocument,
    Tombstone,
    WarrantyOffer,
    clean_text,
    decode_document,
    document_key,
    parse_body,
    sign_document,
    verify_document,
)
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.money import Money
from halle_protocol.sealing import make_prekey
from samples_people import (
    DAY,
    ESCROW,
    MERCHANT,
    MERCHANT_KEY,
    NOW,
    OPERATOR_KEY,
    PICTURE,
    STRANGER,
    STRANGER_KEY,
    TOKEN,
    grant,
    listing,
    listing_cid,
    shipping,
    variant,
)


def _signed(body: Any = None, *, key: bytes = MERCHANT_KEY, type: str = LISTING, seq: int = 1) -> SignedDocument:
    return sign_document(key, type, MERCHANT, seq, NOW, listing() if body is None else body)


def _profile() -> Profile:
    return Profile(
        name="Atelier Camille",
        languages=["fr", "en"],
        fallback="fr",
        country="FR",
        currency="EUR",
        about=LocalText.of("Linen.", "fr"),
        logo=PICTURE,
        email="camille@example.org",
        peer_id="12D3KooWabc",
        addrs=["/ip4/127.0.0.1/tcp/4480"],
        prekeys=[make_prekey(bytes(32), NOW + DAY)[1]],
        payment=[
            {
                "chain_id": 31337,
                "escrow": ESCROW,
                "token": TOKEN,
                "symbol": "EURT",
                "decimals": 6,
                "currency": "EUR",
            }
        ],
        shipping=listing_cid(),
        policies={"returns": listing_cid()},
    )


def _review() -> Review:
    return Review(
        order_id=bytes(32),
        chain_id=1,
        merchant=MERCHANT,
        listing=listing_cid(),
        handle="blue-shirt",
        rating=5,
    )


# --- the signed block ---------------------------------------------------------------------------------------


def test_document_reads_back_with_the_same_bytes_cid_and_signer() -> None:
    made = _signed()
    read = decode_document(made.bytes)
    assert read == made
    assert (read.bytes, read.cid, read.signer()) == (made.bytes, made.cid, MERCHANT)


@settings(max_examples=60, deadline=None)
@given(
    seq=st.sampled_from([1, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1]),
    issued=st.integers(min_value=0, max_value=2**63 - 1),
    kind=st.sampled_from(["a/b/1", "halle/listing/1", "example.org/a-rather-long-type-name-for-rentals/99"]),
    body=st.dictionaries(st.text(max_size=6), st.one_of(st.integers(0, 2**40), st.text(max_size=6)), max_size=5),
)
def test_body_hash_is_of_the_canonical_body_wherever_it_stands(
    seq: int, issued: int, kind: str, body: dict[str, Any]
) -> None:
    made = sign_document(MERCHANT_KEY, kind, MERCHANT, seq, issued, body)
    assert made.body_hash == hashlib.sha256(dagcbor.encode(body)).digest()
    verify_document(made)


def test_document_by_an_operator_verifies_with_the_grant() -> None:
    verify_document(_signed(key=OPERATOR_KEY), grant())
    verify_document(_signed(key=OPERATOR_KEY), grant(), NOW)


@pytest.mark.parametrize(
    ("at", "changes", "code"),
    [
        (NOW + 31 * DAY, {}, "grant-expired"),
        (NOW - 2 * DAY, {}, "grant-not-yet"),
        (NOW, {"scopes": ["quote"]}, "grant-scope"),
    ],
)
def test_document_by_an_operator_is_refused_without_authority(at: int, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        verify_document(_signed(key=OPERATOR_KEY), grant(**changes), at)
    assert caught.value.code == code


def test_document_by_a_stranger_is_refused() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        verify_document(_signed(key=STRANGER_KEY), grant())
    assert caught.value.code == "not-authorised"


def test_document_by_a_revoked_operator_is_refused() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        verify_document(_signed(key=OPERATOR_KEY), grant(sequence=3), min_sequence=4)
    assert caught.value.code == "grant-revoked"


@pytest.mark.parametrize("field", ["type", "store", "seq", "issued", "body"])
def test_document_is_refused_when_a_signed_field_changed(field: str) -> None:
    value = dagcbor.decode(_signed().bytes)
    changed = {"type": "halle/post/1", "store": STRANGER, "seq": 2, "issued": 1, "body": {}}[field]
    document = decode_document(dagcbor.encode(value | {field: changed}))
    with pytest.raises(RemoteProtocolError) as caught:
        verify_document(document)
    assert caught.value.code in ("not-authorised", "bad-signature")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "listing"},
        {"type": "halle/listing/0"},
        {"type": "halle/listing/1\n"},
        {"type": 7},
        {"store": bytes(19)},
        {"seq": 0},
        {"seq": 2**63},
        {"seq": True},
        {"issued": -1},
        {"body": []},
        {"body": None},
        {"sig": bytes(64)},
        {"note": "more"},
    ],
)
def test_document_is_refused_when_its_shape_is_wrong(change: dict[str, Any]) -> None:
    value = dagcbor.decode(_signed().bytes) | change
    with pytest.raises(RemoteProtocolError) as caught:
        decode_document(dagcbor.encode(value))
    assert caught.value.code == "document-shape"


def test_document_is_refused_when_too_large() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_document(bytes(MAX_BYTES + 1))
    assert caught.value.code == "document-too-large"
    with pytest.raises(LocalProtocolError) as local:
        _signed({"text": "x" * MAX_BYTES})
    assert local.value.code == "document-too-large"


def test_document_is_refused_when_not_canonical() -> None:
    data = _signed().bytes
    assert data[5] == 1  # seq 1 in its shortest form
    with pytest.raises(RemoteProtocolError) as caught:
        decode_document(data[:5] + b"\x18\x01" + data[6:])
    assert caught.value.code.startswith("cbor-")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_decoding_noise_only_ever_raises_protocol_errors(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_document(data)


@settings(max_examples=150, deadline=None)
@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255))
def test_a_changed_byte_never_verifies(index: int, byte: int) -> None:
    data = bytearray(_signed().bytes)
    index %= len(data)
    if data[index] == byte:
        return
    data[index] = byte
    with pytest.raises(RemoteProtocolError):
        verify_document(decode_document(bytes(data)))


# --- bodies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_name", "body"),
    [
        ("halle/listing/1", listing(warranty=WarrantyOffer(days=730), origin="FR", hs_code="6205")),
        ("halle/profile/1", _profile()),
        ("halle/shipping/1", shipping()),
        ("halle/review/1", _review()),
        ("halle/tombstone/1", Tombstone(key="listing/blue-shirt")),
        (
            "halle/policy/1",
            Policy(kind="returns", title=LocalText.of("Returns"), text=LocalText.of("30 days")),
        ),
    ],
)
def test_body_reads_back_and_writes_the_same_bytes(type_name: str, body: Any) -> None:
    made = _signed(body, type=type_name)
    parsed = parse_body(decode_document(made.bytes))
    assert parsed == body
    assert parsed is not None
    assert dagcbor.encode(parsed.to_body()) == dagcbor.encode(made.body)
    assert _signed(parsed, type=type_name).bytes == made.bytes


def test_unknown_fields_are_preserved_at_every_depth() -> None:
    body = listing().to_body()
    body["x-colour-of-the-year"] = {"name": "teal", "link": PICTURE}
    body["variants"][0]["future"] = [1, None, b"\x00"]
    parsed = Listing.from_body(body)
    assert parsed.to_body() == body
    assert parsed.handle == "blue-shirt"


def test_unknown_type_is_carried_and_not_refused() -> None:
    document = _signed({"pitch": 7}, type="example.org/rental/1")
    verify_document(document)
    assert parse_body(document) is None
    assert decode_document(document.bytes).body == {"pitch": 7}


def test_explicit_nothing_survives_the_round_trip() -> None:
    body = listing().to_body() | {"origin": None}
    assert Listing.from_body(body).to_body() == body


def test_html_in_a_text_is_kept_as_data() -> None:
    hostile = '<script>alert(1)</script><img src=x onerror="alert(2)">'
    parsed = parse_body(_signed(listing(title=LocalText.of(hostile), description=LocalText.of(hostile))))
    assert isinstance(parsed, Listing)
    assert parsed.title.get("en") == hostile


def _body_code(change: dict[str, Any]) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        Listing.from_body(listing().to_body() | change)
    return caught.value.code


_TEXTS = {
    "rlo": "a\u202eb",
    "isolate": "a\u2066b",
    "nul": "a\x00b",
    "c1": "a\x85b",
    "bom": "\ufeffa",
    "tag": "a\U000e0041",
}


@pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS.keys())
def test_text_that_deceives_the_eye_is_refused(text: str) -> None:
    assert _body_code({"title": {"texts": {"en": text}, "fallback": "en"}}) == "body-invalid"
    assert _body_code({"description": {"texts": {"en": text}, "fallback": "en"}}) == "body-invalid"
    assert _body_code({"vendor": text}) == "body-invalid"


@pytest.mark.parametrize("text", ["two\nlines", "a\ttab", "", "x" * 301])
def test_title_is_one_line_of_bounded_length(text: str) -> None:
    assert _body_code({"title": {"texts": {"en": text}, "fallback": "en"}}) == "body-invalid"


def test_text_in_another_script_is_welcome() -> None:
    assert listing(title=LocalText.of("قميص أزرق", "ar")).title.get() == "قميص أزرق"
    assert listing(title=LocalText.of("青いシャツ 👕", "ja")).title.get("ja") == "青いシャツ 👕"


def _many(count: int) -> list[dict[str, Any]]:
    return [variant(f"S{n}", "S", 1).to_body() for n in range(count)]


_MONEY = {"amount": 1, "currency": "EUR"}


@pytest.mark.parametrize(
    "change",
    [
        {"handle": "Blue Shirt"},
        {"handle": "../etc"},
        {"handle": "x" * 121},
        {"kind": "weapon"},
        {"variants": []},
        {"variants": _many(101)},
        {"variants": _many(1) * 2},
        {"variants": [{"sku": "A", "price": {"amount": 1.5, "currency": "EUR"}}]},
        {"variants": [{"sku": "A", "price": {"amount": "1", "currency": "EUR"}}]},
        {"variants": [{"sku": "A", "price": {"amount": True, "currency": "EUR"}}]},
        {"variants": [{"sku": "A", "price": {"amount": -1, "currency": "EUR"}}]},
        {"variants": [{"sku": "A", "price": {"amount": 2**53, "currency": "EUR"}}]},
        {"variants": [{"sku": "A", "price": {"amount": 1, "currency": "XQQ"}}]},
        {
            "variants": [
                {"sku": "A", "price": _MONEY},
                {"sku": "B", "price": {"amount": 1, "currency": "USD"}},
            ]
        },
        {"variants": [{"sku": "A", "price": _MONEY, "availability": "maybe"}]},
        {"variants": {"sku": "A"}},
        {"media": [{"cid": PICTURE}] * 51},
        {"media": [{"cid": bytes(PICTURE)}]},
        {"media": [{"cid": "bafk"}]},
        {"media": [{"cid": PICTURE, "mime": "text/html; charset=x"}]},
        {"description": {"texts": {"en": "x" * 20_001}, "fallback": "en"}},
        {"title": {"texts": {}, "fallback": "en"}},
        {"title": {"texts": {"en": "a"}, "fallback": "fr"}},
        {"title": {"texts": {"english": "a"}, "fallback": "english"}},
        {"title": {"texts": {"en": b"a"}, "fallback": "en"}},
        {"title": "plain"},
        {"tags": ["x"] * 51},
        {"url": "javascript:alert(1)"},
        {"url": 'https://x.example/"onload="'},
        {"min_quantity": 0},
        {"origin": "France"},
        {"warranty": {"days": 0}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_listing_body_is_refused_when_a_field_is_hostile(change: dict[str, Any]) -> None:
    assert _body_code(change) == "body-invalid"


def test_refusal_names_the_field_and_hides_the_value() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_body(_signed(listing().to_body() | {"url": "javascript:secret"}))
    assert "url" in caught.value.message
    assert "secret" not in caught.value.message


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(MODELS)),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(0, 2**40), st.text(max_size=5), st.binary(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(["handle", "title", "variants", "texts", "name", "rating"]), inner, max_size=4
            ),
        ),
        max_leaves=10,
    ),
)
def test_hostile_bodies_only_ever_raise_protocol_errors(type_name: str, value: Any) -> None:
    body = value if isinstance(value, dict) else {"title": value, "handle": value, "variants": value}
    with contextlib.suppress(RemoteProtocolError):
        assert MODELS[type_name].from_body(body).to_body() == body


def test_local_text_falls_back_from_region_to_language_to_fallback() -> None:
    text = LocalText(texts={"fr": "oui", "en-GB": "aye", "de": "ja"}, fallback="de")
    assert [text.get(key) for key in ("fr", "fr-CA", "en", "en-US", "it", None)] == [
        "oui",
        "oui",
        "aye",
        "aye",
        "ja",
        "ja",
    ]


def test_clean_text_makes_what_check_accepts() -> None:
    assert clean_text(" Caf\u0065\u0301\r\nbar\u202e\x00 ") == "Café\nbar"
    assert clean_text("a\n b\u2028c", multiline=False) == "a b c"


def test_price_takes_money() -> None:
    assert Price.of(Money(4900, "EUR")).money == Money(4900, "EUR")
    assert variant("A", "S", 1, price=Money(5, "EUR")).price.amount == 5


def test_profile_gives_its_sealing_keys() -> None:
    assert [key.suite for key in _profile().sealing_keys()] == ["mlkem768-x25519"]


def test_models_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        listing().handle = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("type_name", "body", "key"),
    [
        ("halle/listing/1", listing(), "listing/blue-shirt"),
        ("halle/profile/1", _profile(), "profile/store"),
        ("halle/shipping/1", shipping(), "shipping/store"),
        ("halle/review/1", _review(), "review/" + "00" * 32),
        ("halle/tombstone/1", Tombstone(key="listing/x"), "listing/x"),
    ],
)
def test_document_key_places_a_body_in_the_catalog(type_name: str, body: Any, key: str) -> None:
    assert document_key(type_name, body) == key


def test_cid_is_the_identity_of_the_bytes() -> None:
    a, b = _signed(), _signed(seq=2)
    assert a.cid != b.cid
    assert isinstance(a.cid, CID)
    assert replace(a, sig=bytes(65)).bytes == a.bytes
