"""Whether a review's author bought what they praise: asked of the chain's events, the same for every reader."""

from __future__ import annotations

from halle_node.chain.chain import Chain
from halle_node.db import Database
from halle_node.trade.folding import chain_facts
from halle_protocol.documents import Review
from halle_protocol.review import is_verified


class ReviewJudge:
    """Called with a review and the store that published it."""

    def __init__(self, db: Database, chain: Chain) -> None:
        self._db = db
        self._chain = chain

    def __call__(self, review: Review, author: bytes) -> bool:
        """Return whether the chain shows a closed order of this author's with that merchant; False while unknown."""
        client = self._chain.client
        if not client.is_connected:
            return False
        facts = self._db.read(lambda connection: chain_facts(connection, review.order_id))
        return is_verified(review, author, facts, chain_id=client.chain_id, escrow=self._chain.contracts.escrow)
