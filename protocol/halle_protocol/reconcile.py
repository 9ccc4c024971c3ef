"""Two nodes find which items each lacks, by comparing fingerprints of ranges and splitting what differs.

Items are ordered by timestamp and then id. The first side drives: `initiate`, then `absorb` for every
answer until it gives no further message; the other side only answers with `respond` and keeps no state, so
a stranger costs it no memory. Every message stays within a size limit: what does not fit is left as one
fingerprint for the next round. The wire format is the Negentropy protocol, version 1 (0x61), so that other
implementations can take part.
Spec: docs/spec/04-reconciliation.md.

Long because one protocol is one file: ranges, fingerprints and both sides share their invariants.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Final, NamedTuple, NoReturn

from halle_protocol.errors import LocalProtocolError, RemoteProtocolError

VERSION: Final = 0x61
MAX_MESSAGE_BYTES: Final = 65536
MIN_MESSAGE_BYTES: Final = 4096
MAX_TIMESTAMP: Final = (1 << 64) - 2
ID_BYTES: Final = 32
SPLIT: Final = 16
FINGERPRINT_BYTES: Final = 16

_SKIP, _FINGERPRINT, _IDS = 0, 1, 2
_TAIL_BYTES: Final = 110  # room for the skip and the fingerprint that close a message that is full
_CHUNK: Final = 256
_MASK: Final = (1 << 256) - 1
_KEY_BYTES: Final = 40
_INFINITY: Final = b"\xff" * 8  # sorts after every key, since no timestamp is 2**64 - 1


class Item(NamedTuple):
    """Something two nodes may share. Units: `timestamp` in unix seconds; `id` has 32 bytes."""

    timestamp: int
    id: bytes


class _Chunk(NamedTuple):
    """A run of sorted keys and the sum of their ids. Never changed: an edit puts another in its place."""

    first: bytes
    keys: list[bytes]
    total: int


# --- the set -------------------------------------------------------------------------------------------


class ItemSet:
    """A sorted set of items: an edit costs one chunk, a fingerprint two chunks and a prefix sum.

    `copy` is a snapshot that costs one list of chunks; chunks are shared and never changed, so a snapshot
    may be read in another thread.
    """

    __slots__ = ("_chunks", "_counts", "_sums")

    def __init__(self, items: Iterable[Item] = ()) -> None:
        keys = sorted({_key(item) for item in items})
        self._chunks = [_chunk(keys[i : i + _CHUNK]) for i in range(0, len(keys), _CHUNK)]
        self._counts: list[int] | None = None
        self._sums: list[int] | None = None

    def copy(self) -> ItemSet:
        """Return a snapshot that later edits do not reach."""
        other = ItemSet()
        other._chunks = list(self._chunks)
        return other

    def __len__(self) -> int:
        return self._prefix_counts()[-1]

    def __iter__(self) -> Iterator[Item]:
        for chunk in list(self._chunks):
            for key in chunk.keys:
                yield _item(key)

    def __contains__(self, item: Item) -> bool:
        key = _key(item)
        return self._key_at(self._rank(key)) == key

    def add(self, item: Item) -> None:
        """Add an item; adding it again changes nothing."""
        key = _key(item)
        i = self._chunk_index(key)
        keys = self._chunks[i].keys if self._chunks else []
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            return
        merged = [*keys[:at], key, *keys[at:]]
        half = len(merged) // 2
        parts = [merged] if len(merged) <= 2 * _CHUNK else [merged[:half], merged[half:]]
        self._chunks[i : i + 1] = [_chunk(part) for part in parts]
        self._counts = self._sums = None

    def discard(self, item: Item) -> None:
        """Remove an item if it is there."""
        key = _key(item)
        i = self._chunk_index(key)
        keys = self._chunks[i].keys if self._chunks else []
        at = bisect_left(keys, key)
        if at == len(keys) or keys[at] != key:
            return
        rest = keys[:at] + keys[at + 1 :]
        self._chunks[i : i + 1] = [_chunk(rest)] if rest else []
        self._counts = self._sums = None

    def fingerprint(self, start: int = 0, end: int | None = None) -> bytes:
        """Return the 16 bytes that stand for the items with ranks from `start` up to `end`."""
        end = len(self) if end is None else end
        total = (self._sum_below(end) - self._sum_below(start)) & _MASK
        digest = hashlib.sha256(total.to_bytes(ID_BYTES, "little") + _varint(max(end - start, 0)))
        return digest.digest()[:FINGERPRINT_BYTES]

    def _chunk_index(self, key: bytes) -> int:
        return max(bisect_right(self._chunks, key, key=_first) - 1, 0)

    def _prefix_counts(self) -> list[int]:
        if self._counts is None:
            self._counts = list(accumulate((len(chunk.keys) for chunk in self._chunks), initial=0))
        return self._counts

    def _prefix_sums(self) -> list[int]:
        if self._sums is None:
            self._sums = list(accumulate((chunk.total for chunk in self._chunks), initial=0))
        return self._sums

    def _rank(self, key: bytes) -> int:
        """Return how many items sort before `key`, which may be a bound."""
        if not self._chunks:
            return 0
        i = self._chunk_index(key)
        return self._prefix_counts()[i] + bisect_left(self._chunks[i].keys, key)

    def _position(self, rank: int) -> tuple[int, int]:
        counts = self._prefix_counts()
        i = bisect_right(counts, rank) - 1
        return i, rank - counts[i]

    def _key_at(self, rank: int) -> bytes | None:
        i, at = self._position(rank)
        return self._chunks[i].keys[at] if i < len(self._chunks) else None

    def _keys(self, start: int, end: int) -> Iterator[bytes]:
        i, at = self._position(start)
        left = end - start
        while left > 0:
            part = self._chunks[i].keys[at : at + left]
            yield from part
            left -= len(part)
            i, at = i + 1, 0

    def _sum_below(self, rank: int) -> int:
        i, at = self._position(rank)
        total = self._prefix_sums()[i]
        if not at:
            return total
        chunk = self._chunks[i]
        if at * 2 <= len(chunk.keys):
            return total + _sum(chunk.keys[:at])
        return total + chunk.total - _sum(chunk.keys[at:])


_first = itemgetter(0)


def _chunk(keys: list[bytes]) -> _Chunk:
    return _Chunk(keys[0], keys, _sum(keys))


def _sum(keys: list[bytes]) -> int:
    return sum([int.from_bytes(key[8:], "little") for key in keys])


def _key(item: Item) -> bytes:
    timestamp, identity = item
    if not 0 <= timestamp <= MAX_TIMESTAMP or len(identity) != ID_BYTES:
        raise LocalProtocolError(
            f"An item is a 64-bit timestamp and 32 bytes, not {timestamp} and {len(identity)} bytes.",
            code="sync-item",
            hint="Use unix seconds and a sha2-256 digest.",
        )
    return timestamp.to_bytes(8, "big") + identity


def _item(key: bytes) -> Item:
    return Item(int.from_bytes(key[:8], "big"), key[8:])


# --- the three steps -----------------------------------------------------------------------------------


def initiate(items: ItemSet, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> bytes:
    """Return the first message: fingerprints of everything, in a few ranges."""
    out = _Writer(items, max_message_bytes)
    _split(out, items, 0, len(items), _INFINITY)
    return out.close()


def respond(items: ItemSet, message: bytes, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> bytes:
    """Return the answer of the side that was asked; it keeps nothing between messages.

    Raises: RemoteProtocolError "sync-malformed", "sync-version", "sync-too-large".
    """
    parts = list(_parts(items, message))
    out = _Writer(items, max_message_bytes, parts)
    for part in parts:
        if part.mode == _FINGERPRINT:
            _compare(out, items, part)
        elif part.mode == _IDS:
            out.ids(part.start, part.end, part.bound)
        else:
            out.skip(part.bound)
        if out.full:
            break
    return out.close()


def absorb(
    items: ItemSet, message: bytes, *, max_message_bytes: int = MAX_MESSAGE_BYTES
) -> tuple[bytes | None, list[bytes], list[bytes]]:
    """Return what the asking side learns from an answer, and its next message.

    Shape: (next message, or None when both sides are compared; ids only we have; ids only they have). When
    messages were full, a later round may give an id again: collect them in sets.
    Raises: RemoteProtocolError "sync-malformed", "sync-version", "sync-too-large".
    """
    parts = list(_parts(items, message))
    out = _Writer(items, max_message_bytes, parts)
    have: list[bytes] = []
    need: list[bytes] = []
    for part in parts:
        if part.mode == _FINGERPRINT:
            _compare(out, items, part)
        else:
            out.skip(part.bound)
        if part.mode == _IDS:
            mine = {key[8:] for key in items._keys(part.start, part.end)}
            theirs = set(part.ids)
            have.extend(sorted(mine - theirs))
            need.extend(sorted(theirs - mine))
        if out.full:  # the last fingerprint covers the parts not looked at; the next round repeats them
            break
    return (None if out.silent else out.close()), have, need


class _Part(NamedTuple):
    """One range of a message, with the ranks our own set has for it."""

    mode: int
    start: int
    end: int
    bound: bytes
    fingerprint: bytes
    ids: list[bytes]


def _compare(out: _Writer, items: ItemSet, part: _Part) -> None:
    if items.fingerprint(part.start, part.end) == part.fingerprint:
        out.skip(part.bound)
    else:
        _split(out, items, part.start, part.end, part.bound)


def _split(out: _Writer, items: ItemSet, start: int, end: int, bound: bytes) -> None:
    """Write a range as its ids when it is small, else as the fingerprints of 16 parts of equal count."""
    count = end - start
    if count < 2 * SPLIT:
        out.ids(start, end, bound)
        return
    each, extra = divmod(count, SPLIT)
    for i in range(SPLIT):
        part_end = start + each + (i < extra)
        upper = bound if i == SPLIT - 1 else _between(items, part_end)
        if not out.fingerprint(start, part_end, upper):
            return
        start = part_end


def _between(items: ItemSet, rank: int) -> bytes:
    """Return the shortest bound between the item of this rank and the one before it."""
    left, right = items._key_at(rank - 1), items._key_at(rank)
    assert left is not None
    assert right is not None
    if left[:8] != right[:8]:
        return right[:8]
    shared = next(i for i in range(8, _KEY_BYTES) if left[i] != right[i])
    return right[: shared + 1]


# --- the bytes -----------------------------------------------------------------------------------------


class _Writer:
    """Collect ranges in order, each up to a bound, and stop before the message grows over its limit.

    Neighbouring ranges that say nothing are joined into one skip, and the last of them is left out. When a
    range does not fit, everything from its start to the end of the last range asked about becomes one
    fingerprint.
    """

    def __init__(self, items: ItemSet, max_message_bytes: int, asked: Sequence[_Part] = ()) -> None:
        if not MIN_MESSAGE_BYTES <= max_message_bytes <= MAX_MESSAGE_BYTES:
            raise LocalProtocolError(
                f"A message limit of {max_message_bytes} bytes is not possible.",
                code="sync-limit",
                hint=f"Choose between {MIN_MESSAGE_BYTES} and {MAX_MESSAGE_BYTES} bytes.",
            )
        self._items = items
        self._out = bytearray((VERSION,))
        self._limit = max_message_bytes - _TAIL_BYTES
        self._timestamp = 0
        self._skip_to: bytes | None = None
        self._rest: int | None = None
        last = next((part for part in reversed(asked) if part.mode != _SKIP), None)
        self._end, self._end_bound = (last.end, last.bound) if last else (len(items), _INFINITY)

    @property
    def full(self) -> bool:
        """Tell whether a range did not fit."""
        return self._rest is not None

    @property
    def silent(self) -> bool:
        """Tell whether the message says nothing, so that there is no need to send it."""
        return len(self._out) == 1 and not self.full

    def skip(self, bound: bytes) -> None:
        """Say nothing up to a bound."""
        self._skip_to = bound

    def fingerprint(self, start: int, end: int, bound: bytes) -> bool:
        """Write a fingerprint range. Shape: False when it did not fit."""
        return self._range(start, bound, bytes((_FINGERPRINT,)) + self._items.fingerprint(start, end))

    def ids(self, start: int, end: int, bound: bytes) -> None:
        """Write a list of ids, as many as fit: a list that is cut ends its range at the first id left out."""
        room = max((self._limit - len(self._out) - 2 * _TAIL_BYTES) // ID_BYTES, 0)
        cut = min(end, start + room)
        if cut == start < end:
            self._rest = start
            return
        upper = bound if cut == end else _between(self._items, cut)
        payload = b"".join([key[8:] for key in self._items._keys(start, cut)])
        if self._range(start, upper, bytes((_IDS,)) + _varint(cut - start) + payload) and cut < end:
            self._rest = cut

    def close(self) -> bytes:
        """Return the message."""
        if self._rest is not None:
            closing = self._items.fingerprint(self._rest, self._end)
            self._append(self._end_bound, bytes((_FINGERPRINT,)) + closing)
        return bytes(self._out)

    def _range(self, start: int, bound: bytes, body: bytes) -> bool:
        if self.full:
            return False
        # A skip and a bound take at most 45 bytes each.
        if len(self._out) + len(body) + 90 > self._limit:
            self._rest = start
            return False
        self._append(bound, body)
        return True

    def _append(self, bound: bytes, body: bytes) -> None:
        if self._skip_to is not None:
            self._out += self._bound(self._skip_to) + bytes((_SKIP,))
            self._skip_to = None
        self._out += self._bound(bound) + body

    def _bound(self, bound: bytes) -> bytes:
        if bound == _INFINITY:
            return b"\0\0"
        timestamp = int.from_bytes(bound[:8], "big")
        encoded = _varint(timestamp - self._timestamp + 1) + bytes((len(bound) - 8,)) + bound[8:]
        self._timestamp = timestamp
        return encoded


def _parts(items: ItemSet, message: bytes) -> Iterator[_Part]:
    """Read a message range by range, refusing what is not in order or not whole."""
    if len(message) > MAX_MESSAGE_BYTES:
        _refuse("sync-too-large", f"A message of {len(message)} bytes is over {MAX_MESSAGE_BYTES}.")
    if not message or message[0] != VERSION:
        _refuse("sync-version", f"The message does not start with the version byte 0x{VERSION:02x}.")
    reader = _Reader(message)
    lower = bytes(8)
    start = 0
    while not reader.done:
        bound = reader.bound()
        if lower == _INFINITY or bound.ljust(_KEY_BYTES, b"\0") < lower.ljust(_KEY_BYTES, b"\0"):
            _refuse("sync-malformed", "A range does not lie after the one before it.")
        mode = reader.varint()
        fingerprint = reader.take(FINGERPRINT_BYTES) if mode == _FINGERPRINT else b""
        ids = reader.ids() if mode == _IDS else []
        if mode > _IDS:
            _refuse("sync-malformed", f"The range mode {mode} is not known.")
        end = len(items) if bound == _INFINITY else items._rank(bound)
        yield _Part(mode, start, end, bound, fingerprint, ids)
        lower, start = bound, end


class _Reader:
    """Take fields from the front of a message."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._i = 1
        self._timestamp = 0

    @property
    def done(self) -> bool:
        """Tell whether nothing is left."""
        return self._i >= len(self._message)

    def take(self, count: int) -> bytes:
        """Return the next bytes, exactly as many as asked for."""
        part = self._message[self._i : self._i + count]
        if len(part) != count:
            _refuse("sync-malformed", "The message ends inside a range.")
        self._i += count
        return part

    def varint(self) -> int:
        """Return a number written in base 128, most significant digit first, in its shortest form."""
        number = 0
        byte = 0x80
        while byte >= 0x80:
            byte = self.take(1)[0]
            number = number << 7 | byte & 0x7F
            if (byte == 0x80 and number == 0) or number >> 64:
                _refuse("sync-malformed", "A number is too long or not in its shortest form.")
        return number

    def bound(self) -> bytes:
        """Return the next bound as the key prefix it stands for."""
        offset = self.varint()
        length = self.varint()
        if length > ID_BYTES or (offset == 0 and length):
            _refuse("sync-malformed", "A bound has an id prefix of an impossible length.")
        if offset == 0:
            return _INFINITY
        self._timestamp += offset - 1
        if self._timestamp > MAX_TIMESTAMP:
            _refuse("sync-malformed", "A bound has a timestamp over 64 bits.")
        return self._timestamp.to_bytes(8, "big") + self.take(length)

    def ids(self) -> list[bytes]:
        """Return a list of ids."""
        count = self.varint()
        block = self.take(min(count, MAX_MESSAGE_BYTES) * ID_BYTES)
        return [block[i : i + ID_BYTES] for i in range(0, len(block), ID_BYTES)]


def _varint(number: int) -> bytes:
    out = [number & 0x7F]
    while number > 0x7F:
        number >>= 7
        out.append(number & 0x7F | 0x80)
    return bytes(reversed(out))


def _refuse(code: str, message: str) -> NoReturn:
    raise RemoteProtocolError(message, code=code, hint="The peer must send a whole Negentropy version 1 message.")
