"""Which store is synced next: those with a tie to us before strangers, who never have every place.

A stranger whose peer does not answer holds a place for as long as dialling takes; a flood of them must not keep a
followed shop waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

AT_ONCE = 6
STRANGERS_AT_ONCE = 4
MAX_STRANGERS_WAITING = 10_000


class SyncQueue:
    """Stores that wait for their sync, each at most once. `goes_first(store)` is asked when one is put in."""

    def __init__(self, goes_first: Callable[[bytes], bool]) -> None:
        self._goes_first = goes_first
        self._first: dict[bytes, None] = {}
        self._rest: dict[bytes, None] = {}
        self._running: dict[bytes, bool] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._first) + len(self._rest)

    def put(self, store: bytes) -> None:
        """Have a store synced; one stranger too many is left to the next retry."""
        if self._goes_first(store):
            self._rest.pop(store, None)
            self._first[store] = None
        elif len(self._rest) < MAX_STRANGERS_WAITING:
            self._rest[store] = None
        self._changed.set()

    async def next(self) -> bytes:
        """Wait for a store that may be synced now; call `done` with it afterwards."""
        while True:
            store = self._free()
            if store is not None:
                return store
            self._changed.clear()
            await self._changed.wait()

    def _free(self) -> bytes | None:
        strangers = sum(self._running.values())
        for waiting, is_stranger, room in (
            (self._first, False, len(self._running) < AT_ONCE),
            (self._rest, True, len(self._running) < AT_ONCE and strangers < STRANGERS_AT_ONCE),
        ):
            store = next((one for one in waiting if one not in self._running), None) if room else None
            if store is not None:
                del waiting[store]
                self._running[store] = is_stranger
                return store
        return None

    def done(self, store: bytes) -> None:
        """Give the place back."""
        self._running.pop(store, None)
        self._changed.set()
