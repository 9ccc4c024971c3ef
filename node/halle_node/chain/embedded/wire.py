"""JSON-RPC's spelling of chain values: quantities, data, blocks, transactions, receipts, logs.

Spec: github.com/ethereum/execution-apis
"""

from __future__ import annotations

from typing import Any

from eth.abc import BlockHeaderAPI
from eth_bloom.bloom import BloomFilter

from halle_node.chain.embedded.evm import Evm, MinedBlock, MinedTx

Json = dict[str, Any]


def quantity(value: int) -> str:
    return hex(value)


def data(value: bytes) -> str:
    return "0x" + bytes(value).hex()


def parse_quantity(value: object) -> int:
    """Raises: ValueError."""
    if isinstance(value, str) and value.startswith("0x"):
        return int(value, 16)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"not a quantity: {str(value)[:80]}")


def parse_data(value: object, size: int | None = None) -> bytes:
    """Raises: ValueError."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"not hex data: {str(value)[:80]}")
    parsed = bytes.fromhex(value[2:])
    if size is not None and len(parsed) != size:
        raise ValueError(f"expected {size} bytes, got {len(parsed)}")
    return parsed


def bloom(header: BlockHeaderAPI) -> str:
    return data(header.bloom.to_bytes(256, "big"))


def block_json(evm: Evm, block: MinedBlock, *, full: bool) -> Json:
    header = block.header
    return {
        "number": quantity(block.number),
        "hash": data(block.hash),
        "parentHash": data(header.parent_hash),
        "nonce": data(header.nonce),
        "sha3Uncles": data(header.uncles_hash),
        "logsBloom": bloom(header),
        "transactionsRoot": data(header.transaction_root),
        "stateRoot": data(header.state_root),
        "receiptsRoot": data(header.receipt_root),
        "miner": data(header.coinbase),
        "difficulty": quantity(header.difficulty),
        "totalDifficulty": quantity(0),
        "extraData": data(header.extra_data),
        "mixHash": data(header.mix_hash),
        "size": quantity(block.size),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "baseFeePerGas": quantity(header.base_fee_per_gas),
        "timestamp": quantity(header.timestamp),
        "uncles": [],
        "transactions": [
            tx_json(evm, mined.tx, block, index) if full else data(mined.tx.hash)
            for index, mined in enumerate(block.txs)
        ],
    }


def tx_json(evm: Evm, tx: Any, block: MinedBlock | None, index: int | None) -> Json:
    kind = getattr(tx, "type_id", None) or 0
    answer: Json = {
        "hash": data(tx.hash),
        "type": quantity(kind),
        "chainId": quantity(evm.chain_id),
        "nonce": quantity(tx.nonce),
        "from": data(tx.sender),
        "to": data(tx.to) if tx.to else None,
        "value": quantity(tx.value),
        "gas": quantity(tx.gas),
        "gasPrice": quantity(_price(tx, block)),
        "input": data(tx.data),
        "r": quantity(tx.r),
        "s": quantity(tx.s),
        "v": quantity(tx.y_parity if kind else tx.v),
        "blockHash": data(block.hash) if block else None,
        "blockNumber": quantity(block.number) if block else None,
        "transactionIndex": quantity(index) if index is not None else None,
    }
    if kind:
        answer["yParity"] = quantity(tx.y_parity)
        answer["accessList"] = [
            {"address": data(account), "storageKeys": [data(key.to_bytes(32, "big")) for key in keys]}
            for account, keys in tx.access_list
        ]
    if kind >= 2:
        answer["maxFeePerGas"] = quantity(tx.max_fee_per_gas)
        answer["maxPriorityFeePerGas"] = quantity(tx.max_priority_fee_per_gas)
    return answer


def receipt_json(block: MinedBlock, index: int) -> Json:
    mined = block.txs[index]
    logs = logs_json(block, mined, index)
    return {
        "transactionHash": data(mined.tx.hash),
        "transactionIndex": quantity(index),
        "blockHash": data(block.hash),
        "blockNumber": quantity(block.number),
        "from": data(mined.sender),
        "to": data(mined.tx.to) if mined.tx.to else None,
        "type": quantity(getattr(mined.tx, "type_id", None) or 0),
        "status": quantity(int(mined.succeeded)),
        "gasUsed": quantity(mined.gas_used),
        "cumulativeGasUsed": quantity(mined.cumulative_gas),
        "effectiveGasPrice": quantity(_price(mined.tx, block)),
        "contractAddress": data(mined.created) if mined.created else None,
        "logs": logs,
        "logsBloom": _logs_bloom(mined),
    }


def logs_json(block: MinedBlock, mined: MinedTx, index: int) -> list[Json]:
    return [
        {
            "address": data(log.address),
            "topics": [data(topic.to_bytes(32, "big")) for topic in log.topics],
            "data": data(log.data),
            "blockNumber": quantity(block.number),
            "blockHash": data(block.hash),
            "blockTimestamp": quantity(block.header.timestamp),
            "transactionHash": data(mined.tx.hash),
            "transactionIndex": quantity(index),
            "logIndex": quantity(mined.first_log_index + offset),
            "removed": False,
        }
        for offset, log in enumerate(mined.logs)
    ]


def _logs_bloom(mined: MinedTx) -> str:
    bits = BloomFilter()
    for log in mined.logs:
        bits.add(bytes(log.address))
        for topic in log.topics:
            bits.add(topic.to_bytes(32, "big"))
    return data(int(bits).to_bytes(256, "big"))


def _price(tx: Any, block: MinedBlock | None) -> int:
    if block is None:
        return int(tx.max_fee_per_gas)
    base_fee = int(block.header.base_fee_per_gas)
    return int(min(tx.max_fee_per_gas, base_fee + tx.max_priority_fee_per_gas))
