"""The disk cap holds: our own content always fits, what others publish makes room or is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from halle_node.blocks import BlockStore
from halle_node.blocks.room import Room
from halle_protocol import dagcbor
from halle_protocol.cid import CID, DAG_CBOR, RAW, cid_of
from halle_protocol.errors import Unavailable

KB = 1024
CAP = 1000 * KB


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[BlockStore]:
    store = BlockStore(tmp_path / "blocks", clock=clock, max_bytes=CAP)
    yield store
    store.close()


def picture(number: int, size: int = 100 * KB) -> tuple[CID, bytes]:
    data = number.to_bytes(4, "big") * (size // 4)
    return cid_of(RAW, data), data


def document(number: int, size: int = 50 * KB) -> tuple[CID, bytes]:
    data = dagcbor.encode({"number": number, "pad": bytes(size)})
    return cid_of(DAG_CBOR, data), data


def on_disk(store: BlockStore) -> int:
    """Return the bytes that blocks really take, inline and as files."""
    with sqlite3.connect(store.root / "index.db") as db:
        inline = db.execute("select coalesce(sum(length(data)), 0) from block").fetchone()[0]
    return inline + sum(path.stat().st_size for path in (store.root / "blocks").rglob("*") if path.is_file())


def put(store: BlockStore, *numbers: int) -> None:
    for number in numbers:
        store.put_many([picture(number)], foreign=True)


def here(store: BlockStore, count: int = 40) -> list[int]:
    return [number for number in range(count) if store.has(picture(number)[0])]


def test_foreign_pictures_go_in_the_order_of_their_last_use(store: BlockStore, clock: Clock) -> None:
    for number in range(9):
        clock.now += 1
        put(store, number)
    clock.now += 1
    store.get(picture(0)[0])
    clock.now += 1
    put(store, 9, 10)
    assert here(store) == [0, 3, 4, 5, 6, 7, 8, 9, 10]
    assert on_disk(store) <= CAP


def test_cap_holds_whatever_others_send(store: BlockStore, clock: Clock) -> None:
    refused = 0
    for number in range(60):
        clock.now += 1
        for blocks in ([picture(number)], [document(number)], [picture(100 + number, 300 * KB)]):
            try:
                store.put_many(blocks, foreign=True)
            except Unavailable as error:
                assert error.code == "cache-full"  # noqa: PT017  every refusal has this one reason
                refused += 1
            assert on_disk(store) <= CAP
    assert refused > 0
    assert store.stats().foreign_documents <= CAP // 2


def test_own_content_always_fits_and_takes_the_room_of_foreign(store: BlockStore, clock: Clock) -> None:
    put(store, *range(9))
    for number in range(20, 28):
        clock.now += 1
        store.put_many([picture(number)])
        assert on_disk(store) <= CAP
    assert set(range(20, 28)) <= set(here(store))
    store.put_many([picture(number) for number in range(30, 36)])  # more than the cap, and yet it is ours
    assert set(range(30, 36)) <= set(here(store))
    assert here(store, 20) == []
    with pytest.raises(Unavailable) as full:
        put(store, 1)
    assert full.value.code == "cache-full"
    with pytest.raises(Unavailable):
        store.check_room()


def test_foreign_content_becomes_ours_and_stays(store: BlockStore, clock: Clock) -> None:
    put(store, 0)
    store.put_many([picture(0)])
    put(store, 0, *range(1, 20))
    assert 0 in here(store)


def test_what_open_orders_refer_to_is_not_evicted(store: BlockStore, clock: Clock) -> None:
    shown = picture(0)
    listing = dagcbor.encode({"media": shown[0]})
    root = cid_of(DAG_CBOR, listing)
    store.put_many([(root, listing), shown], foreign=True)
    store.protect = lambda: [root]
    for number in range(1, 20):
        clock.now += 1
        put(store, number)
    assert 0 in here(store)
    clock.now += 10_000
    assert store.gc(dry_run=True).kept_blocks == 2
    assert len(here(store)) > 1
    swept = store.gc()
    assert (swept.kept_blocks, here(store)) == (2, [0])
    assert swept.bytes == swept.blocks * 100 * KB


def test_nothing_is_evicted_without_a_cap(tmp_path: Path) -> None:
    store = BlockStore(tmp_path / "free")
    put(store, *range(40))
    assert len(here(store)) == 40
    store.close()


def test_store_made_before_there_was_a_cap_counts_as_ours(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    cid, data = picture(0, 4 * KB)
    with sqlite3.connect(old / "index.db") as db:
        db.executescript(
            "create table block(digest blob primary key, size integer not null, stored_at integer not null, data blob);"
        )
        db.execute("insert into block values(?,?,?,?)", (cid.digest, len(data), 5, data))
    db.close()
    store = BlockStore(old, max_bytes=1)
    assert store.get(cid) == data
    assert store.stats().foreign_media == 0
    store.close()


def test_room_is_one_rule() -> None:
    room = Room(cap=100, own=30, documents=10, media=50)
    assert room.total == 90
    assert room.to_free(media=10) == 0
    assert room.to_free(media=20) == 10
    assert room.to_free(own=40) == 30
    assert room.to_free(documents=40) == 30
    assert Room(0, 1, 1, 1).to_free(media=10**12) == 0
