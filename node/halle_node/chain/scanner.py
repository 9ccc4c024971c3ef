"""Ranges of blocks as endpoints tell them: consistent in themselves, and confirmed where there is a second endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from halle_node.chain.endpoint import Endpoint
from halle_node.chain.endpoints import Endpoints
from halle_node.chain.judge import Judge, Remembered
from halle_node.chain.proof import in_bloom
from halle_node.chain.reading import inconsistent
from halle_node.chain.records import Block, Log
from halle_node.chain.rpc import RangeTooWide
from halle_protocol.errors import Unavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Sources:
    """Who is read in one step, who must agree, up to which block both are and which ones are final."""

    speaker: Endpoint
    witness: Endpoint | None
    top: int
    final: int


@dataclass(frozen=True)
class Scan:
    """What one range of blocks holds. `witnessed` is whether a second endpoint says so too."""

    first: int
    last: int
    top: int
    blocks: dict[int, Block]
    logs: list[Log]
    witnessed: bool


class Scanner:
    """Reads the logs of some contracts. `remembered(number)` gives a block's hash as stored, None if it is not."""

    def __init__(self, endpoints: Endpoints, judge: Judge, remembered: Remembered, range_blocks: int) -> None:
        self._endpoints = endpoints
        self._remembered = remembered
        self._judge = judge
        self.range_blocks = self._most_blocks = range_blocks

    @property
    def convictions(self) -> int:
        """How many endpoints were caught lying."""
        return self._judge.convictions

    async def sources(self, speaker: Endpoint, final_depth: int) -> Sources:
        """Find who must agree with the one who is read: no further than both are, however far one claims to be."""
        head = await speaker.head()
        second = await self._endpoints.witness_of(speaker, head)
        witness, own = second or (None, head)
        top = min(head.number, own.number)
        return Sources(speaker, witness, top, top - final_depth)

    async def compare_block(self, sources: Sources, number: int) -> None:
        """Return when the witness, if there is one, has the same block. Raises: as `Judge.compare_block`."""
        if sources.witness is not None:
            is_final = number <= sources.final
            await self._judge.compare_block(
                sources.speaker, sources.witness, number, self._remembered, is_final=is_final
            )

    async def scan(self, sources: Sources, first: int, watched: list[bytes], keep_blocks: int) -> Scan:
        """Read the next range, with every block that a fork could still replace. Raises: Unavailable."""
        return await self._bounded(
            first, sources.top, lambda last: self._scan(sources, first, last, watched, keep_blocks)
        )

    async def logs(self, sources: Sources, first: int, top: int, watched: list[bytes]) -> tuple[int, list[Log] | None]:
        """Return the end and the logs of the next range; None when there is a witness, and it cannot say."""

        async def read(last: int) -> tuple[int, list[Log] | None]:
            said = await sources.speaker.logs(watched, first, last)
            is_told = sources.witness is None or await self._is_confirmed(sources, watched, first, last, said)
            return last, said if is_told else None

        return await self._bounded(first, top, read)

    async def _is_confirmed(
        self, sources: Sources, watched: list[bytes], first: int, last: int, said: list[Log]
    ) -> bool:
        if sources.witness is None:
            return False
        return await self._judge.compare_logs(sources.speaker, sources.witness, watched, first, last, said)

    async def _bounded(self, first: int, top: int, read: Callable[[int], Awaitable[T]]) -> T:
        """Read the next range: a smaller one after an endpoint found it too large, then slowly larger again."""
        while True:
            try:
                found = await read(min(top, first + self.range_blocks - 1))
            except RangeTooWide as error:
                if self.range_blocks == 1:
                    raise Unavailable(
                        f"The chain endpoint does not give the logs of block {first} alone: {error.text}",
                        code="rpc-range",
                        hint="Use another rpc_url.",
                    ) from error
                self.range_blocks = max(1, min(self.range_blocks, top - first + 1) // 2)
            except Unavailable as error:
                if error.code == "rpc-down":  # perhaps it took too long
                    self.range_blocks = max(1, self.range_blocks // 2)
                raise
            else:
                self.range_blocks = min(self._most_blocks, self.range_blocks + self.range_blocks // 16 + 1)
                return found

    async def _scan(self, sources: Sources, first: int, last: int, watched: list[bytes], keep_blocks: int) -> Scan:
        """Read a range so that its logs and its blocks belong together.

        Blocks before logs: should the chain fork in between, the hashes stored are the old ones, and the next
        look at them takes everything back. The other way round a fork could hide the new one's logs for good.
        """
        speaker, top = sources.speaker, sources.top
        recent = set(range(max(first, top - keep_blocks), last + 1)) | {last}
        blocks = await self._blocks(speaker, recent)
        logs = await speaker.logs(watched, first, last)
        blocks |= await self._blocks(speaker, {log.block_number for log in logs} - recent)
        await self._check_links(first, blocks)
        for log in logs:
            if log.block_hash != blocks[log.block_number].hash:
                raise inconsistent("a log", "a block that is not on the chain")
        await self._check_silent_blocks(speaker, watched, blocks, {log.block_number for log in logs})
        await self.compare_block(sources, last)
        witnessed = await self._is_confirmed(sources, watched, first, last, logs)
        return Scan(first, last, top, blocks, logs, witnessed)

    async def _check_silent_blocks(
        self, speaker: Endpoint, watched: list[bytes], blocks: dict[int, Block], told: set[int]
    ) -> None:
        """Ask for the logs of a block by its hash where its filter knows our contracts but the range had none.

        For a range that it has not fully seen itself, an endpoint answers with fewer logs and no word of it.
        """
        doubtful = [
            block
            for number, block in blocks.items()
            if number not in told and any(in_bloom(block.bloom, address) for address in watched)
        ]
        found = await asyncio.gather(*(speaker.logs_of(watched, block.hash) for block in doubtful))
        if any(found):
            raise inconsistent("a range of blocks", "fewer logs than its blocks have")

    async def _blocks(self, speaker: Endpoint, numbers: set[int]) -> dict[int, Block]:
        ordered = sorted(numbers)
        found = await asyncio.gather(*(speaker.block(number) for number in ordered))
        blocks: dict[int, Block] = {}
        for number, block in zip(ordered, found, strict=True):
            if block is None or block.number != number:
                raise inconsistent("the newest block", "a height whose blocks are missing")
            blocks[number] = block
        return blocks

    async def _check_links(self, first: int, blocks: dict[int, Block]) -> None:
        """Check that each block names the one before as its parent."""
        before = await self._remembered(first - 1)
        hashes = {number: block.hash for number, block in blocks.items()}
        if before is not None:
            hashes[first - 1] = before
        for number, block in blocks.items():
            parent = hashes.get(number - 1)
            if parent is not None and parent != block.parent_hash:
                raise inconsistent(f"block {number}", "another parent than the block before it")
