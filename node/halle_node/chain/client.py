"""What the node asks of a chain, and what it believes of the answers.

Rule: one endpoint may be wrong, slow or lying. A chain id that is not ours stops everything; a receipt or
log that does not agree with the canonical block it names is not believed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import halle_contracts
from halle_node.chain import answers
from halle_node.chain.contracts import Contracts, discover
from halle_node.chain.records import DEFAULT_DEPTHS, EMBEDDED_DEPTHS, Block, Depths, Log, Receipt
from halle_node.chain.rpc import REQUEST_TIMEOUT_S, RpcEndpoint, RpcError
from halle_protocol.errors import ConfigError, Refused, RemoteProtocolError, Unavailable
from halle_protocol.keys import ZERO_ADDRESS

EMBEDDED_CLIENT = "Halle/embedded/"
MIN_TIP_WEI = 1
REVERT_CODE = 3


@dataclass(frozen=True, slots=True)
class Fees:
    """Units: wei for a unit of gas."""

    max_fee: int
    tip: int


class ChainClient:
    """Requests to one chain. Every method may raise Unavailable rpc-down, rpc-bad-answer.

    `connect` comes first: it learns the chain id, refuses a wrong chain and finds Halle's contracts.
    """

    def __init__(
        self, rpc_url: str, *, expected_chain_id: int | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> None:
        self._rpc = RpcEndpoint(rpc_url, timeout_s=timeout_s)
        self._expected_chain_id = expected_chain_id
        self._chain_id: int | None = None
        self._contracts: Contracts | None = None
        self.genesis_hash = b""
        self.is_embedded = False

    @property
    def url(self) -> str:
        return self._rpc.url

    @property
    def is_connected(self) -> bool:
        return self._chain_id is not None

    @property
    def chain_id(self) -> int:
        if self._chain_id is None:
            raise Unavailable(
                "The chain has not answered yet.",
                code="rpc-down",
                hint="The node keeps trying; check rpc_url.",
            )
        return self._chain_id

    @property
    def contracts(self) -> Contracts:
        """Raises: ConfigError contracts-missing when Halle's contracts are not on this chain."""
        if self._contracts is None:
            raise ConfigError(
                f"Halle's contracts are not on chain {self.chain_id}.",
                code="contracts-missing",
                hint="Choose a chain that has them, or deploy them.",
            )
        return self._contracts

    @property
    def depths(self) -> Depths:
        return EMBEDDED_DEPTHS if self.is_embedded else DEFAULT_DEPTHS

    async def connect(self) -> None:
        """Learn which chain this is and where the contracts are, all or nothing. Calling again re-checks.

        Raises: ConfigError wrong-chain; Unavailable.
        """
        chain_id = answers.quantity(await self._rpc.request("eth_chainId"))
        expected = self._chain_id or self._expected_chain_id
        if expected is not None and chain_id != expected:
            raise ConfigError(
                f"The endpoint serves chain {chain_id}, not {expected}.",
                code="wrong-chain",
                hint="Correct rpc_url, or the chain in the settings.",
                url=self.url,
            )
        genesis = answers.block(await self._rpc.request("eth_getBlockByNumber", "0x0", False))
        version = await self._rpc.request("web3_clientVersion")
        # A chain that falls silent here has not answered: "its contracts are missing" would be a lie.
        contracts = await discover(self, chain_id)
        self.is_embedded = isinstance(version, str) and version.startswith(EMBEDDED_CLIENT)
        self.genesis_hash, self._chain_id, self._contracts = genesis.hash, chain_id, contracts

    async def close(self) -> None:
        await self._rpc.close()

    async def request(self, method: str, *params: Any) -> Any:
        """Return the raw result of any method. For the parts of this package."""
        return await self._rpc.request(method, *params)

    async def block_number(self) -> int:
        return answers.quantity(await self._rpc.request("eth_blockNumber"))

    async def time(self) -> int:
        """Return the chain's time: what a contract would read now, in unix seconds."""
        if self.is_embedded:
            # It makes no blocks while nobody acts, so its newest block may be old.
            info = await self._rpc.request("halle_info")
            return answers.quantity(info.get("time") if isinstance(info, dict) else None)
        return (await self.head()).timestamp

    async def head(self) -> Block:
        found = await self.block("latest")
        if found is None:
            raise Unavailable("The chain endpoint has no newest block.", code="rpc-bad-answer")
        return found

    async def block(self, at: int | str) -> Block | None:
        """Return a block of the canonical chain by number or tag, None when there is none yet."""
        answer = await self._rpc.request("eth_getBlockByNumber", hex(at) if isinstance(at, int) else at, False)
        return None if answer is None else answers.block(answer)

    async def balance(self, address: bytes) -> int:
        """Units: wei."""
        return answers.quantity(await self._rpc.request("eth_getBalance", _hex(address), "latest"))

    async def code(self, address: bytes) -> bytes:
        return answers.data(await self._rpc.request("eth_getCode", _hex(address), "latest"))

    async def nonce(self, address: bytes, at: int | str = "latest") -> int:
        tag = hex(at) if isinstance(at, int) else at
        return answers.quantity(await self._rpc.request("eth_getTransactionCount", _hex(address), tag))

    async def call(
        self,
        contract: str,
        function: str,
        *args: Any,
        at: bytes | None = None,
        sender: bytes = ZERO_ADDRESS,
    ) -> Any:
        """Return what a view function answers; one value, a dict of named values or a tuple.

        Raises: Refused reverted, with the contract's own error name in `facts`.
        """
        to = at if at is not None else self.contracts.address_of(contract)
        output = await self.call_raw(to, halle_contracts.encode_call(contract, function, *args), sender=sender)
        try:
            return halle_contracts.decode_result(contract, function, output)
        except RemoteProtocolError as error:
            raise Unavailable(
                f"The chain endpoint's answer to {contract}.{function} has the wrong shape.",
                code="rpc-bad-answer",
                hint="Use another rpc_url if this lasts.",
            ) from error

    async def call_raw(
        self,
        to: bytes,
        data: bytes,
        *,
        sender: bytes = ZERO_ADDRESS,
        value: int = 0,
        at: int | str = "latest",
        gas: int | None = None,
    ) -> bytes:
        """Return what a call answers; without `to` the data runs as creation code, and its answer would be the code.

        Raises: Refused reverted.
        """
        message = _message(sender, to, data, value) | ({} if gas is None else {"gas": hex(gas)})
        tag = hex(at) if isinstance(at, int) else at
        try:
            return answers.data(await self._rpc.request("eth_call", message, tag))
        except RpcError as error:
            raise reverted(error, self.contract_name(to)) from error

    async def estimate_gas(self, sender: bytes, to: bytes, data: bytes, value: int) -> int:
        """Raises: Refused reverted when the transaction would fail now."""
        try:
            answer = await self._rpc.request("eth_estimateGas", _message(sender, to, data, value))
        except RpcError as error:
            raise reverted(error, self.contract_name(to)) from error
        return answers.quantity(answer)

    async def fees(self) -> Fees:
        """Return fees that hold through several full blocks."""
        head, tip = await asyncio.gather(self.head(), self._rpc.request("eth_maxPriorityFeePerGas"))
        tip_wei = max(answers.quantity(tip), MIN_TIP_WEI)
        return Fees(max_fee=2 * head.base_fee + tip_wei, tip=tip_wei)

    async def send_raw(self, raw: bytes) -> bytes:
        """Broadcast signed bytes; return their hash. Raises: RpcError, whose text is the chain's."""
        return answers.data(await self._rpc.request("eth_sendRawTransaction", _hex(raw)), answers.HASH_BYTES)

    async def transaction(self, tx_hash: bytes) -> dict[str, Any] | None:
        """Return a transaction object as the chain spells it, after checking that it is the one asked for."""
        found = await self._rpc.request("eth_getTransactionByHash", _hex(tx_hash))
        if found is None:
            return None
        if not isinstance(found, dict) or answers.data(found.get("hash")) != tx_hash:
            raise inconsistent("a transaction", "another transaction's hash")
        return found

    async def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Return the receipt of a mined transaction, checked against the canonical block it names.

        Raises: Unavailable rpc-inconsistent.
        """
        answer = await self._rpc.request("eth_getTransactionReceipt", _hex(tx_hash))
        if answer is None or (isinstance(answer, dict) and answer.get("blockHash") is None):
            return None
        found = answers.receipt(answer)
        _check_receipt(found, tx_hash, await self.block(found.block_number))
        return found

    async def logs(self, addresses: list[bytes], first: int, last: int) -> list[Log]:
        """Return the logs of some contracts in a closed range of blocks, in order."""
        wanted = {
            "address": [_hex(address) for address in addresses],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        found = answers.logs(await self._rpc.request("eth_getLogs", wanted))
        for log in found:
            if log.address not in addresses or not first <= log.block_number <= last:
                raise inconsistent("a log", "an address or block that was not asked for")
        return sorted(found, key=lambda log: (log.block_number, log.log_index))

    def contract_name(self, address: bytes) -> str | None:
        return None if self._contracts is None else self._contracts.name_of(address)


def reverted(error: RpcError, contract: str | None) -> RpcError | Refused:
    """Return the contract's own refusal when `error` carries one, else `error`."""
    is_revert = error.rpc_code == REVERT_CODE or error.revert_data or "revert" in error.text.lower()
    if not is_revert:
        return error
    return refusal(error.revert_data or b"", contract, error.text)


def refusal(revert_data: bytes, contract: str | None, text: str = "execution reverted") -> Refused:
    """Return the error for what a contract reverted with.

    Shape: facts `reason` and `args` as in Solidity, `cause` our code of that reason ("" when nothing was told).
    """
    found = halle_contracts.cause_of(contract or "Escrow", revert_data) if revert_data else None
    return Refused(
        f"The contract refused: {found.name if found else text}.",
        code="reverted",
        hint=found.hint if found else halle_contracts.UNKNOWN[1],
        reason=found.name if found else "",
        cause=found.code if found else "",
        args=(found.args if found else None) or {},
    )


def inconsistent(what: str, why: str) -> Unavailable:
    return Unavailable(
        f"The chain endpoint contradicts itself: {what} names {why}.",
        code="rpc-inconsistent",
        hint="The node asks again; use another rpc_url if this lasts.",
    )


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


def _message(sender: bytes, to: bytes, data: bytes, value: int) -> dict[str, str]:
    message = {"from": _hex(sender), "data": _hex(data), "value": hex(value)}
    if to:
        message["to"] = _hex(to)
    return message


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
