"""Between the product form on the page and the catalog's: one table line a variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from halle_node.catalog.product import (
    KINDS,
    PROOFS,
    ProductForm,
    StockLevel,
    VariantForm,
    WarrantyForm,
    default_sku,
    handle_of,
)
from halle_protocol.errors import HalleError, Refused

from ..forms import Form, money, whole_number
from ..i18n import N_

EMPTY_ROWS = 2
MAX_ROWS = 100


@dataclass(frozen=True)
class VariantRow:
    """One line as typed."""

    option1: str = ""
    option2: str = ""
    price: str = ""
    stock: str = ""
    weight: str = ""
    sku: str = ""

    @property
    def filled(self) -> bool:
        return bool(self.option1 or self.option2 or self.price or self.sku)


def rows_of(variants: Sequence[VariantForm], stock: Mapping[str, StockLevel]) -> list[VariantRow]:
    rows = []
    for variant in variants:
        values = [*variant.options.values(), "", ""]
        level = stock.get(variant.sku)
        rows.append(
            VariantRow(
                option1=values[0],
                option2=values[1],
                price=variant.price.text(),
                stock=str(level.on_hand if level else variant.on_hand),
                weight="" if variant.weight_g is None else str(variant.weight_g),
                sku=variant.sku,
            )
        )
    return rows


def read_product(
    posted: Form, old: ProductForm, currency: str
) -> tuple[ProductForm, list[VariantRow], HalleError | None]:
    """The form, its lines as typed, and the first thing wrong with them. What the page does not show is kept."""
    rows = _typed_rows(posted)
    form = replace(
        old,
        title=posted.text("title"),
        description=posted.text("description"),
        handle=old.handle or posted.text("handle") or handle_of(posted.text("title")),
        kind=posted.text("kind") if posted.text("kind") in KINDS else old.kind,
        delivery_proof=posted.text("delivery_proof") if posted.text("delivery_proof") in PROOFS else old.delivery_proof,
        options=tuple(name for name in (posted.text("option1"), posted.text("option2")) if name),
        vendor=posted.text("vendor"),
        product_type=posted.text("product_type"),
        tags=tuple(tag.strip() for tag in posted.text("tags").split(",") if tag.strip()),
    )
    try:
        return (
            replace(form, warranty=_warranty(posted, old), variants=_variants(posted, form, rows, old, currency)),
            rows,
            None,
        )
    except HalleError as error:
        return form, rows, error


def _typed_rows(posted: Form) -> list[VariantRow]:
    columns = [posted.texts(f"v_{name}") for name in ("option1", "option2", "price", "stock", "weight", "sku")]
    rows = [VariantRow(*cells) for cells in zip(*columns, strict=False)]
    return [row for row in rows[:MAX_ROWS] if row.filled]


def _variants(
    posted: Form, form: ProductForm, rows: list[VariantRow], old: ProductForm, currency: str
) -> tuple[VariantForm, ...]:
    if not rows:
        raise Refused(N_("A price is missing."), code="price-missing", hint=N_("Give every variant a price."))
    known = {variant.sku: variant for variant in old.variants}
    found = []
    for position, row in enumerate(rows):
        if not row.price:
            raise Refused(N_("A price is missing."), code="price-missing", hint=N_("Give every variant a price."))
        sku = row.sku or default_sku(form.handle, position)
        price = money(row.price, known[sku].price.currency if sku in known else currency)
        before = known.get(sku) or VariantForm(price=price)
        found.append(
            replace(
                before,
                price=price,
                sku=sku,
                options=_options(form, row),
                weight_g=whole_number(row.weight) if row.weight else None,
                on_hand=whole_number(row.stock) if row.stock else 0,
                tracked=posted.ticked("tracked"),
                oversell=posted.ticked("oversell"),
            )
        )
    return tuple(found)


def _options(form: ProductForm, row: VariantRow) -> dict[str, str]:
    return {name: value for name, value in zip(form.options, (row.option1, row.option2), strict=False) if value}


def _warranty(posted: Form, old: ProductForm) -> WarrantyForm | None:
    text = posted.text("warranty_days")
    if not text or text == "0":
        return None
    days = whole_number(text)
    return replace(old.warranty, days=days) if old.warranty else WarrantyForm(days=days)
