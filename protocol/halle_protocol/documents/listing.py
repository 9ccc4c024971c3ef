"""halle/listing/1: one thing a store offers; a superset of the listings of the field (UCP shape as the core).

Spec: docs/spec/06-documents.md §5
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from halle_protocol.documents.shape import (
    Bps,
    Count,
    Country,
    Flag,
    Hash32,
    Link,
    LocalText,
    LongText,
    Model,
    Positive,
    Price,
    Seconds,
    ShortText,
    Title,
    UnixTime,
)
from halle_protocol.documents.text import Handle, Line, Name, Note, Paragraph, Sku, Url, Wide, Word
from halle_protocol.errors import Refused

KINDS = ("physical", "digital", "service", "course", "rental", "request")
AVAILABILITY = ("in_stock", "backorder", "preorder", "out_of_stock", "discontinued")
ORDERABLE = ("in_stock", "backorder", "preorder")
MAX_VARIANTS = 100
MAX_MEDIA = 50

Mime = Annotated[str, StringConstraints(strict=True, max_length=80, pattern=r"^[a-z]+/[a-z0-9.+-]+$")]
Pixels = Annotated[int, Field(strict=True, ge=1, le=100_000)]
Kind = Literal["physical", "digital", "service", "course", "rental", "request"]
Availability = Literal["in_stock", "backorder", "preorder", "out_of_stock", "discontinued"]
Proof = Literal["none", "code", "carrier"]


class Media(Model):
    """A picture, film or model, by the CID of its bytes; never by a URL."""

    cid: Link
    alt: ShortText | None = None
    width: Pixels | None = None
    height: Pixels | None = None
    mime: Mime = "image/webp"
    thumb: Link | None = None
    bytes_size: Count | None = None


class Barcode(Model):
    """A product number of a known scheme (gtin13, isbn, upc, mpn …)."""

    scheme: Word
    value: Name


class UnitPrice(Model):
    """Price per measure (EU 98/6): `measure` in 1/1000 of `unit`."""

    price: Price
    measure_milli: Positive
    unit: Word


class Dimensions(Model):
    """Outer size of one packed piece.

    Units: millimetres.
    """

    length_mm: Count
    width_mm: Count
    height_mm: Count


class Variant(Model):
    """What a buyer puts in the cart."""

    sku: Sku
    options: Annotated[dict[Name, Name], Field(max_length=10)] = Field(default_factory=dict)
    price: Price
    list_price: Price | None = None
    unit_price: UnitPrice | None = None
    barcode: Name | None = None
    barcodes: Annotated[tuple[Barcode, ...], Field(max_length=8)] = ()
    weight_g: Count | None = None
    dimensions: Dimensions | None = None
    availability: Availability = "in_stock"
    image: Annotated[int, Field(strict=True, ge=0, lt=MAX_MEDIA)] | None = None

    @property
    def title(self) -> str:
        """The option values in one line, as `Blue / M`."""
        return " / ".join(self.options.values())


class Category(Model):
    """A place in a taxonomy."""

    value: Wide
    taxonomy: Word = "shop"


class Tax(Model):
    """The consumption tax in the price (included) or on top of it."""

    rate_bps: Bps
    included: Flag = True
    tax_class: Word = "standard"


class WarrantyOffer(Model):
    """A guarantee that comes with the thing, or may be bought with it.

    Units: cover_bps in 1/10,000 of the price paid; premium is asked for on top (absent = free).
    """

    days: Annotated[int, Field(strict=True, ge=1, le=36_525)]
    cover_bps: Bps = 10_000
    premium: Price | None = None
    underwriter: Annotated[bytes, Field(strict=True, min_length=20, max_length=20)] | None = None
    terms: Link | None = None
    respond_within_s: Seconds = 14 * 86400


class ReturnTerms(Model):
    """When goods may come back, and who pays for the way."""

    days: Annotated[int, Field(strict=True, ge=0, le=3650)] = 14
    buyer_pays_return: Flag = True
    restocking_bps: Bps = 0
    excluded_reason: Line = ""


class Deliverable(Model):
    """A file, licence or lesson that is handed over sealed; only its description is public."""

    name: Name
    kind: Word = "file"
    size_bytes: Count | None = None
    mime: Mime | None = None
    sha256: Hash32 | None = None


class Safety(Model):
    """Product safety facts (EU GPSR): who made it, who answers for it in the EU, warnings."""

    manufacturer: Paragraph = ""
    responsible_person: Paragraph = ""
    warnings: ShortText | None = None


class Personalisation(Model):
    """One question the buyer answers for this item (engraving, size, date)."""

    name: Name
    label: ShortText
    required: Flag = False
    max_chars: Annotated[int, Field(strict=True, ge=1, le=1000)] = 200


class PickupPlace(Model):
    """Where a buyer may collect."""

    name: Name
    address: Note
    country: Country


class Coupon(Model):
    """A discount whose code stays secret: only keccak256 of the code is published."""

    code_hash: Hash32
    discount_bps: Bps


class Listing(Model):
    """One thing a store offers."""

    handle: Handle
    kind: Kind = "physical"
    title: Title
    summary: ShortText | None = None
    description: LongText | None = None
    media: Annotated[tuple[Media, ...], Field(max_length=MAX_MEDIA)] = ()
    options: Annotated[tuple[Name, ...], Field(max_length=10)] = ()
    option_names: Annotated[dict[Name, LocalText], Field(max_length=10)] = Field(default_factory=dict)
    variants: Annotated[tuple[Variant, ...], Field(min_length=1, max_length=MAX_VARIANTS)]
    vendor: Line = ""
    product_type: Line = ""
    condition: Literal["new", "used", "refurbished"] = "new"
    categories: Annotated[tuple[Category, ...], Field(max_length=10)] = ()
    collections: Annotated[tuple[Handle, ...], Field(max_length=50)] = ()
    tags: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    attributes: Annotated[dict[Name, Paragraph], Field(max_length=100)] = Field(default_factory=dict)
    tax: Tax | None = None
    shipping: Link | None = None
    warranty: WarrantyOffer | None = None
    returns: ReturnTerms | None = None
    delivery_proof: Proof = "none"
    deliverables: Annotated[tuple[Deliverable, ...], Field(max_length=100)] = ()
    personalisation: Annotated[tuple[Personalisation, ...], Field(max_length=20)] = ()
    pickup: Annotated[tuple[PickupPlace, ...], Field(max_length=20)] = ()
    coupons: Annotated[tuple[Coupon, ...], Field(max_length=50)] = ()
    policies: Annotated[dict[Word, Link], Field(max_length=20)] = Field(default_factory=dict)
    min_quantity: Positive = 1
    max_quantity: Positive | None = None
    available_from: UnixTime | None = None
    available_until: UnixTime | None = None
    processing_s: Seconds | None = None
    origin: Country | None = None
    hs_code: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{4,12}$")] | None = None
    safety: Safety | None = None
    adult: Flag = False
    url: Url | None = None

    @model_validator(mode="after")
    def _check_variants(self) -> Self:
        skus = [variant.sku for variant in self.variants]
        if len(set(skus)) != len(skus):
            raise ValueError("two variants share a sku")
        if len({variant.price.currency for variant in self.variants}) > 1:
            raise ValueError("all variants must have one currency")
        return self

    def variant(self, sku: str) -> Variant:
        """Return a variant.

        Raises: Refused `variant-unknown`.
        """
        for variant in self.variants:
            if variant.sku == sku:
                return variant
        raise Refused(
            f"{self.handle} has no variant {sku!r}.",
            code="variant-unknown",
            hint="Choose one of its variants.",
        )
