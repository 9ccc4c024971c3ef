"""The same address on every chain: CREATE2 through the canonical deployer, salt and code alone decide.

The contracts have no owner and no setting, so whoever deploys them gets the same thing. Escrow knows
DeliveryTracking, Warranty knows Escrow; deploy in the order of `SHIPPED`.
"""

from __future__ import annotations

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
_NEEDS: Final = {"DeliveryTracking": (), "Escrow": ("DeliveryTracking",), "Warranty": ("Escrow",)}

DEPLOYMENTS: Final[dict[int, dict[str, bytes]]] = {}
"""Known addresses that differ from `predicted_address`, by chain id; none so far."""


def creation_code(name: str, salt: bytes = SALT) -> bytes:
    """Return what the deployer is asked to run: the bytecode with the predicted addresses it needs."""
    if name not in _NEEDS:
        message = f"{name} has no canonical deployment; use encode_constructor with its arguments."
        raise LocalProtocolError(message, code="no-canonical-deployment")
    return encode_constructor(name, *(predicted_address(need, salt) for need in _NEEDS[name]))


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
    made = artifact(name)
    needs = _NEEDS[name]
    runtime = bytearray(made.runtime)
    for start, length in made.immutables:
        runtime[start : start + length] = predicted_address(needs[0], salt).rjust(length, b"\0")
    return bytes(runtime)
