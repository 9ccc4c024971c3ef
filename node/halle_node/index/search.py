"""Full-text search over admitted listings.

Rule: SQLite holds the truth; this index may be lost or damaged at any time and is then made again from it.
Words are compared in small letters without accents, so that “chemise bleue” finds “Chemise Bleue d'été”.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tantivy

from halle_protocol.errors import Unavailable

VERSION = "1"
FACETS = ("kind", "category", "store", "currency", "availability", "country", "vendor")
FACET_SIZE = 20
MAX_WORDS = 12
MAX_WORD_CHARS = 40
FUZZY_FROM_CHARS = 5
PREFIX_FROM_CHARS = 3
SORTS: Mapping[str, tuple[str, bool]] = {
    "price": ("price", False),
    "-price": ("price", True),
    "new": ("issued", True),
    "rating": ("rating", True),
}


@dataclass(frozen=True, slots=True)
class Found:
    """Row ids in order, how many there are in all, and the counts by facet."""

    ids: list[int]
    total: int
    facets: dict[str, list[tuple[str, int]]]


class IndexBroken(Unavailable):
    """The index cannot be used any more and has to be made again."""

    code = "search-broken"


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("id", stored=False, indexed=True, fast=True)
    builder.add_text_field("title", tokenizer_name="words", index_option="position")
    builder.add_text_field("text", tokenizer_name="words", index_option="freq")
    builder.add_text_field("stem_en", tokenizer_name="stem_en", index_option="freq")
    builder.add_text_field("stem_fr", tokenizer_name="stem_fr", index_option="freq")
    for name in FACETS:
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic", fast=True)
    for name in ("price", "issued", "rating"):
        builder.add_unsigned_field(name, stored=False, indexed=True, fast=True)
    return builder.build()


def _analyzer(language: str | None) -> Any:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    builder = builder.filter(tantivy.Filter.remove_long(MAX_WORD_CHARS)).filter(tantivy.Filter.lowercase())
    if language:
        builder = builder.filter(tantivy.Filter.stemmer(language))
    return builder.filter(tantivy.Filter.ascii_fold()).build()


class SearchIndex:
    """One writer, many readers, in a folder of its own. Every method may be called from any thread."""

    def __init__(self, folder: Path, heap_mb: int) -> None:
        self._folder = folder / f"v{VERSION}"
        self._heap_bytes = heap_mb << 20
        self._lock = threading.Lock()
        self._analyzers = {
            "words": _analyzer(None),
            "stem_en": _analyzer("English"),
            "stem_fr": _analyzer("French"),
        }
        self._schema = _schema()
        self._index: Any = None
        self._writer: Any = None

    def open(self) -> None:
        """Open the index, or make an empty one.

        Raises: IndexBroken when what is there cannot be read.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._index = tantivy.Index(self._schema, path=str(self._folder), reuse=True)
            for name, analyzer in self._analyzers.items():
                self._index.register_tokenizer(name, analyzer)
            self._writer = self._index.writer(self._heap_bytes, 1)
            self._index.reload()
        except (ValueError, OSError) as exc:
            raise IndexBroken("The search index cannot be opened.", hint="It is made again by itself.") from exc

    def wipe(self) -> None:
        """Throw everything away and begin empty."""
        with self._lock:
            self._writer = self._index = None
            shutil.rmtree(self._folder, ignore_errors=True)
        self.open()

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            self._writer = self._index = None

    def count(self) -> int:
        """How many listings can be found."""
        return int(self._index.searcher().num_docs)

    def apply(self, rows: Sequence[Mapping[str, Any]], gone: Sequence[int]) -> None:
        """Make rows findable and others not, in one commit.

        Raises: IndexBroken.
        """
        with self._lock:
            try:
                stale = [*gone, *(row["id"] for row in rows)]
                # Deleting by term takes the number for a signed one and deletes nothing.
                self._writer.delete_documents_by_query(tantivy.Query.term_set_query(self._schema, "id", stale))
                for row in rows:
                    # Without the schema, numbers become signed ones and kill the writer's thread later.
                    self._writer.add_document(tantivy.Document.from_dict(dict(row), self._schema))
                self._writer.commit()
                self._index.reload()
            except (ValueError, OSError, AttributeError, RuntimeError) as exc:
                raise IndexBroken("The search index cannot be written.", hint="It is made again.") from exc

    def find(
        self,
        text: str,
        facets: Mapping[str, Sequence[str]],
        sort: str,
        offset: int,
        limit: int,
        *,
        count_facets: bool = True,
    ) -> Found:
        """The listings that match all words, else the ones that nearly do.

        Raises: IndexBroken.
        """
        words = self._words(text)
        try:
            searcher = self._index.searcher()
            found = self._run(searcher, self._query(words, facets, lenient=False), sort, offset, limit)
            query = self._query(words, facets, lenient=False)
            if not found[1] and words:
                query = self._query(words, facets, lenient=True)
                found = self._run(searcher, query, sort, offset, limit)
            counts = self._facets(searcher, query) if count_facets and found[1] else {}
        except (ValueError, OSError, AttributeError, RuntimeError) as exc:
            raise IndexBroken("The search index cannot be read.", hint="It is made again by itself.") from exc
        return Found(*found, counts)

    def _words(self, text: str) -> list[str]:
        return list(dict.fromkeys(self._analyzers["words"].analyze(text[:400])))[:MAX_WORDS]

    def _query(self, words: Sequence[str], facets: Mapping[str, Sequence[str]], *, lenient: bool) -> Any:
        must = tantivy.Occur.Must
        parts = [(must, self._word(word, lenient=lenient)) for word in words]
        for name, values in facets.items():
            if name in FACETS and values:
                chosen = tantivy.Query.term_set_query(self._schema, name, [str(value) for value in values])
                parts.append((must, tantivy.Query.const_score_query(chosen, 0.0)))
        return tantivy.Query.boolean_query(parts) if parts else tantivy.Query.all_query()

    def _word(self, word: str, *, lenient: bool) -> Any:
        query, should = tantivy.Query, tantivy.Occur.Should
        choices = [
            query.boost_query(query.term_query(self._schema, "title", word, "freq"), 4.0),
            query.term_query(self._schema, "text", word, "freq"),
        ]
        for name in ("stem_en", "stem_fr"):
            for stem in self._analyzers[name].analyze(word):
                choices.append(query.term_query(self._schema, name, stem, "freq"))
        if lenient and len(word) >= PREFIX_FROM_CHARS:
            distance = 1 if len(word) >= FUZZY_FROM_CHARS else 0
            choices.append(
                query.boost_query(query.fuzzy_term_query(self._schema, "title", word, distance, prefix=True), 0.5)
            )
            if distance:
                choices.append(query.boost_query(query.fuzzy_term_query(self._schema, "text", word, 1), 0.2))
        return query.boolean_query([(should, choice) for choice in choices])

    def _run(self, searcher: Any, query: Any, sort: str, offset: int, limit: int) -> tuple[list[int], int]:
        if sort in SORTS:
            field, descending = SORTS[sort]
            order = tantivy.Order.Desc if descending else tantivy.Order.Asc
            result = searcher.search(query, limit, True, field, offset, order)
        else:
            result = searcher.search(query, limit, True, None, offset)
        places = [place for _, place in result.hits]
        return (searcher.fast_field_values("id", places) if places else []), int(result.count)

    def _facets(self, searcher: Any, query: Any) -> dict[str, list[tuple[str, int]]]:
        wanted = {name: {"terms": {"field": name, "size": FACET_SIZE}} for name in FACETS}
        answer = searcher.aggregate(query, wanted)
        return {
            name: [(bucket["key"], int(bucket["doc_count"])) for bucket in answer[name]["buckets"] if bucket["key"]]
            for name in FACETS
        }
