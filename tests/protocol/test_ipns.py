from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from halle_protocol import ipns
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError

KEY = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
NAME = ipns.name_of(PUBLIC)
RECORD = ipns.create(KEY, "/ipfs/bafyexample", 4, 2_000, 60)


def test_ipns_name_is_the_key() -> None:
    assert NAME.startswith("k51")
    assert ipns.parse_name(NAME) == ipns.parse_name("/ipns/" + NAME) == PUBLIC


@given(st.binary(min_size=32, max_size=32))
def test_ipns_name_reads_back_for_every_key(public: bytes) -> None:
    assert ipns.parse_name(ipns.name_of(public)) == public


def test_ipns_record_expires_at_its_second() -> None:
    assert ipns.verify(RECORD, NAME, now=1_999) == ipns.Record("/ipfs/bafyexample", 4, 2_000, 60)
    assert ipns.verify(RECORD, NAME).expires_at == 2_000
    with pytest.raises(RemoteProtocolError) as caught:
        ipns.verify(RECORD, NAME, now=2_000)
    assert caught.value.code == "ipns-expired"


@given(st.integers(0, len(RECORD) - 1), st.integers(1, 255))
def test_ipns_record_with_a_byte_changed_says_the_same_or_is_refused(at: int, flip: int) -> None:
    data = bytearray(RECORD)
    data[at] ^= flip
    try:
        record = ipns.verify(bytes(data), NAME)
    except RemoteProtocolError:
        return
    assert record == ipns.Record("/ipfs/bafyexample", 4, 2_000, 60)


@given(st.binary(max_size=200))
def test_ipns_refuses_noise(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        ipns.verify(data, NAME)


@pytest.mark.parametrize(
    ("value", "sequence", "code"),
    [
        ("bafy", 1, "ipns-value"),
        ("/ipfs/x", -1, "ipns-sequence"),
        ("/ipfs/x", 2**64, "ipns-sequence"),
        ("/ipfs/" + "x" * 10240, 1, "ipns-too-large"),
    ],
)
def test_ipns_refuses_to_create(value: str, sequence: int, code: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        ipns.create(KEY, value, sequence, 2_000)
    assert caught.value.code == code
