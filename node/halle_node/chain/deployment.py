"""Halle's contracts as things to deploy, and where they are on a chain.

Rule: an address follows from the code alone (CREATE2), so it is computed, never asked for; what is asked of the
chain is only whether the code is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import halle_contracts
from halle_protocol.keys import keccak256

CREATE2_DEPLOYER = bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c")
SALT = keccak256(b"Halle 1")
MINT_SELECTOR = keccak256(b"mint(address,uint256)")[:4]


@dataclass(frozen=True, slots=True)
class Deployable:
    """One contract and the call that creates it. `decimals` is set for tokens."""

    name: str
    init_code: bytes
    decimals: int | None = None

    @property
    def address(self) -> bytes:
        return keccak256(b"\xff" + CREATE2_DEPLOYER + SALT + keccak256(self.init_code))[12:]

    @property
    def deployer_call(self) -> bytes:
        return SALT + self.init_code


def deployables(*, with_test_tokens: bool) -> list[Deployable]:
    """Return what belongs on a chain, in the order it must be created."""
    if not hasattr(halle_contracts, "artifact"):
        return []
    raise AssertionError


def mint_call(to: bytes, amount: int) -> bytes:
    """Return the calldata that makes a test token pay `to`."""
    return MINT_SELECTOR + bytes(12) + to + amount.to_bytes(32, "big")
