"""Which reviews count: each is judged once the order that it names can be looked up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select, update

from halle_node.db import Database
from halle_node.db.schema import index as tables
from halle_node.index import writing
from halle_node.index.reading import Shelf
from halle_protocol.documents import Review, parse_body

VerifyReview = Callable[[Review, bytes], bool]


class ReviewJudging:
    """Asks `judge(review, author)` about reviews that are not verified yet."""

    def __init__(self, db: Database, shelf: Shelf, judge: VerifyReview | None) -> None:
        self._db = db
        self._shelf = shelf
        self.judge = judge

    async def run(self) -> int:
        """Return how many reviews are verified now that were not before."""
        judge = self.judge
        if judge is None:
            return 0
        review = tables.review
        query = select(review.c.author, review.c.key).where(~review.c.verified)
        rows = await self._db.read_async(lambda connection: connection.execute(query).all())
        good = [(row.author, row.key) for row in rows if self._is_verified(judge, row.author, row.key)]
        if good:
            await self._db.write(lambda connection: _note_verified(connection, good))
        return len(good)

    def _is_verified(self, judge: VerifyReview, author: bytes, key: str) -> bool:
        doc = self._db.read(lambda connection: self._shelf.document(connection, author, key))
        body = None if doc is None else parse_body(doc)
        return isinstance(body, Review) and judge(body, author)


def _note_verified(connection: Connection, good: Sequence[tuple[bytes, str]]) -> None:
    review = tables.review
    places = set()
    for author, key in good:
        here = (review.c.author == author) & (review.c.key == key)
        connection.execute(update(review).where(here).values(verified=True))
        row = connection.execute(select(review.c.store, review.c.handle).where(here)).one()
        places.add((row.store, row.handle))
    writing.refresh_ratings(connection, places)
