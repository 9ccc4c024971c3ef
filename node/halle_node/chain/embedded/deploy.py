"""What a new embedded chain starts with: Halle's contracts and test tokens, and a faucet for both.

Rule: contracts come by CREATE2 through the common deployer, so they have here the addresses they have
elsewhere.
"""

from __future__ import annotations

from halle_contracts import DEPLOYER_ADDRESS
from halle_node.chain.deployment import Deployable, deployables, mint_call
from halle_node.chain.embedded.genesis import (
    FAUCET_ADDRESS,
    FAUCET_GRANT_WEI,
    FAUCET_KEY,
    GAS_LIMIT,
)
from halle_node.chain.embedded.service import ChainService
from halle_node.chain.transaction import UnsignedTx, sign_transaction

FAUCET_TOKENS_GRANTED = 10_000
MINT_GAS = 200_000


class Deployment:
    """The contracts of one embedded chain."""

    def __init__(self, chain: ChainService) -> None:
        self._chain = chain
        self._deployables = deployables(with_test_tokens=True)
        for each in self._deployables:
            self._ensure(each)
        self.contracts = {each.name: each.address for each in self._deployables}

    def faucet(self, address: bytes) -> list[str]:
        """Give an account coins for gas and some of each test token; return the transactions."""
        sent = [self._send(address, b"", FAUCET_GRANT_WEI, gas=100_000)]
        for token in self._deployables:
            if token.decimals is not None:
                call = mint_call(address, FAUCET_TOKENS_GRANTED * 10**token.decimals)
                sent.append(self._send(token.address, call, 0, gas=MINT_GAS))
        return ["0x" + tx_hash.hex() for tx_hash in sent]

    def _ensure(self, contract: Deployable) -> None:
        if self._chain.head_state().get_code(contract.address):
            return
        self._send(DEPLOYER_ADDRESS, contract.deployer_call, 0, gas=GAS_LIMIT // 2)
        if not self._chain.head_state().get_code(contract.address):
            raise RuntimeError(f"{contract.name} was not created")

    def _send(self, to: bytes, call: bytes, value: int, *, gas: int) -> bytes:
        nonce = self._chain.pool.pending_nonce(FAUCET_ADDRESS, self._chain.head_state().get_nonce(FAUCET_ADDRESS))
        fee = 2 * self._chain.next_base_fee() + 1
        tx = UnsignedTx(self._chain.evm.chain_id, nonce, to, call, value, gas, fee, 1)
        return self._chain.submit(sign_transaction(FAUCET_KEY, tx).raw)
