"""Fetch what waits for us at the mailboxes our profile names.

Rule: an envelope is signed for only after it was processed or refused for good; what fails for a passing reason stays
there. A mailbox is never believed: what it hands out is opened and checked like everything else, and a repeated
envelope has no second effect.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import SystemRandom
from typing import Protocol

from halle_node.messages.views import MailboxState
from halle_protocol.errors import HalleError, Unavailable

log = logging.getLogger(__name__)

CHECK_S = 45.0
# A mailbox that always says there is more must not keep us busy for ever.
MAX_ROUNDS = 64
_random = SystemRandom().random

Take = Callable[[bytes, str], Awaitable[bytes]]
Prove = Callable[[bytes, str, str], bytes]


class Carrier(Protocol):
    """The part of the network this needs."""

    async def collect(
        self,
        mailbox: str,
        store: bytes,
        prove: Prove,
        take: Callable[[bytes, str], Awaitable[bytes | None]],
    ) -> tuple[int, bool]:
        """Return how many envelopes were signed for, and whether the mailbox has more."""


class Collector:
    """`mailboxes()` names ours, `take` processes an envelope and returns our signed word about it."""

    def __init__(
        self,
        carrier: Carrier,
        store: bytes,
        mailboxes: Callable[[], Sequence[str]],
        prove: Prove,
        take: Take,
        clock: Callable[[], int],
    ) -> None:
        self._carrier = carrier
        self._store = store
        self._mailboxes = mailboxes
        self._prove = prove
        self._take = take
        self._clock = clock
        self._states: dict[str, MailboxState] = {}
        self._wake = asyncio.Event()

    def states(self) -> list[MailboxState]:
        """Return our mailboxes in the order of the profile, and how the last visit to each went."""
        return [self._states.get(each, MailboxState(each)) for each in self._mailboxes()]

    def hurry(self) -> None:
        """Go round now. Called on the node's loop."""
        self._wake.set()

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            self._wake.clear()
            await self.collect_all()
            try:
                # Jitter: the times of the visits should tell a mailbox little.
                async with asyncio.timeout(CHECK_S * (0.75 + _random() / 2)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def collect_all(self) -> int:
        """Visit each of our mailboxes once; return how many envelopes were taken in."""
        return sum([await self._visit(mailbox) for mailbox in self._mailboxes()])

    async def _visit(self, mailbox: str) -> int:
        before = self._states.get(mailbox, MailboxState(mailbox))
        now, taken = self._clock(), 0
        try:
            taken = await self._empty(mailbox)
        except HalleError as error:
            log.info("mailbox %s: %s", mailbox, error.code)
            self._states[mailbox] = replace(
                before, asked_at=now, error_code=error.code[:64], error_text=error.message[:300]
            )
        else:
            self._states[mailbox] = MailboxState(
                mailbox, now, now if taken else before.collected_at, before.collected + taken
            )
        return taken

    async def _empty(self, mailbox: str) -> int:
        total = 0
        for _ in range(MAX_ROUNDS):
            taken, more = await self._carrier.collect(mailbox, self._store, self._prove, self._take_quietly)
            total += taken
            if not more or not taken:
                break
        return total

    async def _take_quietly(self, envelope: bytes, mailbox: str) -> bytes | None:
        try:
            return await self._take(envelope, mailbox)
        except Unavailable as error:
            log.info("an envelope stays at its mailbox: %s", error.code)
            return None
