"""The EVM itself: py-evm with one block a call, and indexes for what JSON-RPC asks.

Rule: the same genesis, transactions and timestamps give the same block hashes, on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth.abc import BlockHeaderAPI, ComputationAPI, SignedTransactionAPI
from eth.chains.base import MiningChain
from eth.constants import POST_MERGE_DIFFICULTY, POST_MERGE_MIX_HASH, POST_MERGE_NONCE, ZERO_ADDRESS
from eth.db import get_db_backend
from eth.vm.forks import PragueVM
from eth.vm.spoof import SpoofTransaction
from eth_utils.exceptions import ValidationError

from halle_node.chain.embedded.genesis import GAS_LIMIT, Genesis
from halle_protocol.keys import keccak256


@dataclass(frozen=True)
class MinedTx:
    tx: SignedTransactionAPI
    raw: bytes
    sender: bytes
    gas_used: int
    cumulative_gas: int
    succeeded: bool
    logs: tuple[Any, ...]
    first_log_index: int
    created: bytes | None


@dataclass(frozen=True)
class MinedBlock:
    header: BlockHeaderAPI
    txs: tuple[MinedTx, ...]
    size: int

    @property
    def number(self) -> int:
        return int(self.header.block_number)

    @property
    def hash(self) -> bytes:
        return bytes(self.header.hash)


class _SoleProducerVM(PragueVM):  # type: ignore[misc]  # py-evm is not followed by the type checker
    """Prague without the check of a new block against its parent: nobody else makes blocks here.

    Two blocks must be possible in one second, or a burst of orders would push the chain's clock past the
    wall's.
    """

    def validate_block(self, block: Any) -> None:
        return None


class Evm:
    """A chain in memory. `blocks[n]` is block n; there are no forks."""

    def __init__(self, genesis: Genesis) -> None:
        chain_class: Any = type(
            "HalleChain",
            (MiningChain,),
            {"chain_id": genesis.chain_id, "vm_configuration": ((0, _SoleProducerVM),)},
        )
        parameters = {
            "difficulty": POST_MERGE_DIFFICULTY,
            "mix_hash": POST_MERGE_MIX_HASH,
            "nonce": POST_MERGE_NONCE,
            "coinbase": ZERO_ADDRESS,
            "extra_data": b"halle",
            "gas_limit": GAS_LIMIT,
            "timestamp": genesis.timestamp,
        }
        self.chain_id = genesis.chain_id
        self._chain = chain_class.from_genesis(get_db_backend(), parameters, genesis.accounts())
        header = self._chain.get_canonical_block_header_by_number(0)
        self.blocks: list[MinedBlock] = [MinedBlock(header, (), 0)]
        self.by_hash: dict[bytes, int] = {bytes(header.hash): 0}
        self.tx_index: dict[bytes, tuple[int, int]] = {}

    @property
    def head(self) -> MinedBlock:
        return self.blocks[-1]

    def decode(self, raw: bytes) -> SignedTransactionAPI:
        """Return the transaction in `raw`. Raises: whatever py-evm makes of garbage."""
        return self._vm(self.head.header).get_transaction_builder().decode(raw)

    def state(self, number: int) -> Any:
        """Return the accounts as they are after block `number`, read-only by agreement."""
        return self._vm(self.blocks[number].header).state

    def mine(self, txs: list[tuple[bytes, SignedTransactionAPI]], timestamp: int) -> MinedBlock:
        """Append one block.

        Raises: ValidationError when a transaction cannot be in it; nothing changes then.
        """
        parent = self.head.header
        opening = self._next_header(parent, timestamp)
        vm = self._vm(opening)
        transactions = [tx for _, tx in txs]
        closing, receipts, computations = vm.apply_all_transactions(transactions, opening)
        filled = vm.set_block_transactions_and_withdrawals(vm.get_block(), closing, transactions, receipts)
        header = vm.mine_block(filled, mix_hash=keccak256(parent.hash)).block.header
        self._chain.chaindb.persist_header(header)  # BLOCKHASH looks its ancestors up there
        block = MinedBlock(header, _mined(txs, receipts, computations), 600 + sum(len(raw) for raw, _ in txs))
        self.by_hash[block.hash] = block.number
        for index, (_, tx) in enumerate(txs):
            self.tx_index[bytes(tx.hash)] = (block.number, index)
        self.blocks.append(block)
        return block

    def forget_head(self) -> None:
        """Undo the newest block, whose journal line could not be written."""
        block = self.blocks.pop()
        del self.by_hash[block.hash]
        for mined in block.txs:
            del self.tx_index[bytes(mined.tx.hash)]

    def execute(self, call: Call, number: int, timestamp: int | None) -> ComputationAPI:
        """Run a message on the state after block `number`.

        Shape: with a timestamp it sees the block that would come next, without one the block itself.
        """
        header = self.blocks[number].header
        vm = self._vm(header if timestamp is None else self._next_header(header, timestamp))
        unsigned = vm.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=self.chain_id,
            nonce=vm.state.get_nonce(call.sender),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=call.gas,
            to=call.to,
            value=call.value,
            data=call.data,
            access_list=(),
        )
        with vm.in_costless_state() as state:
            spoofed = SpoofTransaction(unsigned, from_=call.sender, gas_price=0)
            return state.apply_transaction(spoofed)

    def next_base_fee(self) -> int:
        """Return the least fee of the next block, in wei a unit of gas."""
        return int(self._next_header(self.head.header, int(self.head.header.timestamp)).base_fee_per_gas)

    def _vm(self, header: BlockHeaderAPI) -> Any:
        return self._chain.get_vm(header)

    def _next_header(self, parent: BlockHeaderAPI, timestamp: int) -> BlockHeaderAPI:
        header = self._chain.create_header_from_parent(parent, gas_limit=parent.gas_limit)
        return header.copy(timestamp=timestamp, coinbase=ZERO_ADDRESS)


@dataclass(frozen=True)
class Call:
    sender: bytes
    to: bytes
    data: bytes
    value: int
    gas: int


def _mined(txs: list[tuple[bytes, SignedTransactionAPI]], receipts: Any, computations: Any) -> tuple[MinedTx, ...]:
    mined: list[MinedTx] = []
    gas_before = log_index = 0
    for (raw, tx), receipt, computation in zip(txs, receipts, computations, strict=True):
        created = None
        if not tx.to and computation.is_success:
            created = bytes(computation.msg.storage_address)
        mined.append(
            MinedTx(
                tx=tx,
                raw=raw,
                sender=bytes(tx.sender),
                gas_used=receipt.gas_used - gas_before,
                cumulative_gas=receipt.gas_used,
                succeeded=computation.is_success,
                logs=tuple(receipt.logs),
                first_log_index=log_index,
                created=created,
            )
        )
        gas_before = receipt.gas_used
        log_index += len(receipt.logs)
    return tuple(mined)


__all__ = ["Call", "Evm", "MinedBlock", "MinedTx", "ValidationError"]
