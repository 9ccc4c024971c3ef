"""The same keys and values always give the same tree and root, whatever the order of insertion or removal.

A Merkle search tree. The level of a key is the number of leading zero nibbles of its sha2-256, so a page
holds about 15 keys and 10,000 listings are four levels. A page of level n holds exactly the keys of level n
in its range; between them it links the non-empty pages that hold the rest. Pages of nothing exist only as
the root of an empty catalog. Every page is checked when it is read: its hash, its shape, its level, its
order and its range, so a root names one set of entries and a hostile page is refused.
Spec: docs/spec/03-catalog.md.

The file is over the house's aim because one tree is one idea: page form, edits and walks share their
invariants.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from halle_protocol import dagcbor
from halle_protocol.cid import CID, DAG_CBOR, cid_of, verify
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError, Unavailable

PAGE_TYPE: Final = "halle/catalog/1"
MAX_KEY_BYTES: Final = 256
MAX_PAGE_BYTES: Final = 1 << 18
MAX_WALK_PAGES: Final = 1 << 17
_NO_BOUND: Final = 65  # above the highest level a sha2-256 can have

Get = Callable[[CID], bytes]
Has = Callable[[CID], bool]
Change = tuple[CID | None, CID | None]


@dataclass(frozen=True)
class Tree:
    """A root and the pages made for it: all of them after `build`, only the new ones after `update`."""

    root: CID
    blocks: dict[CID, bytes] = field(repr=False)


@dataclass(frozen=True)
class Diff:
    """What differs between two catalogs. Shape: key → (value before, value after), None where absent."""

    changed: dict[str, Change]


class _Page:
    """A page in memory: `children[i]` lies before `keys[i]`; a child is a CID until read or changed."""

    __slots__ = ("children", "keys", "level", "values")

    def __init__(self, level: int, keys: list[str], values: list[CID], children: list[_Ref]) -> None:
        self.level = level
        self.keys = keys
        self.values = values
        self.children = children


_Ref = _Page | CID | None


# --- keys ----------------------------------------------------------------------------------------------


def key_level(key: str) -> int:
    """Return the number of leading zero nibbles of the key's sha2-256."""
    return _level_of(key.encode())


def check_key(key: str) -> None:
    """Return only when the key may be in a catalog: 1 to 256 bytes of UTF-8 without control characters.

    Raises: LocalProtocolError "catalog-key".
    """
    if not _is_key(key):
        raise LocalProtocolError(
            f"{key[:80]!r} cannot be a catalog key.",
            code="catalog-key",
            hint=f"Use 1 to {MAX_KEY_BYTES} bytes of printable text, such as listing/blue-shirt.",
        )


def _is_key(key: str) -> bool:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= MAX_KEY_BYTES and (key.isprintable() or not any(c < " " or c == "\x7f" for c in key))


def _level_of(key: bytes) -> int:
    digest = hashlib.sha256(key).digest()
    if digest[0] >= 0x10:
        return 0
    return 64 - (int.from_bytes(digest, "big").bit_length() + 3) // 4


# --- the page's bytes ----------------------------------------------------------------------------------


def _encode_page(page: _Page, left: CID | None, after: list[CID | None]) -> bytes:
    entries = []
    last = b""
    for key, value, child in zip(page.keys, page.values, after, strict=True):
        encoded = key.encode()
        shared = _shared_prefix(last, encoded)
        entries.append((shared, encoded[shared:], value, child))
        last = encoded
    block = dagcbor.encode({"entries": entries, "left": left, "level": page.level, "type": PAGE_TYPE})
    if len(block) > MAX_PAGE_BYTES:
        raise LocalProtocolError(
            f"A page of {len(page.keys)} keys takes {len(block)} bytes; the limit is {MAX_PAGE_BYTES}.",
            code="catalog-page-too-large",
            hint="Use shorter keys.",
        )
    return block


def _decode_page(block: bytes) -> _Page:
    if len(block) > MAX_PAGE_BYTES:
        _refuse("catalog-page-too-large", f"A catalog page of {len(block)} bytes is over {MAX_PAGE_BYTES}.")
    raw = dagcbor.decode(block, max_bytes=MAX_PAGE_BYTES)
    if not isinstance(raw, dict) or raw.keys() != {"entries", "left", "level", "type"}:
        _refuse("catalog-page", "A catalog page does not have exactly the fields entries, left, level and type.")
    if raw["type"] != PAGE_TYPE:
        _refuse("catalog-page", f"A catalog page is of type {raw['type']!r}, not {PAGE_TYPE}.")
    level, left, entries = raw["level"], raw["left"], raw["entries"]
    if type(level) is not int or not 0 <= level <= 64 or not isinstance(entries, list):
        _refuse("catalog-page", "A catalog page has a level or entries of the wrong kind.")
    page = _Page(level, [], [], [_checked_child(left)])
    last = b""
    for entry in entries:
        last = _decode_entry(page, entry, last)
    if level == 0 and any(child is not None for child in page.children):
        _refuse("catalog-level", "A catalog page of level 0 links pages below it.")
    if not entries and (level or left is not None):
        _refuse("catalog-empty-page", "A catalog page without entries is not the empty catalog.")
    return page


def _decode_entry(page: _Page, entry: Any, last: bytes) -> bytes:
    if not isinstance(entry, list) or len(entry) != 4:
        _refuse("catalog-page", "A catalog entry is not a list of four.")
    shared, suffix, value, child = entry
    if type(shared) is not int or type(suffix) is not bytes or not isinstance(value, CID):
        _refuse("catalog-page", "A catalog entry is not (prefix length, suffix, CID, child).")
    if not 0 <= shared <= len(last):
        _refuse("catalog-prefix", "A catalog entry shares more bytes than the key before it has.")
    encoded = last[:shared] + suffix
    if encoded <= last:
        _refuse("catalog-order", f"The catalog key {encoded[:40]!r} is out of order or doubled.")
    if shared != _shared_prefix(last, encoded):
        _refuse("catalog-prefix", f"The catalog key {encoded[:40]!r} does not share the longest prefix.")
    if _level_of(encoded) != page.level:
        _refuse("catalog-level", f"The catalog key {encoded[:40]!r} does not belong to level {page.level}.")
    page.keys.append(_decode_key(encoded))
    page.values.append(value)
    page.children.append(_checked_child(child))
    return encoded


def _decode_key(encoded: bytes) -> str:
    try:
        key = encoded.decode()
    except UnicodeDecodeError as exc:
        raise RemoteProtocolError(
            "A catalog key is not UTF-8.", code="catalog-key", hint="Refuse this catalog."
        ) from exc
    if not _is_key(key):
        _refuse("catalog-key", f"The catalog key {key[:40]!r} is empty, too long or has control characters.")
    return key


def _checked_child(child: Any) -> CID | None:
    if child is not None and not (isinstance(child, CID) and child.codec == DAG_CBOR):
        _refuse("catalog-page", "A link to a catalog page is not a DAG-CBOR CID.")
    return child


def _shared_prefix(a: bytes, b: bytes) -> int:
    limit = min(len(a), len(b))
    if a[:limit] == b[:limit]:
        return limit
    for i in range(limit):
        if a[i] != b[i]:
            return i
    return limit


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a linked page hangs: below this level, and strictly between these keys (None: no bound)."""

    below: int = _NO_BOUND
    low: str | None = None
    high: str | None = None

    def child(self, page: _Page, i: int) -> _Place:
        low = page.keys[i - 1] if i else self.low
        high = page.keys[i] if i < len(page.keys) else self.high
        return _Place(page.level, low, high)


_ROOT: Final = _Place()


def _load(cid: CID, get: Get, place: _Place = _ROOT) -> _Page:
    """Read and check one page in its place."""
    block = get(cid)
    if cid.codec != DAG_CBOR:
        _refuse("catalog-page", f"{cid} is not the CID of a catalog page.")
    verify(cid, block)
    page = _decode_page(block)
    if place is not _ROOT:
        if not page.keys:
            _refuse("catalog-empty-page", f"The catalog links the empty page {cid}.")
        if page.level >= place.below:
            _refuse("catalog-level", f"The page {cid} of level {page.level} is not below its parent.")
        low, high = place.low, place.high
        if (low is not None and page.keys[0] <= low) or (high is not None and page.keys[-1] >= high):
            _refuse("catalog-range", f"The page {cid} holds keys outside its place in the catalog.")
    return page


# --- building and changing -----------------------------------------------------------------------------


def build(items: Mapping[str, CID]) -> Tree:
    """Return the catalog of exactly these entries.

    Raises: LocalProtocolError "catalog-key", "catalog-page-too-large".
    """
    return _Edit(_no_page).run(None, items)


def update(root: CID, changes: Mapping[str, CID | None], get: Get) -> Tree:
    """Return the catalog after setting keys to CIDs and removing those set to None, with only the new pages.

    Reads and makes only pages on the paths to the changed keys. Removing an absent key changes nothing.
    Raises: RemoteProtocolError "catalog-…" when a page read is wrong; LocalProtocolError "catalog-key".
    """
    return _Edit(get).run(root, changes)


class _Edit:
    """One batch of changes. Pages read are kept, so that a page that ends as it began is not made again."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self._read: set[CID] = set()
        self._made: dict[CID, bytes] = {}

    def run(self, root: CID | None, changes: Mapping[str, CID | None]) -> Tree:
        for key in changes:
            check_key(key)
        ordered = [(key, changes[key], key_level(key)) for key in sorted(changes)]
        start = None if root is None else self._open(root)
        if start is not None and not start.keys:
            start = None
        top = self._apply(start, ordered)
        cid = self._store(top if top is not None else _Page(0, [], [], [None]))
        return Tree(cid, self._made)

    def _open(self, ref: CID | _Page) -> _Page:
        if isinstance(ref, _Page):
            return ref
        self._read.add(ref)
        return _load(ref, self._get)

    def _apply(self, ref: _Ref, changes: list[tuple[str, CID | None, int]]) -> _Ref:
        """Return the subtree after changes that all lie in its range."""
        if not changes:
            return ref
        top = max((level for _, value, level in changes if value is not None), default=-1)
        if ref is None:
            if top < 0:
                return None
            page = _Page(top, [], [], [None])
        else:
            page = self._open(ref)
            if page.level < top:
                page = _Page(top, [], [], [page])
        below = []
        for change in changes:
            if change[2] == page.level:
                self._set(page, change[0], change[1])
            else:
                below.append(change)
        self._apply_below(page, below)
        return page if page.keys else page.children[0]

    def _set(self, page: _Page, key: str, value: CID | None) -> None:
        i = bisect_left(page.keys, key)
        found = i < len(page.keys) and page.keys[i] == key
        if found and value is not None:
            page.values[i] = value
        elif found:
            page.children[i : i + 2] = [self._join(page.children[i], page.children[i + 1])]
            del page.keys[i], page.values[i]
        elif value is not None:
            page.children[i : i + 1] = self._split(page.children[i], key)
            page.keys.insert(i, key)
            page.values.insert(i, value)

    def _apply_below(self, page: _Page, changes: list[tuple[str, CID | None, int]]) -> None:
        start = 0
        while start < len(changes):
            i = bisect_left(page.keys, changes[start][0])
            end = start + 1
            while end < len(changes) and (i == len(page.keys) or changes[end][0] < page.keys[i]):
                end += 1
            # A removal above this page's level concerns a key that is not in the catalog.
            page.children[i] = self._apply(
                page.children[i], [change for change in changes[start:end] if change[2] < page.level]
            )
            start = end

    def _join(self, left: _Ref, right: _Ref) -> _Ref:
        """Return one subtree of two neighbours, every key of `left` being before every key of `right`."""
        if left is None or right is None:
            return right if left is None else left
        a, b = self._open(left), self._open(right)
        if a.level > b.level:
            a.children[-1] = self._join(a.children[-1], b)
            return a
        if a.level < b.level:
            b.children[0] = self._join(a, b.children[0])
            return b
        middle = self._join(a.children[-1], b.children[0])
        children = [*a.children[:-1], middle, *b.children[1:]]
        return _Page(a.level, a.keys + b.keys, a.values + b.values, children)

    def _split(self, ref: _Ref, key: str) -> list[_Ref]:
        """Return the two subtrees before and after a key that is not in `ref`."""
        if ref is None:
            return [None, None]
        page = self._open(ref)
        i = bisect_left(page.keys, key)
        before, after = self._split(page.children[i], key)
        left, right = [*page.children[:i], before], [after, *page.children[i + 1 :]]
        return [
            _Page(page.level, page.keys[:i], page.values[:i], left) if i else before,
            _Page(page.level, page.keys[i:], page.values[i:], right) if i < len(page.keys) else after,
        ]

    def _store(self, ref: CID | _Page) -> CID:
        if isinstance(ref, CID):
            return ref
        children = [None if child is None else self._store(child) for child in ref.children]
        block = _encode_page(ref, children[0], children[1:])
        cid = cid_of(DAG_CBOR, block)
        if cid not in self._read:
            self._made[cid] = block
        return cid


def _no_page(cid: CID) -> bytes:
    raise AssertionError(f"building reads no page, but {cid} was asked for")


# --- reading -------------------------------------------------------------------------------------------


def lookup(root: CID, key: str, get: Get) -> CID | None:
    """Return the value of a key, or None. Reads one page for each level on the way."""
    place, cid = _ROOT, root
    while True:
        page = _load(cid, get, place)
        i = bisect_left(page.keys, key)
        if i < len(page.keys) and page.keys[i] == key:
            return page.values[i]
        child = page.children[i]
        if child is None:
            return None
        assert isinstance(child, CID)
        place, cid = place.child(page, i), child


def entries(root: CID, get: Get, prefix: str = "") -> Iterator[tuple[str, CID]]:
    """Yield the entries whose keys start with `prefix`, in key order, reading only the pages they are on."""
    yield from _entries(root, get, prefix, _ROOT)


def _entries(cid: CID, get: Get, prefix: str, place: _Place) -> Iterator[tuple[str, CID]]:
    page = _load(cid, get, place)
    for i, child in enumerate(page.children):
        if i and page.keys[i - 1].startswith(prefix):
            yield page.keys[i - 1], page.values[i - 1]
        elif i and page.keys[i - 1] > prefix:
            return
        if isinstance(child, CID) and (i == len(page.keys) or page.keys[i] >= prefix):
            yield from _entries(child, get, prefix, place.child(page, i))


def missing_pages(root: CID, has: Has, get: Get) -> list[CID]:
    """Return the pages that are not here, among those linked from pages that are."""
    missing, pending = [], [(root, _ROOT)]
    while pending:
        cid, place = pending.pop()
        if not has(cid):
            missing.append(cid)
            continue
        page = _load(cid, get, place)
        pending.extend(_child_places(page, place))
    return missing


def diff(old_root: CID | None, new_root: CID, get: Get) -> Diff:
    """Return what changed from one catalog to another, reading only the pages that differ.

    Raises: RemoteProtocolError "catalog-…"; whatever `get` raises for a page that is not here.
    """
    walk = walk_changes(old_root, new_root, get, _always)
    try:
        next(walk)
    except StopIteration as stop:
        result: Diff = stop.value
        return result
    raise AssertionError("a walk over present pages asks for none")


def walk_changes(
    old_root: CID | None,
    new_root: CID,
    get: Get,
    has: Has | None = None,
    *,
    max_pages: int = MAX_WALK_PAGES,
) -> Generator[list[CID], None, Diff]:
    """Yield the page CIDs to fetch, a batch for each level; return the Diff when nothing is left to fetch.

    Before it resumes the generator, the caller stores the batch's pages where `get` finds them. The old
    catalog must be complete. Without `has`, a page counts as missing when `get` raises Unavailable or
    KeyError.
    Raises: RemoteProtocolError "catalog-…", "catalog-too-many-pages".
    """
    walk = _Walk(old_root, new_root, get, max_pages)
    present = has or _probe(get)
    while walk.pending_new or walk.pending_old:
        batch = [cid for cid in walk.pending_new if not present(cid)]
        if batch:
            yield batch
        walk.step()
    return walk.result()


class _Walk:
    """Descend two trees at once, highest level first, leaving out every page that both have.

    A page that both trees hold is found in both before its level is reached, because its parents are
    higher. So only pages that differ are expanded, and what lies below an equal page is never read.
    """

    def __init__(self, old_root: CID | None, new_root: CID, get: Get, max_pages: int) -> None:
        self._get = get
        self._pages_left = max_pages
        self.pending_old: dict[CID, _Pending] = {}
        self.pending_new: dict[CID, _Pending] = {}
        self._before: dict[str, CID] = {}
        self._after: dict[str, CID] = {}
        if old_root != new_root:
            self.pending_new[new_root] = _Pending(_ROOT)
            if old_root is not None:
                self.pending_old[old_root] = _Pending(_ROOT)

    def step(self) -> None:
        """Expand the highest pages of both sides."""
        level = self._open_highest()
        for cid, pending in list(self.pending_old.items()):
            if pending.level == level:
                self._expand(cid, self.pending_old, self.pending_new, self._before)
        for cid, pending in list(self.pending_new.items()):
            if pending.level == level:
                self._pages_left -= 1
                self._expand(cid, self.pending_new, self.pending_old, self._after)
        if self._pages_left < 0:
            _refuse("catalog-too-many-pages", "The catalog changed in more pages than this walk may read.")

    def _open_highest(self) -> int:
        """Read pages until every one that may be of the highest level is known. Shape: that level."""
        sides = (self.pending_old, self.pending_new)
        while True:
            level = max(pending.level for side in sides for pending in side.values())
            unread = [
                (cid, pending)
                for side in sides
                for cid, pending in side.items()
                if pending.level == level and pending.page is None
            ]
            if not unread:
                return level
            for cid, pending in unread:
                pending.page = _load(cid, self._get, pending.place)
                pending.level = pending.page.level

    def _expand(self, cid: CID, side: dict[CID, _Pending], other: dict[CID, _Pending], found: dict[str, CID]) -> None:
        pending = side.pop(cid)
        page = pending.page
        assert page is not None
        found.update(zip(page.keys, page.values, strict=True))
        for child, place in _child_places(page, pending.place):
            if other.pop(child, None) is None:
                side[child] = _Pending(place)

    def result(self) -> Diff:
        """Return the keys whose values differ between the expanded pages of both sides."""
        before, after = self._before, self._after
        return Diff(
            {
                key: (before.get(key), after.get(key))
                for key in sorted(before.keys() | after.keys())
                if before.get(key) != after.get(key)
            }
        )


class _Pending:
    """A linked page not yet expanded; `level` is the highest it can have, and exact once the page is read."""

    __slots__ = ("level", "page", "place")

    def __init__(self, place: _Place) -> None:
        self.place = place
        self.level = place.below - 1
        self.page: _Page | None = None


def _child_places(page: _Page, place: _Place) -> Iterator[tuple[CID, _Place]]:
    for i, child in enumerate(page.children):
        if isinstance(child, CID):
            yield child, place.child(page, i)


def _probe(get: Get) -> Has:
    def has(cid: CID) -> bool:
        try:
            get(cid)
        except (KeyError, Unavailable):
            return False
        return True

    return has


def _always(_: CID) -> bool:
    return True


def _refuse(code: str, message: str) -> NoReturn:
    raise RemoteProtocolError(message, code=code, hint="Refuse this catalog; the store must publish it again.")
