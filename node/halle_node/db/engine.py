"""One writer thread and read-only readers over one SQLite file.

Rule: a write either commits whole, with its bytes on the disk (WAL, synchronous=FULL), or leaves no trace.
All writes pass through one thread, so two of them never meet a lock inside one node.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from halle_node.db.errors import translated
from halle_protocol.errors import ConfigError, LocalProtocolError, Unavailable

T = TypeVar("T")

READER_THREADS = 4
LOCK_TIMEOUT_S = 5.0
OWNER_ONLY = 0o600


class Database:
    """Transactions on a node's database.

    Raises: Unavailable disk-full, database-locked, database-read-only, database-io, database-closed;
    Refused database-corrupt. A function passed in may raise its own errors; they roll back and pass through.
    """

    def __init__(self, path: Path | str, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self.path = _file_of(path)
        self._closed = False
        self._writer_thread = 0
        self._local = threading.local()
        self._readers: list[Connection] = []
        self._readers_lock = threading.Lock()
        with translated():
            _create_private(self.path)
            self._write_engine = _engine(self.path, lock_timeout_s, read_only=False)
            self._read_engine = _engine(self.path, lock_timeout_s, read_only=True)
            self._writer_connection = self._write_engine.connect()
        self._writer = ThreadPoolExecutor(1, "halle-db-write")
        self._reader_pool = ThreadPoolExecutor(READER_THREADS, "halle-db-read")

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in the writer thread in one transaction; return its result once the commit is on disk.

        Cancelling the caller does not undo a write that has begun.
        """
        return await asyncio.wrap_future(self._submit(fn))

    def write_blocking(self, fn: Callable[[Connection], T]) -> T:
        """Do what `write` does, for threads and programs without a loop."""
        return self._submit(fn).result()

    async def compact(self) -> None:
        """Write the file anew, without the room of deleted rows, and empty its log: what was deleted is gone.

        Raises: Unavailable database-locked, disk-full.
        """
        self._check_open()
        await asyncio.wrap_future(self._writer.submit(self._compact))

    def _compact(self) -> None:
        raw = self._writer_connection.connection.dbapi_connection
        assert raw is not None
        with translated():
            raw.execute("VACUUM")
            [(busy, *_)] = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if busy:
            raise Unavailable(
                "Somebody reads the database: what was deleted is still in its log.",
                code="database-locked",
                hint="Wait for the back-up that runs, then try again.",
            )

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on this thread's read-only connection, on one consistent snapshot."""
        connection = self._reader()
        if connection.in_transaction():
            return fn(connection)
        with translated():
            try:
                return fn(connection)
            finally:
                connection.rollback()

    async def read_async(self, fn: Callable[[Connection], T]) -> T:
        """Do what `read` does, in a reader thread: for queries that could hold up the loop."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._reader_pool, self.read, fn)

    def close(self) -> None:
        """Finish the write in progress, then close every connection. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self._writer.shutdown(wait=True)
        self._reader_pool.shutdown(wait=True)
        with self._readers_lock:
            for connection in self._readers:
                connection.close()
            self._readers.clear()
        self._writer_connection.close()
        self._write_engine.dispose()
        self._read_engine.dispose()

    def _submit(self, fn: Callable[[Connection], T]) -> Future[T]:
        self._check_open()
        if threading.get_ident() == self._writer_thread:
            raise LocalProtocolError("A write cannot wait for another write.", code="database-nested-write")
        return self._writer.submit(self._transact, fn)

    def _transact(self, fn: Callable[[Connection], T]) -> T:
        self._writer_thread = threading.get_ident()
        with translated(), self._writer_connection.begin():
            return fn(self._writer_connection)

    def _reader(self) -> Connection:
        self._check_open()
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            with translated():
                connection = self._read_engine.connect()
            self._local.connection = connection
            with self._readers_lock:
                self._readers.append(connection)
        return connection

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The database is closed.", code="database-closed", hint="The node is stopping.")


def open_database(path: Path | str, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> Database:
    """Open the database at `path`, create it when absent, and bring its tables up to date.

    Raises: Refused database-newer when a later Halle wrote it.
    """
    from halle_node.db.migrations import upgrade

    database = Database(path, lock_timeout_s=lock_timeout_s)
    try:
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return database


def _file_of(path: Path | str) -> Path:
    if isinstance(path, Path):
        return path
    if path.startswith("sqlite:///"):
        return Path(path.removeprefix("sqlite:///"))
    if "://" in path:
        raise ConfigError(
            f"{path.split('://', 1)[0]} databases are not supported.",
            code="database-dsn",
            hint="Give the path of a file.",
        )
    return Path(path)


def _create_private(path: Path) -> None:
    """Create the file for its owner only; SQLite gives its WAL the same permissions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, OWNER_ONLY))


def _engine(path: Path, lock_timeout_s: float, *, read_only: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        mode = "ro" if read_only else "rw"
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}",
            uri=True,
            timeout=lock_timeout_s,
            isolation_level=None,  # transactions are begun below, not guessed from the statements
            check_same_thread=False,  # `close` may run in another thread, after the owners stopped
        )
        try:
            _configure(connection, read_only=read_only)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _configure(connection: sqlite3.Connection, *, read_only: bool) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    if read_only:
        connection.execute("PRAGMA query_only=ON")
        return
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
