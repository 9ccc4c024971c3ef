"""Everything a shopkeeper does with the catalog, as one object. Reads are plain calls; what writes is awaited."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace as altered
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from halle_node.blocks import BlockStore
from halle_node.catalog import adopting, drafts, exporting, importing, settings, stock
from halle_node.catalog.checking import complete
from halle_node.catalog.compose import review_body
from halle_node.catalog.drafts import Draft
from halle_node.catalog.fetch import ImageFetcher
from halle_node.catalog.keeping import kept_media
from halle_node.catalog.own_reviews import review_key
from halle_node.catalog.photos import PhotoStudio, store_photo
from halle_node.catalog.product import Photo, ProductDetail, ProductForm, ProductSummary, StockLevel
from halle_node.catalog.profile import ProfileForm, ReviewForm, ShippingForm, check_mailboxes
from halle_node.catalog.publish import Publisher, last_head
from halle_node.catalog.report import ImportReport, Published
from halle_node.catalog.site import SiteRenderer, export_site
from halle_node.catalog.stored import review_text
from halle_node.catalog.text import tidy, tidy_line
from halle_node.config import Config
from halle_node.db import Database
from halle_node.db.schema import catalog as tables
from halle_node.keys import Keys
from halle_protocol.cid import CID
from halle_protocol.errors import Refused

PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
MAX_PHOTOS = 50


class CatalogService:
    """This store's own products, profile, delivery zones, imports and publishing."""

    def __init__(
        self,
        config: Config,
        db: Database,
        blocks: BlockStore,
        keys: Keys,
        clock: Callable[[], int],
        *,
        fetcher: ImageFetcher | None = None,
        renderer: SiteRenderer | None = None,
    ) -> None:
        self._config = config
        self._renderer = renderer
        self._db = db
        self._blocks = blocks
        self._keys = keys
        self._clock = clock
        max_bytes = config.image_max_mb << 20
        self._studio = PhotoStudio(max_file_bytes=max_bytes)
        self._fetcher = fetcher or ImageFetcher(max_bytes=max_bytes, timeout_s=config.image_fetch_s)
        self._publisher = Publisher(config, blocks, keys, clock, renderer)
        self._publishing = asyncio.Lock()
        self._importing = asyncio.Lock()
        self._subscribers: list[Callable[[Published], Awaitable[None]]] = []
        self._looks_for_edition: Callable[[], bool] = lambda: False

    def note_restored(self, at: int, is_looking: Callable[[], bool]) -> None:
        """Publish as a store that was restored `at`: nothing before it knows what the network has of it."""
        self._publisher.restored_at, self._looks_for_edition = at, is_looking

    def subscribe(self, callback: Callable[[Published], Awaitable[None]]) -> None:
        """Await `callback(published)` after every publish that made a new head."""
        self._subscribers.append(callback)

    async def close(self) -> None:
        """End the picture process and all connections."""
        await self._studio.close()
        await self._fetcher.close()

    # --- products

    def products(
        self,
        query: str = "",
        page: int = 1,
        *,
        page_size: int = PAGE_SIZE,
        status: str | None = None,
        removed: bool = False,
    ) -> list[ProductSummary]:
        """One page of the product list, newest change first; pages count from 1."""
        limit = max(1, min(page_size, MAX_PAGE_SIZE))
        offset = max(page - 1, 0) * limit
        return self._db.read(
            lambda connection: drafts.summaries(connection, query, offset, limit, status=status, removed=removed)
        )

    def product_count(self, query: str = "", *, status: str | None = None, removed: bool = False) -> int:
        """How many products the list has."""
        return self._db.read(lambda connection: drafts.count(connection, query, status, removed))

    def product(self, handle: str) -> ProductDetail:
        """One product.

        Raises: Refused("product-unknown").
        """
        return self._db.read(lambda connection: drafts.detail(connection, handle))

    async def save_product(self, form: ProductForm) -> str:
        """Keep a product as a draft; it is public after the next publish. Return its handle.

        Raises: Refused("product-invalid" | "handle-invalid").
        """
        tidied = complete(form, self.profile().language)
        await self._db.write(lambda connection: drafts.write_many(connection, [Draft(tidied)], self._clock()))
        return tidied.handle

    async def remove_product(self, handle: str) -> None:
        """Take a product out of the shop; `restore` brings it back.

        Raises: Refused("product-unknown").
        """
        now = self._clock()
        await self._db.write(lambda connection: drafts.set_removed(connection, handle, now, now))

    async def restore(self, handle: str) -> None:
        """Undo a removal.

        Raises: Refused("product-unknown").
        """
        await self._db.write(lambda connection: drafts.set_removed(connection, handle, None, self._clock()))

    # --- pictures

    async def add_photo(self, handle: str, filename: str, data: bytes, alt: str | Mapping[str, str] = "") -> Photo:
        """Add a picture at the end of a product's pictures.

        Raises: Refused("product-unknown" | "image-too-large" | "image-format" | "image-damaged" | "photos-too-many").
        """
        language = self.product(handle).form.language
        texts = (
            {language: tidy_line(alt)} if isinstance(alt, str) else {key: tidy_line(one) for key, one in alt.items()}
        )
        prepared = await self._studio.prepare(data)
        stored = await asyncio.to_thread(store_photo, self._blocks, prepared)
        photo = altered(stored, alt={key: text for key, text in texts.items() if text})
        await self._db.write(lambda connection: self._append_photo(connection, handle, photo, filename))
        return photo

    async def clean_photo(self, data: bytes) -> bytes:
        """Return a picture made anew from what `data` shows, without what else was in the file.

        Raises: Refused("image-too-large" | "image-format" | "image-damaged").
        """
        return (await self._studio.prepare(data)).full

    def _append_photo(self, connection: Connection, handle: str, photo: Photo, filename: str) -> None:
        drafts.need(connection, handle)
        photos = [one for one in drafts.photos_of(connection, handle) if one.cid != photo.cid]
        if len(photos) >= MAX_PHOTOS:
            raise Refused(
                f"{filename[:80]} would be picture {len(photos) + 1}.",
                code="photos-too-many",
                hint=f"A product has at most {MAX_PHOTOS} pictures; remove one first.",
            )
        drafts.replace_photos(connection, {handle: [*photos, photo]})
        drafts.touch(connection, handle, self._clock())

    async def arrange_photos(self, handle: str, cids: list[CID]) -> tuple[Photo, ...]:
        """Keep exactly these of the product's pictures, in this order."""

        def rearrange(connection: Connection) -> tuple[Photo, ...]:
            drafts.need(connection, handle)
            known = {one.cid: one for one in drafts.photos_of(connection, handle)}
            kept = tuple(known[cid] for cid in dict.fromkeys(cids) if cid in known)
            drafts.replace_photos(connection, {handle: kept})
            drafts.touch(connection, handle, self._clock())
            return kept

        return await self._db.write(rearrange)

    async def remove_photo(self, handle: str, cid: CID) -> None:
        """Take one picture off a product; its bytes go with the next clean-up of blocks."""
        kept = [one.cid for one in self.product(handle).photos if one.cid is not None and one.cid != cid]
        await self.arrange_photos(handle, kept)

    # --- stock

    def stock(self, handle: str | None = None) -> list[StockLevel]:
        """The shelf of one product, or of the whole store."""
        return self._db.read(lambda connection: stock.levels(connection, handle))

    def low_stock(self) -> list[StockLevel]:
        """Tracked variants that are nearly sold out."""
        return self._db.read(lambda connection: stock.low(connection, self._config.low_stock))

    async def set_stock(self, handle: str, sku: str, on_hand: int) -> StockLevel:
        """Count the shelf anew.

        Raises: Refused("stock-unknown" | "stock-negative" | "stock-below-promised").
        """
        return await self._db.write(lambda connection: stock.set_on_hand(connection, handle, sku, on_hand))

    # --- the store itself

    def profile(self) -> ProfileForm:
        """What the merchant says of the store."""
        return self._db.read(lambda connection: settings.read_profile(connection, self._config))

    async def save_profile(self, form: ProfileForm) -> None:
        """Keep what the merchant says of the store."""
        if not tidy_line(form.name):
            raise Refused("The store has no name.", code="profile-invalid", hint="Give it a name.")
        about = {key: tidy(text) for key, text in form.about.items()}
        tidied = altered(form, name=tidy_line(form.name), about=about)
        await self._db.write(lambda connection: settings.write_profile(connection, tidied, self._clock()))

    async def set_route(self, peer_id: str, addrs: list[str]) -> None:
        """Note where this node is reached; published with the profile."""
        await self._db.write(lambda connection: settings.write_route(connection, peer_id, addrs, self._clock()))

    async def save_mailboxes(self, addrs: Sequence[str]) -> None:
        """Name the nodes that keep our mail while this one is away, first choice first; published with the profile.

        Raises: Refused("bad-multiaddr" | "own-address" | "mailboxes-too-many").
        """
        profile = self.profile()
        wanted = tuple(dict.fromkeys(addr.strip() for addr in addrs if addr.strip()))
        check_mailboxes(wanted, profile.peer_id)
        await self.save_profile(altered(profile, mailboxes=wanted))

    async def tell_answer_time(self, tells: bool) -> None:
        """Say whether the profile tells how soon the shop answers; published with the next edition."""
        profile = self.profile()
        if profile.tell_answer_time != tells:
            await self.save_profile(
                altered(profile, tell_answer_time=tells, answers_within_s=profile.answers_within_s if tells else 0)
            )

    def shipping(self) -> ShippingForm:
        """Where the store delivers to, and for how much."""
        return self._db.read(settings.read_shipping)

    async def save_shipping(self, form: ShippingForm) -> None:
        """Keep where the store delivers to."""
        await self._db.write(lambda connection: settings.write_shipping(connection, form, self._clock()))

    # --- publishing

    def current_head(self) -> Published | None:
        """The newest head of this store; None before the first publish."""
        return self._db.read(last_head)

    def announcement(self) -> bytes | None:
        """The frame to gossip for the newest head."""
        current = self.current_head()
        return None if current is None else current.announcement

    def problems(self) -> dict[str, tuple[str, str]]:
        """Products the last publish had to leave out. Shape: handle → code, message."""
        rows = self._db.read(lambda connection: connection.execute(select(tables.problem)).all())
        return {row.handle: (row.code, row.message) for row in rows}

    async def publish(self, *, products: bool = True, replace: bool = False) -> Published:
        """Sign what changed and a new head over it; nothing changed gives the head there is.

        Without `products` only the store's card and reviews go out. `replace` puts this catalog in the place of one
        that another machine has published.
        Raises: Refused("published-elsewhere" | "replaced-elsewhere" | "edition-unknown"), Refused("document-invalid")
        for the profile or delivery zones; products that cannot be published are left out and listed by `problems`.
        """
        if self._looks_for_edition() and not replace:
            raise Refused(
                "This restored store still looks for its last edition in the network.",
                code="edition-unknown",
                hint="Connect to a peer: halle peers --connect. Or start over: halle product publish --replace",
            )
        async with self._publishing:
            plan = await self._db.read_async(partial(self._publisher.prepare, products=products))
            published = await self._db.read_async(partial(self._publisher.seal, plan=plan, replace=replace))
            await self._db.write(lambda connection: self._publisher.commit(connection, plan, published))
            if published.is_new:
                await asyncio.to_thread(self._publisher.pin, published)
                for callback in self._subscribers:
                    await callback(published)
            return published

    async def adopt(self) -> bool:
        """Go on from a newer edition of this store that the network kept; False when there is none.

        Raises: Unavailable("block-missing") while it is still being fetched.
        """
        async with self._publishing:
            store = self._keys.store_address
            frame = await self._db.read_async(lambda connection: adopting.heard(connection, store))
            if frame is None:
                return False
            adopted = await asyncio.to_thread(
                adopting.prepare, frame, self._publisher, self._blocks, self._keys, self._clock
            )
            await self._db.write(lambda connection: adopting.commit(connection, adopted, self._clock()))
            return True

    async def publish_review(self, form: ReviewForm) -> Published:
        """Put a review into this store's own catalog and publish it.

        Raises: Refused("document-invalid").
        """
        tidied = altered(form, texts={key: tidy(text) for key, text in form.texts.items()})
        review_body(tidied)
        values = {"form": review_text(tidied), "updated_at": self._clock()}
        statement = insert(tables.review).values(key=review_key(form.order_id), **values)
        await self._db.write(
            lambda connection: (
                connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values)).rowcount
            )
        )
        return await self.publish(products=False)

    def kept(self) -> set[CID]:
        """Pictures that no edition reaches and a clean-up must leave: those of drafts, removed products and imports."""
        return self._db.read(lambda connection: kept_media(connection, self._config))

    # --- import and export

    async def import_csv(
        self,
        source: bytes | Path,
        base_dir: Path | None = None,
        *,
        dry_run: bool = True,
        progress: importing.Progress | None = None,
    ) -> ImportReport:
        """Take in a Shopify file; `progress(done, total)` is called on the loop.

        Raises: Refused("file-empty" | "file-unreadable" | "columns-missing" | "file-too-long").
        """
        folder = base_dir or (source.parent if isinstance(source, Path) else None)
        async with self._importing:
            job = importing.Import(
                self._db,
                self._blocks,
                self._studio,
                self._fetcher,
                currency=self.profile().currency,
                language=self.profile().language,
                base_dir=folder,
            )
            return await job.run(source, dry_run=dry_run, progress=progress, now=self._clock())

    async def undo_import(self, import_id: int) -> int:
        """Put back everything an import changed; return how many products.

        Raises: Refused("import-unknown" | "import-undone").
        """
        return await self._db.write(lambda connection: importing.undo(connection, import_id, self._clock()))

    def imports(self) -> list[dict[str, Any]]:
        """Earlier imports, newest first."""
        return self._db.read(importing.past_imports)

    def export_csv(self) -> bytes:
        """The whole catalog as CSV."""
        return self._db.read(exporting.export)

    async def export_site(self, folder: Path, base_url: str = "") -> dict[str, Any]:
        """Write the published shop as static pages into a folder. Shape: folder, files, bytes, removed.

        Raises: Refused("nothing-published" | "folder-not-empty" | "site-url-invalid").
        """
        current = self.current_head()
        if current is None or self._renderer is None:
            raise Refused(
                "Nothing is published yet.", code="nothing-published", hint="Publish first: halle product publish"
            )
        if base_url and not re.fullmatch(r"https?://[^\s?#\"<>]+", base_url):
            raise Refused(f"{base_url[:200]!r} is no address of a site.", code="site-url-invalid", hint="https://…")
        root, renderer = current.catalog_root, self._renderer
        return await asyncio.to_thread(export_site, folder, self._blocks, renderer, root, base_url.rstrip("/"))
