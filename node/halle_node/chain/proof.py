"""What a block's header proves by itself: its hash, and which logs are certainly not in the block.

Spec: EIP-1559, 4399, 4788, 4844, 4895, 7685 for the fields of a header; yellow paper 4.3.1 for the bloom filter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import rlp  # type: ignore[import-untyped]

from halle_node.chain.records import Log
from halle_protocol.keys import keccak256

BLOOM_BITS = 2_048
_NUMBERS = frozenset(
    {"difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas"}
)
_ALWAYS = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
)
# Each fork added its fields at the end; a chain has those of all forks up to its own.
_ADDED = (
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
)


def proves_itself(block: Mapping[str, Any]) -> bool:
    """Return whether a block's hash is that of the header shown; some chains have other headers, and prove nothing."""
    try:
        names = [*_ALWAYS, *(name for name in _ADDED if block.get(name) is not None)]
        fields = [_field(name, block[name]) for name in names]
        return keccak256(rlp.encode(fields)) == bytes.fromhex(block["hash"][2:])
    except (KeyError, TypeError, ValueError):
        return False


def may_hold(bloom: int, log: Log) -> bool:
    """Return False when a block with this filter has certainly no such log."""
    return all(in_bloom(bloom, each) for each in (log.address, *log.topics))


def in_bloom(bloom: int, value: bytes) -> bool:
    """Return False when no log of a block with this filter has this address or topic."""
    digest = keccak256(value)
    bits = (int.from_bytes(digest[place : place + 2], "big") % BLOOM_BITS for place in (0, 2, 4))
    return all(bloom >> bit & 1 for bit in bits)


def true_one(bloom: int, one: Collection[Log], other: Collection[Log]) -> Collection[Log] | None:
    """Return which of two accounts of a block's logs its filter speaks for, None when for neither.

    A log that the filter denies was made up. Where one says more than the other and the filter denies none of it,
    the other keeps logs back: the filter would hardly know their addresses and topics by chance.
    """
    more, less = set(one) - set(other), set(other) - set(one)
    one_lies, other_lies = (not all(may_hold(bloom, log) for log in logs) for logs in (more, less))
    if one_lies != other_lies:
        return other if one_lies else one
    if one_lies or (more and less):
        return None
    return one if more else other


def _field(name: str, value: str) -> bytes | int:
    return int(value, 16) if name in _NUMBERS else bytes.fromhex(value[2:])
