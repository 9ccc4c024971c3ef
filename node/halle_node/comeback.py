"""A restored node before it speaks: it finds out what the network has of its store, so that it neither contradicts nor
empties it.

Rule: nothing is published until an edition was taken over, or peers were asked for a while and have none that is newer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from sqlalchemy import Connection

from halle_node.catalog import CatalogService
from halle_node.db import Database, notes
from halle_node.trade.restored import NOTE
from halle_protocol.errors import HalleError

log = logging.getLogger(__name__)

LISTEN_S = 20


class Comeback:
    """What the node knows of its own restore."""

    def __init__(self, db: Database, clock: Callable[[], int]) -> None:
        self._db, self._clock = db, clock
        form = db.read(lambda conn: notes.read(conn, NOTE))
        note = json.loads(form) if form else {}
        self.restored_at = int(note.get("at", 0))
        self.is_looking = bool(note) and not note["head_found"]
        self._since = 0

    async def look(self, catalog: CatalogService, peers: int) -> bool:
        """Take over the store's edition if the network has a newer one; True when publishing may begin."""
        try:
            adopted = await catalog.adopt()
        except HalleError as error:
            log.info("the last edition of this store is not here yet: %s", error.code)
            return False
        if not adopted and not self._has_listened(peers):
            return False
        await self.stop_looking()
        return True

    async def stop_looking(self) -> None:
        """Remember that publishing may begin."""
        self.is_looking = False
        await self._db.write(self._note)

    def _note(self, conn: Connection) -> None:
        form = json.loads(notes.read(conn, NOTE) or "{}") | {"head_found": True}
        notes.write(conn, NOTE, json.dumps(form), self._clock())

    def _has_listened(self, peers: int) -> bool:
        if not peers:
            self._since = 0
            return False
        self._since = self._since or self._clock()
        return self._clock() - self._since >= LISTEN_S
