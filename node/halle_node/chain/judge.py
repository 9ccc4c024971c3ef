"""What two endpoints say of the same blocks, compared; and who of them lies, as far as it can be known.

Rule: what they contradict each other on is not believed. An endpoint is set aside only when most of the others, our
own memory or the block's header speak against it; until then nothing moves, and the owner is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from halle_node.chain import answers
from halle_node.chain.endpoint import Endpoint
from halle_node.chain.endpoints import Endpoints, disagreement
from halle_node.chain.proof import proves_itself, true_one
from halle_node.chain.reading import inconsistent
from halle_node.chain.records import Log
from halle_node.chain.rpc import RangeTooWide, RpcError
from halle_protocol.errors import HalleError, Unavailable

PATIENCE = 3
"""How often they are asked again before anybody is judged: one may just be late."""

T = TypeVar("T")
Ask = Callable[[Endpoint, str], Awaitable[T]]
"""A question about the state after a block, given by number in hex or by tag."""
Remembered = Callable[[int], Awaitable[bytes | None]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _No:
    """A contract's refusal, whatever its reason: endpoints word it differently."""

    error: RpcError = field(compare=False)


class Judge:
    """Compares the endpoints of one chain."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._doubted: Counter[int] = Counter()
        self.convictions = 0

    async def agreed(self, ask: Ask[T], at: int | str = "latest") -> T:
        """Return what the chain says at a block as two endpoints have it, or the only one that can say.

        Two may stand at different newest blocks: when they differ there, both are asked about the lower one.
        Raises: RpcError when a contract refuses; Unavailable rpc-disagree; as the first one when nobody can say.
        """
        (speaker, told), *others = await self._two_voices(ask, at)
        if all(said == told for _, said in others):
            return _word(told)
        if isinstance(at, int):
            return _word(await self._judged(ask, at, speaker, others[0][0]))
        head = await speaker.head()
        second = await self._endpoints.witness_of(speaker, head)
        if second is None:
            return _word(told)  # the other one is stuck in the past
        return await self.agreed(ask, min(head.number, second[1].number))

    async def compare_block(
        self, one: Endpoint, other: Endpoint, number: int, remembered: Remembered, *, is_final: bool
    ) -> None:
        """Return when both have the same block at a height.

        Shape: `remembered(number)` gives the hash of a block as we stored it, None if not stored.
        Raises: Unavailable rpc-disagree, rpc-inconsistent. A block that is not final may differ for a while.
        """
        mine, theirs = await asyncio.gather(one.block(number), other.block(number))
        if mine is None or theirs is None:
            raise inconsistent("the newest block", "a height whose blocks are missing")
        if mine.hash != theirs.hash:
            if is_final:
                await self._judge_block(number, await remembered(number))
            raise disagreement(one, other, f"block {number}")

    async def compare_logs(
        self, one: Endpoint, other: Endpoint, addresses: list[bytes], first: int, last: int, said: Sequence[Log]
    ) -> bool:
        """Return whether the other endpoint confirms the logs that one `said` a range has; False when it cannot say.

        Raises: RangeTooWide; Unavailable rpc-disagree.
        """
        try:
            heard = await other.logs(addresses, first, last)
        except RangeTooWide:
            raise
        except HalleError:
            return False
        differing = {log.block_number for log in set(said) ^ set(heard)}
        if not differing:
            self._doubted.clear()
            return True
        number = min(differing)
        self._doubted[number] += 1
        if self._doubted[number] > PATIENCE:
            claims = {one: _within(said, number), other: _within(heard, number)}
            await self._judge_logs(number, addresses, claims)
        raise disagreement(one, other, f"the logs of block {number}")

    async def _two_voices(self, ask: Ask[T], at: int | str) -> list[tuple[Endpoint, T | _No]]:
        """Return what the first two that can say do say. Raises: as the first one when nobody can."""
        voices: list[tuple[Endpoint, T | _No]] = []
        troubles: list[HalleError] = []
        for each in self._endpoints.in_order():
            if len(voices) == 2 or (voices and each.rests):
                break
            try:
                voices.append((each, await _voice(each, ask, at)))
            except HalleError as error:
                troubles.append(error)
        if not voices:
            raise troubles[0]
        return voices

    async def _judged(self, ask: Ask[T], number: int, one: Endpoint, other: Endpoint) -> T | _No:
        """Return what most say of the state after a block that all have. Raises: Unavailable rpc-disagree."""
        hashes = await self._hear_all(lambda each: _hash_of(each, number))
        if len(set(hashes.values())) == 1:
            voices = await self._hear_all(lambda each: _voice(each, ask, number))
            truth: T | _No | None = _majority(list(voices.values()))
            if truth is not None:
                liars = (each for each, said in voices.items() if said != truth)
                self._set_aside(liars, f"another state after block {number}")
                return truth
        raise disagreement(one, other, f"the state after block {number}")

    async def _judge_block(self, number: int, memory: bytes | None) -> None:
        voices = await self._hear_all(lambda each: _hash_of(each, number))
        truth = _majority([*voices.values(), *([memory] if memory else [])])
        if truth is not None:
            self._set_aside((each for each, said in voices.items() if said != truth), f"another block {number}")

    async def _judge_logs(self, number: int, addresses: list[bytes], claims: Mapping[Endpoint, frozenset[Log]]) -> None:
        hashes = await self._hear_all(lambda each: _hash_of(each, number))
        if len(set(hashes.values())) != 1:
            return  # a fork: not yet a question of logs
        block_hash = next(iter(hashes.values()))
        voices = await self._hear_all(lambda each: _logs_of(each, addresses, block_hash))
        truth = _majority(list(voices.values()))
        if truth is None:
            truth = await self._proven(number, block_hash, set(voices.values()), list(hashes))
        if truth is not None:
            liars = {each for each, said in (*voices.items(), *claims.items()) if said != truth}
            self._set_aside(liars, f"other logs of block {number}")

    async def _proven(
        self, number: int, block_hash: bytes, accounts: set[frozenset[Log]], endpoints: Iterable[Endpoint]
    ) -> frozenset[Log] | None:
        if len(accounts) != 2:
            return None
        for each in endpoints:
            shown = await each.request("eth_getBlockByNumber", hex(number), False)
            block = answers.block(shown)
            if block.hash == block_hash and proves_itself(shown):
                found = true_one(block.bloom, *accounts)
                return None if found is None else frozenset(found)
        return None

    async def _hear_all(self, ask: Callable[[Endpoint], Awaitable[Any]]) -> dict[Endpoint, Any]:
        """Return what each endpoint that answers says."""
        asked = [each for each in self._endpoints.in_order() if not each.rests]
        said = await asyncio.gather(*(ask(each) for each in asked), return_exceptions=True)
        return {
            each: word
            for each, word in zip(asked, said, strict=True)
            if word is not None and not isinstance(word, BaseException)
        }

    def _set_aside(self, liars: Iterable[Endpoint], why: str) -> None:
        for each in liars:
            error = Unavailable(
                f"{each.name} gives {why} than the chain has.",
                code="rpc-lies",
                hint="It is not asked any more for an hour. Take it out of rpc_url.",
            )
            _log.warning("a chain endpoint is set aside: %s", error.message)
            each.set_aside(error)
            self.convictions += 1


async def _voice(each: Endpoint, ask: Ask[T], at: int | str) -> T | _No:
    try:
        return await ask(each, hex(at) if isinstance(at, int) else at)
    except RpcError as error:
        if not error.is_revert:
            raise
        return _No(error)


def _word(said: T | _No) -> T:
    """Raises: RpcError when a contract refused."""
    if isinstance(said, _No):
        raise said.error
    return said


async def _hash_of(endpoint: Endpoint, number: int) -> bytes | None:
    block = await endpoint.block(number)
    return None if block is None else block.hash


async def _logs_of(endpoint: Endpoint, addresses: list[bytes], block_hash: bytes) -> frozenset[Log]:
    return frozenset(await endpoint.logs_of(addresses, block_hash))


def _within(logs: Iterable[Log], number: int) -> frozenset[Log]:
    return frozenset(log for log in logs if log.block_number == number)


def _majority(voices: Sequence[Any]) -> Any:
    """Return what more than half say, None when nobody has that."""
    if len(voices) < 2:
        return None
    value, count = Counter(voices).most_common(1)[0]
    return value if 2 * count > len(voices) else None
