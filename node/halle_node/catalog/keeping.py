"""What of our own pictures is not reachable from anything published: drafts, removed products, undoable imports."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import Connection, select

from halle_node.catalog.settings import read_profile
from halle_node.config import Config
from halle_node.db.schema import catalog as tables
from halle_protocol.cid import CID


def kept_media(connection: Connection, config: Config) -> set[CID]:
    """Return the pictures that a person still sees or can bring back."""
    photo, media = tables.photo, tables.media
    shown = set(connection.execute(select(photo.c.cid).where(photo.c.cid.is_not(None))).scalars())
    shown.update(_undoable(connection))
    rows = connection.execute(select(media.c.cid, media.c.thumb)).all()
    thumbs = {row.thumb for row in rows if row.cid in shown and row.thumb}
    logo = read_profile(connection, config).logo
    return {CID.from_bytes(raw) for raw in shown | thumbs} | ({logo} if logo else set())


def _undoable(connection: Connection) -> Iterator[bytes]:
    change, run = tables.import_change, tables.import_run
    query = (
        select(change.c.before)
        .join(run, run.c.id == change.c.import_id)
        .where(run.c.undone_at.is_(None), change.c.before.is_not(None))
    )
    for before in connection.execute(query).scalars():
        yield from (bytes.fromhex(one["cid"]) for one in json.loads(before)["photos"] if one["cid"])
