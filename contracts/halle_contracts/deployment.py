"""The same address on every chain: CREATE2 through the canonical deployer, salt and code alone decide.

The contracts have no owner and no setting, so whoever deploys them gets the same thing. Escrow knows
DeliveryTracking, Warranty knows Escrow; deploy in the order of `SHIPPED`. An `ArbiterERC792` belongs to one court: its
address follows from that court's (`CourtArbiter`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from halle_contracts.artifacts import artifact
from halle_contracts.codec import encode_constructor
from halle_protocol.errors import LocalProtocolError
from halle_protocol.keys import keccak256

DEPLOYER_ADDRESS: Final = bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c")
"""Arachnid's deterministic deployment proxy; its calldata is salt (32 bytes) and creation code."""
DEPLOYER_CODE: Final = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)
"""Its runtime code, for the genesis of a development chain."""
DEPLOYER_SIGNER: Final = bytes.fromhex("3fab184622dc19b6109349b94811493bf2a45362")
"""Sender of `DEPLOYER_RAW_TRANSACTION`; nobody has its key."""
DEPLOYER_FUNDS_WEI: Final = 10**16
"""What the signer must hold for the raw transaction to run."""
DEPLOYER_RAW_TRANSACTION: Final = bytes.fromhex(
    "f8a58085174876e800830186a08080b853604580600e600039806000f350fe"
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
    "1ba02222222222222222222222222222222222222222222222222222222222222222"
    "a02222222222222222222222222222222222222222222222222222222222222222"
)
"""Pre-signed, without chain id: puts the deployer on any chain that still takes such transactions."""

SALT: Final = bytes(32)
SHIPPED: Final = ("DeliveryTracking", "Escrow", "Warranty")
# What each is given when it is made, by the name of the immutable that keeps it.
_NEEDS: Final = {
    "DeliveryTracking": {},
    "Escrow": {"tracking": "DeliveryTracking"},
    "Warranty": {"escrow": "Escrow"},
}


def _load_deployments() -> dict[int, dict[str, bytes]]:
    stored = json.loads(files("halle_contracts").joinpath("deployments.json").read_text("utf-8"))
    return {
        int(chain): {name: bytes.fromhex(address[2:]) for name, address in known.items()}
        for chain, known in stored["chains"].items()
    }


DEPLOYMENTS: Final[dict[int, dict[str, bytes]]] = _load_deployments()
"""Known addresses that differ from `predicted_address`, by chain id."""


def creation_code(name: str, salt: bytes = SALT) -> bytes:
    """Return what the deployer is asked to run: the bytecode with the predicted addresses it needs."""
    if name not in _NEEDS:
        message = f"{name} has no canonical deployment; use encode_constructor with its arguments."
        raise LocalProtocolError(message, code="no-canonical-deployment")
    return encode_constructor(name, *(predicted_address(need, salt) for need in _NEEDS[name].values()))


def deployment_call(name: str, salt: bytes = SALT) -> bytes:
    """Return the calldata of the transaction to `DEPLOYER_ADDRESS` that creates the contract."""
    return salt + creation_code(name, salt)


def predicted_address(name: str, salt: bytes = SALT, *, code: bytes | None = None) -> bytes:
    """Return the 20-byte address of a contract deployed through the canonical deployer.

    Shape: `code` is the creation code of anything else than `SHIPPED` (for example a test token).
    Spec: EIP-1014.
    """
    created = code if code is not None else creation_code(name, salt)
    return keccak256(b"\xff" + DEPLOYER_ADDRESS + salt + keccak256(created))[12:]


def deployed_runtime(name: str, salt: bytes = SALT) -> bytes:
    """Return the exact code that `eth_getCode` must show at `predicted_address`."""
    needs = {immutable: predicted_address(need, salt) for immutable, need in _NEEDS[name].items()}
    return artifact(name).runtime_with(needs)


@dataclass(frozen=True)
class CourtArbiter:
    """The `ArbiterERC792` of one court, at the address that follows from what it is made of.

    Shape: `court` is the ERC-792 arbitrator's address, `extra_data` what it wants to be told (court, jurors), and
    `meta_evidence` the URI of the ERC-1497 document that tells jurors what the cases are about.
    """

    court: bytes
    extra_data: bytes = b""
    meta_evidence: str = ""

    @property
    def code(self) -> bytes:
        """Return the creation code, for the canonical deployer."""
        escrow = predicted_address("Escrow")
        return encode_constructor("ArbiterERC792", escrow, self.court, self.extra_data, self.meta_evidence)

    @property
    def address(self) -> bytes:
        return predicted_address("ArbiterERC792", code=self.code)

    @property
    def runtime(self) -> bytes:
        """Return the exact code that `eth_getCode` must show at `address`."""
        return artifact("ArbiterERC792").runtime_with({"escrow": predicted_address("Escrow"), "court": self.court})
