"""The chain as one part of the node: an endpoint or our own embedded process, transactions out, events in.

Rule: a chain that is down never stops the node. Only a wrong chain does, and only at start.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from halle_node.chain import dev
from halle_node.chain.accounts import AccountSignatures
from halle_node.chain.client import ChainClient
from halle_node.chain.contracts import Contracts
from halle_node.chain.endpoint import EndpointState
from halle_node.chain.outbox import Outbox, Signers
from halle_node.chain.process import EmbeddedChain
from halle_node.chain.records import USUAL, Depths
from halle_node.chain.watcher import Progress, Watcher
from halle_node.db import Database
from halle_protocol.errors import Unavailable
from halle_protocol.keys import to_checksum

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ChainHealth:
    """How far events are read, and how the endpoints do. `error_code` is what stops the reading, or empty."""

    progress: Progress
    endpoints: tuple[EndpointState, ...]
    error_code: str = ""
    error_text: str = ""
    hint: str = ""


@dataclass(frozen=True)
class ChainSummary:
    """Which chain this is and how far it is. Units: `time` unix seconds of the chain."""

    rpc_url: str
    chain_id: int
    block: int
    time: int
    embedded: bool
    escrow: str
    tracking: str
    warranty: str
    health: ChainHealth


@dataclass(frozen=True)
class TokenBalance:
    """What an account has of one token; `text` is the amount with its decimals."""

    symbol: str
    address: str
    decimals: int
    amount: int
    text: str


@dataclass(frozen=True)
class Wallet:
    """One account on the chain. Units: `native` wei."""

    address: str
    native: int
    tokens: tuple[TokenBalance, ...]
    test_money: bool


class Chain:
    """Owns the client, the outbox and the watcher; starts the embedded chain when there is no endpoint."""

    def __init__(
        self,
        db: Database,
        signers: Signers,
        clock: Callable[[], int],
        *,
        rpc_urls: Sequence[str] = (),
        chain_id: int = 0,
        embedded_port: int = 0,
        embedded_folder: Path,
        depths: Depths = USUAL,
    ) -> None:
        self._process: EmbeddedChain | None = None
        self._embedded_folder = embedded_folder
        self._embedded_port = embedded_port or _free_port()
        self._starts_own = not rpc_urls
        urls = tuple(rpc_urls) or (f"http://{LOOPBACK}:{self._embedded_port}",)
        self.rpc_url = urls[0]
        self.client = ChainClient(*urls, expected_chain_id=chain_id or None, depths=depths)
        self.accounts = AccountSignatures(self.client)
        self.outbox = Outbox(db, self.client, signers, clock=clock)
        self.watcher = Watcher(db, self.client)

    @property
    def contracts(self) -> Contracts:
        """Where the contracts are. Raises: Unavailable while the chain has not answered; ConfigError."""
        return self.client.contracts

    async def start(self) -> None:
        """Start the embedded chain if that is ours to do, and connect; an endpoint that is down is tried again later.

        Raises: ConfigError wrong-chain; Unavailable when our own chain does not start.
        """
        if self._starts_own and not await asyncio.to_thread(_answers, self._embedded_port):
            self._process = EmbeddedChain(self._embedded_folder, port=self._embedded_port)
            await self._process.start()
        try:
            await self.client.connect()
        except Unavailable as error:
            log.warning("the chain is not there yet: %s", error)

    async def run(self) -> None:
        """Send transactions, follow events and see how the endpoints do, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.outbox.run(), name="outbox")
            tasks.create_task(self.watcher.run(), name="watcher")
            tasks.create_task(self.client.endpoints.run(), name="endpoints")

    async def close(self) -> None:
        """Let go of the endpoint, and end the embedded chain if it is ours."""
        await self.client.close()
        if self._process is not None:
            await self._process.stop()

    @property
    def _where(self) -> str:
        more = len(self.client.endpoints.states()) - 1
        return self.rpc_url + (f" and {more} more" if more else "")

    def describe(self) -> str:
        """Return one line about the chain for the terminal."""
        if not self.client.is_connected:
            return f"{self._where} (does not answer yet)"
        whose = "embedded, runs with this node" if self._process else ("embedded" if self.client.is_embedded else "")
        return f"{self._where}  chain {self.client.chain_id}{f'  ({whose})' if whose else ''}"

    async def summary(self) -> ChainSummary:
        """Return which chain this is and how far it is. Raises: Unavailable."""
        block, time = await asyncio.gather(self.client.block_number(), self.client.time())
        contracts = self.contracts
        return ChainSummary(
            rpc_url=self.rpc_url,
            chain_id=self.client.chain_id,
            block=block,
            time=time,
            embedded=self.client.is_embedded,
            escrow=to_checksum(contracts.escrow),
            tracking=to_checksum(contracts.tracking),
            warranty=to_checksum(contracts.warranty),
            health=self.health(),
        )

    def health(self) -> ChainHealth:
        """Return how far events are read and how the endpoints do; asks nobody."""
        found = ChainHealth(self.watcher.progress, self.client.endpoints.states())
        stopped = self.watcher.problem
        if stopped is None:
            return found
        return replace(found, error_code=stopped.code, error_text=stopped.message, hint=stopped.hint)

    async def wallet(self, address: bytes) -> Wallet:
        """Return what an account has. Raises: Unavailable."""
        tokens = self.contracts.tokens
        native, *amounts = await asyncio.gather(
            self.client.balance(address),
            *(self.client.call("TestToken", "balanceOf", address, at=token) for token, _ in tokens.values()),
        )
        held = zip(tokens.items(), amounts, strict=True)
        return Wallet(
            address=to_checksum(address),
            native=native,
            tokens=tuple(_token_balance(symbol, at, decimals, amount) for (symbol, (at, decimals)), amount in held),
            test_money=self.client.is_embedded,
        )

    async def dev_faucet(self, address: bytes) -> list[bytes]:
        """Give an account test money on the embedded chain. Raises: Refused not-a-dev-chain."""
        return await dev.dev_faucet(self.client, address)

    async def dev_advance(self, seconds: int) -> int:
        """Let time pass on the embedded chain; return its time. Raises: Refused not-a-dev-chain."""
        return await dev.dev_advance(self.client, seconds)


def _token_balance(symbol: str, address: bytes, decimals: int, amount: int) -> TokenBalance:
    whole, part = divmod(amount, 10**decimals)
    cents = part * 100 // 10**decimals
    return TokenBalance(symbol, to_checksum(address), decimals, amount, f"{whole}.{cents:02d}")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
