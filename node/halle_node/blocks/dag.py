"""Walk from a root to what a path names and on through all of it, block by block, reading no more than is taken.

What a trustless gateway answers with: first the blocks that prove the path, then those below its end, depth first.
Files, basic and sharded UnixFS directories and DAG-CBOR documents are passed; every other end is one block. Nothing
is held but the way back, so that a graph that unfolds without end costs what the caller is ready to take of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import mmh3

from halle_protocol import dagcbor, unixfs
from halle_protocol.cid import CID, DAG_CBOR, DAG_PB, PREFIXES
from halle_protocol.errors import ProtocolError, Refused, RemoteProtocolError
from halle_protocol.unixfs import Entry, Link


class CIDv0(CID):
    """The short, older name of a DAG-PB node, as Kubo writes it by default; equal to its name in version 1."""

    __slots__ = ()

    @property
    def spelled(self) -> bytes:
        """The 34 bytes of the name."""
        return b"\x12\x20" + self.digest


def spelled(cid: CID) -> bytes:
    """Return the bytes with which a graph names a block."""
    return cid.spelled if isinstance(cid, CIDv0) else bytes(cid)


def read_name(binary: bytes) -> CID:
    """Return the name in these bytes. Raises: RemoteProtocolError "cid-malformed"."""
    if len(binary) == 34 and binary.startswith(b"\x12\x20"):
        return CIDv0(PREFIXES[DAG_PB] + binary[2:])
    return CID.from_bytes(binary)


Get = Callable[[CID], bytes]
Block = tuple[CID, bytes]
Scope = Literal["block", "entity", "all"]

MAX_SEGMENTS = 64
MAX_WAITING = 200_000
MAX_FILE_DEPTH = 16
MAX_FANOUT = 1024
_HASH_BITS = 64


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes of a file, both ends included. Below zero counts from the end; `last` None is the end."""

    first: int
    last: int | None

    def within(self, size: int) -> tuple[int, int] | None:
        """Return the places of a file of `size` bytes, None when there are none."""
        first = max(0, size + self.first) if self.first < 0 else self.first
        last = size - 1 if self.last is None else self.last
        last = size + last if last < 0 else min(last, size - 1)
        return (first, last) if first <= last else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path ends. `way` are the blocks before the last; the end may be inside the last block."""

    way: tuple[Block, ...]
    cid: CID
    roots: tuple[CID, ...]


def resolve(root: CID, segments: Sequence[str], get: Get) -> Place:
    """Return where a path through directories and documents ends.

    Raises: Refused "path-not-found"; what `get` raises; RemoteProtocolError for a block that cannot be read.
    """
    if len(segments) > MAX_SEGMENTS:
        raise Refused(f"A path may have {MAX_SEGMENTS} parts.", code="path-not-found")
    way: list[Block] = []
    roots, cid, rest = [root], root, list(segments)
    while rest:
        block = get(cid)
        way.append((cid, block))
        if cid.codec == DAG_PB:
            name = rest.pop(0)
            shards, cid = _child(block, name, get)
            way.extend(shards)
        elif cid.codec == DAG_CBOR:
            found = _into_document(block, rest)
            if found is None:  # the path ends inside this document, which is then the last block
                way.pop()
                break
            cid = found
        else:
            raise _not_found(rest[0])
        roots.append(cid)
    return Place(tuple(way), cid, tuple(roots))


def walk(
    place: Place, get: Get, scope: Scope = "all", part: ByteRange | None = None, *, repeats: bool = False
) -> Iterator[Block]:
    """Yield the blocks that prove the path, then those of the scope; with `repeats` as often as they occur.

    Raises: while iterating, what `get` raises, and RemoteProtocolError "dag-too-wide".
    """
    ends: Iterator[Block]
    if scope == "block":
        ends = iter([(place.cid, get(place.cid))])
    elif scope == "entity":
        ends = _entity(place.cid, get, part)
    else:
        ends = _everything(place.cid, get, once=not repeats)
    blocks = chain(place.way, ends)
    return blocks if repeats else _unique(blocks)


def _unique(blocks: Iterator[Block]) -> Iterator[Block]:
    seen: set[CID] = set()
    for cid, block in blocks:
        if cid not in seen:
            seen.add(cid)
            yield cid, block


def _everything(root: CID, get: Get, *, once: bool) -> Iterator[Block]:
    """Yield all below a root; with `once` no part of the graph is entered twice."""
    entered: set[CID] = set()
    waiting = [root]
    while waiting:
        cid = waiting.pop()
        if once:
            if cid in entered:
                continue
            entered.add(cid)
        block = get(cid)
        yield cid, block
        children = links_of(cid, block)
        if len(waiting) + len(children) > MAX_WAITING:
            raise RemoteProtocolError(f"The graph below {root} is too wide to walk.", code="dag-too-wide")
        waiting.extend(reversed(children))


def links_of(cid: CID, block: bytes) -> list[CID]:
    """Return what a block links to; one that cannot be read links to nothing."""
    try:
        return (
            [link.cid for link in unixfs.decode_node(block, read_name)[0]]
            if cid.codec == DAG_PB
            else unixfs.links(cid, block)
        )
    except ProtocolError:
        return []


def _entity(cid: CID, get: Get, part: ByteRange | None) -> Iterator[Block]:
    block = get(cid)
    yield cid, block
    if cid.codec != DAG_PB:
        return
    links, entry = _node(block)
    if entry.kind == unixfs.TYPE_HAMT:
        yield from _shards(links, entry, get, _HASH_BITS // _bits(entry))
    elif entry.kind in (unixfs.TYPE_FILE, unixfs.TYPE_RAW):
        size = len(entry.data) + sum(entry.block_sizes)
        wanted = (0, size - 1) if part is None else part.within(size)
        if wanted is not None:
            yield from _file(links, entry, get, 0, wanted, MAX_FILE_DEPTH)


def _file(
    links: list[Link], entry: Entry, get: Get, start: int, wanted: tuple[int, int], depth: int
) -> Iterator[Block]:
    """Yield the blocks below a file's node that hold the wanted bytes; `start` is where the node's own begin."""
    if depth <= 0:
        raise RemoteProtocolError("A file has too many levels.", code="unixfs-too-deep")
    at = start + len(entry.data)
    for link, size in zip(links, entry.block_sizes, strict=False):
        if at <= wanted[1] and at + size > wanted[0]:
            block = get(link.cid)
            yield link.cid, block
            if link.cid.codec == DAG_PB:
                below, inner = _node(block)
                yield from _file(below, inner, get, at, wanted, depth - 1)
        at += size


def _shards(links: list[Link], entry: Entry, get: Get, depth: int) -> Iterator[Block]:
    """Yield every shard below one; a link whose name is only its place leads to a shard."""
    width = _width(entry)
    for link in links:
        if len(link.name) == width and depth > 0:
            block = get(link.cid)
            yield link.cid, block
            below, inner = _node(block)
            yield from _shards(below, inner, get, depth - 1)


def _child(block: bytes, name: str, get: Get) -> tuple[list[Block], CID]:
    """Return the shards on the way and the entry called `name` in a directory."""
    links, entry = _node(block)
    if entry.kind == unixfs.TYPE_HAMT:
        return _sharded_child(links, entry, name, get)
    if entry.kind == unixfs.TYPE_DIRECTORY:
        for link in links:
            if link.name == name:
                return [], link.cid
    raise _not_found(name)


def _sharded_child(links: list[Link], entry: Entry, name: str, get: Get) -> tuple[list[Block], CID]:
    """The hash of the name says, a few bits a level, at which place of each shard to go on."""
    key = int(mmh3.hash64(name.encode(), x64arch=True, signed=False)[0])
    shards: list[Block] = []
    used = 0
    while True:
        bits, width = _bits(entry), _width(entry)
        used += bits
        if used > _HASH_BITS:
            raise _not_found(name)
        place = f"{key >> (_HASH_BITS - used) & (entry.fanout - 1):0{width}X}"
        found = next((link for link in links if link.name == place + name or link.name == place), None)
        if found is None:
            raise _not_found(name)
        if found.name != place:
            return shards, found.cid
        block = get(found.cid)
        shards.append((found.cid, block))
        links, entry = _node(block)
        if entry.kind != unixfs.TYPE_HAMT:
            raise _not_found(name)


def _bits(entry: Entry) -> int:
    fanout = entry.fanout
    if not 2 <= fanout <= MAX_FANOUT or fanout & (fanout - 1):
        raise RemoteProtocolError(f"A directory shard of {fanout} places.", code="unixfs-malformed")
    return fanout.bit_length() - 1


def _width(entry: Entry) -> int:
    return len(f"{entry.fanout - 1:X}")


def _into_document(block: bytes, rest: list[str]) -> CID | None:
    """Follow a path inside a document, taking its parts off `rest`, up to a link; None when it ends before one."""
    value: Any = dagcbor.decode(block, max_bytes=unixfs.MAX_BLOCK_BYTES)
    while rest:
        name = rest.pop(0)
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(value):
            value = value[int(name[:9])]
        else:
            raise _not_found(name)
        if isinstance(value, CID):
            return value
    return None


def _node(block: bytes) -> tuple[list[Link], Entry]:
    links, data = unixfs.decode_node(block, read_name)
    if data is None:
        raise RemoteProtocolError("A node has no UnixFS data.", code="unixfs-malformed")
    return links, unixfs.decode_entry(data)


def _not_found(name: str) -> Refused:
    return Refused(f"There is no {name[:100]!r} there.", code="path-not-found", hint="Check the path.")
