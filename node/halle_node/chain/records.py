"""What a chain says, as values: blocks, logs, receipts and decoded events.

Units: hashes 32 bytes, addresses 20 bytes, times unix seconds, amounts of the chain's own coin in wei.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Finality(StrEnum):
    """How sure an event is: in a block, deep enough to act on, deep enough to settle on."""

    SEEN = "seen"
    SAFE = "safe"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Depths:
    """Confirmations needed for each finality; the block that holds the transaction counts as the first.

    Shape: 0 in a setting stands for the chain's usual depth.
    """

    safe: int
    final: int

    def finality(self, block_number: int, head_number: int) -> Finality:
        confirmations = head_number - block_number + 1
        if confirmations >= self.final:
            return Finality.FINAL
        return Finality.SAFE if confirmations >= self.safe else Finality.SEEN

    def over(self, usual: Depths) -> Depths:
        """Return these, with the chain's usual ones where they are 0; final is never before safe."""
        safe = self.safe or usual.safe
        return Depths(safe, max(safe, self.final or usual.final))


USUAL = Depths(0, 0)


@dataclass(frozen=True, slots=True)
class Block:
    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    base_fee: int
    tx_hashes: tuple[bytes, ...] = ()
    bloom: int = 0  # the filter of its logs, 0 when the endpoint shows none


@dataclass(frozen=True, slots=True)
class Log:
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    tx_hash: bytes
    log_index: int


@dataclass(frozen=True, slots=True)
class Receipt:
    tx_hash: bytes
    block_number: int
    block_hash: bytes
    succeeded: bool
    gas_used: int
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """One decoded log of a Halle contract.

    `id` names the row; a reorg deletes it and a replay gets a new one.
    """

    id: int
    contract: str
    name: str
    address: bytes
    subject: bytes
    args: Mapping[str, Any]
    block_number: int
    block_hash: bytes
    block_time: int
    tx_hash: bytes
    log_index: int
    finality: Finality


@dataclass(frozen=True, slots=True)
class TxStatus:
    """Where one outbox row stands. `state`: queued, signed, sent, mined, final or failed."""

    id: int
    state: str
    purpose: str
    ref: bytes
    signer: bytes
    nonce: int | None
    tx_hash: bytes | None
    block_number: int | None
    error_code: str | None
    error_text: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)
