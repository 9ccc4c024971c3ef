"""The database commits whole or not at all, and says in Halle's words why it cannot."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, MetaData, Table, create_engine, insert, select, text

from halle_node.db import Database, TokenAmount, open_database
from halle_protocol.errors import ConfigError, LocalProtocolError, Refused, Unavailable


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "node.db", lock_timeout_s=0.05)
    database.write_blocking(lambda c: c.execute(text("CREATE TABLE fact (n INTEGER PRIMARY KEY)")))
    yield database
    database.close()


def _add(connection: Connection, number: int) -> None:
    connection.execute(text("INSERT INTO fact VALUES (:n)"), {"n": number})


def _count(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM fact")).scalar_one())


async def test_write_is_seen_by_readers_when_it_returns(db: Database) -> None:
    await db.write(lambda c: _add(c, 1))
    assert db.read(_count) == 1
    assert await db.read_async(_count) == 1


async def test_write_leaves_nothing_when_its_function_fails(db: Database) -> None:
    def half(connection: Connection) -> None:
        _add(connection, 1)
        raise Refused("no", code="out-of-stock")

    with pytest.raises(Refused) as caught:
        await db.write(half)
    assert caught.value.code == "out-of-stock"
    assert db.read(_count) == 0


async def test_concurrent_writes_never_meet_a_lock(db: Database) -> None:
    await asyncio.gather(*(db.write(lambda c, n=n: _add(c, n)) for n in range(50)))
    assert db.read(_count) == 50


async def test_write_finishes_when_its_caller_is_cancelled(db: Database) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        started.set()
        go_on.wait(10)
        _add(connection, 1)

    task = asyncio.create_task(db.write(slow))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await db.write(lambda c: None)
    assert db.read(_count) == 1


async def test_reader_keeps_one_snapshot_while_a_write_commits(db: Database) -> None:
    def twice(connection: Connection) -> tuple[int, int]:
        before = _count(connection)
        db.write_blocking(lambda c: _add(c, 7))
        return before, _count(connection)

    assert await db.read_async(twice) == (0, 0)
    assert db.read(_count) == 1


def test_nested_read_shares_the_snapshot(db: Database) -> None:
    assert db.read(lambda outer: (_count(outer), db.read(_count))) == (0, 0)


def test_write_inside_a_write_is_refused_instead_of_waiting_for_ever(db: Database) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        db.write_blocking(lambda c: db.write_blocking(_count))
    assert caught.value.code == "database-nested-write"


def test_reader_cannot_write(db: Database) -> None:
    with pytest.raises(Unavailable) as caught:
        db.read(lambda c: _add(c, 1))
    assert caught.value.code == "database-read-only"


def test_writer_is_durable_and_checks_references(db: Database) -> None:
    def pragmas(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert db.write_blocking(pragmas) == ["wal", 2, 1]


def test_file_belongs_to_its_owner_alone(db: Database) -> None:
    for path in db.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_write_says_disk_full_and_recovers(db: Database) -> None:
    def limit(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    db.write_blocking(lambda c: c.execute(text("CREATE TABLE bulk (b BLOB)")))
    db.write_blocking(lambda c: limit(c, 10))
    with pytest.raises(Unavailable) as caught:
        await db.write(lambda c: c.execute(text("INSERT INTO bulk VALUES (zeroblob(200000))")))
    assert caught.value.code == "disk-full"
    db.write_blocking(lambda c: limit(c, 100_000))
    await db.write(lambda c: c.execute(text("INSERT INTO bulk VALUES (zeroblob(200000))")))


FILE_SIZE_LIMIT = """
import resource, signal, sys
from sqlalchemy import text
from halle_node.db import Database
from halle_protocol.errors import Unavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
db = Database(sys.argv[1])
db.write_blocking(lambda c: c.execute(text("CREATE TABLE bulk (b BLOB)")))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    db.write_blocking(lambda c: c.execute(text("INSERT INTO bulk VALUES (zeroblob(2000000))")))
except Unavailable as error:
    print(error.code)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
db.write_blocking(lambda c: c.execute(text("INSERT INTO bulk VALUES (zeroblob(2000000))")))
print(db.read(lambda c: c.execute(text("SELECT count(*) FROM bulk")).scalar()))
db.close()
"""


def test_write_says_disk_full_when_the_system_refuses_bytes(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FILE_SIZE_LIMIT, str(tmp_path / "node.db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.split() == ["disk-full", "1"], ran.stderr


async def test_write_says_locked_when_another_program_writes(db: Database) -> None:
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Unavailable) as caught:
            await db.write(lambda c: _add(c, 1))
        assert caught.value.code == "database-locked"
    finally:
        other.close()
    await db.write(lambda c: _add(c, 1))


def test_open_says_corrupt_when_the_file_is_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    path.write_bytes(b"this is a letter, not a database " * 200)
    with pytest.raises(Refused) as caught:
        open_database(path)
    assert caught.value.code == "database-corrupt"


def test_open_says_io_when_the_path_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        open_database(tmp_path)
    assert caught.value.code == "database-io"


def test_open_refuses_other_engines(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Database("postgresql://localhost/halle")
    assert caught.value.code == "database-dsn"


def test_closed_database_says_so(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'node.db'}")
    database.close()
    database.close()
    for attempt in (lambda: database.read(_count), lambda: database.write_blocking(_count)):
        with pytest.raises(Unavailable) as caught:
            attempt()
        assert caught.value.code == "database-closed"


KILLED_WRITER = """
import sys
from sqlalchemy import text
from halle_node.db import Database
db = Database(sys.argv[1])
db.write_blocking(lambda c: c.execute(text("CREATE TABLE pair (n INTEGER, half TEXT)")))
n = 0
while True:
    def both(c):
        c.execute(text("INSERT INTO pair VALUES (:n, 'a')"), {"n": n})
        c.execute(text("INSERT INTO pair VALUES (:n, 'b')"), {"n": n})
    db.write_blocking(both)
    print(n, flush=True)
    n += 1
"""


def test_committed_writes_survive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    writer = subprocess.Popen([sys.executable, "-c", KILLED_WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    promised = [int(writer.stdout.readline()) for _ in range(50)][-1]
    writer.kill()
    promised = max([promised, *(int(line) for line in writer.stdout.read().split())])
    writer.wait(10)
    writer.stdout.close()
    database = Database(path)
    rows = database.read(lambda c: c.execute(text("SELECT n, half FROM pair ORDER BY n, half")).all())
    database.close()
    assert [tuple(row) for row in rows] == [(n, half) for n in range(len(rows) // 2) for half in "ab"]
    assert len(rows) // 2 > promised


@given(st.lists(st.integers(0, 2**256 - 1), min_size=1, max_size=20))
def test_token_amounts_keep_value_and_order(amounts: list[int]) -> None:
    table = Table("amounts", MetaData(), Column("amount", TokenAmount))
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table), [{"amount": amount} for amount in amounts])
        found = connection.execute(select(table.c.amount).order_by(table.c.amount)).scalars().all()
        above = connection.execute(select(table).where(table.c.amount >= max(amounts))).all()
    engine.dispose()
    assert found == sorted(amounts)
    assert len(above) == amounts.count(max(amounts))


@pytest.mark.parametrize("amount", [-1, 2**256])
def test_token_amount_refuses_what_no_token_has(amount: int) -> None:
    with pytest.raises(LocalProtocolError):
        TokenAmount().process_bind_param(amount, create_engine("sqlite://").dialect)


def test_reads_take_microseconds(db: Database) -> None:
    db.read(_count)
    best = min(_timed(db) for _ in range(20))
    assert best < 0.002


def _timed(db: Database) -> float:
    began = time.perf_counter()
    db.read(_count)
    return time.perf_counter() - began
