"""What a shopkeeper writes and sees about a product, before it becomes a signed listing.

Rule: forms hold a merchant's words as they were typed; limits and signatures belong to the protocol and are
met at publish. All of them are frozen: a change is a new form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from halle_protocol.cid import CID
from halle_protocol.errors import Refused
from halle_protocol.money import Money

KINDS = ("physical", "digital", "service", "course", "rental", "request")
STATUSES = ("active", "draft", "archived")
PROOFS = ("none", "code", "carrier")
MAX_HANDLE = 120


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture of a product; `cid` is None while an imported picture has not been fetched."""

    cid: CID | None
    thumb: CID | None = None
    mime: str = ""
    width: int = 0
    height: int = 0
    alt: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class VariantForm:
    """One buyable form of a product. `image` counts the product's photos from 0."""

    price: Money
    sku: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    list_price: Money | None = None
    barcode: str = ""
    weight_g: int | None = None
    on_hand: int = 0
    tracked: bool = True
    oversell: bool = False
    image: int | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WarrantyForm:
    """A warranty the merchant offers with the product. `cover_bps` is per ten thousand of the price."""

    days: int
    cover_bps: int = 10_000
    terms: str = ""


@dataclass(frozen=True, slots=True)
class Translation:
    """The texts of a product in one more language."""

    title: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class ProductForm:
    """Everything a merchant says of one product; `title` and `description` are in `language`."""

    title: str
    description: str = ""
    handle: str = ""
    kind: str = "physical"
    status: str = "active"
    language: str = ""
    translations: Mapping[str, Translation] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    variants: tuple[VariantForm, ...] = ()
    vendor: str = ""
    product_type: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    warranty: WarrantyForm | None = None
    delivery_proof: str = "none"
    min_quantity: int = 1
    max_quantity: int | None = None
    origin: str = ""
    hs_code: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StockLevel:
    """What is on the shelf and what of it is promised. `free` is what may still be sold."""

    handle: str
    sku: str
    on_hand: int
    reserved: int
    tracked: bool = True
    oversell: bool = False

    @property
    def free(self) -> int:
        return self.on_hand - self.reserved


@dataclass(frozen=True, slots=True)
class ProductSummary:
    """One row of the product list."""

    handle: str
    title: str
    status: str
    published: bool
    changed: bool
    removed: bool
    price_min: Money
    price_max: Money
    variant_count: int
    on_hand: int
    reserved: int
    tracked: bool
    thumb: CID | None
    vendor: str
    product_type: str
    updated_at: int


@dataclass(frozen=True, slots=True)
class ProductDetail:
    """One product with its photos, stock and what of it is public."""

    handle: str
    form: ProductForm
    photos: tuple[Photo, ...]
    stock: tuple[StockLevel, ...]
    status: str
    published_cid: CID | None
    changed: bool
    removed: bool
    updated_at: int


def handle_of(title: str) -> str:
    """A title as the last part of an address: lower-case ASCII words joined by hyphens."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:MAX_HANDLE].strip("-")


def check_handle(handle: str) -> str:
    """The handle, when it may be part of a catalog key.

    Raises: Refused("handle-invalid").
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,119}", handle):
        raise Refused(
            f"“{handle[:60]}” cannot be a handle.",
            code="handle-invalid",
            hint="Use small letters, digits and hyphens, for example blue-shirt.",
        )
    return handle


def default_sku(handle: str, position: int) -> str:
    """A stock-keeping name for a variant that was given none; stable as long as its place is."""
    return handle if position == 0 else f"{handle}-{position + 1}"
