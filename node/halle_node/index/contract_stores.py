"""Heads of stores that are contract accounts: who signed their grant only the chain can say.

Rule: what was not confirmed is unknown: neither kept nor passed on. The network's thread never waits for a chain; it
leaves the frame here, and a task asks. A chain that is silent is asked again, one that says no ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from halle_protocol.errors import RemoteProtocolError, Unavailable
from halle_protocol.grant import Grant
from halle_protocol.head import Head

ASK_EVERY_S = 1.0
MAX_WAITING = 256


class GrantJudge(Protocol):
    """The chain, as far as it is needed here (halle_node.chain.AccountSignatures)."""

    def recalled(self, grant: Grant, /) -> Grant:
        """Return the grant, confirmed if the chain said so lately."""

    async def confirm(self, grant: Grant, /) -> Grant:
        """Return the grant confirmed, or raise RemoteProtocolError or Unavailable."""


class ContractStores:
    """Checks heads whatever kind of account their store is; without a judge contract accounts stay unknown."""

    def __init__(self, judge: GrantJudge | None) -> None:
        self._judge = judge
        self._lock = threading.Lock()
        self._waiting: dict[bytes, str] = {}

    def check(self, head: Head, grant: Grant | None, min_sequence: int) -> bool:
        """Return whether the head is good; False when everything else is and only the chain's word is missing.

        Raises: RemoteProtocolError with the codes of Head.verify.
        """
        if grant is not None and self._judge is not None:
            grant = self._judge.recalled(grant)
        try:
            head.verify(grant, min_sequence=min_sequence)
        except RemoteProtocolError as error:
            if error.code != "needs-chain":
                raise
            return False
        return True

    async def verify(self, head: Head, grant: Grant | None, now: int, min_sequence: int) -> None:
        """Check the head, asking the chain if need be, last of all.

        Raises: RemoteProtocolError with the codes of Head.verify; Unavailable while the chain is silent.
        """
        if self._judge is not None and grant is not None:
            known = self.check(head, grant, min_sequence)
            grant = self._judge.recalled(grant) if known else await self._judge.confirm(grant)
        head.verify(grant, now, min_sequence=min_sequence)

    def ask_later(self, frame: bytes, from_peer: str) -> None:
        """Keep a frame until the chain was asked; when too many wait, the oldest goes. For any thread."""
        with self._lock:
            self._waiting[frame] = from_peer
            if len(self._waiting) > MAX_WAITING:
                del self._waiting[next(iter(self._waiting))]

    @contextlib.contextmanager
    def keeping(self, frame: bytes, from_peer: str) -> Iterator[None]:
        """Keep the frame for later when the chain does not answer inside."""
        try:
            yield
        except Unavailable:
            self.ask_later(frame, from_peer)

    async def run(self, take: Callable[[bytes, str], Awaitable[None]]) -> None:
        """Hand every waiting frame to `take`, in turn, for as long as the node runs."""
        while True:
            await asyncio.sleep(ASK_EVERY_S)
            with self._lock:
                due, self._waiting = self._waiting, {}
            for frame, from_peer in due.items():
                await take(frame, from_peer)
