"""The first block: the CREATE2 deployer every chain has, and the faucet's coins."""

from __future__ import annotations

from dataclasses import dataclass

from halle_contracts import DEPLOYER_ADDRESS, DEPLOYER_CODE
from halle_protocol.keys import address_of, keccak256

ETHER = 10**18
GAS_LIMIT = 30_000_000

# A published key, worthless on any other chain.
FAUCET_KEY = keccak256(b"halle embedded chain faucet")
FAUCET_ADDRESS = address_of(FAUCET_KEY)
FAUCET_ETHER = 10**9
FAUCET_GRANT_WEI = 10 * ETHER


@dataclass(frozen=True)
class Genesis:
    """What makes one embedded chain this one: its birth time is in its first block's hash."""

    chain_id: int
    timestamp: int

    def accounts(self) -> dict[bytes, dict[str, object]]:
        """Return the genesis accounts. Shape: py-evm's genesis state."""
        return {
            DEPLOYER_ADDRESS: _account(code=DEPLOYER_CODE, nonce=1),
            FAUCET_ADDRESS: _account(balance=FAUCET_ETHER * ETHER),
        }


def _account(*, balance: int = 0, code: bytes = b"", nonce: int = 0) -> dict[str, object]:
    return {"balance": balance, "code": code, "nonce": nonce, "storage": {}}
