"""The search index of a shop without a server: small JSON files that the visitor's browser reads and searches.

Words are folded the same way here and in static/site.js: small letters, no accents, œ and æ in two letters.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from halle_protocol.documents import Listing

from ..markup import plain_text

MAX_WORDS = 48
# Up to this many listings lie in one file; a larger shop has a fixed number, of which a change touches one.
ONE_FILE = 1_000
FILES = 16
LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l"})
# Words that tell no product from another; neither indexed nor asked for.
STOP_WORDS = (
    "a an and at by for from in is it of on or the to with au aux avec ce ces d dans de des du elle en est et il l la "
    "le les ou par pour qu que qui s sa se ses son sur un une"
)
_STOP = frozenset(STOP_WORDS.split())
_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """The text as it is compared."""
    plain = unicodedata.normalize("NFD", text.lower())
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).translate(LETTERS)


def words_of(listing: Listing, lang: str) -> str:
    """The words a listing is found by, each once, those of the title first."""
    texts = [
        listing.title.get(lang),
        listing.vendor,
        listing.product_type,
        *listing.tags,
        *(category.value for category in listing.categories),
        *(value for variant in listing.variants for value in variant.options.values()),
        *listing.attributes.values(),
        *(variant.sku for variant in listing.variants),
        plain_text(listing.description.get(lang))[:2_000] if listing.description else "",
    ]
    return " ".join(_distinct(texts))


def _distinct(texts: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(fold(text)):
            if word not in _STOP:
                found[word] = None
                if len(found) >= MAX_WORDS:
                    return list(found)
    return list(found)


def file_count(listings: int) -> int:
    return 1 if listings <= ONE_FILE else FILES


def file_of(handle: str, count: int) -> int:
    """In which of the index's files a listing is."""
    return hashlib.sha256(handle.encode()).digest()[1] % count
