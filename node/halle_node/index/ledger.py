"""The newest head of every store this node admits, in memory, for the network's thread to ask.

Rule: the highest seq wins; a lower one is ignored; another head with the same seq proves that the store told two
stories, and both are kept. Everything here is quick, thread-safe and bounded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from halle_protocol.grant import Grant
from halle_protocol.head import Announcement, Head
from halle_protocol.reconcile import Item, ItemSet

MAX_LIES = 10_000


class Standing(Enum):
    """How a head compares with what is known of its store."""

    NEW = "new"
    KNOWN = "known"
    OLD = "old"
    EQUIVOCATES = "equivocates"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept in memory of one store's head. `digest` names what was signed, `id` the head's bytes."""

    seq: int
    digest: bytes
    id: bytes
    issued: int
    expires: int
    grant_sequence: int


class Ledger:
    """Heads by store, and the set that is compared with other nodes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[bytes, Entry] = {}
        self._store_of: dict[bytes, bytes] = {}
        self._items = ItemSet()
        self._lies: OrderedDict[tuple[bytes, int], None] = OrderedDict()
        self._let_in: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()

    def note_lie(self, store: bytes, seq: int) -> bool:
        """Note that a store told two stories of one seq; False when that was known. One proof is enough."""
        with self._lock:
            is_new = (store, seq) not in self._lies
            self._lies[store, seq] = None
            if len(self._lies) > MAX_LIES:
                self._lies.popitem(last=False)
            return is_new

    def note_let_in(self, head: Head) -> Standing:
        """Note a new head that was let in and is not stored yet; tell when another one of its seq was before it."""
        with self._lock:
            before = self._let_in.setdefault((head.store, head.seq), head.digest())
            if len(self._let_in) > MAX_LIES:
                self._let_in.popitem(last=False)
            return Standing.NEW if before == head.digest() else Standing.EQUIVOCATES

    def load(self, frames: Iterable[bytes], now: int) -> None:
        """Take in the heads that were kept; verified when they were stored."""
        kept = []
        for frame in frames:
            head, grant = Announcement.decode(frame).open()
            entry = entry_of(head, grant)
            self._entries[head.store] = entry
            if head.expires > now:
                self._store_of[entry.id] = head.store
                kept.append(Item(entry.issued, entry.id))
        self._items = ItemSet(kept)

    def standing(self, head: Head) -> Standing:
        """How `head` compares with the store's newest."""
        with self._lock:
            return _compare(self._entries.get(head.store), head)

    def knows(self, store: bytes) -> bool:
        """True when the store has a head here."""
        with self._lock:
            return store in self._entries

    def entry(self, store: bytes) -> Entry | None:
        """The store's newest head."""
        with self._lock:
            return self._entries.get(store)

    def min_grant_sequence(self, store: bytes) -> int:
        """The highest grant sequence seen for a store; earlier grants are revoked."""
        with self._lock:
            entry = self._entries.get(store)
            return entry.grant_sequence if entry else 0

    def accept(self, head: Head, grant: Grant | None) -> Standing:
        """Make `head` the store's newest if it is; return what it was before."""
        with self._lock:
            before = self._entries.get(head.store)
            standing = _compare(before, head)
            if standing is not Standing.NEW:
                return standing
            entry = entry_of(head, grant)
            if before is not None:
                entry = _raised(entry, before.grant_sequence)
                self._items.discard(Item(before.issued, before.id))
                self._store_of.pop(before.id, None)
            self._entries[head.store] = entry
            self._store_of[entry.id] = head.store
            self._items.add(Item(entry.issued, entry.id))
            return standing

    def forget(self, stores: Iterable[bytes]) -> None:
        """Drop stores."""
        with self._lock:
            for store in stores:
                entry = self._entries.pop(store, None)
                if entry is not None:
                    self._items.discard(Item(entry.issued, entry.id))
                    self._store_of.pop(entry.id, None)

    def drop_expired(self, now: int) -> int:
        """Stop offering heads that other nodes would refuse; return how many."""
        with self._lock:
            old = [entry for entry in self._entries.values() if entry.expires <= now and entry.id in self._store_of]
            for entry in old:
                self._items.discard(Item(entry.issued, entry.id))
                del self._store_of[entry.id]
            return len(old)

    def items(self) -> ItemSet:
        """A snapshot of the set."""
        with self._lock:
            return self._items.copy()

    def stores_of(self, ids: Iterable[bytes]) -> list[bytes]:
        """The stores whose newest heads have these ids."""
        with self._lock:
            return [store for one in ids if (store := self._store_of.get(one)) is not None]

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)


def entry_of(head: Head, grant: Grant | None) -> Entry:
    """What is kept of a head."""
    sequence = grant.sequence if grant else 0
    return Entry(head.seq, head.digest(), head.cid.digest, head.issued, head.expires, sequence)


def _raised(entry: Entry, sequence: int) -> Entry:
    highest = max(entry.grant_sequence, sequence)
    return Entry(entry.seq, entry.digest, entry.id, entry.issued, entry.expires, highest)


def _compare(known: Entry | None, head: Head) -> Standing:
    if known is None or head.seq > known.seq:
        return Standing.NEW
    if head.seq < known.seq:
        return Standing.OLD
    return Standing.KNOWN if head.digest() == known.digest else Standing.EQUIVOCATES
