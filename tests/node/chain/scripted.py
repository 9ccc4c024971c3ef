"""An endpoint that speaks real JSON-RPC over HTTP and does as it is told: forks, lies, silences, outages.

Not a stand-in for the chain's rules: tests of effects use the embedded chain; this one serves blocks and logs only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from halle_contracts import event_topic, predicted_address
from halle_protocol.keys import keccak256

CHAIN_ID = 777
ESCROW = predicted_address("Escrow")


def hex_of(value: bytes) -> str:
    return "0x" + value.hex()


@dataclass
class ScriptedBlock:
    number: int
    parent: bytes
    branch: int
    subjects: tuple[bytes, ...] = ()
    hash: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.hash = keccak256(b"%d %d %s %s" % (self.number, self.branch, self.parent, b"".join(self.subjects)))

    def tx_hash(self, index: int) -> bytes:
        return keccak256(self.subjects[index] + b"tx")


class ScriptedChain:
    """Blocks of `Shipped` events by subject; `grow` and `fork` change the canonical chain."""

    def __init__(self) -> None:
        self.blocks = [ScriptedBlock(0, bytes(32), 0)]
        self.chain_id = CHAIN_ID
        self.overrides: dict[str, Callable[[list[Any]], Any]] = {}
        self.before_logs: Callable[[], None] | None = None
        self.requests: list[str] = []
        self.lag = 0
        self.max_range: int | None = None
        self.garbage: bytes | None = None
        self.silent = False
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._released = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def subjects(self) -> list[bytes]:
        """What the canonical chain says happened, in order."""
        return [subject for block in self.blocks for subject in block.subjects]

    def grow(self, *contents: tuple[bytes, ...], branch: int = 0) -> None:
        for subjects in contents:
            last = self.blocks[-1]
            self.blocks.append(ScriptedBlock(last.number + 1, last.hash, branch, subjects))

    def fork(self, depth: int, *contents: tuple[bytes, ...], branch: int = 1) -> None:
        """Replace the newest `depth` blocks by others."""
        del self.blocks[len(self.blocks) - depth :]
        self.grow(*contents, branch=branch)

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self._released.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.requests.append(asked["method"])
        if self.silent:
            await self._released.wait()
        if self.garbage is not None:
            return web.Response(body=self.garbage)
        answer = {"jsonrpc": "2.0", "id": asked["id"]}
        if asked["method"] == "eth_getLogs" and self._is_too_wide(asked["params"][0]):
            answer["error"] = {"code": -32005, "message": "query returned more than 10000 results"}
            return web.Response(text=json.dumps(answer), content_type="application/json")
        override = self.overrides.get(asked["method"])
        answer["result"] = (override or getattr(self, "_" + asked["method"]))(asked["params"])
        return web.Response(text=json.dumps(answer), content_type="application/json")

    @property
    def _top(self) -> int:
        return max(0, len(self.blocks) - 1 - self.lag)

    def _is_too_wide(self, wanted: dict[str, str]) -> bool:
        size = int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) + 1
        return self.max_range is not None and size > self.max_range

    def _eth_chainId(self, _: list[Any]) -> str:
        return hex(self.chain_id)

    def _web3_clientVersion(self, _: list[Any]) -> str:
        return "scripted/1"

    def _eth_blockNumber(self, _: list[Any]) -> str:
        return hex(self._top)

    def _eth_getCode(self, _: list[Any]) -> str:
        return "0x00"

    def _eth_getBlockByNumber(self, params: list[Any]) -> dict[str, Any] | None:
        number = self._top if params[0] == "latest" else int(params[0], 16)
        return self.block_json(self.blocks[number]) if number <= self._top else None

    def _eth_getLogs(self, params: list[Any]) -> list[dict[str, Any]]:
        if self.before_logs is not None:
            act, self.before_logs = self.before_logs, None
            act()
        first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
        return [
            self.log_json(block, index)
            for block in self.blocks[first : last + 1]
            for index in range(len(block.subjects))
        ]

    def _eth_getTransactionReceipt(self, params: list[Any]) -> dict[str, Any] | None:
        for block in self.blocks:
            for index in range(len(block.subjects)):
                if hex_of(block.tx_hash(index)) == params[0]:
                    return self.receipt_json(block, index)
        return None

    def block_json(self, block: ScriptedBlock) -> dict[str, Any]:
        return {
            "number": hex(block.number),
            "hash": hex_of(block.hash),
            "parentHash": hex_of(block.parent),
            "timestamp": hex(1_700_000_000 + block.number),
            "baseFeePerGas": "0x7",
            "transactions": [hex_of(block.tx_hash(index)) for index in range(len(block.subjects))],
        }

    def log_json(self, block: ScriptedBlock, index: int) -> dict[str, Any]:
        return {
            "address": hex_of(ESCROW),
            "topics": [hex_of(event_topic("Escrow", "Shipped")), hex_of(block.subjects[index])],
            "data": hex_of(bytes(32) + (5).to_bytes(32, "big")),
            "blockNumber": hex(block.number),
            "blockHash": hex_of(block.hash),
            "transactionHash": hex_of(block.tx_hash(index)),
            "logIndex": hex(index),
            "removed": False,
        }

    def receipt_json(self, block: ScriptedBlock, index: int) -> dict[str, Any]:
        return {
            "transactionHash": hex_of(block.tx_hash(index)),
            "blockNumber": hex(block.number),
            "blockHash": hex_of(block.hash),
            "status": "0x1",
            "gasUsed": "0x5208",
            "logs": [self.log_json(block, index)],
        }
