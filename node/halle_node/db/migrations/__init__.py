"""How tables come to exist: numbered steps, run when a database is opened.

Rule: a database that is already current is recognised by one query, without loading the migration tool.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from halle_node.db.engine import Database
from halle_protocol.errors import Refused

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).parent
VERSION_TABLE = "alembic_version"


def revisions() -> list[str]:
    """Return every revision this Halle knows, oldest first.

    Shape: the file `0001_topic.py` holds revision 0001.
    """
    return sorted(path.name[:4] for path in (SCRIPTS / "versions").glob("[0-9]*.py"))


def current_revision(connection: Connection) -> str | None:
    """Return the revision the database is at, None for an empty one."""
    found = connection.execute(
        text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"), {"name": VERSION_TABLE}
    ).first()
    if found is None:
        return None
    row = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).first()  # noqa: S608
    return None if row is None else str(row[0])


def upgrade(database: Database) -> None:
    """Bring the tables to the newest revision, in one transaction.

    Raises: Refused database-newer when a later Halle wrote the database.
    """
    known = revisions()
    at = database.read(current_revision)
    if at == known[-1]:
        return
    if at is not None and at not in known:
        raise Refused(
            f"The database is at revision {at}; this Halle knows up to {known[-1]}.",
            code="database-newer",
            hint="Install the newer Halle that wrote it.",
        )
    database.write_blocking(_run)


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's settings for the packaged scripts on an open connection."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _run(connection: Connection) -> None:
    from alembic import command

    command.upgrade(alembic_config(connection), "head")
