"""The store's IPNS record: one name, the peer key's, that leads to the newest head and through it to the shop.

Rule: a sequence is written down before its record leaves, grows with every new value and never goes back, so that no
two values carry the same one. The one place that signs such a record: gateway, routing and a Kubo daemon all take
it from here.
Spec: docs/spec/02-ipns.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Row, select
from sqlalchemy.dialects.sqlite import insert

from halle_node.db import Database
from halle_node.db.schema.catalog import name_record
from halle_protocol import ipns
from halle_protocol.head import Head

# The DHT forgets a record after 48 hours, and readers may keep one for its TTL without asking again.
LIFE_S = 48 * 3600
RENEW_BEFORE_S = LIFE_S // 2
TTL_S = 300


@dataclass(frozen=True, slots=True)
class NameRecord:
    """The signed record and what it says. Units: unix seconds."""

    name: str
    value: str
    sequence: int
    expires_at: int
    record: bytes


def head_path(head: Head) -> str:
    """Return the path that the name of a store points to: the static shop where there is one, else the head.

    The path of the shop goes through the head, so that a follower of the name sees the signed head on the way.
    """
    return f"/ipfs/{head.cid}/site" if head.site is not None else f"/ipfs/{head.cid}"


class Naming:
    """Makes and keeps the record. Reads are plain calls; `point_to` is awaited and runs one at a time."""

    def __init__(self, db: Database, peer_private: bytes, clock: Callable[[], int]) -> None:
        self._db = db
        self._key = Ed25519PrivateKey.from_private_bytes(peer_private)
        self._clock = clock
        self._turn = asyncio.Lock()
        self.name = ipns.name_of(self._key.public_key().public_bytes_raw())

    def current(self) -> NameRecord | None:
        """The newest record; None before the first publish or once it has expired."""
        row = self._db.read(self._read)
        if row is None or row.expires_at <= self._clock():
            return None
        return NameRecord(row.name, row.value, row.sequence, row.expires_at, row.record)

    async def point_to(self, head: Head) -> NameRecord:
        """Return the record for this head: the one there is while it is fresh, else a new one, stored before it is
        returned.
        """
        async with self._turn:
            value, current = head_path(head), self.current()
            fresh = current is not None and current.expires_at - self._clock() > RENEW_BEFORE_S
            if current is not None and fresh and current.value == value:
                return current
            return await self._db.write(lambda connection: self._sign(connection, value, head.seq))

    def _sign(self, connection: Connection, value: str, at_least: int) -> NameRecord:
        """Only a new value takes a new sequence. A head's own sequence is known to the whole network, so a home that
        was restored from an old copy starts above what it published before it was lost.
        """
        last = self._read(connection)
        sequence = at_least if last is None else last.sequence
        if last is not None and last.value != value:
            sequence = max(last.sequence + 1, at_least)
        expires_at = self._clock() + LIFE_S
        signed = ipns.create(self._key, value, sequence, expires_at, TTL_S)
        fields = {"value": value, "sequence": sequence, "expires_at": expires_at, "record": signed}
        statement = insert(name_record).values(name=self.name, **fields)
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=fields))
        return NameRecord(self.name, value, sequence, expires_at, signed)

    def _read(self, connection: Connection) -> Row[Any] | None:
        return connection.execute(select(name_record).where(name_record.c.name == self.name)).first()
