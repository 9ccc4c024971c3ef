"""How much of other people's content fits beside our own: one pure rule.

Our own content is always stored. Documents of others (catalogs, listings) may take half of the cap at most and are
refused past that, because the market is shown from them; their pictures take what is left, and the ones that were not
looked at for longest make room for new ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from halle_protocol.cid import CID, DAG_PB, RAW
from halle_protocol.errors import Unavailable

OWN, DOCUMENT, MEDIA = 0, 1, 2
"""What a block is; when the same bytes come twice, the lower number holds."""


def kind_of(cid: CID, *, foreign: bool) -> int:
    """Return what a block is."""
    if not foreign:
        return OWN
    return MEDIA if cid.codec in (RAW, DAG_PB) else DOCUMENT


@dataclass(frozen=True)
class Room:
    """A cap and what is stored. Units: bytes; cap 0 is none."""

    cap: int
    own: int
    documents: int
    media: int

    @property
    def total(self) -> int:
        """All that is stored."""
        return self.own + self.documents + self.media

    @property
    def for_documents(self) -> int:
        """How much the documents of others may take in all."""
        return max(0, min(self.cap // 2, self.cap - self.own))

    def to_free(self, *, own: int = 0, documents: int = 0, media: int = 0) -> int:
        """Return how many bytes of others' media must go before so much more is stored.

        Raises: Unavailable cache-full when content of others does not fit.
        """
        if not self.cap:
            return 0
        if documents and self.documents + documents > self.for_documents:
            raise self._full("documents")
        left = self.cap - self.own - own - self.documents - documents
        if media > max(0, left):
            raise self._full("pictures")
        return max(0, self.media + media - max(0, left))

    def _full(self, what: str) -> Unavailable:
        return Unavailable(
            f"There is no room for other people's {what}: {self.total >> 20} of {self.cap >> 20} MB are used.",
            code="cache-full",
            hint="Raise disk_mb, or free some with: halle gc --apply",
        )
