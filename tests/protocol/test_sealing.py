from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halle_protocol import dagcbor
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.sealing import (
    BUCKETS,
    HYBRID,
    MAX_ENVELOPE_BYTES,
    MAX_PLAINTEXT_BYTES,
    PUBLIC_BYTES,
    SUITES,
    X25519,
    Envelope,
    Prekey,
    choose_prekey,
    generate_keypair,
    make_prekey,
    open_envelope,
    seal,
    seal_envelope,
    unseal,
)
from samples_people import BUYER, MERCHANT, NOW

SEED = bytes(range(32))


@pytest.mark.parametrize("suite", SUITES)
def test_sealed_text_opens_with_the_private_key(suite: str) -> None:
    private, prekey = make_prekey(SEED, NOW, suite)
    assert len(prekey.public) == PUBLIC_BYTES[suite]
    assert unseal(seal(b"to Lea", prekey, b"info"), private, suite, b"info") == b"to Lea"


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=5000))
def test_any_plaintext_round_trips(plaintext: bytes) -> None:
    private, prekey = make_prekey(SEED, NOW)
    assert unseal(seal(plaintext, prekey, b""), private, HYBRID, b"") == plaintext


def test_keypair_is_a_function_of_its_seed() -> None:
    assert generate_keypair(SEED) == generate_keypair(SEED)
    assert generate_keypair(SEED)[1] != generate_keypair(bytes(32))[1]


def test_hybrid_public_key_is_the_one_of_the_x_wing_draft() -> None:
    """The first bytes of the first test vector of draft-connolly-cfrg-xwing-kem."""
    seed = bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
    assert generate_keypair(seed)[1].hex().startswith("e2236b35a8c24b39b10aa1323a96a919")


def test_padding_hides_the_length() -> None:
    _, prekey = make_prekey(SEED, NOW)
    sizes = {len(seal(bytes(n), prekey, b"")) for n in (0, 1, 500, 4092)}
    assert len(sizes) == 1
    assert len(seal(bytes(4093), prekey, b"")) > sizes.pop()


def test_largest_plaintext_fits_an_envelope() -> None:
    private, prekey = make_prekey(SEED, NOW)
    envelope = seal_envelope(bytes(MAX_PLAINTEXT_BYTES), MERCHANT, prekey)
    assert len(envelope.encode()) <= MAX_ENVELOPE_BYTES
    assert len(open_envelope(Envelope.decode(envelope.encode()), private, HYBRID)) == MAX_PLAINTEXT_BYTES
    with pytest.raises(LocalProtocolError) as caught:
        seal(bytes(MAX_PLAINTEXT_BYTES + 1), prekey, b"")
    assert caught.value.code == "plaintext-too-large"


def _unseal_code(ciphertext: bytes, private: bytes, suite: str, info: bytes) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        unseal(ciphertext, private, suite, info)
    return caught.value.code


@pytest.mark.parametrize("suite", SUITES)
def test_unseal_fails_when_key_info_or_bytes_are_not_the_right_ones(suite: str) -> None:
    private, prekey = make_prekey(SEED, NOW, suite)
    other, _ = make_prekey(bytes([7]) * 32, NOW, suite)
    sealed = seal(b"secret", prekey, b"info")
    spoiled = sealed[:-1] + bytes([sealed[-1] ^ 1])
    attempts = [
        (sealed, other, b"info"),
        (sealed, private, b"other"),
        (spoiled, private, b"info"),
        (sealed[:40], private, b"info"),
        (b"", private, b"info"),
        (sealed, b"", b"info"),
        (sealed, bytes(32), b"info"),
    ]
    assert {_unseal_code(data, key, suite, info) for data, key, info in attempts} == {"unseal-failed"}


def test_unseal_fails_when_the_prekey_was_of_another_suite() -> None:
    private, prekey = make_prekey(SEED, NOW, HYBRID)
    assert _unseal_code(seal(b"x", prekey, b""), private, X25519, b"") == "unseal-failed"


def test_unseal_fails_when_the_padding_is_not_zero() -> None:
    """A peer that pads otherwise could hide data in what nobody reads."""
    from halle_protocol import sealing

    private, prekey = make_prekey(SEED, NOW, X25519)
    padded = (1).to_bytes(4, "big") + b"a" + b"\x01" + bytes(BUCKETS[0] - 6)
    engine, key = sealing._ENGINES[X25519], sealing._public_key(prekey)
    assert _unseal_code(engine.encrypt(padded, key, b""), private, X25519, b"") == "unseal-failed"
    for no_class in (10, 1024, BUCKETS[0] - 1, BUCKETS[0] + 1, 8192):
        assert _unseal_code(engine.encrypt(bytes(no_class), key, b""), private, X25519, b"") == "unseal-failed"
    short = engine.encrypt(bytes(10), key, b"")
    assert _unseal_code(short, private, X25519, b"") == "unseal-failed"


def test_envelope_does_not_open_when_readdressed() -> None:
    private, prekey = make_prekey(SEED, NOW)
    sealed = seal_envelope(b"x", MERCHANT, prekey)
    with pytest.raises(RemoteProtocolError) as caught:
        open_envelope(Envelope(BUYER, sealed.prekey_id, sealed.ciphertext), private, HYBRID)
    assert caught.value.code == "unseal-failed"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "halle/envelope/2"},
        {"to": bytes(19)},
        {"prekey": ""},
        {"ciphertext": b""},
        {"from": bytes(20)},
    ],
)
def test_envelope_is_refused_when_its_shape_is_wrong(change: dict[str, object]) -> None:
    _, prekey = make_prekey(SEED, NOW)
    value = dagcbor.decode(seal_envelope(b"x", MERCHANT, prekey).encode()) | change
    with pytest.raises(RemoteProtocolError) as caught:
        Envelope.decode(dagcbor.encode(value))
    assert caught.value.code == "envelope-shape"


def test_envelope_is_refused_when_too_large() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Envelope.decode(bytes(MAX_ENVELOPE_BYTES + 1))
    assert caught.value.code == "envelope-too-large"


def test_choose_prekey_prefers_hybrid_then_the_longest_life() -> None:
    plain = make_prekey(SEED, NOW + 100, X25519)[1]
    short, long = (make_prekey(bytes([n]) * 32, NOW + n)[1] for n in (10, 20))
    unknown = Prekey("q", "future-suite", bytes(32), NOW + 500)
    assert choose_prekey([plain, unknown, short, long], NOW) == long
    assert choose_prekey([plain, short], NOW + 50) == plain
    with pytest.raises(RemoteProtocolError) as caught:
        choose_prekey([unknown, short], NOW + 11)
    assert caught.value.code == "no-prekey"


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(1216), b"\xff" * 1216])
def test_seal_refuses_a_prekey_that_is_malformed(public: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        seal(b"x", Prekey("id", HYBRID, public, NOW), b"")
    assert caught.value.code == "bad-prekey"


def test_seal_refuses_an_x25519_point_of_low_order() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        seal(b"x", Prekey("id", X25519, bytes(32), NOW), b"")
    assert caught.value.code == "bad-prekey"


def test_unknown_suite_and_short_seed_are_our_own_mistakes() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        generate_keypair(SEED, "rot13")
    assert caught.value.code == "suite-unknown"
    with pytest.raises(LocalProtocolError) as caught:
        generate_keypair(b"short")
    assert caught.value.code == "bad-seed"
