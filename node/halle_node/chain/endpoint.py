"""One endpoint among several: what it must show before it is asked, and how well it answers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from halle_node.chain import answers
from halle_node.chain.backoff import Backoff
from halle_node.chain.reading import Reader
from halle_node.chain.records import Block
from halle_node.chain.rpc import RpcEndpoint, RpcError
from halle_protocol.errors import ConfigError, HalleError, Unavailable

SET_ASIDE_S = 3_600.0
REST_FIRST_S, REST_CEILING_S = 0.25, 60.0
REMEMBERED_ANSWERS = 50
_WEIGHT = 0.2


@dataclass(frozen=True)
class EndpointState:
    """How one endpoint does.

    `state`: asked (it answers for us), ready, behind, resting (it failed), set-aside (it lied, floods, or
    serves another chain). `name` is its host, without the keys that an address may hold. Units: `latency_ms` of an
    answer, `failed_percent` of the last answers, `block` 0 while unknown, `behind` blocks.
    """

    name: str
    state: str
    block: int
    behind: int
    latency_ms: int
    failed_percent: int
    error_code: str = ""
    error_text: str = ""


@dataclass
class Identity:
    """Which chain all endpoints must serve. `known` is the chain id and the first block's hash.

    It is what the database says; for a new one, what the first endpoint to answer says.
    """

    expected_chain_id: int | None = None
    known: tuple[int, bytes] | None = None

    def check(self, chain_id: int, genesis_hash: bytes, name: str) -> None:
        """Raises: ConfigError wrong-chain."""
        expected = self.known[0] if self.known else self.expected_chain_id
        if expected is not None and chain_id != expected:
            raise _wrong(f"{name} serves chain {chain_id}, not {expected}.")
        if self.known is not None and genesis_hash != self.known[1]:
            first, own = genesis_hash.hex()[:12], self.known[1].hex()[:12]
            raise _wrong(f"{name} serves another chain {chain_id}: its first block is 0x{first}…, ours 0x{own}….")
        self.known = (chain_id, genesis_hash)


def _wrong(text: str) -> ConfigError:
    return ConfigError(
        text,
        code="wrong-chain",
        hint="Correct rpc_url or chain_id, or use a home of its own for the other chain.",
    )


class Endpoint(Reader):
    """Requests to one endpoint, which is vetted before the first one and after every silence."""

    def __init__(
        self, url: str, identity: Identity, timeout_s: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rpc = RpcEndpoint(url, timeout_s=timeout_s)
        self._identity = identity
        self._monotonic = monotonic
        self._vetting = asyncio.Lock()
        self._is_vetted = False
        self._backoff = Backoff(REST_FIRST_S, REST_CEILING_S)
        self._fails = False
        self._next_try = 0.0
        self._failures = 0
        self._charged_until = 0.0
        self._trouble: HalleError | None = None
        self._outcomes: deque[bool] = deque(maxlen=REMEMBERED_ANSWERS)
        self._latency_s = 0.0
        self.newest: Block | None = None
        self.lags = False

    @property
    def url(self) -> str:
        return self._rpc.url

    @property
    def name(self) -> str:
        """Its host and port: an address may hold a key."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def is_set_aside(self) -> bool:
        return self._monotonic() < self._charged_until

    @property
    def rests(self) -> bool:
        """Whether its last answer failed: the others come first until it answers again."""
        return self._fails

    @property
    def is_due(self) -> bool:
        """Whether to see if it answers again."""
        return not self.is_set_aside and (not self._fails or self._monotonic() >= self._next_try)

    async def request(self, method: str, *params: Any) -> Any:
        """Raises: RpcError; Unavailable; ConfigError wrong-chain."""
        await self.vet()
        return await self._ask(method, *params)

    async def head(self) -> Block:
        self.newest = await super().head()
        return self.newest

    async def vet(self) -> None:
        """See that it serves our chain. Raises: ConfigError wrong-chain; Unavailable."""
        failures = self._failures
        async with self._vetting:
            if self._is_vetted:
                return
            if self._failures != failures and self._trouble is not None:
                raise self._trouble  # it failed while we waited for the same
            chain_id = answers.count(await self._ask("eth_chainId"))
            first = answers.block(await self._ask("eth_getBlockByNumber", "0x0", False))
            try:
                self._identity.check(chain_id, first.hash, self.name)
            except ConfigError as error:
                self.set_aside(error)
                raise
            self._is_vetted = True

    def doubt(self) -> None:
        """Vet it again before the next request; what was wrong with its chain is forgotten."""
        self._is_vetted = False
        if self._trouble is not None and self._trouble.code == "wrong-chain":
            self._charged_until, self._trouble = 0.0, None

    def set_aside(self, error: HalleError) -> None:
        """Ask it nothing for a long while."""
        self._charged_until = self._monotonic() + SET_ASIDE_S
        self._is_vetted = False
        self._trouble = error

    def rest(self, error: HalleError) -> None:
        """Ask the others first, for longer after each failure."""
        self._fails = True
        self._failures += 1
        self._next_try = self._monotonic() + self._backoff.next()
        self._trouble = error

    async def close(self) -> None:
        await self._rpc.close()

    def state(self, *, is_asked: bool, best: int) -> EndpointState:
        block = self.newest.number if self.newest is not None else 0
        states = (("set-aside", self.is_set_aside), ("resting", self.rests), ("behind", self.lags), ("asked", is_asked))
        state = next((name for name, holds in states if holds), "ready")
        told = self._trouble if state in ("set-aside", "resting") else None
        return EndpointState(
            name=self.name,
            state=state,
            block=block,
            behind=max(0, best - block) if block else 0,
            latency_ms=round(self._latency_s * 1000),
            failed_percent=100 * self._outcomes.count(False) // max(1, len(self._outcomes)),
            error_code=told.code if told else "",
            error_text=told.message if told else "",
        )

    async def _ask(self, method: str, *params: Any) -> Any:
        began = self._monotonic()
        try:
            found = await self._rpc.request(method, *params)
        except RpcError:
            self._answered(began)
            raise
        except Unavailable as error:
            self._outcomes.append(False)
            self._is_vetted = self._is_vetted and error.code != "rpc-down"
            self.rest(error)
            if error.code == "rpc-too-large":
                self.set_aside(error)
            raise
        self._answered(began)
        return found

    def _answered(self, began: float) -> None:
        took = self._monotonic() - began
        self._latency_s = took if not self._outcomes else self._latency_s + _WEIGHT * (took - self._latency_s)
        self._outcomes.append(True)
        self._backoff.reset()
        self._fails = False
