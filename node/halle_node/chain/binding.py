"""Which chain a database belongs to.

Rule: rows about one chain are never mixed with another's, even when both give the same chain id: two
development chains differ in their first block.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from halle_node.chain.client import ChainClient
from halle_node.db import Database
from halle_node.db.schema.chain import chain_identity


class ChainBinding:
    """Connects a client, and lets it be used with this database only if the chain is the one it knows."""

    def __init__(self, db: Database, client: ChainClient) -> None:
        self._db = db
        self._client = client
        self._checked = False

    async def ensure(self) -> None:
        """Connect and compare, unless that succeeded since the last `doubt`.

        Raises: Unavailable while the endpoint is down; ConfigError wrong-chain.
        """
        if self._checked:
            return
        stored = await self._db.read_async(_stored)
        if stored is not None:
            # Of several endpoints, only those of this chain are used.
            self._client.endpoints.identity.check(*stored, "This home")
        await self._client.connect()
        chain_id, genesis_hash = self._client.chain_id, self._client.genesis_hash
        await self._db.write(lambda connection: _bind(connection, chain_id, genesis_hash))
        self._checked = True

    def doubt(self) -> None:
        """Compare again before the next use: what answers after an outage may be another chain."""
        self._checked = False


def _stored(connection: Connection) -> tuple[int, bytes] | None:
    known = connection.execute(select(chain_identity)).first()
    return None if known is None else (known.chain_id, known.genesis_hash)


def _bind(connection: Connection, chain_id: int, genesis_hash: bytes) -> None:
    if _stored(connection) is None:
        connection.execute(insert(chain_identity).values(chain_id=chain_id, genesis_hash=genesis_hash))
