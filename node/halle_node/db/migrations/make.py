"""Write the next step from what the tables in `db/schema` have become.

Run: `python -m halle_node.db.migrations.make "what changes"`, read the file it names, and commit it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from sqlalchemy import Connection

from halle_node.db.engine import Database
from halle_node.db.migrations import alembic_config, revisions, upgrade


def make(subject: str) -> None:
    """Compare a database at the newest step with the metadata, and write the difference as one more step."""

    def write(connection: Connection) -> None:
        from alembic import command

        number = f"{len(revisions()) + 1:04d}"
        command.revision(alembic_config(connection), subject, autogenerate=True, rev_id=number)

    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "empty.db")
        try:
            if revisions():
                upgrade(database)
            database.write_blocking(write)
        finally:
            database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subject", help="what changes, in a few words; becomes the file's name")
    make(parser.parse_args().subject)
