"""What a store publishes: signed documents and the frozen models of their bodies.

Unknown body fields are preserved and ignored; unknown types are carried, not rejected.
Spec: docs/spec/06-documents.md
"""

from __future__ import annotations

from halle_protocol.documents.listing import (
    Barcode,
    Category,
    Coupon,
    Deliverable,
    Dimensions,
    Listing,
    Media,
    Personalisation,
    PickupPlace,
    ReturnTerms,
    Safety,
    Tax,
    UnitPrice,
    Variant,
    WarrantyOffer,
)
from halle_protocol.documents.pages import Collection, Policy, Post, Review, Tombstone, WarrantyTerms
from halle_protocol.documents.profile import EscrowDefaults, PaymentOption, Profile, PublishedPrekey, Service
from halle_protocol.documents.shape import LocalText, Model, Price
from halle_protocol.documents.shipping import Rate, Shipping, Zone
from halle_protocol.documents.signed import (
    MAX_BYTES,
    SignedDocument,
    decode_document,
    sign_document,
    verify_document,
)
from halle_protocol.documents.text import clean_text

PROFILE = "halle/profile/1"
LISTING = "halle/listing/1"
COLLECTION = "halle/collection/1"
SHIPPING = "halle/shipping/1"
POLICY = "halle/policy/1"
POST = "halle/post/1"
REVIEW = "halle/review/1"
TOMBSTONE = "halle/tombstone/1"
WARRANTY_TERMS = "halle/warranty-terms/1"

MODELS: dict[str, type[Model]] = {
    PROFILE: Profile,
    LISTING: Listing,
    COLLECTION: Collection,
    SHIPPING: Shipping,
    POLICY: Policy,
    POST: Post,
    REVIEW: Review,
    TOMBSTONE: Tombstone,
    WARRANTY_TERMS: WarrantyTerms,
}


def parse_body(doc: SignedDocument) -> Model | None:
    """Return the body as its model, or None for a type this version does not know (it is carried as it is).

    Raises: RemoteProtocolError `body-invalid`.
    """
    model = MODELS.get(doc.type)
    return None if model is None else model.from_body(doc.body)


def document_key(type_name: str, body: Model) -> str:
    """Return the catalog key of a body: `profile/store`, `listing/<handle>`, `review/<order id>` …"""
    kind = type_name.split("/")[1]
    if isinstance(body, Profile | Shipping):
        return f"{kind}/store"
    if isinstance(body, Review):
        return f"{kind}/{body.order_id.hex()}"
    if isinstance(body, Policy):
        return f"{kind}/{body.kind}"
    if isinstance(body, Tombstone):
        return body.key
    return f"{kind}/{getattr(body, 'handle', 'store')}"


__all__ = [
    "COLLECTION",
    "LISTING",
    "MAX_BYTES",
    "MODELS",
    "POLICY",
    "POST",
    "PROFILE",
    "REVIEW",
    "SHIPPING",
    "TOMBSTONE",
    "WARRANTY_TERMS",
    "Barcode",
    "Category",
    "Collection",
    "Coupon",
    "Deliverable",
    "Dimensions",
    "EscrowDefaults",
    "Listing",
    "LocalText",
    "Media",
    "Model",
    "PaymentOption",
    "Personalisation",
    "PickupPlace",
    "Policy",
    "Post",
    "Price",
    "Profile",
    "PublishedPrekey",
    "Rate",
    "ReturnTerms",
    "Review",
    "Safety",
    "Service",
    "Shipping",
    "SignedDocument",
    "Tax",
    "Tombstone",
    "UnitPrice",
    "Variant",
    "WarrantyOffer",
    "WarrantyTerms",
    "Zone",
    "clean_text",
    "decode_document",
    "document_key",
    "parse_body",
    "sign_document",
    "verify_document",
]
