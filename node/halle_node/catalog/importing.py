"""An import in three steps: plan every row, prepare the pictures, then write all of it in one transaction.

Rule: a dry run and the real one give the same verdicts, except for pictures, which a dry run does not fetch; a
picture that cannot be had is a warning, never a lost product; every import can be undone.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.blocks import BlockStore
from halle_node.catalog import drafts, stock
from halle_node.catalog.drafts import Draft
from halle_node.catalog.fetch import ImageFetcher
from halle_node.catalog.photos import PhotoStudio, store_photo
from halle_node.catalog.product import Photo, ProductForm
from halle_node.catalog.report import ImportReport, ImportRow
from halle_node.catalog.sheet import Sheet
from halle_node.catalog.shopify import PictureSource, PlannedProduct, ShopifyReader
from halle_node.catalog.stored import dump, product_form, product_text
from halle_node.db import Database
from halle_node.db.errors import translated
from halle_node.db.schema import catalog as tables
from halle_protocol.cid import CID
from halle_protocol.errors import HalleError, Refused
from halle_protocol.unixfs import read_file

BATCH = 400
PICTURES_AT_ONCE = 4
PROGRESS_EVERY_ROWS = 500
MAX_PICTURE_BYTES = 20 << 20
Progress = Callable[[int, int], None]


class Import:
    """One file on its way in. Use once."""

    def __init__(
        self,
        db: Database,
        blocks: BlockStore,
        studio: PhotoStudio,
        fetcher: ImageFetcher,
        *,
        currency: str,
        language: str,
        base_dir: Path | None,
    ) -> None:
        self._db = db
        self._blocks = blocks
        self._studio = studio
        self._fetcher = fetcher
        self._currency = currency
        self._language = language
        self._base_dir = base_dir.resolve() if base_dir else None
        self._rows: list[ImportRow] = []
        self._wanted: dict[str, tuple[int, str]] = {}
        self._photos: dict[str, Photo] = {}
        self._total = 0

    async def run(self, source: bytes | Path, *, dry_run: bool, progress: Progress | None, now: int) -> ImportReport:
        """The verdicts; without `dry_run` also the products.

        Raises: Refused("file-empty" | "file-unreadable" | "columns-missing" | "file-too-long").
        """
        loop = asyncio.get_running_loop()

        def tell(done: int) -> None:
            if progress is not None:
                loop.call_soon_threadsafe(progress, done, self._total)

        with translated(), tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as spool:
            sheet, reader = await asyncio.to_thread(self._plan, source, spool, tell)
            await self._pictures(reader.row_count, dry_run, progress)
            import_id = None
            if not dry_run:
                import_id = await self._db.write(lambda connection: self._apply(connection, spool, now))
        rows = tuple(sorted(self._rows, key=lambda row: row.line))
        totals = self._totals(reader.row_count)
        if import_id is not None:
            await self._db.write(lambda connection: _note_totals(connection, import_id, totals))
        return ImportReport(rows, totals, sheet.encoding, reader.dialect, import_id, dry_run)

    def _plan(self, source: bytes | Path, spool: IO[str], tell: Callable[[int], None]) -> tuple[Sheet, ShopifyReader]:
        sheet = Sheet(source)
        reader = ShopifyReader(sheet, self._currency, self._language)
        self._total = reader.survey()

        def tell_sometimes(done: int) -> None:
            if done % PROGRESS_EVERY_ROWS == 0 or done == self._total:
                tell(done)

        known = self._db.read(_handles)

        def existing(handle: str) -> ProductForm | None:
            return self._db.read(lambda connection: _live(connection, handle)) if handle in known else None

        for planned in reader.products(existing, tell_sometimes):
            if isinstance(planned, ImportRow):
                self._rows.append(planned)
                continue
            self._note(planned)
            spool.write(_spooled(planned) + "\n")
        return sheet, reader

    def _note(self, planned: PlannedProduct) -> None:
        verdict = "created" if planned.is_new else "updated"
        code = ""
        if planned.is_same and self._same_pictures(planned):
            verdict, code = "skipped", "unchanged"
        self._rows.append(ImportRow(planned.line, planned.form.handle, verdict, code))
        for one in planned.pictures or ():
            self._wanted.setdefault(one.source, (planned.line, planned.form.handle))

    def _same_pictures(self, planned: PlannedProduct) -> bool:
        if planned.pictures is None:
            return True
        from halle_node.catalog.exporting import source_of

        kept = self._db.read(lambda connection: drafts.photos_of(connection, planned.form.handle))
        language = planned.form.language
        return [(source_of(one), one.alt.get(language, "")) for one in kept] == [
            (one.source, one.alt) for one in planned.pictures
        ] and all(one.cid for one in kept)

    async def _pictures(self, done: int, dry_run: bool, progress: Progress | None) -> None:
        self._photos = self._db.read(_known_sources)
        missing = [source for source in self._wanted if source not in self._photos]
        self._total = done + len(missing)
        gate = asyncio.Semaphore(PICTURES_AT_ONCE)
        finished = done

        async def one(source: str) -> None:
            nonlocal finished
            async with gate:
                await self._picture(source, dry_run)
            finished += 1
            if progress is not None:
                progress(finished, self._total)

        for start in range(0, len(missing), 64):
            async with asyncio.TaskGroup() as tasks:
                for source in missing[start : start + 64]:
                    tasks.create_task(one(source))

    async def _picture(self, source: str, dry_run: bool) -> None:
        try:
            photo = await self._prepare(source, dry_run)
        except HalleError as exc:
            line, handle = self._wanted[source]
            self._rows.append(ImportRow(line, handle, "warning", exc.code, f"{exc.message} {exc.hint}".strip()))
            return
        if photo is not None:
            self._photos[source] = photo

    async def _prepare(self, source: str, dry_run: bool) -> Photo | None:
        if source.startswith("ipfs://"):
            return await self._from_store(source)
        is_remote = source.lower().startswith(("http://", "https://"))
        if is_remote and dry_run:
            return None
        path = None if is_remote else self._local_path(source)
        if dry_run:
            return None
        data = await self._fetcher.fetch(source) if path is None else await asyncio.to_thread(_read_picture, path)
        photo = await asyncio.to_thread(store_photo, self._blocks, await self._studio.prepare(data))
        return replace(photo, source=source if is_remote else "")

    async def _from_store(self, source: str) -> Photo:
        cid = CID.parse(source.removeprefix("ipfs://"))
        known = self._db.read(lambda connection: drafts.media_by_cid(connection, cid))
        if known is not None:
            return known
        data = await asyncio.to_thread(read_file, cid, self._blocks.get, max_bytes=MAX_PICTURE_BYTES)
        return await asyncio.to_thread(store_photo, self._blocks, await self._studio.prepare(data))

    def _local_path(self, source: str) -> Path:
        if self._base_dir is None:
            raise Refused(
                f"The picture {source[:120]} is a file, but no folder was given.",
                code="image-no-folder",
                hint="Import from the folder the pictures are in.",
            )
        path = (self._base_dir / source.replace("\\", "/")).resolve()
        if not path.is_relative_to(self._base_dir):
            raise Refused(
                f"The picture {source[:120]} lies outside the folder of the file.",
                code="image-path",
                hint="Put pictures beside the CSV file.",
            )
        if not path.is_file():
            raise Refused(
                f"There is no picture {source[:120]}.",
                code="image-missing",
                hint="Put it beside the CSV file.",
            )
        return path

    def _apply(self, connection: Connection, spool: IO[str], now: int) -> int:
        values = {"started_at": now, "totals": "{}"}
        made = insert(tables.import_run).values(values).returning(tables.import_run.c.id)
        import_id = int(connection.execute(made).scalar_one())
        spool.seek(0)
        batch: list[dict[str, Any]] = []
        for line in spool:
            batch.append(json.loads(line))
            if len(batch) >= BATCH:
                self._apply_batch(connection, import_id, batch, now)
                batch = []
        self._apply_batch(connection, import_id, batch, now)
        return import_id

    def _apply_batch(self, connection: Connection, import_id: int, batch: list[dict[str, Any]], now: int) -> None:
        if not batch:
            return
        changes = [
            {
                "import_id": import_id,
                "handle": one["handle"],
                "before": None if one["new"] else drafts.snapshot(connection, one["handle"]),
            }
            for one in batch
        ]
        connection.execute(insert(tables.import_change), changes)
        drafts.write_many(connection, [self._draft(connection, one) for one in batch], now)

    def _draft(self, connection: Connection, spooled: dict[str, Any]) -> Draft:
        form = product_form(spooled["form"])
        if spooled["pictures"] is None:
            return Draft(form, None)
        before = () if spooled["new"] else drafts.photos_of(connection, form.handle)
        alts = {(one.cid, one.source): one.alt for one in before}
        photos = []
        for source, alt in spooled["pictures"]:
            found = self._photos.get(source) or Photo(cid=None, source=source)
            texts = dict(alts.get((found.cid, found.source), {}))
            texts |= {form.language: alt} if alt else {}
            photos.append(replace(found, alt=texts))
        return Draft(form, tuple(photos))

    def _totals(self, lines: int) -> dict[str, int]:
        counts = Counter(row.verdict for row in self._rows)
        totals = {name: counts.get(name, 0) for name in ("created", "updated", "skipped", "warning", "error")}
        return totals | {
            "lines": lines,
            "products": totals["created"] + totals["updated"] + totals["skipped"],
            "images": sum(source in self._photos for source in self._wanted),
        }


def _spooled(planned: PlannedProduct) -> str:
    pictures = None if planned.pictures is None else [_pair(one) for one in planned.pictures]
    form = planned.form
    return dump({"handle": form.handle, "form": product_text(form), "pictures": pictures, "new": planned.is_new})


def _pair(one: PictureSource) -> list[str]:
    return [one.source, one.alt]


def _handles(connection: Connection) -> set[str]:
    return set(connection.execute(select(tables.product.c.handle)).scalars())


def _live(connection: Connection, handle: str) -> ProductForm | None:
    row = drafts.find(connection, handle)
    return None if row is None else drafts.live_form(row, stock.levels(connection, handle))


def _known_sources(connection: Connection) -> dict[str, Photo]:
    """Pictures fetched before, by the address they came from."""
    rows = connection.execute(
        select(tables.photo.c.source, tables.media)
        .join(tables.media, tables.photo.c.cid == tables.media.c.cid)
        .where(tables.photo.c.source != "")
    )
    return {
        row.source: Photo(
            cid=CID.from_bytes(row.cid),
            thumb=CID.from_bytes(row.thumb) if row.thumb else None,
            mime=row.mime,
            width=row.width,
            height=row.height,
            source=row.source,
        )
        for row in rows
    }


def _read_picture(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_PICTURE_BYTES + 1)


def _note_totals(connection: Connection, import_id: int, totals: dict[str, int]) -> None:
    connection.execute(update(tables.import_run).where(tables.import_run.c.id == import_id).values(totals=dump(totals)))


def undo(connection: Connection, import_id: int, now: int) -> int:
    """Put every product back as it was before an import; return how many.

    Raises: Refused("import-unknown" | "import-undone").
    """
    run = connection.execute(select(tables.import_run).where(tables.import_run.c.id == import_id)).first()
    if run is None:
        raise Refused(f"There is no import {import_id}.", code="import-unknown", hint="Look up the list of imports.")
    if run.undone_at is not None:
        raise Refused(f"Import {import_id} is undone already.", code="import-undone", hint="Import the file again.")
    count = 0
    for handle, before in _changes(connection, import_id):
        drafts.put_back(connection, handle, before, now)
        count += 1
    connection.execute(update(tables.import_run).where(tables.import_run.c.id == import_id).values(undone_at=now))
    return count


def _changes(connection: Connection, import_id: int) -> Iterator[tuple[str, str | None]]:
    change = tables.import_change
    rows = connection.execute(select(change.c.handle, change.c.before).where(change.c.import_id == import_id)).all()
    for row in rows:
        yield row.handle, row.before


def past_imports(connection: Connection) -> list[dict[str, Any]]:
    """Earlier imports, newest first. Shape: id, started_at, undone_at, totals."""
    rows = connection.execute(select(tables.import_run).order_by(tables.import_run.c.id.desc()).limit(50))
    return [
        {
            "id": row.id,
            "started_at": row.started_at,
            "undone_at": row.undone_at,
            "totals": json.loads(row.totals),
        }
        for row in rows
    ]
