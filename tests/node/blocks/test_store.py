"""The block store keeps what it acknowledged and never hands out bytes that do not match their CID."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halle_node.blocks import BlockStore
from halle_protocol import dagcbor, unixfs
from halle_protocol.cid import CID, DAG_CBOR, RAW, cid_of
from halle_protocol.errors import RemoteProtocolError, Unavailable

HERE = Path(__file__).parent
SMALL = b"a small block"
LARGE = bytes(range(256)) * 1000


def named(data: bytes) -> tuple[CID, bytes]:
    return cid_of(RAW, data), data


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[BlockStore]:
    store = BlockStore(tmp_path / "blocks", clock=clock)
    yield store
    store.close()


def file_of(store: BlockStore, data: bytes) -> Path:
    name = cid_of(RAW, data).digest.hex()
    return store.root / "blocks" / name[:2] / name[2:4] / name


def tree(store: BlockStore, name: bytes) -> CID:
    """Store a document that links to a large file of its own."""
    media = unixfs.build_file(name * 400_000)
    document = dagcbor.encode({"name": name, "media": media.root})
    cid = cid_of(DAG_CBOR, document)
    store.put_many([*media.blocks.items(), (cid, document)])
    return cid


@pytest.mark.parametrize("data", [b"", SMALL, bytes(64 * 1024), bytes(64 * 1024 + 1), LARGE])
def test_store_returns_what_was_put(store: BlockStore, data: bytes) -> None:
    cid, block = named(data)
    store.put(cid, block)
    assert store.get(cid) == data
    assert store.has(cid)
    assert file_of(store, data).exists() == (len(data) > 64 * 1024)


def test_store_keeps_everything_over_a_restart(store: BlockStore) -> None:
    store.put_many([named(SMALL), named(LARGE)])
    store.pin("mine", cid_of(RAW, LARGE))
    store.close()
    again = BlockStore(store.root)
    assert again.get(cid_of(RAW, SMALL)) == SMALL
    assert again.get(cid_of(RAW, LARGE)) == LARGE
    assert again.pins() == {"mine": cid_of(RAW, LARGE)}
    again.close()


def test_store_refuses_a_block_under_a_wrong_cid(store: BlockStore) -> None:
    with pytest.raises(RemoteProtocolError) as refusal:
        store.put_many([named(SMALL), (cid_of(RAW, b"other"), LARGE)])
    assert refusal.value.code == "cid-mismatch"
    assert not store.has(cid_of(RAW, SMALL))


def test_store_says_which_blocks_are_missing(store: BlockStore) -> None:
    store.put(*named(SMALL))
    absent = cid_of(RAW, b"absent")
    assert store.missing([absent, cid_of(RAW, SMALL), absent]) == [absent]
    with pytest.raises(Unavailable) as missing:
        store.get(absent)
    assert missing.value.code == "block-missing"


def test_store_quarantines_a_corrupt_file(store: BlockStore) -> None:
    store.put(*named(LARGE))
    file_of(store, LARGE).write_bytes(b"bit rot")
    with pytest.raises(Unavailable) as corrupt:
        store.get(cid_of(RAW, LARGE))
    assert corrupt.value.code == "block-corrupt"
    assert not store.has(cid_of(RAW, LARGE))
    assert (store.root / "quarantine" / cid_of(RAW, LARGE).digest.hex()).read_bytes() == b"bit rot"
    store.put(*named(LARGE))
    assert store.get(cid_of(RAW, LARGE)) == LARGE


def test_store_quarantines_a_corrupt_row_and_a_lost_file(store: BlockStore) -> None:
    store.put_many([named(SMALL), named(LARGE)])
    with sqlite3.connect(store.root / "index.db") as db:
        db.execute("update block set data=? where data is not null", (b"bit rot",))
    db.close()
    file_of(store, LARGE).unlink()
    seen: list[tuple[int, int]] = []
    report = store.verify_all(lambda done, total: seen.append((done, total)))
    assert set(report.corrupt) == {cid_of(RAW, SMALL).digest, cid_of(RAW, LARGE).digest}
    assert seen == [(1, 2), (2, 2)]
    assert store.stats().blocks == 0


def test_store_sweeps_unfinished_and_unknown_files(store: BlockStore) -> None:
    store.put(*named(LARGE))
    stranger = store.root / "blocks" / "ab" / "cd" / ("abcd" + "0" * 60)
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"renamed, but its row never committed")
    (store.root / "tmp" / "half").write_bytes(b"half")
    store.close()
    again = BlockStore(store.root)
    assert list((store.root / "tmp").iterdir()) == []
    assert again.verify_all().orphan_files == 1
    assert not stranger.exists()
    assert again.get(cid_of(RAW, LARGE)) == LARGE
    again.close()


def test_gc_keeps_what_pins_reach(store: BlockStore, clock: Clock) -> None:
    kept, dropped = tree(store, b"kept"), tree(store, b"gone")
    store.pin("catalog", kept)
    store.pin("old", dropped)
    store.unpin("old")
    clock.now += 10_000
    before = set(store.walk(kept))
    assert len(before) > 3
    assert store.gc().blocks == len(before)
    assert set(store.walk(kept)) == before
    assert store.holes(dropped) == [dropped]
    assert store.stats().pins == 1


def test_gc_spares_what_was_stored_lately(store: BlockStore, clock: Clock) -> None:
    store.put_many([named(SMALL), named(LARGE)])
    clock.now += 10_000
    store.put(*named(LARGE))
    assert store.gc().blocks == 1
    assert store.has(cid_of(RAW, LARGE))
    assert store.gc(min_age_s=0).blocks == 1
    assert not file_of(store, LARGE).exists()


def test_pin_moves_when_its_name_is_used_again(store: BlockStore) -> None:
    store.pin("catalog", cid_of(RAW, b"old"))
    store.pin("catalog", cid_of(RAW, b"new"))
    assert store.pins() == {"catalog": cid_of(RAW, b"new")}


def test_walk_passes_over_holes_and_malformed_blocks(store: BlockStore) -> None:
    junk = b"\xff\xff not cbor"
    junk_cid, absent = cid_of(DAG_CBOR, junk), cid_of(RAW, b"absent")
    root = dagcbor.encode([junk_cid, absent])
    root_cid = cid_of(DAG_CBOR, root)
    store.put_many([(junk_cid, junk), (root_cid, root)])
    assert set(store.walk(root_cid)) == {root_cid, junk_cid}
    assert store.holes(root_cid) == [absent]


def test_store_serves_many_threads(store: BlockStore) -> None:
    start = threading.Barrier(8)

    def work(worker: int) -> bool:
        start.wait()
        blocks = [named(f"{worker}-{n}".encode() * (1 + n % 3 * 9000)) for n in range(40)]
        for block in blocks:
            store.put(*block)
        return all(store.get(cid) == data for cid, data in blocks)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert store.stats().blocks == 320
    assert store.verify_all().corrupt == ()


def test_put_is_whole_or_not_at_all_when_the_disk_is_full(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "full_disk_process.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {
        "code": "disk-full",
        "kept": True,
        "first": False,
        "large": False,
        "leftovers": [],
    }


def test_put_is_whole_or_not_at_all_when_the_index_is_full(store: BlockStore) -> None:
    store.put(*named(SMALL))
    pages = store._index._writer.execute("pragma page_count").fetchone()[0]
    store._index._writer.execute(f"pragma max_page_count={pages}")
    with pytest.raises(Unavailable) as full:
        store.put_many([named(bytes([n]) * 60_000) for n in range(9)] + [named(LARGE)])
    assert full.value.code == "disk-full"
    assert not file_of(store, LARGE).exists()
    assert store.stats().blocks == 1
    store._index._writer.execute("pragma max_page_count=1000000")
    store.put(*named(LARGE))
    assert store.get(cid_of(RAW, LARGE)) == LARGE


@pytest.mark.parametrize("round_number", range(4))
def test_acknowledged_blocks_survive_kill_9(tmp_path: Path, round_number: int) -> None:
    writer = subprocess.Popen(
        [sys.executable, str(HERE / "writer_process.py"), str(tmp_path), str(round_number)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(30 * (round_number + 1))]
    writer.kill()
    acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
    writer.stdout.close()
    writer.wait()
    store = BlockStore(tmp_path)
    for text in acknowledged:
        store.get(CID.parse(text))
    assert store.verify_all().corrupt == ()
    store.close()


@settings(deadline=None, max_examples=30)  # each example makes a store on disk
@given(st.lists(st.tuples(st.binary(max_size=200), st.booleans()), max_size=20))
def test_store_agrees_with_a_dict(blocks: list[tuple[bytes, bool]]) -> None:
    with tempfile.TemporaryDirectory() as root:
        store, model = BlockStore(Path(root)), {}
        for data, pinned in blocks:
            store.put(*named(data))
            model[cid_of(RAW, data)] = pinned or model.get(cid_of(RAW, data), False)
            if pinned:
                store.pin(data.hex(), cid_of(RAW, data))
        store.gc(min_age_s=-1)
        kept = {cid for cid, pinned in model.items() if pinned}
        assert {cid for cid in model if store.has(cid)} == kept
        store.close()
