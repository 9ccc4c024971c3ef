"""The static shop: a folder of files made from the catalog alone, kept as UnixFS and named in the head.

The node knows no pages. Whoever puts a node together may hand it a renderer; this room asks it for files, has only
those made whose source changed, and builds the folder's tree around the rest.

Rule: the same catalog and the same renderer make the same root, on every machine. What changes without the catalog
(reviews of others, stock counts, the clock) is not in it.
Spec: docs/spec/07-head.md, section Site.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from halle_node.blocks import BlockStore
from halle_node.db.schema.catalog import site_file
from halle_protocol import unixfs
from halle_protocol.cid import CID, RAW
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.unixfs import build_directory, build_file

log = logging.getLogger(__name__)

BATCH_BYTES = 4 * 1024 * 1024
MARK = "shop.json"
MAX_PICTURE_BYTES = 64 * 1024 * 1024

Get = Callable[[CID], bytes]


@dataclass(frozen=True, slots=True)
class SiteFile:
    """One file. `source` is a hash of all that it shows; `make` is its bytes, or the CID of a file stored already."""

    path: str
    source: bytes
    make: Callable[[], bytes | CID]


class SiteRenderer(Protocol):
    """What makes pages of a catalog. `version` changes with everything but the catalog that pages depend on."""

    version: str

    def files(self, catalog: CID, get: Get, base_url: str = "") -> Iterator[SiteFile]:
        """Yield every file of the shop; with `base_url` its addresses are absolute where the web wants them so."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A file as it is stored. Units: `tsize` in bytes of all its blocks."""

    source: bytes
    cid: CID
    tsize: int


@dataclass
class SitePlan:
    """A site whose blocks are stored, and what its table rows will be."""

    root: CID
    made: dict[str, Kept] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


def build_site(connection: Connection, blocks: BlockStore, renderer: SiteRenderer, catalog: CID) -> SitePlan:
    """Store every block of the site and return its root. Blocking; runs on a read connection.

    Raises: LocalProtocolError "unixfs-directory-too-large"; Unavailable "disk-full"; what the renderer raises.
    """
    known = _known(connection)
    lost = set(blocks.missing(kept.cid for kept in known.values()))
    files: dict[str, Kept] = {}
    made: dict[str, Kept] = {}
    waiting: dict[CID, bytes] = {}
    size = 0
    for file in renderer.files(catalog, blocks.get):
        kept = known.get(file.path)
        if kept is None or kept.source != file.source or kept.cid in lost:
            kept = _make(file, blocks, waiting)
            if kept is None:
                continue
            made[file.path] = kept
            size += kept.tsize
        files[file.path] = kept
        if size >= BATCH_BYTES:
            blocks.put_many(list(waiting.items()))
            waiting, size = {}, 0
    root, folders = _tree(files)
    waiting |= {cid: folders[cid] for cid in blocks.missing(folders)}
    blocks.put_many(list(waiting.items()))
    return SitePlan(root, made, [path for path in known if path not in files])


def _make(file: SiteFile, blocks: BlockStore, waiting: dict[CID, bytes]) -> Kept | None:
    try:
        content = file.make()
        if isinstance(content, CID):
            return Kept(file.source, content, _tsize(content, blocks))
    except Unavailable as error:  # a picture that is not here must not keep the shop from being published
        log.info("%s is left out of the static shop: %s", file.path, error)
        return None
    built = build_file(content)
    waiting.update(built.blocks)
    return Kept(file.source, built.root, built.tsize)


def _tsize(cid: CID, blocks: BlockStore) -> int:
    block = blocks.get(cid)
    if cid.codec == RAW:
        return len(block)
    return len(block) + sum(link.tsize for link in unixfs.decode_node(block)[0])


def _tree(files: Mapping[str, Kept]) -> tuple[CID, dict[CID, bytes]]:
    """Return the root of the folder with these files, and the blocks of all folders in it."""
    folders: dict[str, dict[str, tuple[CID, int]]] = {"": {}}
    for path, kept in files.items():
        folder, _, name = path.rpartition("/")
        while folder not in folders:
            folders[folder] = {}
            folder = folder.rpartition("/")[0]
        folders[path.rpartition("/")[0]][name] = (kept.cid, kept.tsize)
    blocks: dict[CID, bytes] = {}
    # The deepest first: a folder is built when all that is in it is.
    for path in sorted(folders, key=lambda one: -one.count("/") if one else 1):
        built = build_directory(folders[path])
        blocks.update(built.blocks)
        if path:
            parent, _, name = path.rpartition("/")
            folders[parent][name] = (built.root, built.tsize)
    return built.root, blocks


def commit_site(connection: Connection, plan: SitePlan) -> None:
    """Note what was made, in the caller's transaction."""
    if plan.gone:
        connection.execute(delete(site_file).where(site_file.c.path.in_(plan.gone)))
    if not plan.made:
        return
    rows = [
        {"path": path, "source": one.source, "cid": bytes(one.cid), "tsize": one.tsize}
        for path, one in plan.made.items()
    ]
    statement = insert(site_file)
    changed = {name: statement.excluded[name] for name in ("source", "cid", "tsize")}
    connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=changed), rows)


def _known(connection: Connection) -> dict[str, Kept]:
    rows = connection.execute(select(site_file))
    return {row.path: Kept(row.source, CID.from_bytes(row.cid), row.tsize) for row in rows}


def export_site(
    folder: Path, blocks: BlockStore, renderer: SiteRenderer, catalog: CID, base_url: str = ""
) -> dict[str, Any]:
    """Write the site to a folder and take away what an earlier export left there. Shape: files, bytes, removed.

    Raises: Refused "folder-not-empty" for a folder with anything else in it; Unavailable "disk-full".
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise Refused(
            f"{folder} holds other files.",
            code="folder-not-empty",
            hint="Choose an empty folder, or one that holds an earlier export of this shop.",
        )
    written: set[Path] = set()
    tops: set[str] = set()
    size = 0
    for file in renderer.files(catalog, blocks.get, base_url):
        try:
            content = file.make()
            if isinstance(content, CID):
                content = unixfs.read_file(content, blocks.get, max_bytes=MAX_PICTURE_BYTES)
        except Unavailable as error:
            log.info("%s is left out of the export: %s", file.path, error)
            continue
        path = folder / file.path
        _write(path, content)
        written.add(path)
        tops.add(file.path.partition("/")[0])
        size += len(content)
    old = [path for top in tops for path in (folder / top).rglob("*") if path.is_file() and path not in written]
    for path in old:
        path.unlink()
    return {"folder": str(folder), "files": len(written), "bytes": size, "removed": len(old)}


def _write(path: Path, content: bytes) -> None:
    """Leave a file alone that is the same already, so that copying the folder on sends only what changed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
    except OSError as exc:
        raise Unavailable(
            f"{path} cannot be written: {exc.strerror}.", code="disk-full" if exc.errno == 28 else "file-unwritable"
        ) from exc
