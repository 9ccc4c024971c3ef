"""The JSON-RPC methods of the embedded chain: each turns parameters into one call of the chain.

Spec: github.com/ethereum/execution-apis; `evm_*` as hardhat and anvil have them; `halle_*` are our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from eth.exceptions import Revert, VMError
from eth_utils.exceptions import ValidationError

from halle_node.chain.embedded.deploy import Deployment
from halle_node.chain.embedded.evm import Call, MinedBlock
from halle_node.chain.embedded.genesis import GAS_LIMIT
from halle_node.chain.embedded.pool import TxRejected
from halle_node.chain.embedded.service import ChainService
from halle_node.chain.embedded.wire import (
    Json,
    block_json,
    data,
    logs_json,
    parse_data,
    parse_quantity,
    quantity,
    receipt_json,
    tx_json,
)
from halle_protocol.errors import HalleError
from halle_protocol.keys import ZERO_ADDRESS, keccak256

CLIENT_VERSION = "Halle/embedded/1"
TIP_WEI = 10**9
MAX_LOGS = 10_000
MAX_FEE_HISTORY = 1_024
LATEST_TAGS = ("latest", "safe", "finalized")

INVALID_PARAMS = -32602
METHOD_NOT_FOUND = -32601
SERVER_ERROR = -32000
REVERTED = 3


class RpcError(Exception):
    """An answer that is an error object."""

    def __init__(self, code: int, message: str, revert_data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.revert_data = revert_data


class Methods:
    """Answers requests from one chain."""

    def __init__(self, chain: ChainService, deployment: Deployment) -> None:
        self._chain = chain
        self._evm = chain.evm
        self._deployment = deployment
        self._table: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: CLIENT_VERSION,
            "web3_sha3": lambda value: data(keccak256(parse_data(value))),
            "net_version": lambda: str(self._evm.chain_id),
            "net_listening": lambda: True,
            "eth_syncing": lambda: False,
            "eth_accounts": list,
            "eth_chainId": lambda: quantity(self._evm.chain_id),
            "eth_blockNumber": lambda: quantity(self._evm.head.number),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBalance": self._balance,
            "eth_getCode": self._code,
            "eth_getStorageAt": self._storage,
            "eth_getTransactionCount": self._nonce,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_gasPrice": lambda: quantity(chain.next_base_fee() + TIP_WEI),
            "eth_maxPriorityFeePerGas": lambda: quantity(TIP_WEI),
            "eth_feeHistory": self._fee_history,
            "eth_sendRawTransaction": lambda raw: data(chain.submit(parse_data(raw))),
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": self._logs,
            "evm_increaseTime": lambda seconds: chain.increase_time(parse_quantity(seconds)),
            "evm_mine": self._mine,
            "evm_setAutomine": self._set_automine,
            "halle_faucet": lambda address: deployment.faucet(parse_data(address, 20)),
            "halle_info": self._info,
        }

    def answer(self, method: str, params: list[Any]) -> Any:
        """Return the result of one request.

        Raises: RpcError.
        """
        handler = self._table.get(method)
        if handler is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method[:80]} does not exist/is not available")
        try:
            return handler(*params)
        except TxRejected as error:
            raise RpcError(SERVER_ERROR, str(error)) from error
        except HalleError as error:
            raise RpcError(SERVER_ERROR, f"{error.code}: {error.message}") from error
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise RpcError(INVALID_PARAMS, f"invalid parameters: {error}") from error

    def _info(self) -> Json:
        return {
            "chainId": quantity(self._evm.chain_id),
            "time": quantity(self._chain.now()),
            "genesisHash": data(self._evm.blocks[0].hash),
            "automine": self._chain.automine,
            "timeOffset": quantity(self._chain.offset_s),
            "contracts": {name: data(address) for name, address in self._deployment.contracts.items()},
        }

    def _mine(self, count: object = 1) -> str:
        self._chain.mine(parse_quantity(count))
        return "0x0"

    def _set_automine(self, on: bool) -> bool:
        self._chain.set_automine(on is True)
        return True

    def _number(self, tag: object) -> int:
        if tag in LATEST_TAGS or tag == "pending" or tag is None:
            return self._evm.head.number
        if tag == "earliest":
            return 0
        if isinstance(tag, dict):  # EIP-1898
            if "blockHash" in tag:
                return self._by_hash(tag["blockHash"])
            return self._number(tag["blockNumber"])
        number = parse_quantity(tag)
        if not 0 <= number <= self._evm.head.number:
            raise RpcError(SERVER_ERROR, "header not found")
        return number

    def _by_hash(self, value: object) -> int:
        number = self._evm.by_hash.get(parse_data(value, 32))
        if number is None:
            raise RpcError(SERVER_ERROR, "header not found")
        return number

    def _block_by_number(self, tag: object, full: bool = False) -> Json | None:
        if isinstance(tag, str) and tag.startswith("0x") and parse_quantity(tag) > self._evm.head.number:
            return None
        return block_json(self._evm, self._evm.blocks[self._number(tag)], full=full)

    def _block_by_hash(self, value: object, full: bool = False) -> Json | None:
        number = self._evm.by_hash.get(parse_data(value, 32))
        return None if number is None else block_json(self._evm, self._evm.blocks[number], full=full)

    def _state(self, tag: object) -> Any:
        return self._evm.state(self._number(tag))

    def _balance(self, address: object, tag: object = "latest") -> str:
        return quantity(self._state(tag).get_balance(parse_data(address, 20)))

    def _code(self, address: object, tag: object = "latest") -> str:
        return data(self._state(tag).get_code(parse_data(address, 20)))

    def _storage(self, address: object, slot: object, tag: object = "latest") -> str:
        value = self._state(tag).get_storage(parse_data(address, 20), parse_quantity(slot))
        return data(int(value).to_bytes(32, "big"))

    def _nonce(self, address: object, tag: object = "latest") -> str:
        account = parse_data(address, 20)
        nonce = self._state(tag).get_nonce(account)
        return quantity(self._chain.pool.pending_nonce(account, nonce) if tag == "pending" else nonce)

    def _call(self, message: Json, tag: object = "latest", *_overrides: object) -> str:
        # At the head a call sees the time the next block would have: rules about deadlines are then
        # answered as a transaction sent now would meet them.
        computation = self._run(_call_of(message), tag)
        _raise_error(computation)
        return data(computation.output)

    def _run(self, call: Call, tag: object) -> Any:
        number = self._number(tag)
        try:
            return self._chain.call(call, number, as_next=number == self._evm.head.number)
        except ValidationError as error:
            raise RpcError(SERVER_ERROR, str(error)) from error

    def _estimate(self, message: Json, tag: object = "latest") -> str:
        call = _call_of(message)
        computation = self._run(call, tag)
        _raise_error(computation)
        used = call.gas - int(computation.get_gas_remaining())
        return quantity(self._least_gas(call, tag, used))

    def _least_gas(self, call: Call, tag: object, used: int) -> int:
        """Return a limit the call succeeds under; refunds and the 1/64 a caller keeps make `used` too low."""
        low, high = used - 1, call.gas
        attempt = min(used * 65 // 64 + 2_300, high)
        while high - low > max(high // 64, 1):
            if self._succeeds(Call(call.sender, call.to, call.data, call.value, attempt), tag):
                high = attempt
            else:
                low = attempt
            attempt = (low + high) // 2
        return high

    def _succeeds(self, call: Call, tag: object) -> bool:
        try:
            return not self._run(call, tag).is_error
        except RpcError:
            return False

    def _fee_history(self, count: object, newest: object, percentiles: list[float] | None = None) -> Json:
        last = self._number(newest)
        first = max(0, last - min(parse_quantity(count), MAX_FEE_HISTORY) + 1)
        blocks = self._evm.blocks[first : last + 1]
        fees = [int(block.header.base_fee_per_gas) for block in blocks]
        following = (
            self._evm.blocks[last + 1].header.base_fee_per_gas
            if last + 1 < len(self._evm.blocks)
            else self._chain.next_base_fee()
        )
        answer: Json = {
            "oldestBlock": quantity(first),
            "baseFeePerGas": [quantity(fee) for fee in [*fees, int(following)]],
            "gasUsedRatio": [block.header.gas_used / block.header.gas_limit for block in blocks],
        }
        if percentiles:
            answer["reward"] = [[quantity(TIP_WEI)] * len(percentiles) for _ in blocks]
        return answer

    def _transaction(self, value: object) -> Json | None:
        tx_hash = parse_data(value, 32)
        place = self._evm.tx_index.get(tx_hash)
        if place is not None:
            block = self._evm.blocks[place[0]]
            return tx_json(self._evm, block.txs[place[1]].tx, block, place[1])
        waiting = self._chain.pool.find(tx_hash)
        return None if waiting is None else tx_json(self._evm, waiting[1], None, None)

    def _receipt(self, value: object) -> Json | None:
        place = self._evm.tx_index.get(parse_data(value, 32))
        return None if place is None else receipt_json(self._evm.blocks[place[0]], place[1])

    def _logs(self, wanted: Json) -> list[Json]:
        matches = _log_filter(wanted)
        found: list[Json] = []
        for block in self._log_blocks(wanted):
            for index, mined in enumerate(block.txs):
                found += [log for log in logs_json(block, mined, index) if matches(log)]
            if len(found) > MAX_LOGS:
                raise RpcError(SERVER_ERROR, f"query returned more than {MAX_LOGS} results")
        return found

    def _log_blocks(self, wanted: Json) -> Iterator[MinedBlock]:
        if "blockHash" in wanted:
            yield self._evm.blocks[self._by_hash(wanted["blockHash"])]
            return
        last = wanted.get("toBlock", "latest")
        end = self._evm.head.number if isinstance(last, str) and not last.startswith("0x") else parse_quantity(last)
        first = self._first_log_block(wanted.get("fromBlock", "latest"))
        yield from (block for block in self._evm.blocks[first : end + 1] if block.txs)

    def _first_log_block(self, tag: object) -> int:
        if isinstance(tag, str) and not tag.startswith("0x"):
            return self._number(tag)
        return parse_quantity(tag)


def _call_of(message: Json) -> Call:
    return Call(
        sender=parse_data(message.get("from") or data(ZERO_ADDRESS), 20),
        to=parse_data(message["to"], 20) if message.get("to") else b"",
        data=parse_data(message.get("input") or message.get("data") or "0x"),
        value=parse_quantity(message.get("value") or 0),
        gas=min(parse_quantity(message.get("gas") or GAS_LIMIT), GAS_LIMIT),
    )


def _raise_error(computation: Any) -> None:
    if not computation.is_error:
        return
    error: VMError = computation.error
    if isinstance(error, Revert):
        raise RpcError(REVERTED, "execution reverted", data(computation.output))
    raise RpcError(SERVER_ERROR, f"{type(error).__name__}: {error}")


def _log_filter(wanted: Json) -> Callable[[Json], bool]:
    addresses = wanted.get("address")
    allowed = {a.lower() for a in ([addresses] if isinstance(addresses, str) else addresses or [])}
    topics = [
        None if topic is None else {t.lower() for t in ([topic] if isinstance(topic, str) else topic)}
        for topic in wanted.get("topics") or []
    ]

    def matches(log: Json) -> bool:
        if allowed and log["address"] not in allowed:
            return False
        found = log["topics"]
        return len(found) >= len(topics) and all(
            not any_of or found[place] in any_of for place, any_of in enumerate(topics)
        )

    return matches
