"""Read an endpoint's JSON strictly into values.

Raises: Unavailable rpc-bad-answer, from every function here.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from typing import Any, TypeVar

from halle_node.chain.records import Block, Log, Receipt
from halle_protocol.errors import Unavailable

T = TypeVar("T")
HASH_BYTES = 32
ADDRESS_BYTES = 20
QUANTITY_BITS, BLOOM_BITS = 256, 2_048
COUNT_BITS = 63
"""Of what is counted and stored: blocks, logs, seconds, transactions."""


def quantity(value: Any) -> int:
    return _read(lambda: _quantity(value), value)


def count(value: Any) -> int:
    return _read(lambda: _count(value), value)


def data(value: Any, size: int | None = None) -> bytes:
    return _read(lambda: _data(value, size), value)


def block(value: Any) -> Block:
    """Shape: a block object whose transactions are hashes."""
    return _read(
        lambda: Block(
            number=_count(value["number"]),
            hash=_data(value["hash"], HASH_BYTES),
            parent_hash=_data(value["parentHash"], HASH_BYTES),
            timestamp=_count(value["timestamp"]),
            base_fee=_quantity(value.get("baseFeePerGas") or "0x0"),
            tx_hashes=tuple(_data(each, HASH_BYTES) for each in value["transactions"]),
            bloom=_quantity(value.get("logsBloom") or "0x0", BLOOM_BITS),
        ),
        value,
    )


def log(value: Any) -> Log:
    return _read(lambda: _log(value), value)


def logs(value: Any) -> list[Log]:
    return _read(lambda: [_log(each) for each in value if not each.get("removed")], value)


def receipt(value: Any) -> Receipt:
    return _read(
        lambda: Receipt(
            tx_hash=_data(value["transactionHash"], HASH_BYTES),
            block_number=_count(value["blockNumber"]),
            block_hash=_data(value["blockHash"], HASH_BYTES),
            succeeded=_quantity(value["status"]) == 1,
            gas_used=_count(value["gasUsed"]),
            logs=tuple(_log(each) for each in value["logs"]),
        ),
        value,
    )


def _log(value: Any) -> Log:
    return Log(
        address=_data(value["address"], ADDRESS_BYTES),
        topics=tuple(_data(topic, HASH_BYTES) for topic in value["topics"]),
        data=_data(value["data"], None),
        block_number=_count(value["blockNumber"]),
        block_hash=_data(value["blockHash"], HASH_BYTES),
        tx_hash=_data(value["transactionHash"], HASH_BYTES),
        log_index=_count(value["logIndex"]),
    )


def _quantity(value: Any, bits: int = QUANTITY_BITS) -> int:
    if not isinstance(value, str) or not value.startswith("0x") or len(value) > 2 + max(bits, QUANTITY_BITS) // 4:
        raise ValueError("not a quantity")
    found = int(value, 16)
    if found.bit_length() > bits:
        raise ValueError(f"a quantity of more than {bits} bits")
    return found


def _count(value: Any) -> int:
    return _quantity(value, COUNT_BITS)


def _data(value: Any, size: int | None) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("not hex data")
    found = bytes.fromhex(value[2:])
    if size is not None and len(found) != size:
        raise ValueError(f"{len(found)} bytes instead of {size}")
    return found


def _read(reader: Callable[[], T], value: Any) -> T:
    try:
        return reader()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unavailable(
            f"The chain endpoint's answer is malformed ({error}): {reprlib.repr(value)[:120]}",
            code="rpc-bad-answer",
            hint="Use another rpc_url if this lasts.",
        ) from error
