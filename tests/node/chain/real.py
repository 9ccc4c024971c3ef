"""A real chain that is not ours, with Halle's contracts: anvil, which can also undo its newest blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contracts.test_deploy import RICH, RICH_KEY, anvil, ask
from halle_contracts import encode_call, predicted_address
from halle_node.chain import ChainClient, deploy_contracts

CHAIN_ID = 7_007
ESCROW = "0x" + predicted_address("Escrow").hex()
FOREVER = 2**40


class Anvil:
    """Blocks with events of the escrow: `emit` makes one block an event, of a new operator each."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.emitted = 0

    def ask(self, method: str, *params: Any) -> Any:
        return ask(self.url, method, *params)

    @property
    def height(self) -> int:
        return int(self.ask("eth_blockNumber"), 16)

    def emit(self, count: int = 1) -> None:
        for _ in range(count):
            self.ask("eth_sendTransaction", self.call())

    def call(self) -> dict[str, str]:
        """Return a transaction that makes a new event."""
        self.emitted += 1
        operator = self.emitted.to_bytes(20, "big")
        data = encode_call("Escrow", "setOperator", operator, FOREVER)
        return {"from": RICH, "to": ESCROW, "data": "0x" + data.hex(), "gas": "0x30d40"}

    def mine(self, count: int = 1) -> None:
        self.ask("anvil_mine", hex(count))

    def logs(self) -> list[tuple[str, int]]:
        """Return (block hash, log index) of every event of the escrow, in order."""
        found = self.ask("eth_getLogs", {"address": ESCROW, "fromBlock": "0x0", "toBlock": "latest"})
        return [(log["blockHash"], int(log["logIndex"], 16)) for log in found]


@contextmanager
def anvil_market(chain_id: int = CHAIN_ID, *more: str) -> Iterator[Anvil]:
    """Run anvil with Halle's contracts and the test tokens, or skip."""
    with anvil(chain_id, *more) as url:
        asyncio.run(_deploy(url))
        yield Anvil(url)


async def _deploy(url: str) -> None:
    client = ChainClient(url)
    await client.connect()
    await deploy_contracts(client, bytes.fromhex(RICH_KEY), with_test_tokens=True)
    await client.close()
