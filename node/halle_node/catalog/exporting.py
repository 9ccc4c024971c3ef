"""The catalog as a CSV file that Shopify reads and this node reads back without loss.

Rule: export, import, export gives the same bytes; counts are the ones on the shelf now.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from sqlalchemy import Connection, select

from halle_node.catalog import drafts, stock
from halle_node.catalog.columns import (
    COLUMNS,
    DEFAULT_OPTION,
    OWN_COLUMNS,
    VARIANT_EXTRA_NAMES,
    VARIANT_EXTRAS,
)
from halle_node.catalog.product import Photo, ProductForm, VariantForm
from halle_node.catalog.shopify import OPTION_FIELDS
from halle_node.catalog.stored import product_form
from halle_node.catalog.text import html_of
from halle_node.db.schema.catalog import product
from halle_protocol.money import Money, exponent

SHIPPED = ("physical", "rental")


def export(connection: Connection) -> bytes:
    """All products that are not removed, in the order they were made, as UTF-8 CSV with CRLF line ends."""
    extras = _extra_names(connection)
    names = [choices[0] for choices in COLUMNS.values()] + list(OWN_COLUMNS.values()) + extras
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, names, restval="", lineterminator="\r\n")
    writer.writeheader()
    for form, photos in _products(connection):
        writer.writerows(_rows(form, photos))
    return out.getvalue().encode()


def _products(connection: Connection) -> Iterator[tuple[ProductForm, tuple[Photo, ...]]]:
    rows = connection.execute(
        select(product).where(product.c.removed_at.is_(None)).order_by(product.c.position, product.c.handle)
    )
    for row in rows:
        shelf = stock.levels(connection, row.handle)
        yield drafts.live_form(row, shelf), drafts.photos_of(connection, row.handle)


def _extra_names(connection: Connection) -> list[str]:
    """Columns of other programs that some product brought along."""
    known = {name.lower(): name for name in VARIANT_EXTRAS}
    found: set[str] = set()
    for row in connection.execute(select(product.c.form).where(product.c.removed_at.is_(None))):
        form = product_form(row.form)
        found.update(form.extra)
        for one in form.variants:
            found.update(name for name in one.extra if name.lower() in VARIANT_EXTRA_NAMES)
    return sorted(found, key=lambda name: (name.lower() not in known, name.lower(), name))


def _rows(form: ProductForm, photos: tuple[Photo, ...]) -> Iterator[dict[str, str]]:
    for place in range(max(len(form.variants), len(photos))):
        row = _named({"handle": form.handle})
        if place == 0:
            row |= _product_cells(form)
        if place < len(form.variants):
            row |= _variant_cells(form, form.variants[place], photos, place)
        if place < len(photos):
            row |= _photo_cells(form, photos[place], place)
        yield row


def _named(cells: dict[str, str]) -> dict[str, str]:
    return {COLUMNS[name][0] if name in COLUMNS else OWN_COLUMNS[name]: cell for name, cell in cells.items()}


def _product_cells(form: ProductForm) -> dict[str, str]:
    warranty = form.warranty
    cells = {
        "title": form.title,
        "description": html_of(form.description),
        "vendor": form.vendor,
        "category": form.category,
        "product_type": form.product_type,
        "tags": ", ".join(form.tags),
        "published": "true" if form.status == "active" else "false",
        "status": form.status,
        "kind": form.kind,
        "language": form.language,
        "translations": _json({key: [one.title, one.description] for key, one in form.translations.items()}),
        "attributes": _json(dict(form.attributes)),
        "warranty": _json([warranty.days, warranty.cover_bps, warranty.terms]) if warranty else "",
        "delivery_proof": form.delivery_proof,
        "min_quantity": str(form.min_quantity),
        "max_quantity": "" if form.max_quantity is None else str(form.max_quantity),
        "origin": form.origin,
        "hs_code": form.hs_code,
    }
    return _named(cells) | dict(form.extra)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""


def _variant_cells(form: ProductForm, one: VariantForm, photos: tuple[Photo, ...], place: int) -> dict[str, str]:
    cells = {
        "sku": one.sku,
        "barcode": one.barcode,
        "price": decimal(one.price),
        "list_price": decimal(one.list_price) if one.list_price else "",
        "tracker": "shopify" if one.tracked else "",
        "on_hand": str(one.on_hand),
        "oversell": "continue" if one.oversell else "deny",
        "weight": "" if one.weight_g is None else str(one.weight_g),
        "needs_shipping": "true" if form.kind in SHIPPED else "false",
        "variant_image": source_of(photos[one.image]) if one.image is not None and one.image < len(photos) else "",
    }
    for name, option in zip(OPTION_FIELDS, form.options, strict=False):
        cells[name] = one.options.get(option, "")
        if place == 0:
            cells[f"{name}_name"] = option
    if not form.options and place == 0:
        cells["option1_name"], cells["option1"] = DEFAULT_OPTION
    return _named(cells) | dict(one.extra)


def _photo_cells(form: ProductForm, one: Photo, place: int) -> dict[str, str]:
    alt = one.alt.get(form.language, "")
    return _named({"image": source_of(one), "image_position": str(place + 1), "image_alt": alt})


def source_of(photo: Photo) -> str:
    """Where a picture can be had: its address on the web, else its content."""
    return photo.source or (f"ipfs://{photo.cid}" if photo.cid else "")


def decimal(money: Money) -> str:
    """An amount with a point and no thousands signs."""
    places = exponent(money.currency)
    if not places:
        return str(money.amount_minor)
    whole, rest = divmod(money.amount_minor, 10**places)
    return f"{whole}.{rest:0{places}d}"
