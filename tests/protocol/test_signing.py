from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.signing import (
    HALLE_DOMAIN,
    TYPES,
    domain_separator,
    escrow_domain,
    recover,
    sign,
    struct_hash,
    type_hash,
    typed_digest,
)
from samples_people import CHAIN_ID, ESCROW, MERCHANT, MERCHANT_KEY

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "address": st.binary(min_size=20, max_size=20),
    "bool": st.booleans(),
    "bytes": st.binary(max_size=40),
    "bytes16": st.binary(min_size=16, max_size=16),
    "bytes32": st.binary(min_size=32, max_size=32),
    "string": st.text(max_size=40),
    "string[]": st.lists(st.text(max_size=8), max_size=4).map(tuple),
}


def _fields(name: str) -> list[tuple[str, str]]:
    inside = TYPES[name][len(name) + 1 : -1]
    return [tuple(field.split(" ")) for field in inside.split(",")]  # type: ignore[misc]


def _value(kind: str) -> st.SearchStrategy[Any]:
    if kind.startswith("uint"):
        return st.integers(min_value=0, max_value=2 ** int(kind[4:]) - 1)
    return _VALUES[kind]


def _eth_account_digest(name: str, values: tuple[Any, ...], domain: dict[str, Any]) -> bytes:
    """Hash the same struct with eth_account, the independent implementation."""
    fields = _fields(name)
    plain = [list(v) if isinstance(v, tuple) else v for v in values]
    message = {
        field: "0x" + value.hex() if kind == "address" else value
        for (kind, field), value in zip(fields, plain, strict=True)
    }
    types = {name: [{"name": field, "type": kind} for kind, field in fields]}
    return _hash_eip191_message(encode_typed_data(domain, types, message))


@pytest.mark.parametrize("name", sorted(TYPES))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_digest_agrees_with_eth_account(name: str, data: st.DataObject) -> None:
    values = tuple(data.draw(_value(kind)) for kind, _ in _fields(name))
    hashed = struct_hash(name, *values)
    plain = {"name": "Halle", "version": "1"}
    bound = {
        "name": "Halle Escrow",
        "version": "1",
        "chainId": CHAIN_ID,
        "verifyingContract": "0x" + ESCROW.hex(),
    }
    assert typed_digest(HALLE_DOMAIN, hashed) == _eth_account_digest(name, values, plain)
    assert typed_digest(escrow_domain(CHAIN_ID, ESCROW), hashed) == _eth_account_digest(name, values, bound)


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_signature_agrees_with_eth_account(digest: bytes) -> None:
    theirs = Account.unsafe_sign_hash(digest, MERCHANT_KEY).signature
    assert sign(MERCHANT_KEY, digest) == bytes(theirs)
    assert recover(digest, sign(MERCHANT_KEY, digest)) == MERCHANT


def test_type_hash_is_of_the_type_string() -> None:
    assert type_hash("Settlement").hex() == "".join(
        _hash_of("Settlement(bytes32 orderId,uint256 buyerShare,uint256 paidOut)")
    )


def _hash_of(text: str) -> str:
    from eth_utils import keccak

    return keccak(text.encode()).hex()


def test_domain_separates_chains_and_contracts() -> None:
    separators = {
        HALLE_DOMAIN,
        domain_separator("Halle", "2"),
        escrow_domain(1, ESCROW),
        escrow_domain(2, ESCROW),
        escrow_domain(1, bytes(20)),
    }
    assert len(separators) == 5


def _high_s(signature: bytes) -> bytes:
    s = _ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sig: sig[:64],
        lambda sig: sig + b"\x00",
        lambda sig: sig[:64] + b"\x00",
        lambda sig: sig[:64] + b"\x1d",
        lambda sig: bytes(64) + b"\x1b",
        lambda sig: b"\xff" * 32 + sig[32:],
        _high_s,
    ],
    ids=["short", "long", "v-0", "v-29", "zero", "r-too-large", "high-s"],
)
def test_recover_refuses_a_signature_when_malformed(spoil: Any) -> None:
    digest = bytes(range(32))
    with pytest.raises(RemoteProtocolError) as caught:
        recover(digest, spoil(sign(MERCHANT_KEY, digest)))
    assert caught.value.code == "bad-signature"


def test_recover_names_someone_else_when_the_digest_differs() -> None:
    assert recover(bytes(32), sign(MERCHANT_KEY, bytes(range(32)))) != MERCHANT


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Settlement", (bytes(31), 1, 1)),
        ("Settlement", (bytes(32), -1, 1)),
        ("Settlement", (bytes(32), 2**256, 1)),
        ("SetOperator", (bytes(19), bytes(20), 1, 1, 1)),
    ],
)
def test_struct_hash_refuses_a_value_that_does_not_fit(name: str, values: tuple[Any, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        struct_hash(name, *values)


def test_sign_refuses_a_key_that_is_none() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        sign(bytes(32), bytes(32))
    assert caught.value.code == "bad-private-key"
