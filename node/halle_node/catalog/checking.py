"""A merchant's form made complete: texts tidied, handles and skus given, limits of the protocol kept.

Rule: what passes here can be published; what cannot is refused with the field's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from halle_node.catalog.product import (
    KINDS,
    PROOFS,
    STATUSES,
    ProductForm,
    Translation,
    VariantForm,
    check_handle,
    default_sku,
    handle_of,
)
from halle_node.catalog.text import tidy, tidy_line
from halle_protocol.documents.listing import MAX_VARIANTS
from halle_protocol.errors import Refused

MAX_TITLE, MAX_DESCRIPTION, MAX_LINE, MAX_NAME, MAX_TAGS, MAX_SKU = 300, 20_000, 120, 120, 50, 120
MAX_OPTIONS = 3
MAX_AMOUNT = 2**53 - 1


def refuse(field: str, why: str, hint: str) -> Refused:
    """The refusal of one field."""
    return Refused(f"{field}: {why}", code="product-invalid", hint=hint, field=field)


def complete(form: ProductForm, language: str) -> ProductForm:
    """The form as it is kept.

    Raises: Refused("product-invalid" | "handle-invalid").
    """
    title = tidy_line(form.title)
    if not title or len(title) > MAX_TITLE:
        raise refuse("title", f"1 to {MAX_TITLE} characters are needed.", "Give the product a name.")
    handle = form.handle.strip().lower() or handle_of(title)
    for field, value, allowed in (
        ("kind", form.kind, KINDS),
        ("status", form.status, STATUSES),
        ("delivery_proof", form.delivery_proof, PROOFS),
    ):
        if value not in allowed:
            raise refuse(field, f"{value[:40]!r} is not known.", f"Choose one of: {', '.join(allowed)}.")
    if len(form.options) > MAX_OPTIONS:
        raise refuse("options", f"{len(form.options)} are too many.", f"Use at most {MAX_OPTIONS}.")
    _check_quantities(form)
    return replace(
        form,
        title=title,
        handle=check_handle(handle),
        description=_text(form.description, "description"),
        language=form.language or language,
        translations={key: _translation(one) for key, one in form.translations.items() if key},
        vendor=_line(form.vendor, "vendor"),
        product_type=_line(form.product_type, "product_type"),
        category=tidy_line(form.category)[:MAX_TITLE],
        tags=_tags(form.tags),
        attributes=_attributes(form.attributes),
        options=tuple(_line(name, "options") for name in form.options),
        variants=_variants(form, handle),
        origin=form.origin.strip().upper(),
        hs_code=form.hs_code.replace(".", "").strip(),
    )


def _translation(one: Translation) -> Translation:
    return Translation(_line(one.title, "title", MAX_TITLE), _text(one.description, "description"))


def _text(value: str, field: str) -> str:
    text = tidy(value)
    if len(text) > MAX_DESCRIPTION:
        raise refuse(field, f"{len(text)} characters are too many.", f"Keep it under {MAX_DESCRIPTION}.")
    return text


def _line(value: str, field: str, limit: int = MAX_LINE) -> str:
    line = tidy_line(value)
    if len(line) > limit:
        raise refuse(field, f"{len(line)} characters are too many.", f"Keep it under {limit}.")
    return line


def _tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    tidied = dict.fromkeys(tidy_line(tag) for tag in tags)
    kept = tuple(tag for tag in tidied if tag)
    if len(kept) > MAX_TAGS or any(len(tag) > MAX_NAME for tag in kept):
        raise refuse("tags", "too many or too long.", f"Use at most {MAX_TAGS} tags of {MAX_NAME} characters.")
    return kept


def _attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    tidied = {tidy_line(name)[:MAX_NAME]: tidy_line(value)[:1000] for name, value in attributes.items()}
    return {name: value for name, value in tidied.items() if name and value}


def _check_quantities(form: ProductForm) -> None:
    if form.min_quantity < 1 or (form.max_quantity is not None and form.max_quantity < form.min_quantity):
        raise refuse("min_quantity", "the limits contradict each other.", "Use 1 or more, and not above the most.")
    if form.warranty is not None and not (1 <= form.warranty.days <= 36_525 and 0 <= form.warranty.cover_bps <= 10_000):
        raise refuse("warranty", "the duration or cover is out of range.", "Use 1 to 36525 days and 0 to 10000.")
    if form.hs_code and not (
        form.hs_code.replace(".", "").isascii() and form.hs_code.replace(".", "").strip().isdigit()
    ):
        raise refuse("hs_code", "it has other signs than digits.", "Use 4 to 12 digits.")
    if form.origin and not (len(form.origin.strip()) == 2 and form.origin.strip().isalpha()):
        raise refuse("origin", f"{form.origin[:20]!r} is no country code.", "Use two letters, for example FR.")


def _variants(form: ProductForm, handle: str) -> tuple[VariantForm, ...]:
    if not 1 <= len(form.variants) <= MAX_VARIANTS:
        raise refuse("variants", f"{len(form.variants)} variants.", f"A product has 1 to {MAX_VARIANTS}.")
    made = []
    taken: set[str] = set()
    for position, one in enumerate(form.variants):
        sku = _line(one.sku, "sku", MAX_SKU) or _free_sku(handle, position, taken, form)
        if sku in taken:
            raise refuse("sku", f"{sku} is used twice.", "Give every variant its own SKU.")
        taken.add(sku)
        made.append(_variant(one, sku))
    if len({one.price.currency for one in made}) > 1:
        raise refuse("price", "the variants have several currencies.", "Use one currency for the product.")
    return tuple(made)


def _free_sku(handle: str, position: int, taken: set[str], form: ProductForm) -> str:
    named = {one.sku for one in form.variants} | taken
    while default_sku(handle, position) in named:
        position += 1
    return default_sku(handle, position)


def _variant(one: VariantForm, sku: str) -> VariantForm:
    for field, price in (("price", one.price), ("list_price", one.list_price)):
        if price is not None and not 0 <= price.amount_minor <= MAX_AMOUNT:
            raise refuse(field, f"{price} is out of range.", "Use a price of nothing or more.")
    if one.on_hand < 0 or (one.weight_g is not None and one.weight_g < 0):
        raise refuse("on_hand", "stock and weight cannot be below zero.", "Count what is on the shelf.")
    options = {_line(name, "options"): _line(value, "options") for name, value in one.options.items()}
    return replace(
        one,
        sku=sku,
        barcode=_line(one.barcode, "barcode"),
        options={name: value for name, value in options.items() if name and value},
    )
