from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halle_protocol import catalog
from halle_protocol.catalog import Diff, Tree, build, diff, entries, lookup, missing_pages, update, walk_changes
from halle_protocol.cid import CID, DAG_CBOR, cid_of
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError, Unavailable

# Few keys with many levels: these are the first with each number of leading zero nibbles.
HIGH = [next(f"x/{i}" for i in range(10**6) if catalog.key_level(f"x/{i}") == level) for level in range(4)]
keys = st.sampled_from(HIGH) | st.integers(0, 60).map("listing/{}".format) | st.text("aé/🧣", min_size=1, max_size=4)
cids = st.integers(0, 9).map(lambda i: cid_of(DAG_CBOR, b"%d" % i))
contents = st.dictionaries(keys, cids, max_size=40)
changes = st.dictionaries(keys, st.none() | cids, max_size=20)


def document(number: int) -> CID:
    return cid_of(DAG_CBOR, b"document %d" % number)


def big_shop(count: int = 10_000) -> dict[str, CID]:
    return {f"listing/product-{i}": document(i) for i in range(count)}


def applied(before: Mapping[str, CID], change: Mapping[str, CID | None]) -> dict[str, CID]:
    after = {**before, **change}
    return {key: value for key, value in after.items() if value is not None}


@given(contents, st.randoms())
def test_catalog_does_not_depend_on_the_order_of_insertion(items: dict[str, CID], chance: random.Random) -> None:
    shuffled = list(items.items())
    chance.shuffle(shuffled)
    blocks = dict(build({}).blocks)
    root = build({}).root
    for key, value in shuffled:
        tree = update(root, {key: value}, blocks.__getitem__)
        root = tree.root
        blocks |= tree.blocks
    assert root == build(items).root


@given(contents, changes)
def test_catalog_update_equals_building_anew(before: dict[str, CID], change: dict[str, CID | None]) -> None:
    old = build(before)
    tree = update(old.root, change, old.blocks.__getitem__)
    rebuilt = build(applied(before, change))
    assert tree.root == rebuilt.root
    assert tree.blocks == {cid: block for cid, block in rebuilt.blocks.items() if cid in tree.blocks}
    assert not tree.blocks.keys() & old.blocks.keys()
    assert (old.blocks | tree.blocks).items() >= rebuilt.blocks.items()


@given(contents, contents)
def test_catalog_diff_is_the_difference_of_the_entries(before: dict[str, CID], after: dict[str, CID]) -> None:
    old, new = build(before), build(after)
    expected = {
        key: (before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }
    result = diff(old.root, new.root, (old.blocks | new.blocks).__getitem__).changed
    assert list(result.items()) == list(expected.items())


@given(contents, st.sampled_from(["", "l", "listing/", "listing/1", "x/", "é", "zzz"]))
def test_catalog_gives_entries_in_order_and_looks_up_each(items: dict[str, CID], prefix: str) -> None:
    tree = build(items)
    get = tree.blocks.__getitem__
    expected = sorted((key, value) for key, value in items.items() if key.startswith(prefix))
    assert list(entries(tree.root, get, prefix)) == expected
    for key in [*items, "listing/absent", "é"]:
        assert lookup(tree.root, key, get) == items.get(key)


@settings(max_examples=150)
@given(contents.filter(bool), st.data())
def test_catalog_page_changed_in_one_byte_is_refused_or_another_valid_catalog(
    items: dict[str, CID], draw: st.DataObject
) -> None:
    tree = build(items)
    block = bytearray(tree.blocks[tree.root])
    block[draw.draw(st.integers(0, len(block) - 1))] ^= draw.draw(st.integers(1, 255))
    root = cid_of(DAG_CBOR, bytes(block))
    pages = {**tree.blocks, root: bytes(block)}
    try:
        found = dict(entries(root, pages.__getitem__))
    except (RemoteProtocolError, KeyError):  # KeyError: a link to a page that does not exist
        return
    assert build(found).root == root


def fetch_changes(old: Tree | None, new: Tree) -> tuple[list[list[int]], Diff]:
    """Follow a store as a syncing node does. Shape: (bytes of each page of each batch, difference)."""
    here = dict(old.blocks) if old else {}
    walk = walk_changes(old.root if old else None, new.root, here.__getitem__, here.__contains__)
    batches = []
    while True:
        try:
            batch = next(walk)
        except StopIteration as stop:
            return batches, stop.value
        assert not here.keys() & set(batch)
        batches.append([len(new.blocks[cid]) for cid in batch])
        here.update((cid, new.blocks[cid]) for cid in batch)


@given(contents, contents)
def test_catalog_walk_fetches_exactly_the_new_pages(before: dict[str, CID], after: dict[str, CID]) -> None:
    old, new = build(before), build(after)
    batches, difference = fetch_changes(old, new)
    assert sum(map(len, batches)) == len(new.blocks.keys() - old.blocks.keys())
    assert difference == diff(old.root, new.root, (old.blocks | new.blocks).__getitem__)


def test_catalog_of_10000_listings_moves_under_20_kb_for_one_change() -> None:
    old = build(big_shop())
    change = update(old.root, {"listing/product-5000": document(-1)}, old.blocks.__getitem__)
    new = Tree(change.root, old.blocks | change.blocks)
    batches, difference = fetch_changes(old, new)
    assert difference.changed == {"listing/product-5000": (document(5000), document(-1))}
    assert sum(map(sum, batches)) < 20_000
    assert len(batches) <= 6
    assert len(change.blocks) == sum(map(len, batches))


def test_catalog_of_10000_listings_is_fetched_in_few_batches() -> None:
    new = build(big_shop())
    batches, difference = fetch_changes(None, new)
    assert len(batches) <= 6
    assert len(difference.changed) == 10_000
    assert sum(map(len, batches)) == len(new.blocks)


def test_catalog_update_reads_only_the_path() -> None:
    tree = build(big_shop())
    asked = []

    def get(cid: CID) -> bytes:
        asked.append(cid)
        return tree.blocks[cid]

    update(tree.root, {"listing/product-77": document(-1)}, get)
    assert len(asked) <= 6


def test_catalog_walk_without_has_asks_for_what_get_does_not_find() -> None:
    new = build(big_shop(500))
    here: dict[CID, bytes] = {}

    def get(cid: CID) -> bytes:
        if cid not in here:
            raise Unavailable("not here", code="block-missing")
        return here[cid]

    for batch in walk_changes(None, new.root, get):
        here.update((cid, new.blocks[cid]) for cid in batch)
    assert here == new.blocks


def test_catalog_walk_stops_at_its_page_budget() -> None:
    tree = build(big_shop(2000))
    with pytest.raises(RemoteProtocolError) as caught:
        list(walk_changes(None, tree.root, tree.blocks.__getitem__, max_pages=20))
    assert caught.value.code == "catalog-too-many-pages"


def test_catalog_names_the_pages_it_misses() -> None:
    tree = build(big_shop(500))
    gone = [cid for cid in tree.blocks if cid != tree.root][:3]
    here = {cid: block for cid, block in tree.blocks.items() if cid not in gone}
    assert missing_pages(tree.root, tree.blocks.__contains__, tree.blocks.__getitem__) == []
    assert missing_pages(tree.root, lambda _: False, here.__getitem__) == [tree.root]
    missing = missing_pages(tree.root, here.__contains__, here.__getitem__)
    assert missing
    assert set(missing) <= set(gone)


@pytest.mark.parametrize("key", ["", "a\n", "\x7f", "x" * 257, "é" * 129, "\ud800"])
def test_catalog_refuses_a_key(key: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        build({key: document(1)})
    assert caught.value.code == "catalog-key"


def test_catalog_root_that_is_not_dag_cbor_is_refused() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        lookup(cid_of(0x55, b"a"), "a", {cid_of(0x55, b"a"): b"a"}.__getitem__)
    assert caught.value.code == "catalog-page"
