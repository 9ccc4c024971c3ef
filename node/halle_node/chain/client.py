"""What the node asks of a chain, and what it believes of the answers.

Rule: one endpoint may be wrong, slow or lying. None that serves another chain is asked; a receipt or log that
does not agree with the canonical block it names is not believed. Balances and what contracts answer are believed when
a second endpoint says the same, where there is one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import halle_contracts
from halle_node.chain import answers
from halle_node.chain.contracts import Contracts, discover
from halle_node.chain.depths import usual_depths
from halle_node.chain.embedded import CHAIN_ID as EMBEDDED_CHAIN_ID
from halle_node.chain.endpoints import Endpoints
from halle_node.chain.judge import Judge
from halle_node.chain.reading import Reader, inconsistent, to_hex
from halle_node.chain.records import USUAL, Depths
from halle_node.chain.rpc import REQUEST_TIMEOUT_S, RpcError
from halle_protocol.errors import ConfigError, Refused, RemoteProtocolError, Unavailable
from halle_protocol.keys import ZERO_ADDRESS

EMBEDDED_CLIENT = "Halle/embedded/"
MIN_TIP_WEI = 1


@dataclass(frozen=True, slots=True)
class Fees:
    """Units: wei for a unit of gas."""

    max_fee: int
    tip: int


class ChainClient(Reader):
    """Requests to one chain through its endpoints.

    `connect` comes first: it learns the chain id, refuses a wrong chain and finds Halle's contracts.
    """

    def __init__(
        self,
        *rpc_urls: str,
        expected_chain_id: int | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
        depths: Depths = USUAL,
    ) -> None:
        self._set_depths = depths
        self.endpoints = Endpoints(rpc_urls, expected_chain_id=expected_chain_id, timeout_s=timeout_s)
        self.judge = Judge(self.endpoints)
        self._contracts: Contracts | None = None
        self._is_connected = False
        self.is_embedded = False

    @property
    def is_connected(self) -> bool:
        return self._is_connected

    @property
    def chain_id(self) -> int:
        return self._identity[0]

    @property
    def genesis_hash(self) -> bytes:
        return self._identity[1]

    @property
    def _identity(self) -> tuple[int, bytes]:
        known = self.endpoints.identity.known
        if known is None:
            raise _silent()
        return known

    @property
    def contracts(self) -> Contracts:
        """Raises: ConfigError contracts-missing when Halle's contracts are not on this chain; Unavailable rpc-down."""
        if self._contracts is None:
            if not self._is_connected:
                raise _silent()  # it fell silent while it introduced itself: nothing is known of them
            raise ConfigError(
                f"Halle's contracts are not on chain {self.chain_id}.",
                code="contracts-missing",
                hint="Choose a chain that has them, or deploy them.",
            )
        return self._contracts

    @property
    def depths(self) -> Depths:
        """Raises: Unavailable rpc-down while the chain has not said which it is."""
        return self._set_depths.over(usual_depths(self.chain_id, is_embedded=self.is_embedded))

    async def connect(self) -> None:
        """Learn which chain this is and where the contracts are, all or nothing. Calling again re-checks.

        Raises: ConfigError wrong-chain; Unavailable.
        """
        await self.endpoints.connect()
        version = await self.request("web3_clientVersion")
        # Only that chain's id: an endpoint of real money must not get its first block taken for final.
        is_named = isinstance(version, str) and version.startswith(EMBEDDED_CLIENT)
        self.is_embedded = is_named and self.chain_id == EMBEDDED_CHAIN_ID
        self._contracts = await discover(self)
        self._is_connected = True

    async def close(self) -> None:
        await self.endpoints.close()

    async def request(self, method: str, *params: Any) -> Any:
        """Return the raw result of any method. For the parts of this package. Raises: as `Endpoints.request`."""
        return await self.endpoints.request(method, *params)

    async def time(self) -> int:
        """Return the chain's time: what a contract would read now, in unix seconds."""
        if self.is_embedded:
            # It makes no blocks while nobody acts, so its newest block may be old.
            info = await self.request("halle_info")
            return answers.count(info.get("time") if isinstance(info, dict) else None)
        return (await self.head()).timestamp

    async def balance(self, address: bytes) -> int:
        """Units: wei. Raises: Unavailable rpc-disagree."""
        return await self.judge.agreed(lambda each, at: each.balance_at(address, at))

    async def code(self, address: bytes) -> bytes:
        return answers.data(await self.request("eth_getCode", to_hex(address), "latest"))

    async def final_nonce(self, address: bytes, at: int) -> int:
        """Return an account's nonce at a block, as two endpoints have it. Raises: Unavailable rpc-disagree."""
        return await self.judge.agreed(lambda each, tag: each.nonce_at(address, tag), at)

    async def final_hash(self, number: int) -> bytes:
        """Return the hash of a block, as two endpoints have it. Raises: Unavailable rpc-disagree."""
        return await self.judge.agreed(lambda each, tag: each.block_hash(tag), number)

    async def nonce(self, address: bytes, at: int | str = "latest") -> int:
        return await self.nonce_at(address, hex(at) if isinstance(at, int) else at)

    async def call(
        self,
        contract: str,
        function: str,
        *args: Any,
        at: bytes | None = None,
        sender: bytes = ZERO_ADDRESS,
    ) -> Any:
        """Return what a view function answers; one value, a dict of named values or a tuple.

        Raises: Refused reverted, with the contract's own error name in `facts`; Unavailable rpc-disagree.
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

        Raises: Refused reverted; Unavailable rpc-disagree.
        """
        message = _message(sender, to, data, value) | ({} if gas is None else {"gas": hex(gas)})
        try:
            return await self.judge.agreed(lambda each, tag: each.call_at(message, tag), at)
        except RpcError as error:
            raise reverted(error, self.contract_name(to)) from error

    async def estimate_gas(self, sender: bytes, to: bytes, data: bytes, value: int) -> int:
        """Raises: Refused reverted when the transaction would fail now."""
        try:
            answer = await self.request("eth_estimateGas", _message(sender, to, data, value))
        except RpcError as error:
            raise reverted(error, self.contract_name(to)) from error
        return answers.count(answer)

    async def fees(self) -> Fees:
        """Return fees that hold through several full blocks."""
        head, tip = await asyncio.gather(self.head(), self.request("eth_maxPriorityFeePerGas"))
        tip_wei = max(answers.quantity(tip), MIN_TIP_WEI)
        return Fees(max_fee=2 * head.base_fee + tip_wei, tip=tip_wei)

    async def send_raw(self, raw: bytes) -> bytes:
        """Give signed bytes to every endpoint; return their hash. Raises: RpcError, whose text is the chain's.

        To all of them, so that none can keep a transaction from the chain.
        """
        told = await self.endpoints.tell_all("eth_sendRawTransaction", to_hex(raw))
        return answers.data(told, answers.HASH_BYTES)

    async def transaction(self, tx_hash: bytes) -> dict[str, Any] | None:
        """Return a transaction object as the chain spells it, after checking that it is the one asked for."""
        found = await self.request("eth_getTransactionByHash", to_hex(tx_hash))
        if found is None:
            return None
        if not isinstance(found, dict) or answers.data(found.get("hash")) != tx_hash:
            raise inconsistent("a transaction", "another transaction's hash")
        return found

    def contract_name(self, address: bytes) -> str | None:
        return None if self._contracts is None else self._contracts.name_of(address)


def reverted(error: RpcError, contract: str | None) -> RpcError | Refused:
    """Return the contract's own refusal when `error` carries one, else `error`."""
    if not error.is_revert:
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


def _message(sender: bytes, to: bytes, data: bytes, value: int) -> dict[str, str]:
    message = {"from": to_hex(sender), "data": to_hex(data), "value": hex(value)}
    if to:
        message["to"] = to_hex(to)
    return message


def _silent() -> Unavailable:
    return Unavailable("The chain has not answered yet.", code="rpc-down", hint="The node keeps trying; check rpc_url.")
