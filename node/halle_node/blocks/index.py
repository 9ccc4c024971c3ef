"""The SQLite index of the block store: a block exists when, and only when, its row is committed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from halle_protocol.cid import CID

_SCHEMA = """
create table if not exists block(
    digest blob primary key, size integer not null, stored_at integer not null, data blob,
    kind integer not null default 0, used_at integer not null default 0);
create table if not exists pin(name text primary key, cid blob not null);
"""
_INDEXES = "create index if not exists ix_block_kind on block(kind, used_at, size)"
# Columns that stores made earlier lack.
_LATER = {"kind": "integer not null default 0", "used_at": "integer not null default 0"}

_IDLE_READERS = 8
_ASKED_AT_ONCE = 500  # SQLite allows 999 values in one question everywhere

Row = tuple[bytes, int, int, bytes | None, int]


class BlockIndex:
    """Rows of (digest, size, stored_at, inline bytes or NULL for a file, kind) and the pins.

    One writer under a lock, readers from a small pool: callers live in any thread, and worker threads come
    and go, so a connection a thread would leak descriptors.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._lock = threading.RLock()
        self._pool = threading.Lock()
        self._writer = self._connect()
        self._writer.executescript(_SCHEMA)
        known = {row[1] for row in self._writer.execute("pragma table_info(block)")}
        for name, declaration in _LATER.items():
            if name not in known:
                self._writer.execute(f"alter table block add column {name} {declaration}")
        self._writer.execute(_INDEXES)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.execute("pragma journal_mode=WAL")
        connection.execute("pragma synchronous=FULL")
        connection.execute("pragma mmap_size=268435456")
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._pool:
            if self._closed:
                raise sqlite3.ProgrammingError("the block store is closed")
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            yield connection
        finally:
            with self._pool:
                keep = not self._closed and len(self._idle) < _IDLE_READERS
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._reading() as db:
            return db.execute(sql, values).fetchall()

    def close(self) -> None:
        with self._lock, self._pool:
            self._closed = True
            self._writer.close()
            while self._idle:
                self._idle.pop().close()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the writer: files and rows change together, or neither does."""
        with self._lock:
            yield

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._writer.execute("begin immediate")
            try:
                yield self._writer
                self._writer.execute("commit")
            except BaseException:
                # SQLite rolls back by itself on a full disk; a second rollback would be an error.
                if self._writer.in_transaction:
                    self._writer.execute("rollback")
                raise

    def insert(self, rows: Sequence[Row]) -> None:
        with self._transaction() as db:
            # A block stored again is fresh again: a running clean-up must not take it.
            db.executemany(
                "insert into block(digest, size, stored_at, data, kind, used_at) values(?1,?2,?3,?4,?5,?3)"
                " on conflict(digest) do update set stored_at=excluded.stored_at, used_at=excluded.used_at,"
                " kind=min(kind, excluded.kind)",
                rows,
            )

    def find(self, digest: bytes) -> tuple[int, bytes | None] | None:
        """Return (kind, inline bytes or None for a file)."""
        rows = self._rows("select kind, data from block where digest=?", digest)
        return (rows[0][0], rows[0][1]) if rows else None

    def note_used(self, times: Mapping[bytes, int]) -> None:
        with self._transaction() as db:
            db.executemany("update block set used_at=? where digest=?", [(at, digest) for digest, at in times.items()])

    def bytes_by_kind(self) -> dict[int, int]:
        return dict(self._rows("select kind, sum(size) from block group by kind"))

    def coldest(self, kind: int) -> Iterator[tuple[bytes, int]]:
        """Yield (digest, size), the one not used for longest first."""
        yield from self._rows("select digest, size from block where kind=? order by used_at, stored_at", kind)

    def size_of(self, digests: Sequence[bytes]) -> int:
        """Sum the sizes of those that are stored."""
        total = 0
        for start in range(0, len(digests), _ASKED_AT_ONCE):
            part = digests[start : start + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(part))
            sql = f"select coalesce(sum(size),0) from block where digest in ({marks})"  # noqa: S608  question marks
            total += self._rows(sql, *part)[0][0]
        return total

    def has(self, digest: bytes) -> bool:
        return bool(self._rows("select 1 from block where digest=?", digest))

    def held(self, digests: Sequence[bytes]) -> set[bytes]:
        """Return those that are stored."""
        return set(self.sizes(digests))

    def sizes(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """Return the size of each that is stored."""
        found: dict[bytes, int] = {}
        for start in range(0, len(digests), _ASKED_AT_ONCE):
            part = digests[start : start + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(part))
            sql = f"select digest, size from block where digest in ({marks})"  # noqa: S608  question marks alone
            found.update(self._rows(sql, *part))
        return found

    def is_filed(self, digest: bytes) -> bool:
        return bool(self._rows("select 1 from block where digest=? and data is null", digest))

    def remove(self, digests: Sequence[bytes]) -> None:
        with self._transaction() as db:
            db.executemany("delete from block where digest=?", [(digest,) for digest in digests])

    def digests(self, *, stored_before: int | None = None) -> list[bytes]:
        if stored_before is None:
            return [row[0] for row in self._rows("select digest from block")]
        return [row[0] for row in self._rows("select digest from block where stored_at<=?", stored_before)]

    def kinds(self) -> list[tuple[int, bytes]]:
        """Return (kind, digest) of every block, the oldest first."""
        return [(row[0], row[1]) for row in self._rows("select kind, digest from block order by stored_at, digest")]

    def compact(self) -> None:
        """Write the file anew without the room of removed rows, and empty the log."""
        with self._lock:
            self._writer.execute("vacuum")
            self._writer.execute("pragma wal_checkpoint(truncate)").fetchall()

    def totals(self) -> tuple[int, int, int, int]:
        """Count blocks, their bytes, the filed ones and the pins."""
        blocks, size, filed = self._rows(
            "select count(*), coalesce(sum(size),0), coalesce(sum(data is null),0) from block"
        )[0]
        return blocks, size, filed, self._rows("select count(*) from pin")[0][0]

    def pin(self, name: str, cid: CID) -> None:
        with self._transaction() as db:
            db.execute("insert or replace into pin values(?,?)", (name, bytes(cid)))

    def unpin(self, name: str) -> None:
        with self._transaction() as db:
            db.execute("delete from pin where name=?", (name,))

    def pins(self) -> dict[str, CID]:
        return {name: CID.from_bytes(raw) for name, raw in self._rows("select name, cid from pin order by name")}
