"""Signed EIP-1559 transactions: the bytes a chain accepts.

Spec: EIP-1559, EIP-2718
"""

from __future__ import annotations

from dataclasses import dataclass

import rlp  # type: ignore[import-untyped]

from halle_protocol.keys import keccak256
from halle_protocol.signing import sign

DYNAMIC_FEE_TYPE = b"\x02"


@dataclass(frozen=True, slots=True)
class UnsignedTx:
    """Units: value, max_fee and tip in wei, gas in units of gas. `to` empty creates a contract."""

    chain_id: int
    nonce: int
    to: bytes
    data: bytes
    value: int
    gas: int
    max_fee: int
    tip: int


@dataclass(frozen=True, slots=True)
class SignedTx:
    raw: bytes
    hash: bytes


def sign_transaction(private: bytes, tx: UnsignedTx) -> SignedTx:
    """Return the transaction as it is broadcast. The same input gives the same bytes."""
    fields: list[object] = [tx.chain_id, tx.nonce, tx.tip, tx.max_fee, tx.gas, tx.to, tx.value, tx.data, []]
    digest = keccak256(DYNAMIC_FEE_TYPE + rlp.encode(fields))
    signature = sign(private, digest)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    raw = DYNAMIC_FEE_TYPE + rlp.encode([*fields, signature[64] - 27, r, s])
    return SignedTx(raw, keccak256(raw))
