"""Blocks, logs and receipts of one endpoint, or of several asked as one, checked as far as they check themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from halle_node.chain import answers
from halle_node.chain.records import Block, Log, Receipt
from halle_protocol.errors import Unavailable


class Reader(ABC):
    """Every method may raise Unavailable.

    Shape: rpc-down, rpc-bad-answer, rpc-limited, rpc-moved, rpc-too-large, rpc-inconsistent.
    """

    @abstractmethod
    async def request(self, method: str, *params: Any) -> Any:
        """Return the raw result of any method. Raises: RpcError."""

    async def block_number(self) -> int:
        return answers.count(await self.request("eth_blockNumber"))

    async def head(self) -> Block:
        found = await self.block("latest")
        if found is None:
            raise Unavailable("The chain endpoint has no newest block.", code="rpc-bad-answer")
        return found

    async def block(self, at: int | str) -> Block | None:
        """Return a block of the canonical chain by number or tag, None when there is none yet."""
        answer = await self.request("eth_getBlockByNumber", hex(at) if isinstance(at, int) else at, False)
        return None if answer is None else answers.block(answer)

    async def block_hash(self, at: str) -> bytes:
        return answers.block(await self.request("eth_getBlockByNumber", at, False)).hash

    async def balance_at(self, address: bytes, at: str) -> int:
        """Units: wei."""
        return answers.quantity(await self.request("eth_getBalance", to_hex(address), at))

    async def nonce_at(self, address: bytes, at: str) -> int:
        return answers.count(await self.request("eth_getTransactionCount", to_hex(address), at))

    async def call_at(self, message: dict[str, str], at: str) -> bytes:
        """Return what a call answers. Shape: `message` as the chain spells it. Raises: RpcError."""
        return answers.data(await self.request("eth_call", message, at))

    async def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Return the receipt of a mined transaction, checked against the canonical block it names."""
        answer = await self.request("eth_getTransactionReceipt", to_hex(tx_hash))
        if answer is None or (isinstance(answer, dict) and answer.get("blockHash") is None):
            return None
        found = answers.receipt(answer)
        _check_receipt(found, tx_hash, await self.block(found.block_number))
        return found

    async def logs(self, addresses: list[bytes], first: int, last: int) -> list[Log]:
        """Return the logs of some contracts in a closed range of blocks, in order. Raises: RangeTooWide."""
        wanted = {"address": [to_hex(each) for each in addresses], "fromBlock": hex(first), "toBlock": hex(last)}
        found = answers.logs(await self.request("eth_getLogs", wanted))
        for log in found:
            if log.address not in addresses or not first <= log.block_number <= last:
                raise inconsistent("a log", "an address or block that was not asked for")
        return in_order(found)

    async def logs_of(self, addresses: list[bytes], block_hash: bytes) -> list[Log]:
        """Return the logs of some contracts in one block, in order.

        An endpoint that does not have the block must say so, where for a range it may answer with nothing.
        """
        wanted = {"address": [to_hex(each) for each in addresses], "blockHash": to_hex(block_hash)}
        found = answers.logs(await self.request("eth_getLogs", wanted))
        for log in found:
            if log.address not in addresses or log.block_hash != block_hash:
                raise inconsistent("a log", "an address or block that was not asked for")
        return in_order(found)


def in_order(logs: list[Log]) -> list[Log]:
    return sorted(logs, key=lambda log: (log.block_number, log.log_index))


def inconsistent(what: str, why: str) -> Unavailable:
    return Unavailable(
        f"The chain endpoint contradicts itself: {what} names {why}.",
        code="rpc-inconsistent",
        hint="The node asks again; use another rpc_url if this lasts.",
    )


def to_hex(value: bytes) -> str:
    return "0x" + value.hex()


def _check_receipt(found: Receipt, tx_hash: bytes, block: Block | None) -> None:
    if found.tx_hash != tx_hash:
        raise inconsistent("a receipt", "another transaction")
    if block is None or block.number != found.block_number or block.hash != found.block_hash:
        raise inconsistent("a receipt", "a block that is not on the chain")
    if tx_hash not in block.tx_hashes:
        raise inconsistent("a receipt", "a block without its transaction")
    for log in found.logs:
        if (log.tx_hash, log.block_hash, log.block_number) != (tx_hash, block.hash, block.number):
            raise inconsistent("a receipt's log", "another transaction or block")
