"""The same file gives the same CID everywhere: profile unixfs-v1-2025, and nothing optional.

1 MiB chunks as raw leaves, balanced tree of at most 1024 links a node, CIDv1 sha2-256, no mode, no mtime. A
file of up to 1 MiB is one raw block, so its CID is the hash of the file. Directories are basic ones of at
most 256 KiB; larger ones must be split by the caller, because readers of sharded directories are rare
outside Kubo. Reading is strict and bounded: depth, number of blocks and bytes are limited before memory is
used.
Spec: docs/spec/01-bytes.md, sections DAG-PB and UnixFS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, NoReturn

from halle_protocol import dagcbor
from halle_protocol.cid import CID, DAG_CBOR, DAG_PB, RAW, cid_of, varint, verify
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError

CHUNK_BYTES: Final = 1 << 20
MAX_LINKS: Final = 1024
MAX_BLOCK_BYTES: Final = 1 << 20
MAX_DIRECTORY_BYTES: Final = 1 << 18
MAX_TREE_DEPTH: Final = 16

TYPE_RAW, TYPE_DIRECTORY, TYPE_FILE, TYPE_SYMLINK, TYPE_HAMT = 0, 1, 2, 4, 5

Get = Callable[[CID], bytes]


class Link(NamedTuple):
    """One edge of a DAG-PB node. Units: `tsize` is the bytes of all blocks below, as the writer claims."""

    cid: CID
    name: str
    tsize: int


@dataclass(frozen=True)
class Built:
    """A file or directory ready to store. Units: `size` is content bytes, `tsize` is block bytes."""

    root: CID
    tsize: int
    size: int
    blocks: dict[CID, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a DAG-PB node is in UnixFS. `fanout` counts the places of one shard of a sharded directory, else 0."""

    kind: int
    data: bytes
    file_size: int | None
    block_sizes: tuple[int, ...]
    fanout: int = 0


# --- writing -------------------------------------------------------------------------------------------


def build_file(data: bytes) -> Built:
    """Return the blocks and root of a file."""
    blocks: dict[CID, bytes] = {}
    level: list[tuple[Link, int]] = []
    for start in range(0, max(len(data), 1), CHUNK_BYTES):
        chunk = bytes(data[start : start + CHUNK_BYTES])
        cid = cid_of(RAW, chunk)
        blocks[cid] = chunk
        level.append((Link(cid, "", len(chunk)), len(chunk)))
    while len(level) > 1:
        level = [_join(level[i : i + MAX_LINKS], blocks) for i in range(0, len(level), MAX_LINKS)]
    top, size = level[0]
    return Built(top.cid, top.tsize, size, blocks)


def build_directory(entries: Mapping[str, Built | tuple[CID, int]]) -> Built:
    """Return a directory of files and directories already built, or named by (CID, tsize).

    Raises: LocalProtocolError "unixfs-name", "unixfs-directory-too-large".
    """
    blocks: dict[CID, bytes] = {}
    links = []
    size = 0
    for name in sorted(entries, key=_checked_name):
        entry = entries[name]
        if isinstance(entry, Built):
            blocks.update(entry.blocks)
            size += entry.size
            links.append(Link(entry.root, name, entry.tsize))
        else:
            links.append(Link(entry[0], name, entry[1]))
    block = encode_node(links, _field(1, 0) + varint(TYPE_DIRECTORY))
    if len(block) > MAX_DIRECTORY_BYTES:
        raise LocalProtocolError(
            f"A directory of {len(entries)} names takes {len(block)} bytes, over {MAX_DIRECTORY_BYTES}.",
            code="unixfs-directory-too-large",
            hint="Spread the names over subdirectories.",
        )
    cid = cid_of(DAG_PB, block)
    blocks[cid] = block
    return Built(cid, len(block) + sum(link.tsize for link in links), size, blocks)


def encode_node(links: list[Link], data: bytes | None) -> bytes:
    """Return the canonical DAG-PB bytes: links first, in the given order, then the data."""
    parts = []
    for cid, name, tsize in links:
        body = _bytes_field(1, cid) + _bytes_field(2, name.encode()) + _field(3, 0) + varint(tsize)
        parts.append(_bytes_field(2, body))
    if data is not None:
        parts.append(_bytes_field(1, data))
    return b"".join(parts)


def _join(children: list[tuple[Link, int]], blocks: dict[CID, bytes]) -> tuple[Link, int]:
    size = sum(child_size for _, child_size in children)
    data = _field(1, 0) + varint(TYPE_FILE) + _field(3, 0) + varint(size)
    data += b"".join(_field(4, 0) + varint(child_size) for _, child_size in children)
    block = encode_node([link for link, _ in children], data)
    cid = cid_of(DAG_PB, block)
    blocks[cid] = block
    return Link(cid, "", len(block) + sum(link.tsize for link, _ in children)), size


def _checked_name(name: str) -> bytes:
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise LocalProtocolError(
            f"{name!r} cannot be a name in a directory.",
            code="unixfs-name",
            hint="Use a name without slashes; nest directories instead.",
        )
    return name.encode()


def _field(number: int, wire: int) -> bytes:
    return bytes((number << 3 | wire,))


def _bytes_field(number: int, data: bytes) -> bytes:
    return _field(number, 2) + varint(len(data)) + data


# --- reading -------------------------------------------------------------------------------------------


def links(cid: CID, block: bytes) -> list[CID]:
    """Return every CID a block points to, in order of appearance; raw blocks point nowhere.

    Raises: RemoteProtocolError when the block is not valid for its codec.
    """
    if cid.codec == RAW:
        return []
    if cid.codec == DAG_PB:
        return [link.cid for link in decode_node(block)[0]]
    assert cid.codec == DAG_CBOR
    return list(_cbor_links(dagcbor.decode(block, max_bytes=MAX_BLOCK_BYTES)))


def read_file(root: CID, get: Get, *, max_bytes: int) -> bytes:
    """Return the content of a file of at most `max_bytes`, every block verified.

    Raises: RemoteProtocolError "unixfs-…", "dag-pb-…", "cid-mismatch"; whatever `get` raises.
    """
    budget = _Budget(bytes_left=max_bytes, blocks_left=1024 + max_bytes // 1024)
    out: list[bytes] = []
    _read_into(out, root, get, budget, MAX_TREE_DEPTH)
    return b"".join(out)


def resolve_path(root: CID, path: str, get: Get) -> CID:
    """Return the CID at a slash-separated path through directories; an empty path is the root itself.

    Raises: RemoteProtocolError "unixfs-not-found", "unixfs-not-a-directory", "unixfs-hamt".
    """
    for name in (part for part in path.split("/") if part):
        found = read_directory(root, get).get(name)
        if found is None:
            _refuse("unixfs-not-found", f"There is no {name!r} in {root}.")
        root = found.cid
    return root


def read_directory(root: CID, get: Get) -> dict[str, Link]:
    """Return the entries of a basic directory by name.

    Raises: RemoteProtocolError "unixfs-not-a-directory", "unixfs-hamt", "unixfs-name".
    """
    if root.codec != DAG_PB:
        _refuse("unixfs-not-a-directory", f"{root} is a single block, not a directory.")
    node_links, entry = _node(root, get)
    if entry.kind == TYPE_HAMT:
        _refuse("unixfs-hamt", f"{root} is a sharded directory, which is not read here.")
    if entry.kind != TYPE_DIRECTORY:
        _refuse("unixfs-not-a-directory", f"{root} is a file, not a directory.")
    names = {link.name: link for link in node_links}
    if len(names) != len(node_links) or any(not name or "/" in name or name in (".", "..") for name in names):
        _refuse("unixfs-name", f"The directory {root} holds an empty, doubled or unsafe name.")
    return names


@dataclass(slots=True)
class _Budget:
    bytes_left: int
    blocks_left: int

    def take(self, size: int) -> None:
        self.bytes_left -= size
        if self.bytes_left < 0:
            _refuse("unixfs-too-large", "The file is larger than the limit of this read.")


def _read_into(out: list[bytes], cid: CID, get: Get, budget: _Budget, depth: int) -> int:
    """Append the content below `cid`. Shape: its size in bytes."""
    budget.blocks_left -= 1
    if depth <= 0 or budget.blocks_left < 0:
        _refuse("unixfs-too-deep", "The file has more levels or blocks than its size can need.")
    if cid.codec == RAW:
        block = _block(cid, get)
        budget.take(len(block))
        out.append(block)
        return len(block)
    if cid.codec != DAG_PB:
        _refuse("unixfs-not-a-file", f"{cid} is a document, not a file.")
    node_links, entry = _node(cid, get)
    if entry.kind not in (TYPE_FILE, TYPE_RAW):
        _refuse("unixfs-not-a-file", f"{cid} is a directory, not a file.")
    if len(entry.block_sizes) != len(node_links):
        _refuse("unixfs-sizes", f"{cid} has {len(node_links)} links but {len(entry.block_sizes)} sizes.")
    budget.take(len(entry.data))
    out.append(entry.data)
    total = len(entry.data)
    for link, claimed in zip(node_links, entry.block_sizes, strict=True):
        # The claim is checked before the child is read, so a lie about sizes cannot cost a download.
        if not 0 < claimed <= budget.bytes_left:
            _refuse("unixfs-too-large", f"{cid} claims a part of {claimed} bytes, over the limit of this read.")
        if _read_into(out, link.cid, get, budget, depth - 1) != claimed:
            _refuse("unixfs-sizes", f"{link.cid} is not of the size {claimed} that {cid} claims.")
        total += claimed
    if entry.file_size is not None and entry.file_size != total:
        _refuse("unixfs-sizes", f"{cid} claims {entry.file_size} bytes but holds {total}.")
    return total


def _block(cid: CID, get: Get) -> bytes:
    block = get(cid)
    if len(block) > MAX_BLOCK_BYTES:
        _refuse("block-too-large", f"The block {cid} has {len(block)} bytes; the limit is {MAX_BLOCK_BYTES}.")
    verify(cid, block)
    return block


def _node(cid: CID, get: Get) -> tuple[list[Link], Entry]:
    node_links, data = decode_node(_block(cid, get))
    if data is None:
        _refuse("unixfs-malformed", f"{cid} has no UnixFS data.")
    return node_links, decode_entry(data)


def decode_node(block: bytes, read_cid: Callable[[bytes], CID] = CID.from_bytes) -> tuple[list[Link], bytes | None]:
    """Return the links and data of a canonical DAG-PB node; `read_cid` says which links are understood.

    Raises: RemoteProtocolError "dag-pb-malformed", "dag-pb-link", "block-too-large".
    """
    if len(block) > MAX_BLOCK_BYTES:
        _refuse("block-too-large", f"A DAG-PB block of {len(block)} bytes is over {MAX_BLOCK_BYTES}.")
    node_links: list[Link] = []
    data: bytes | None = None
    for number, value in _fields(block, {1: 2, 2: 2}):
        if data is not None:
            _refuse("dag-pb-malformed", "A DAG-PB node has something after its data.")
        if number == 1:
            data = value
        else:
            node_links.append(_decode_link(value, read_cid))
    names = [link.name.encode() for link in node_links]
    if names != sorted(names):
        _refuse("dag-pb-malformed", "The links of a DAG-PB node are not sorted by name.")
    return node_links, data


def _decode_link(body: bytes, read_cid: Callable[[bytes], CID]) -> Link:
    cid: CID | None = None
    name, tsize, last = "", 0, 0
    for number, value in _fields(body, {1: 2, 2: 2, 3: 0}):
        if number <= last:
            _refuse("dag-pb-malformed", "The fields of a DAG-PB link are doubled or out of order.")
        last = number
        if number == 1:
            try:
                cid = read_cid(value)
            except RemoteProtocolError:
                _refuse("dag-pb-link", "A DAG-PB link is not a CIDv1 with sha2-256 and a known codec.")
        elif number == 2:
            name = _utf8(value)
        else:
            tsize = value
    if cid is None:
        _refuse("dag-pb-link", "A DAG-PB link has no CID.")
    return Link(cid, name, tsize)


def decode_entry(data: bytes) -> Entry:
    """Return the UnixFS data of a DAG-PB node.

    Raises: RemoteProtocolError "unixfs-malformed", "dag-pb-malformed".
    """
    kind, file_size, fanout = -1, None, 0
    content = b""
    sizes: list[int] = []
    for number, value in _fields(data, {1: 0, 2: 2, 3: 0, 4: 0, 5: 0, 6: 0, 7: 0, 8: 2}, packed=4):
        if number == 1:
            kind = value
        elif number == 2:
            content = value
        elif number == 3:
            file_size = value
        elif number == 4:
            sizes.append(value)
        elif number == 6:
            fanout = value
    if not 0 <= kind <= TYPE_HAMT:
        _refuse("unixfs-malformed", f"The UnixFS type {kind} is not known.")
    return Entry(kind, content, file_size, tuple(sizes), fanout)


def _fields(data: bytes, wires: Mapping[int, int], packed: int | None = None) -> Iterator[tuple[int, Any]]:
    """Read protobuf fields strictly: only the numbers and wire types given, shortest varints, no overrun."""
    i = 0
    while i < len(data):
        tag, i = _read_varint(data, i)
        number, wire = tag >> 3, tag & 7
        if number == packed and wire == 2:  # some writers pack the block sizes; the meaning is the same
            length, i = _read_varint(data, i)
            end = i + length
            while i < min(end, len(data)):
                value, i = _read_varint(data, i)
                yield number, value
            if i != end:
                _refuse("dag-pb-malformed", "A packed list does not end at its length.")
            continue
        if wires.get(number) != wire:
            _refuse("dag-pb-malformed", f"Field {number} with wire type {wire} is not expected.")
        value, i = _read_varint(data, i)
        if wire == 0:
            yield number, value
            continue
        if i + value > len(data):
            _refuse("dag-pb-malformed", "A field goes on after the end.")
        yield number, data[i : i + value]
        i += value


def _read_varint(data: bytes, i: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if i >= len(data):
            _refuse("dag-pb-malformed", "A number goes on after the end.")
        byte = data[i]
        i += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (byte == 0 and shift) or number >> 64:
                _refuse("dag-pb-malformed", "A number is not in its shortest form or over 64 bits.")
            return number, i
        shift += 7
        if shift > 63:
            _refuse("dag-pb-malformed", "A number is longer than 64 bits.")


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise RemoteProtocolError(
            "A DAG-PB name is not UTF-8.", code="dag-pb-malformed", hint="Re-import the directory."
        ) from exc


def _cbor_links(value: object) -> Iterator[CID]:
    if isinstance(value, CID):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _cbor_links(item)
    elif isinstance(value, list):
        for item in value:
            yield from _cbor_links(item)


def _refuse(code: str, message: str) -> NoReturn:
    raise RemoteProtocolError(message, code=code, hint="Ask another peer, or have the publisher import it again.")
