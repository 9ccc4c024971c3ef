"""The first block: the CREATE2 deployer every chain has, and the faucet's coins."""

from __future__ import annotations

from dataclasses import dataclass

from halle_protocol.keys import address_of, keccak256

ETHER = 10**18
GAS_LIMIT = 30_000_000

# github.com/Arachnid/deterministic-deployment-proxy: at the same address, with this code, on every public chain.
CREATE2_DEPLOYER = bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c")
CREATE2_DEPLOYER_CODE = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0"
    "3601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)

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
            CREATE2_DEPLOYER: _account(code=CREATE2_DEPLOYER_CODE, nonce=1),
            FAUCET_ADDRESS: _account(balance=FAUCET_ETHER * ETHER),
        }


def _account(*, balance: int = 0, code: bytes = b"", nonce: int = 0) -> dict[str, object]:
    return {"balance": balance, "code": code, "nonce": nonce, "storage": {}}
