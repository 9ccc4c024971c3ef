"""What tests of the watcher ask of it."""

from __future__ import annotations

import contextlib

from sqlalchemy import select

from halle_node.chain import Watcher
from halle_node.db import Database
from halle_node.db.schema.chain import chain_event
from halle_protocol.errors import Unavailable


def stored(db: Database) -> list[bytes]:
    wanted = select(chain_event.c.subject).order_by(chain_event.c.block_number, chain_event.c.log_index)
    return list(db.read(lambda c: c.execute(wanted).scalars().all()))


async def catch_up(watcher: Watcher) -> None:
    """Step until the watcher stands at the head; forks make it read again."""
    for _ in range(200):
        with contextlib.suppress(Unavailable):
            if not await watcher.step():
                return
    raise AssertionError("the watcher never caught up")
