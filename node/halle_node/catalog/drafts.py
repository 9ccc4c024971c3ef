"""Product rows: what the merchant edits. Rule: every change raises the row's revision; publish catches up with it.

Functions take the connection of one transaction and do nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.catalog import stock
from halle_node.catalog.product import Photo, ProductDetail, ProductForm, ProductSummary, StockLevel
from halle_node.catalog.stored import dump, photo_value, product_form, product_text
from halle_node.db.schema.catalog import media, photo, product, published
from halle_protocol.cid import CID
from halle_protocol.errors import Refused

LISTING_PREFIX = "listing/"


@dataclass(frozen=True, slots=True)
class Draft:
    """One product as it is to be written. `photos` None keeps the pictures the row has."""

    form: ProductForm
    photos: tuple[Photo, ...] | None = None


def write_many(connection: Connection, drafts: Sequence[Draft], now: int) -> None:
    """Write complete forms; their handles, skus and limits are in order already."""
    if not drafts:
        return
    start = connection.execute(select(func.coalesce(func.max(product.c.position), 0))).scalar_one()
    rows = [_row(draft.form, start + offset, now) for offset, draft in enumerate(drafts, 1)]
    statement = insert(product)
    changed: dict[Any, Any] = {name: statement.excluded[name] for name in _REPLACED}
    changed |= {"revision": product.c.revision + 1, "removed_at": None}
    connection.execute(statement.on_conflict_do_update(index_elements=["handle"], set_=changed), rows)
    stock.declare(connection, _shelves(drafts), replaced=[draft.form.handle for draft in drafts])
    pictured = {draft.form.handle: draft.photos for draft in drafts if draft.photos is not None}
    replace_photos(connection, pictured)


_REPLACED = ("title", "vendor", "product_type", "status", "words", "form", "updated_at")


def _row(form: ProductForm, position: int, now: int) -> dict[str, Any]:
    skus = (variant.sku for variant in form.variants)
    words = " ".join([form.title, form.handle, form.vendor, form.product_type, *form.tags, *skus]).lower()
    return {
        "handle": form.handle,
        "title": form.title,
        "vendor": form.vendor,
        "product_type": form.product_type,
        "status": form.status,
        "words": words,
        "form": product_text(form),
        "position": position,
        "revision": 1,
        "published_revision": 0,
        "removed_at": None,
        "updated_at": now,
    }


def _shelves(drafts: Iterable[Draft]) -> list[StockLevel]:
    return [
        StockLevel(draft.form.handle, one.sku, max(one.on_hand, 0), 0, one.tracked, one.oversell)
        for draft in drafts
        for one in draft.form.variants
    ]


def replace_photos(connection: Connection, pictured: Mapping[str, Sequence[Photo]]) -> None:
    """Make the pictures of each product the ones given, in this order."""
    connection.execute(delete(photo).where(photo.c.handle.in_(list(pictured))))
    everything = [(handle, place, one) for handle, photos in pictured.items() for place, one in enumerate(photos)]
    stored = [_media_row(one) for _, _, one in everything if one.cid is not None]
    if stored:
        connection.execute(insert(media).on_conflict_do_nothing(), stored)
    if everything:
        rows = [
            {
                "handle": handle,
                "position": place,
                "cid": None if one.cid is None else bytes(one.cid),
                "alt": dump(dict(one.alt)),
                "source": one.source,
            }
            for handle, place, one in everything
        ]
        connection.execute(insert(photo), rows)


def _media_row(one: Photo) -> dict[str, Any]:
    return {
        "cid": bytes(one.cid or b""),
        "thumb": bytes(one.thumb) if one.thumb else None,
        "mime": one.mime,
        "width": one.width,
        "height": one.height,
    }


def photos_of(connection: Connection, handle: str) -> tuple[Photo, ...]:
    """The product's pictures in order."""
    query = (
        select(
            photo.c.cid,
            photo.c.alt,
            photo.c.source,
            media.c.thumb,
            media.c.mime,
            media.c.width,
            media.c.height,
        )
        .select_from(photo.outerjoin(media, photo.c.cid == media.c.cid))
        .where(photo.c.handle == handle)
        .order_by(photo.c.position)
    )
    return tuple(_photo(row) for row in connection.execute(query))


def media_by_cid(connection: Connection, cid: CID) -> Photo | None:
    """A picture this store holds already."""
    row = connection.execute(select(media).where(media.c.cid == bytes(cid))).first()
    if row is None:
        return None
    thumb = CID.from_bytes(row.thumb) if row.thumb else None
    return Photo(cid=cid, thumb=thumb, mime=row.mime, width=row.width, height=row.height)


def _photo(row: Any) -> Photo:
    if row.cid is None:
        return Photo(cid=None, alt=json.loads(row.alt), source=row.source)
    return Photo(
        cid=CID.from_bytes(row.cid),
        thumb=CID.from_bytes(row.thumb) if row.thumb else None,
        mime=row.mime,
        width=row.width,
        height=row.height,
        alt=json.loads(row.alt),
        source=row.source,
    )


def find(connection: Connection, handle: str) -> Row[Any] | None:
    """The row of a product, removed ones included."""
    return connection.execute(select(product).where(product.c.handle == handle)).first()


def need(connection: Connection, handle: str) -> Row[Any]:
    """The row of a product.

    Raises: Refused("product-unknown").
    """
    row = find(connection, handle)
    if row is None:
        raise Refused(
            f"There is no product {handle[:120]}.",
            code="product-unknown",
            hint="Look it up in the list of products.",
        )
    return row


def live_form(row: Row[Any], shelf: Iterable[StockLevel]) -> ProductForm:
    """The form of a row with the counts of the shelf as they are now."""
    form = product_form(row.form)
    counts = {one.sku: one.on_hand for one in shelf}
    variants = tuple(replace(one, on_hand=counts.get(one.sku, one.on_hand)) for one in form.variants)
    return replace(form, variants=variants)


def detail(connection: Connection, handle: str) -> ProductDetail:
    """Everything about one product.

    Raises: Refused("product-unknown").
    """
    row, shelf = need(connection, handle), stock.levels(connection, handle)
    cid = connection.execute(select(published.c.cid).where(published.c.key == LISTING_PREFIX + handle)).scalar()
    return ProductDetail(
        handle=handle,
        form=live_form(row, shelf),
        photos=photos_of(connection, handle),
        stock=tuple(shelf),
        status=row.status,
        published_cid=CID.from_bytes(cid) if cid else None,
        changed=row.revision > row.published_revision,
        removed=row.removed_at is not None,
        updated_at=row.updated_at,
    )


def _matching(query: str, status: str | None, removed: bool) -> list[ColumnElement[bool]]:
    wanted = [product.c.words.contains(word, autoescape=True) for word in query.lower().split()[:10]]
    wanted.append(product.c.removed_at.is_not(None) if removed else product.c.removed_at.is_(None))
    if status:
        wanted.append(product.c.status == status)
    return wanted


def count(connection: Connection, query: str, status: str | None, removed: bool) -> int:
    """How many products a list would show."""
    wanted = _matching(query, status, removed)
    return connection.execute(select(func.count()).select_from(product).where(*wanted)).scalar_one()


def summaries(
    connection: Connection,
    query: str,
    offset: int,
    limit: int,
    *,
    status: str | None = None,
    removed: bool = False,
) -> list[ProductSummary]:
    """One page of the product list, newest change first."""
    rows = connection.execute(
        select(product, published.c.cid.label("public_cid"))
        .select_from(product.outerjoin(published, published.c.key == LISTING_PREFIX + product.c.handle))
        .where(*_matching(query, status, removed))
        .order_by(product.c.updated_at.desc(), product.c.position)
        .limit(limit)
        .offset(offset)
    ).all()
    return [_summary(connection, row) for row in rows]


def _summary(connection: Connection, row: Row[Any]) -> ProductSummary:
    form, shelf = product_form(row.form), stock.levels(connection, row.handle)
    prices = sorted((variant.price for variant in form.variants), key=lambda price: price.amount_minor)
    shown = next((one for one in photos_of(connection, row.handle) if one.cid), None)
    return ProductSummary(
        handle=row.handle,
        title=row.title,
        status=row.status,
        published=bool(row.public_cid),
        changed=row.revision > row.published_revision,
        removed=row.removed_at is not None,
        price_min=prices[0],
        price_max=prices[-1],
        variant_count=len(form.variants),
        on_hand=sum(one.on_hand for one in shelf if one.tracked),
        reserved=sum(one.reserved for one in shelf),
        tracked=any(one.tracked for one in shelf),
        thumb=(shown.thumb or shown.cid) if shown else None,
        vendor=row.vendor,
        product_type=row.product_type,
        updated_at=row.updated_at,
    )


def set_removed(connection: Connection, handle: str, at: int | None, now: int) -> None:
    """Take a product out of the shop, or put it back."""
    need(connection, handle)
    connection.execute(
        update(product)
        .where(product.c.handle == handle)
        .values(removed_at=at, updated_at=now, revision=product.c.revision + 1)
    )


def touch(connection: Connection, handle: str, now: int) -> None:
    """Note that something of a product changed."""
    connection.execute(
        update(product).where(product.c.handle == handle).values(updated_at=now, revision=product.c.revision + 1)
    )


def snapshot(connection: Connection, handle: str) -> str | None:
    """All an undo needs to put a product back; None when there is none."""
    row = find(connection, handle)
    if row is None:
        return None
    form = live_form(row, stock.levels(connection, handle))
    photos = [photo_value(one) for one in photos_of(connection, handle)]
    return dump({"form": product_text(form), "photos": photos, "removed_at": row.removed_at})


def put_back(connection: Connection, handle: str, before: str | None, now: int) -> None:
    """Undo what an import did to one product. A created one goes to the removed ones, as stock may be promised."""
    if before is None:
        set_removed(connection, handle, now, now)
        return
    kept: Mapping[str, Any] = json.loads(before)
    photos = tuple(_snapshot_photo(connection, one) for one in kept["photos"])
    write_many(connection, [Draft(product_form(kept["form"]), photos)], now)
    if kept["removed_at"] is not None:
        set_removed(connection, handle, kept["removed_at"], now)


def _snapshot_photo(connection: Connection, kept: Mapping[str, Any]) -> Photo:
    cid = CID.from_bytes(bytes.fromhex(kept["cid"])) if kept["cid"] else None
    known = media_by_cid(connection, cid) if cid else None
    return replace(known or Photo(cid=cid), alt=kept["alt"], source=kept["source"])
