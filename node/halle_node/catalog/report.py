"""What an import did or would do, row by row, and what a publish changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from halle_protocol.cid import CID
from halle_protocol.head import Head


@dataclass(frozen=True, slots=True)
class ImportRow:
    """The verdict on one product or one bad line. verdict: created | updated | skipped | error | warning."""

    line: int
    handle: str
    verdict: str
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """All verdicts of one import. `import_id` is None for a dry run.

    Shape: `totals` counts rows by verdict, and `lines` of the file, `products` and `images`.
    """

    rows: tuple[ImportRow, ...]
    totals: Mapping[str, int]
    encoding: str
    dialect: str
    import_id: int | None = None
    dry_run: bool = True

    @property
    def ok(self) -> bool:
        """True when nothing in the file had to be left out."""
        return not self.totals.get("error", 0)


@dataclass(frozen=True, slots=True)
class Published:
    """The outcome of a publish; `announcement` is the frame to gossip, `changed` the catalog keys."""

    head: Head
    catalog_root: CID
    changed: tuple[str, ...] = ()
    announcement: bytes = b""
    is_new: bool = True
    removed: tuple[str, ...] = field(default_factory=tuple)
