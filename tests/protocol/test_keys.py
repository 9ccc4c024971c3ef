from __future__ import annotations

import pytest
from eth_account import Account
from eth_utils import keccak, to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.keys import (
    address_of,
    delivery_code_hash,
    keccak256,
    parse_address,
    public_of,
    to_checksum,
)

private_keys = st.integers(min_value=1, max_value=2**255).map(lambda n: n.to_bytes(32, "big"))


@given(st.binary(max_size=400))
def test_keccak256_agrees_with_eth_utils(data: bytes) -> None:
    assert keccak256(data) == keccak(data)


@given(private_keys)
def test_address_agrees_with_eth_account(private: bytes) -> None:
    assert to_checksum(address_of(private)) == Account.from_key(private).address
    assert len(public_of(private)) == 64


@given(st.binary(min_size=20, max_size=20))
def test_checksum_text_reads_back(address: bytes) -> None:
    text = to_checksum(address)
    assert text == to_checksum_address(address)
    assert parse_address(text) == parse_address(text.lower()) == address


@pytest.mark.parametrize("text", ["", "0x", "0x" + "0" * 39, "0x" + "g" * 40, "1" * 42, "0x" + "0" * 40 + "\n"])
def test_address_text_is_refused_when_malformed(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="not an address") as caught:
        parse_address(text)
    assert caught.value.code == "bad-address"


def test_address_text_is_refused_when_one_letter_has_the_wrong_case() -> None:
    text = to_checksum(bytes.fromhex("fb6916095ca1df60bb79ce92ce3ea74c37c5d359"))
    swapped = text[:-1] + text[-1].swapcase() if text[-1].isalpha() else text[:2] + text[2].swapcase() + text[3:]
    with pytest.raises(RemoteProtocolError, match="checksum"):
        parse_address(swapped)


@pytest.mark.parametrize("private", [b"", bytes(32), b"\xff" * 32, bytes(31)])
def test_private_key_is_refused_when_outside_the_group(private: bytes) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        address_of(private)
    assert caught.value.code == "bad-private-key"


def test_delivery_code_hash_refuses_a_code_that_can_be_guessed() -> None:
    assert delivery_code_hash(bytes(16)) == keccak(bytes(16))
    with pytest.raises(LocalProtocolError) as caught:
        delivery_code_hash(b"1234")
    assert caught.value.code == "weak-delivery-code"
