"""Which chain a database belongs to.

Rule: rows about one chain are never mixed with another's, even when both give the same chain id: two
development chains differ in their first block.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from halle_node.chain.client import ChainClient
from halle_node.db import Database
from halle_node.db.schema.chain import chain_identity
from halle_protocol.errors import ConfigError


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
        await self._client.connect()
        chain_id, genesis_hash = self._client.chain_id, self._client.genesis_hash
        await self._db.write(lambda connection: _bind(connection, chain_id, genesis_hash))
        self._checked = True

    def doubt(self) -> None:
        """Compare again before the next use: what answers after an outage may be another chain."""
        self._checked = False


def _bind(connection: Connection, chain_id: int, genesis_hash: bytes) -> None:
    known = connection.execute(select(chain_identity)).first()
    if known is None:
        connection.execute(insert(chain_identity).values(chain_id=chain_id, genesis_hash=genesis_hash))
        return
    if (known.chain_id, known.genesis_hash) != (chain_id, genesis_hash):
        raise ConfigError(
            f"This home belongs to chain {known.chain_id} (first block 0x{known.genesis_hash.hex()[:12]}…); "
            f"the endpoint serves chain {chain_id} (first block 0x{genesis_hash.hex()[:12]}…).",
            code="wrong-chain",
            hint="Correct rpc_url, or use a home of its own for the other chain.",
        )
