"""Several endpoints of one chain, asked as if they were one.

Rule: an endpoint is asked only after it has shown that it serves our chain. One that fails rests, one that lags
comes last, and one that was caught in a lie is not asked until its time has passed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from halle_node.chain.endpoint import Endpoint, EndpointState, Identity
from halle_node.chain.reading import Reader
from halle_node.chain.records import Block
from halle_node.chain.rpc import REQUEST_TIMEOUT_S, RangeTooWide, RpcError
from halle_protocol.errors import ConfigError, HalleError, Unavailable

SURVEY_S = 15.0
LAG_S = 120
# No such method, an inner failure, not supported here: another endpoint may do better.
INCAPABLE_CODES = frozenset({-32601, -32603, -32004})


class Endpoints(Reader):
    """The endpoints of one chain, in the order they are preferred."""

    def __init__(
        self, urls: Sequence[str], *, expected_chain_id: int | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> None:
        self.identity = Identity(expected_chain_id)
        self._all = [Endpoint(url, self.identity, timeout_s) for url in dict.fromkeys(urls)]

    @property
    def several(self) -> bool:
        """Whether one can be compared with another."""
        return len(self._all) > 1

    @property
    def first(self) -> Endpoint:
        """The endpoint to ask now."""
        return self.in_order()[0]

    def in_order(self) -> list[Endpoint]:
        """Return those that may be asked, best first; all of them when none may."""
        heard = [each for each in self._all if not each.is_set_aside] or self._all
        return sorted(heard, key=lambda each: (each.rests, each.lags))

    async def connect(self) -> None:
        """Find one that serves our chain; what was believed of them before is checked again.

        Raises: ConfigError wrong-chain when all serve another; Unavailable when one that may serve ours is silent.
        """
        for each in self._all:
            each.doubt()
        troubles: list[HalleError] = []
        for each in self.in_order():
            try:
                return await each.vet()
            except HalleError as error:
                troubles.append(error)
        raise next((each for each in troubles if not isinstance(each, ConfigError)), troubles[0])

    async def request(self, method: str, *params: Any) -> Any:
        """Return the first one's result; when it cannot answer, the next one's.

        Raises: RpcError; Unavailable; ConfigError wrong-chain.
        """
        troubles: list[HalleError] = []
        for each in self.in_order():
            try:
                return await each.request(method, *params)
            except (Unavailable, ConfigError) as error:
                troubles.append(error)
            except RpcError as error:
                if not _is_incapable(error):
                    raise
                troubles.append(error)
        raise troubles[0]

    async def tell_all(self, method: str, *params: Any) -> Any:
        """Ask everyone who may be asked; return what the first one says. Raises: as `request`."""
        told = await self.request(method, *params)
        others = [each.request(method, *params) for each in self.in_order()[1:] if not each.rests]
        await asyncio.gather(*others, return_exceptions=True)
        return told

    async def know_receipt(self, tx_hash: bytes) -> bool:
        """Return whether anybody has the receipt of a transaction. Raises: as `request` when nobody can say."""
        found = await self.receipt(tx_hash)
        for each in self.in_order()[1:]:
            if found is not None or each.rests:
                break
            with suppress(HalleError):
                found = await each.receipt(tx_hash)
        return found is not None

    async def witness_of(self, speaker: Endpoint, head: Block) -> tuple[Endpoint, Block] | None:
        """Return another endpoint that is up to date, with its newest block; None when there is none.

        One far behind by the clock is stuck and no witness. What `head` claims of its time makes nobody late.
        """
        latest = min(head.timestamp, int(time.time()))
        for other in self.in_order():
            if other is speaker or other.rests or other.is_set_aside:
                continue
            try:
                own = await other.head()
            except HalleError:
                continue
            if latest - own.timestamp <= LAG_S:
                return other, own
        return None

    async def survey(self) -> None:
        """Learn how far each endpoint is, so that one that lags comes last."""
        asked = [each for each in self._all if each.is_due]
        await asyncio.gather(*(each.head() for each in asked), return_exceptions=True)
        newest = max((each.newest.timestamp for each in self._all if each.newest is not None), default=0)
        latest = min(newest, int(time.time()))
        for each in self._all:
            each.lags = each.newest is not None and latest - each.newest.timestamp > LAG_S

    async def run(self) -> None:
        """Survey for as long as the node runs, when there is a choice."""
        while self.several:
            await self.survey()
            await asyncio.sleep(SURVEY_S)

    def states(self) -> tuple[EndpointState, ...]:
        """Return how each endpoint does, in the order of the settings."""
        first = self.first
        best = max((each.newest.number for each in self._all if each.newest is not None), default=0)
        return tuple(each.state(is_asked=each is first, best=best) for each in self._all)

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in self._all))


def disagreement(one: Endpoint, other: Endpoint, about: str) -> Unavailable:
    return Unavailable(
        f"The chain endpoints {one.name} and {other.name} contradict each other on {about}.",
        code="rpc-disagree",
        hint="Nothing is believed until they agree; name a third endpoint, or remove the one that you do not trust.",
    )


def _is_incapable(error: RpcError) -> bool:
    if isinstance(error, RangeTooWide):
        return False
    return error.rpc_code in INCAPABLE_CODES and not error.is_revert
