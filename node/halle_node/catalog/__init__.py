"""What this store publishes: products, pictures, stock, profile, imports, and the signed head over all of it."""

from __future__ import annotations

from halle_node.catalog.product import (
    Photo,
    ProductDetail,
    ProductForm,
    ProductSummary,
    StockLevel,
    Translation,
    VariantForm,
    WarrantyForm,
)
from halle_node.catalog.profile import (
    EscrowForm,
    PaymentForm,
    ProfileForm,
    RateForm,
    ReviewForm,
    ShippingForm,
    ZoneForm,
)
from halle_node.catalog.report import ImportReport, ImportRow, Published
from halle_node.catalog.service import CatalogService

__all__ = [
    "CatalogService",
    "EscrowForm",
    "ImportReport",
    "ImportRow",
    "PaymentForm",
    "Photo",
    "ProductDetail",
    "ProductForm",
    "ProductSummary",
    "ProfileForm",
    "Published",
    "RateForm",
    "ReviewForm",
    "ShippingForm",
    "StockLevel",
    "Translation",
    "VariantForm",
    "WarrantyForm",
    "ZoneForm",
]
