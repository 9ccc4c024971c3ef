"""Shopify's rows as product forms: rows of one handle are one product, wherever in the file they stand.

Rule: a blank cell in a present column empties the field, an absent column keeps it; a bad variant costs that
variant, a bad product costs that product, and every loss is named with its line.

Long because the columns of one dialect are read in one place; other dialects get a file of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import from_json

from halle_node.catalog.checking import complete
from halle_node.catalog.columns import (
    DEFAULT_OPTION,
    FIELD_OF,
    LEGACY_MARK,
    REQUIRED,
    TRUE,
    VARIANT_EXTRA_NAMES,
)
from halle_node.catalog.product import (
    MAX_HANDLE,
    STATUSES,
    ProductForm,
    Translation,
    VariantForm,
    WarrantyForm,
    handle_of,
)
from halle_node.catalog.report import ImportRow
from halle_node.catalog.sheet import Sheet, SheetRow
from halle_node.catalog.text import plain_text, tidy_line
from halle_protocol.errors import HalleError, Refused
from halle_protocol.money import Money, parse_decimal

MAX_GROUP_ROWS = 400
MAX_ROWS = 2_000_000
OPTION_FIELDS = ("option1", "option2", "option3")


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Where a product's picture comes from: an address, `ipfs://…`, or a path beside the file."""

    source: str
    alt: str = ""


@dataclass(frozen=True, slots=True)
class PlannedProduct:
    """One product as the file wants it. `pictures` None keeps the ones it has."""

    line: int
    form: ProductForm
    pictures: tuple[PictureSource, ...] | None
    is_new: bool
    is_same: bool


@dataclass
class _Group:
    line: int
    rows: list[tuple[int, dict[str, str], dict[str, str]]] = field(default_factory=list)
    scattered: bool = False
    last_ordinal: int = 0


class ShopifyReader:
    """Reads one sheet twice: first where each handle ends, then the products as they become complete.

    Raises: Refused("columns-missing" | "file-too-long").
    """

    def __init__(self, sheet: Sheet, currency: str, language: str) -> None:
        self._sheet = sheet
        self._currency = currency
        self._language = language
        lowered = [name.lower() for name in sheet.header]
        self._fields = [
            (FIELD_OF.get(name, ""), original) for name, original in zip(lowered, sheet.header, strict=True)
        ]
        self.present = {name for name, _ in self._fields if name}
        self.dialect = "shopify-legacy" if LEGACY_MARK in lowered else "shopify"
        for choices in REQUIRED:
            if not self.present.intersection(choices):
                raise Refused(
                    f"The file has no column named {' or '.join(choices)}.",
                    code="columns-missing",
                    hint="Export the products from Shopify as CSV; the first line must name the columns.",
                )
        self._last_row: dict[str, int] = {}
        self.row_count = 0

    def survey(self) -> int:
        """Find where each product ends; return the number of rows."""
        handle = ""
        for ordinal, row in enumerate(self._sheet.rows(), 1):
            if ordinal > MAX_ROWS:
                raise Refused(
                    f"The file has more than {MAX_ROWS} rows.",
                    code="file-too-long",
                    hint="Import it in parts.",
                )
            self.row_count = ordinal
            if not row.problem:
                handle = self._handle(self._cells(row)[0], handle)
                self._last_row[handle] = ordinal
        return self.row_count

    def products(
        self, existing: Callable[[str], ProductForm | None], tell: Callable[[int], None] = lambda _: None
    ) -> Iterator[PlannedProduct | ImportRow]:
        """Every product and every loss, in the order products are complete. Call `survey` first."""
        open_groups: dict[str, _Group] = {}
        handle = previous = ""
        for ordinal, row in enumerate(self._sheet.rows(), 1):
            tell(ordinal)
            if row.problem:
                yield ImportRow(row.line, handle, "error", "row-broken", row.problem)
            else:
                cells, extra = self._cells(row)
                handle = self._handle(cells, handle)
                group = open_groups.setdefault(handle, _Group(row.line))
                group.scattered |= bool(group.rows) and previous != handle
                previous = handle
                if len(group.rows) < MAX_GROUP_ROWS:
                    group.rows.append((row.line, cells, extra))
                else:
                    yield ImportRow(row.line, handle, "error", "rows-too-many", "The product has too many rows.")
            # A broken row may have been the last of a product, so the check is by place, not by this row.
            if not row.problem and self._last_row.get(handle) == ordinal:
                yield from self._finish(handle, open_groups.pop(handle), existing)

    def _cells(self, row: SheetRow) -> tuple[dict[str, str], dict[str, str]]:
        known: dict[str, str] = {}
        extra: dict[str, str] = {}
        for place, (name, original) in enumerate(self._fields):
            cell = row.cells[place].strip() if place < len(row.cells) else ""
            if name:
                known.setdefault(name, cell)
                known[name] = known[name] or cell
            elif original:
                extra[original] = cell
        return known, extra

    def _handle(self, cells: Mapping[str, str], previous: str) -> str:
        given = cells.get("handle", "").lower()
        if given:
            return given if _is_plain(given) else handle_of(given)
        if cells.get("title"):
            return handle_of(cells["title"])
        return previous

    def _finish(
        self, handle: str, group: _Group, existing: Callable[[str], ProductForm | None]
    ) -> Iterator[PlannedProduct | ImportRow]:
        line = group.line
        if not handle:
            yield ImportRow(line, "", "error", "handle-missing", "The row names no product.")
            return
        if group.scattered:
            yield ImportRow(
                line,
                handle,
                "warning",
                "handle-scattered",
                "Rows of this product stand apart; they were joined.",
            )
        before = existing(handle)
        builder = _Builder(self, handle, group, before)
        try:
            wanted = builder.build()
        except HalleError as exc:
            yield from builder.problems
            yield ImportRow(line, handle, "error", exc.code, f"{exc.message} {exc.hint}".strip())
            return
        yield from builder.problems
        yield PlannedProduct(line, wanted, builder.pictures, before is None, wanted == before)

    def money(self, text: str) -> Money:
        """A price of the file in the store's currency.

        Raises: Refused("price-invalid" | "price-negative").
        """
        plain = text.replace("\u00a0", "").replace("\u202f", "").replace(" ", "").strip("€$£")
        if "," in plain and "." in plain:  # the last of the two is the decimal sign
            plain = plain.replace("," if plain.rfind(".") > plain.rfind(",") else ".", "")
        try:
            price = parse_decimal(plain, self._currency)
        except HalleError as exc:
            raise Refused(
                f"{text[:40]!r} is not a price in {self._currency}.",
                code="price-invalid",
                hint="Write it as 12.50.",
            ) from exc
        if price.amount_minor < 0:
            raise Refused(f"The price {text[:40]} is below zero.", code="price-negative", hint="Correct the price.")
        return price

    @property
    def language(self) -> str:
        """The language of texts that name none."""
        return self._language


def _is_plain(handle: str) -> bool:
    return handle.isascii() and handle.replace("-", "").replace("_", "").isalnum() and len(handle) <= MAX_HANDLE


class _Builder:
    """One product from its rows."""

    def __init__(self, reader: ShopifyReader, handle: str, group: _Group, before: ProductForm | None) -> None:
        self._reader = reader
        self._handle = handle
        self._group = group
        self._before = before
        self._first = group.rows[0][1]
        self.problems: list[ImportRow] = []
        self.pictures: tuple[PictureSource, ...] | None = None
        self._places: dict[str, int] = {}

    def build(self) -> ProductForm:
        """The complete form.

        Raises: Refused with the code of what is wrong.
        """
        base = self._before or ProductForm(title="", handle=self._handle, language=self._reader.language)
        self._gather_pictures()
        changes: dict[str, Any] = {"handle": self._handle}
        for name in ("title", "vendor", "category", "product_type", "origin", "hs_code"):
            if self._has(name):
                changes[name] = self._first[name]
        if self._has("description"):
            changes["description"] = plain_text(self._first["description"])
        if self._has("tags"):
            changes["tags"] = tuple(part.strip() for part in self._first["tags"].split(","))
        changes |= self._own() | {"status": self._status(base), "extra": self._extra(base)}
        changes["kind"] = self._kind(base)
        options = self._options(base)
        changes |= {"options": options, "variants": self._variants(base, options)}
        if not changes.get("title", base.title):
            raise Refused("The product has no title.", code="title-missing", hint="Fill in the Title column.")
        return complete(replace(base, **changes), self._reader.language)

    def _has(self, name: str) -> bool:
        return name in self._reader.present

    def _own(self) -> dict[str, Any]:
        """The fields only our own export has; they are JSON where they have parts."""
        found: dict[str, Any] = {}
        first = self._first
        if self._has("language") and first["language"]:
            found["language"] = first["language"]
        if self._has("delivery_proof") and first["delivery_proof"]:
            found["delivery_proof"] = first["delivery_proof"]
        try:
            if self._has("translations"):
                texts = from_json(first["translations"] or "{}")
                found["translations"] = {key: Translation(str(one[0]), str(one[1])) for key, one in texts.items()}
            if self._has("attributes"):
                found["attributes"] = {str(k): str(v) for k, v in from_json(first["attributes"] or "{}").items()}
            if self._has("warranty"):
                parts = from_json(first["warranty"] or "null")
                found["warranty"] = WarrantyForm(int(parts[0]), int(parts[1]), str(parts[2])) if parts else None
            if self._has("min_quantity"):
                found["min_quantity"] = int(first["min_quantity"] or 1)
            if self._has("max_quantity"):
                found["max_quantity"] = int(first["max_quantity"]) if first["max_quantity"] else None
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as exc:
            raise Refused(
                "A Halle column cannot be read.",
                code="own-column-invalid",
                hint="Export again and keep it as it was.",
            ) from exc
        return found

    def _status(self, base: ProductForm) -> str:
        status = self._first.get("status", "").lower()
        status = status if status in STATUSES else base.status
        if self._has("published") and self._first["published"].lower() not in TRUE and status == "active":
            # A blank cell says nothing: old exports leave it empty.
            return "draft" if self._first["published"] else status
        return status

    def _kind(self, base: ProductForm) -> str:
        if self._has("kind") and self._first["kind"]:
            return self._first["kind"]
        shipped = self._first.get("needs_shipping", "").lower()
        if self._before is None and shipped and shipped not in TRUE:
            return "digital"
        return base.kind

    def _extra(self, base: ProductForm) -> dict[str, str]:
        named = {k: v for k, v in self._group.rows[0][2].items() if k.lower() not in VARIANT_EXTRA_NAMES}
        kept = {k: v for k, v in base.extra.items() if k not in named}
        return kept | {name: value for name, value in named.items() if value}

    def _options(self, base: ProductForm) -> tuple[str, ...]:
        if not any(self._has(name) for name in OPTION_FIELDS):
            return base.options
        names: list[str] = []
        for place, name in enumerate(OPTION_FIELDS):
            used = any(cells.get(name) for _, cells, _ in self._group.rows)
            label = tidy_line(self._first.get(f"{name}_name", ""))
            if used and not (label == DEFAULT_OPTION[0] and self._first.get(name) == DEFAULT_OPTION[1]):
                kept = base.options[place] if place < len(base.options) else f"Option {len(names) + 1}"
                names.append(label or kept)
        return tuple(names)

    def _variants(self, base: ProductForm, options: tuple[str, ...]) -> tuple[VariantForm, ...]:
        made: list[VariantForm] = []
        seen: set[tuple[str, ...]] = set()
        for place, (line, cells, extra) in enumerate(self._group.rows):
            values = tuple(tidy_line(cells.get(name, "")) for name in OPTION_FIELDS[: len(options)])
            only_picture = place and not any(values) and not cells.get("sku") and not cells.get("price")
            if only_picture:
                continue
            if values in seen:
                self._lose(
                    line,
                    "variant-repeated",
                    f"The variant {' / '.join(values) or 'without options'} is there already.",
                )
                continue
            chosen = {name: value for name, value in zip(options, values, strict=True) if value}
            try:
                made.append(self._variant(base, chosen, cells, extra, line))
            except Refused as exc:
                self._lose(line, exc.code, exc.message)
                continue
            seen.add(values)
        if not made:
            raise Refused(
                "No variant of the product can be read.",
                code="no-variant",
                hint="See the errors of its rows.",
            )
        return tuple(made)

    def _variant(
        self,
        base: ProductForm,
        chosen: dict[str, str],
        cells: Mapping[str, str],
        extra: Mapping[str, str],
        line: int,
    ) -> VariantForm:
        known = self._known_variant(base, chosen, cells.get("sku", ""))
        changes: dict[str, Any] = {"options": chosen, "price": self._price(cells, known)}
        if self._has("list_price"):
            changes["list_price"] = self._reader.money(cells["list_price"]) if cells["list_price"] else None
        if self._has("sku"):
            changes["sku"] = cells["sku"] or (known.sku if known else "")
        if self._has("barcode"):
            changes["barcode"] = cells["barcode"].strip("'")
        if self._has("weight"):
            changes["weight_g"] = _whole(cells["weight"], "weight-invalid") or None
        if self._has("tracker"):
            changes["tracked"] = bool(cells["tracker"])
        if self._has("oversell"):
            changes["oversell"] = cells["oversell"].lower() in TRUE
        if self._has("on_hand"):
            changes["on_hand"] = self._count(cells["on_hand"], line)
        if self._has("variant_image"):
            changes["image"] = self._places.get(cells["variant_image"])
        named = {k: v for k, v in extra.items() if k.lower() in VARIANT_EXTRA_NAMES}
        kept = {k: v for k, v in (known.extra if known else {}).items() if k not in named}
        changes["extra"] = kept | {name: value for name, value in named.items() if value}
        return replace(known or VariantForm(price=changes["price"]), **changes)

    def _known_variant(self, base: ProductForm, chosen: Mapping[str, str], sku: str) -> VariantForm | None:
        if self._before is None:
            return None
        same_options = [one for one in base.variants if dict(one.options) == dict(chosen)]
        return next((one for one in base.variants if sku and one.sku == sku), next(iter(same_options), None))

    def _price(self, cells: Mapping[str, str], known: VariantForm | None) -> Money:
        if cells.get("price"):
            return self._reader.money(cells["price"])
        if known is not None and not self._has("price"):
            return known.price
        raise Refused("The variant has no price.", code="price-missing", hint="Fill in the price.")

    def _count(self, text: str, line: int) -> int:
        count = _whole(text, "stock-invalid") or 0
        if count < 0:
            self.problems.append(
                ImportRow(line, self._handle, "warning", "stock-negative", f"Stock {count} was taken as 0.")
            )
        return max(count, 0)

    def _gather_pictures(self) -> None:
        if not (self._has("image") or self._has("variant_image")):
            return
        found: list[tuple[int, int, PictureSource]] = []
        for order, (_, cells, _) in enumerate(self._group.rows):
            if cells.get("image"):
                place = cells.get("image_position", "")
                rank = int(place) if place.isascii() and place.isdigit() and len(place) < 6 else order + 1
                found.append((rank, order, PictureSource(cells["image"], tidy_line(cells.get("image_alt", "")))))
        pictures: dict[str, PictureSource] = {}
        for _, _, one in sorted(found, key=lambda entry: entry[:2]):
            pictures.setdefault(one.source, one)
        for _, cells, _ in self._group.rows:
            source = cells.get("variant_image", "")
            if source:
                pictures.setdefault(source, PictureSource(source))
        self.pictures = tuple(pictures.values())[:50]
        self._places = {one.source: place for place, one in enumerate(self.pictures)}

    def _lose(self, line: int, code: str, message: str) -> None:
        self.problems.append(ImportRow(line, self._handle, "error", code, message))


def _whole(text: str, code: str) -> int | None:
    """A count or a weight; spreadsheets write 250 as 250.0 too.

    Raises: Refused(code).
    """
    if not text:
        return None
    plain = text.replace(",", ".")
    try:
        if len(plain) > 20:
            raise ValueError
        whole = int(plain.split(".")[0] or "0")
        if "." in plain and plain.split(".", 1)[1].strip("0123456789"):
            raise ValueError
    except ValueError as exc:
        raise Refused(f"{text[:40]!r} is not a number.", code=code, hint="Write it in digits.") from exc
    return whole
