"""Transactions accepted and not yet in a block: one for each sender and nonce, the dearest wins.

Rule: error texts are go-ethereum's, because every client knows how to read those.
"""

from __future__ import annotations

from typing import Any

from eth.abc import SignedTransactionAPI
from eth_utils.exceptions import ValidationError

MIN_BUMP_PERCENT = 10
NONCE_GAP_LIMIT = 64


class TxRejected(Exception):
    """The chain will not have this transaction."""


class Pool:
    """Pending transactions by sender and nonce."""

    def __init__(self) -> None:
        self._by_sender: dict[bytes, dict[int, tuple[bytes, SignedTransactionAPI]]] = {}

    def check(self, tx: SignedTransactionAPI, state: Any, chain_id: int) -> None:
        """Raise TxRejected unless `tx` may wait here."""
        _check_form(tx, chain_id)
        sender = bytes(tx.sender)
        next_nonce = state.get_nonce(sender)
        if tx.nonce < next_nonce:
            raise TxRejected(f"nonce too low: next nonce {next_nonce}, tx nonce {tx.nonce}")
        if tx.nonce > next_nonce + NONCE_GAP_LIMIT:
            raise TxRejected(f"nonce too high: next nonce {next_nonce}, tx nonce {tx.nonce}")
        cost = tx.value + tx.gas * tx.max_fee_per_gas
        balance = state.get_balance(sender)
        if balance < cost:
            raise TxRejected(f"insufficient funds for gas * price + value: have {balance} want {cost}")
        self._check_replacement(sender, tx)

    def add(self, raw: bytes, tx: SignedTransactionAPI) -> None:
        self._by_sender.setdefault(bytes(tx.sender), {})[tx.nonce] = (raw, tx)

    def remove(self, tx: SignedTransactionAPI) -> None:
        waiting = self._by_sender.get(bytes(tx.sender), {})
        waiting.pop(tx.nonce, None)
        if not waiting:
            self._by_sender.pop(bytes(tx.sender), None)

    def find(self, tx_hash: bytes) -> tuple[bytes, SignedTransactionAPI] | None:
        for waiting in self._by_sender.values():
            for raw, tx in waiting.values():
                if bytes(tx.hash) == tx_hash:
                    return raw, tx
        return None

    def pending_nonce(self, sender: bytes, next_nonce: int) -> int:
        """Return the first nonce of `sender` that neither the chain nor the pool has used."""
        waiting = self._by_sender.get(sender, {})
        while next_nonce in waiting:
            next_nonce += 1
        return next_nonce

    def executable(self, state: Any, base_fee: int) -> list[tuple[bytes, SignedTransactionAPI]]:
        """Return what the next block can hold, each sender's in nonce order."""
        ready: list[tuple[bytes, SignedTransactionAPI]] = []
        for sender, waiting in self._by_sender.items():
            nonce = state.get_nonce(sender)
            while nonce in waiting and waiting[nonce][1].max_fee_per_gas >= base_fee:
                ready.append(waiting[nonce])
                nonce += 1
        return ready

    def _check_replacement(self, sender: bytes, tx: SignedTransactionAPI) -> None:
        known = self._by_sender.get(sender, {}).get(tx.nonce)
        if known is None:
            return
        old = known[1]
        if bytes(old.hash) == bytes(tx.hash):
            raise TxRejected("already known")
        for new_fee, old_fee in (
            (tx.max_fee_per_gas, old.max_fee_per_gas),
            (tx.max_priority_fee_per_gas, old.max_priority_fee_per_gas),
        ):
            if new_fee * 100 < old_fee * (100 + MIN_BUMP_PERCENT):
                raise TxRejected("replacement transaction underpriced")


def _check_form(tx: SignedTransactionAPI, chain_id: int) -> None:
    if tx.chain_id != chain_id:
        raise TxRejected(f"invalid chain id for signer: have {tx.chain_id} want {chain_id}")
    try:
        tx.validate()
        tx.check_signature_validity()
    except ValidationError as error:
        raise TxRejected(f"invalid sender: {error}") from error
    if tx.gas < tx.intrinsic_gas:
        raise TxRejected(f"intrinsic gas too low: gas {tx.gas}, minimum needed {tx.intrinsic_gas}")
