"""Keeps the full-text index true to the database: what is due is put in, what is damaged is made again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from halle_node.db import Database
from halle_node.db.schema import index as tables
from halle_node.index import writing
from halle_node.index.search import Found, IndexBroken, SearchIndex

log = logging.getLogger(__name__)

BATCH = 2_000
STEMMED_CHARS = 240


class Searchable:
    """What can be found of the listings in the database."""

    def __init__(self, db: Database, index: SearchIndex) -> None:
        self._db = db
        self.index = index
        self._lock = asyncio.Lock()

    def open(self) -> None:
        """Open the index; begin it anew when it is damaged or does not match the database."""
        try:
            self.index.open()
            least, due = self._db.read(_searchable_count)
            # What is due may be in it already, or still as it was before: the next commit puts that right.
            if least <= self.index.count() <= least + due:
                return
            log.info("The search index does not match the database; making it again.")
        except IndexBroken:
            log.info("The search index cannot be opened; making it again.")
        self.index.wipe()
        self._db.write_blocking(writing.mark_all_unsearchable)

    async def close(self) -> None:
        """Let go of the files, after the commit under way."""
        async with self._lock:
            self.index.close()

    async def commit(self) -> int:
        """Make every listing that is due findable; return how many changed."""
        async with self._lock:
            total = 0
            while count := await self._commit_batch():
                total += count
            return total

    async def _commit_batch(self) -> int:
        rows, gone = await self._db.read_async(_due_rows)
        if not rows and not gone:
            return 0
        try:
            await asyncio.to_thread(self.index.apply, [_search_row(row) for row in rows], gone)
        except IndexBroken:
            log.info("The search index is damaged; making it again.")
            await asyncio.to_thread(self.index.wipe)
            await self._db.write(writing.mark_all_unsearchable)
            return 1
        done = [(row["id"], row["cid"]) for row in rows]
        await self._db.write(lambda connection: writing.note_searchable(connection, done, gone))
        return len(done) + len(gone)

    def find(
        self,
        text: str,
        facets: Mapping[str, Sequence[str]],
        sort: str,
        offset: int,
        limit: int,
        *,
        count_facets: bool,
    ) -> Found:
        """As `SearchIndex.find`; nothing while the index is broken."""
        try:
            return self.index.find(text, facets, sort, offset, limit, count_facets=count_facets)
        except IndexBroken:
            return Found([], 0, {})  # the next commit finds it broken too, and makes it again


def _searchable_count(connection: Connection) -> tuple[int, int]:
    """How many listings the search index has for certain, and how many it is to add, change or drop."""
    listing = tables.listing
    total, pending, gone = (
        connection.execute(query).scalar_one()
        for query in (
            select(func.count()).select_from(listing),
            select(func.count()).select_from(listing).where(listing.c.searchable.is_(False)),
            select(func.count()).select_from(tables.unlisted),
        )
    )
    return total - pending, pending + gone


def _due_rows(connection: Connection) -> tuple[list[dict[str, Any]], list[int]]:
    listing = tables.listing
    query = select(listing).where(listing.c.searchable.is_(False)).order_by(listing.c.id).limit(BATCH)
    rows = [dict(row._mapping) for row in connection.execute(query)]
    gone = list(connection.execute(select(tables.unlisted.c.id).limit(BATCH)).scalars())
    return rows, gone


def _search_row(row: Mapping[str, Any]) -> dict[str, Any]:
    # Two stemmers over everything would cost more than all other fields together.
    short = row["words"][:STEMMED_CHARS]
    is_french = '"fr' in row["texts"]
    return {
        "id": row["id"],
        "title": row["title"],
        "text": row["words"],
        "stem_en": "" if is_french and '"en' not in row["texts"] else short,
        "stem_fr": short if is_french else "",
        "kind": row["kind"],
        "category": row["category"],
        "store": row["store"].hex(),
        "currency": row["currency"],
        "availability": row["availability"],
        "country": row["country"],
        "vendor": row["vendor"],
        "price": max(row["price_minor"], 0),
        "issued": max(row["issued"], 0),
        "rating": row["rating_tenths"] or 0,
    }
