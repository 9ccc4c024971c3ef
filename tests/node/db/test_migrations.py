"""Migrations alone make the tables, and they make exactly what the code describes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from halle_node.db import open_database
from halle_node.db.migrations import alembic_config, current_revision, revisions
from halle_node.db.schema import metadata
from halle_protocol.errors import Refused

OPENING = """
import sys, time
from halle_node.db import open_database
began = time.perf_counter()
open_database(sys.argv[1]).close()
print(time.perf_counter() - began)
"""


def test_migrated_tables_are_those_of_the_code(tmp_path: Path) -> None:
    database = open_database(tmp_path / "node.db")

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    found = database.write_blocking(differences)
    database.close()
    assert found == [], 'run: python -m halle_node.db.migrations.make "what changed"'


def test_migrated_sql_is_that_of_the_code(tmp_path: Path) -> None:
    """Checks, defaults and constraint names too, which the comparison above does not see."""
    database = open_database(tmp_path / "migrated.db")
    described = create_engine(f"sqlite:///{tmp_path / 'described.db'}")
    metadata.create_all(described)
    with described.connect() as connection:
        wanted = _definitions(connection)
    described.dispose()
    found = database.read(_definitions)
    database.close()
    found.pop("alembic_version")
    assert found == wanted


def _definitions(connection: Connection) -> dict[str, list[str]]:
    """Return each object's definition as its parts in a settled order; the writers differ in order and spaces."""
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return {name: sorted(_parts(sql)) for name, sql in rows}


def _parts(sql: str) -> list[str]:
    """Return the head, then each column or constraint: what the commas outside all brackets part."""
    head, _, body = sql.partition("(")
    parts, depth = [""], 0
    for letter in body.rpartition(")")[0]:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [" ".join(part.replace('"', "").split()) for part in [head, *parts]]


def test_versions_are_numbered_and_the_newest_is_the_head(tmp_path: Path) -> None:
    database = open_database(tmp_path / "node.db")
    script = database.write_blocking(lambda c: ScriptDirectory.from_config(alembic_config(c)))
    assert revisions() == [f"{number:04d}" for number in range(1, len(revisions()) + 1)]
    assert script.get_heads() == [revisions()[-1]]
    assert database.read(current_revision) == revisions()[-1]
    database.close()


def test_database_of_a_newer_halle_is_refused(tmp_path: Path) -> None:
    database = open_database(tmp_path / "node.db")
    database.write_blocking(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    database.close()
    with pytest.raises(Refused) as caught:
        open_database(tmp_path / "node.db")
    assert caught.value.code == "database-newer"


def test_opening_twice_keeps_what_is_there(tmp_path: Path) -> None:
    for _ in range(2):
        database = open_database(tmp_path / "node.db")
        database.write_blocking(
            lambda c: c.execute(text("INSERT INTO chain_cursor VALUES ('x', 5) ON CONFLICT DO NOTHING"))
        )
        database.close()
    database = open_database(tmp_path / "node.db")
    assert database.read(lambda c: c.execute(text("SELECT next_block FROM chain_cursor")).scalars().all()) == [5]
    database.close()


def test_current_database_opens_without_the_migration_tool(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    open_database(path).close()
    ran = subprocess.run(
        [sys.executable, "-c", f"{OPENING}\nprint('alembic' in sys.modules)", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.split()[1] == "False"


def test_current_database_opens_quickly(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    open_database(path).close()
    times = []
    for _ in range(10):
        began = time.perf_counter()
        open_database(path).close()
        times.append(time.perf_counter() - began)
    assert min(times) < 0.03
