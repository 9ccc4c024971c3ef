"""The columns of Shopify's product files, old and new, as data.

Source: research of exports in the wild; headers are compared without regard to case.
"""

from __future__ import annotations

# Our field → the current header, then the ones of older exports.
COLUMNS: dict[str, tuple[str, ...]] = {
    "title": ("Title",),
    "handle": ("URL handle", "Handle"),
    "description": ("Description", "Body (HTML)"),
    "vendor": ("Vendor",),
    "category": ("Product category", "Product Category", "Standardized Product Type"),
    "product_type": ("Type", "Custom Product Type"),
    "tags": ("Tags",),
    "published": ("Published on online store", "Published"),
    "status": ("Status",),
    "sku": ("SKU", "Variant SKU"),
    "barcode": ("Barcode", "Variant Barcode"),
    "option1_name": ("Option1 name", "Option1 Name"),
    "option1": ("Option1 value", "Option1 Value"),
    "option2_name": ("Option2 name", "Option2 Name"),
    "option2": ("Option2 value", "Option2 Value"),
    "option3_name": ("Option3 name", "Option3 Name"),
    "option3": ("Option3 value", "Option3 Value"),
    "price": ("Price", "Variant Price"),
    "list_price": ("Compare-at price", "Variant Compare At Price"),
    "tracker": ("Inventory tracker", "Variant Inventory Tracker"),
    "on_hand": ("Inventory quantity", "Variant Inventory Qty"),
    "oversell": ("Continue selling when out of stock", "Variant Inventory Policy"),
    "weight": ("Weight value (grams)", "Variant Grams"),
    "needs_shipping": ("Requires shipping", "Variant Requires Shipping"),
    "image": ("Product image URL", "Image Src"),
    "image_position": ("Image position", "Image Position"),
    "image_alt": ("Image alt text", "Image Alt Text"),
    "variant_image": ("Variant image URL", "Variant Image"),
}

# Columns no other program knows; absent ones keep what the product has.
OWN_COLUMNS: dict[str, str] = {
    "kind": "Halle / Kind",
    "language": "Halle / Language",
    "translations": "Halle / Translations",
    "attributes": "Halle / Attributes",
    "warranty": "Halle / Warranty",
    "delivery_proof": "Halle / Delivery proof",
    "min_quantity": "Halle / Minimum quantity",
    "max_quantity": "Halle / Maximum quantity",
    "origin": "Halle / Origin",
    "hs_code": "Halle / HS code",
}

# Understood as belonging to one variant when a file has them; everything else unknown belongs to the product.
VARIANT_EXTRAS = (
    "Cost per item",
    "Charge tax",
    "Variant Taxable",
    "Tax code",
    "Variant Tax Code",
    "Unit price total measure",
    "Unit price total measure unit",
    "Unit price base measure",
    "Unit price base measure unit",
    "Weight unit for display",
    "Variant Weight Unit",
    "Fulfillment service",
    "Variant Fulfillment Service",
    "Option1 Linked To",
    "Option2 Linked To",
    "Option3 Linked To",
)

LEGACY_MARK = "body (html)"
FIELD_OF = {name.lower(): field for field, names in COLUMNS.items() for name in names} | {
    name.lower(): field for field, name in OWN_COLUMNS.items()
}
VARIANT_EXTRA_NAMES = frozenset(name.lower() for name in VARIANT_EXTRAS)
# Needed to know what a row is; the price is needed only where no product exists yet.
REQUIRED = (("handle", "title"),)
TRUE = frozenset(("true", "1", "yes", "oui", "vrai", "continue"))
DEFAULT_OPTION = ("Title", "Default Title")
