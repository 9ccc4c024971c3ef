"""Who has money at stake: stores with a bond in the warranty contract, as the watched events say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, select

from halle_node.db.schema.chain import chain_event

WORD = 32
MIN_UNITS = 10
SIGNS = {"Deposited": 1, "BondWithdrawn": -1}


def bonded(connection: Connection, tokens: Mapping[bytes, int]) -> set[bytes]:
    """The accounts whose bond is at least ten whole units of a token that this node knows.

    Shape: `tokens` address → decimals. A token that anybody made up costs nothing, so others do not count. What a bond
    has paid out is not subtracted: a store that had to pay is not cheaper to make than one that did not.
    """
    query = select(chain_event.c.name, chain_event.c.topics, chain_event.c.data).where(
        chain_event.c.contract == "Warranty", chain_event.c.name.in_(SIGNS)
    )
    held: Counter[tuple[bytes, bytes]] = Counter()
    for row in connection.execute(query):
        account, token = (row.topics[n * WORD : (n + 1) * WORD][-20:] for n in (1, 2))
        held[account, token] += SIGNS[row.name] * int.from_bytes(row.data[:WORD], "big")
    return {
        account
        for (account, token), amount in held.items()
        if token in tokens and amount >= MIN_UNITS * 10 ** tokens[token]
    }
