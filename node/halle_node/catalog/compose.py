"""A merchant's forms as the bodies of signed documents.

Rule: only what the merchant said is written; what the protocol would refuse is refused here, by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from halle_node.catalog.product import Photo, ProductForm, StockLevel, VariantForm
from halle_node.catalog.profile import PaymentForm, ProfileForm, RateForm, ReviewForm, ServiceForm, ShippingForm
from halle_protocol.cid import CID
from halle_protocol.documents import Listing, Model, Policy, Profile, Review, Shipping, WarrantyTerms
from halle_protocol.errors import Refused, RemoteProtocolError
from halle_protocol.money import Money
from halle_protocol.sealing import Prekey

Body = dict[str, Any]
SUMMARY_CHARS = 200


def _checked(model: type[Model], body: Body, what: str) -> Body:
    try:
        model.from_body(body)
    except RemoteProtocolError as exc:
        raise Refused(
            f"{what}: {exc.message}", code="document-invalid", hint="Correct it, then publish again."
        ) from exc
    return body


def _texts(texts: Mapping[str, str], fallback: str) -> Body | None:
    kept = {locale: text for locale, text in texts.items() if text}
    if not kept:
        return None
    return {"texts": kept, "fallback": fallback if fallback in kept else next(iter(kept))}


def _price(money: Money) -> Body:
    return {"amount": money.amount_minor, "currency": money.currency}


def _filled(body: Body) -> Body:
    """Without the fields that say nothing."""
    return {name: value for name, value in body.items() if value not in (None, "", [], {})}


def listing_body(
    form: ProductForm, photos: Sequence[Photo], shelf: Iterable[StockLevel], warranty_terms: CID | None = None
) -> Body:
    """The body of halle/listing/1.

    Raises: Refused("document-invalid").
    """
    shown = [one for one in photos if one.cid is not None]
    places = {id(one): place for place, one in enumerate(shown)}
    public_place = [places.get(id(one)) for one in photos]
    levels = {one.sku: one for one in shelf}
    titles = {form.language: form.title} | {key: one.title for key, one in form.translations.items()}
    descriptions = {form.language: form.description} | {key: one.description for key, one in form.translations.items()}
    body = {
        "handle": form.handle,
        "kind": form.kind,
        "title": _texts(titles, form.language),
        "description": _texts(descriptions, form.language),
        "media": [_media(one, form.language) for one in shown],
        "options": list(form.options),
        "variants": [_variant(one, levels.get(one.sku), public_place) for one in form.variants],
        "vendor": form.vendor,
        "product_type": form.product_type,
        "categories": [{"value": form.category}] if form.category else [],
        "tags": list(form.tags),
        "attributes": dict(form.attributes),
        "warranty": _warranty(form, warranty_terms),
        "delivery_proof": form.delivery_proof if form.delivery_proof != "none" else None,
        "min_quantity": form.min_quantity if form.min_quantity != 1 else None,
        "max_quantity": form.max_quantity,
        "origin": form.origin,
        "hs_code": form.hs_code,
    }
    return _checked(Listing, _filled(body), form.handle)


def _media(one: Photo, language: str) -> Body:
    return _filled(
        {
            "cid": one.cid,
            "alt": _texts(one.alt, language),
            "width": one.width or None,
            "height": one.height or None,
            "mime": one.mime,
            "thumb": one.thumb,
        }
    )


def _variant(one: VariantForm, level: StockLevel | None, public_place: Sequence[int | None]) -> Body:
    image = public_place[one.image] if one.image is not None and one.image < len(public_place) else None
    return _filled(
        {
            "sku": one.sku,
            "options": dict(one.options),
            "price": _price(one.price),
            "list_price": _price(one.list_price) if one.list_price else None,
            "barcode": one.barcode,
            "weight_g": one.weight_g,
            "availability": availability(one, level),
            "image": image,
        }
    )


def availability(one: VariantForm, level: StockLevel | None) -> str:
    """What a buyer is told: the count itself stays private."""
    if not one.tracked or (level.free if level else one.on_hand) > 0:
        return "in_stock"
    return "backorder" if one.oversell else "out_of_stock"


def _warranty(form: ProductForm, terms: CID | None) -> Body | None:
    if form.warranty is None:
        return None
    return _filled({"days": form.warranty.days, "cover_bps": form.warranty.cover_bps, "terms": terms})


def warranty_terms_body(form: ProductForm) -> Body | None:
    """The body of halle/warranty-terms/1; None when the merchant wrote no terms."""
    if form.warranty is None or not form.warranty.terms:
        return None
    body = {
        "handle": form.handle,
        "title": _texts({form.language: form.title}, form.language),
        "text": _texts({form.language: form.warranty.terms}, form.language),
        "days": form.warranty.days,
        "cover_bps": form.warranty.cover_bps,
    }
    return _checked(WarrantyTerms, body, form.handle)


def profile_body(
    form: ProfileForm, prekeys: Sequence[Prekey], *, shipping: CID | None, policies: Mapping[str, CID]
) -> Body:
    """The body of halle/profile/1.

    Raises: Refused("document-invalid").
    """
    terms = {name: getattr(form.terms, name) for name in form.terms.__dataclass_fields__}
    body = {
        "name": form.name,
        "languages": list(dict.fromkeys((form.language, *form.languages))),
        "fallback": form.language,
        "country": form.country,
        "currency": form.currency,
        "about": _texts(form.about, form.language),
        "logo": form.logo,
        "email": form.email,
        "peer_id": form.peer_id,
        "addrs": list(form.addrs),
        "mailboxes": list(form.mailboxes),
        "prekeys": [one.to_body() for one in prekeys[:8]],
        "shop_url": form.shop_url,
        "payment": [_payment(one) for one in form.payment],
        "terms": terms,
        "policies": dict(policies),
        "shipping": shipping,
        "services": {role: _service(one, form.language) for role, one in form.services.items()},
        "answers_within_s": form.answers_within_s or None,
    }
    return _checked(Profile, _filled(body), "profile")


def _service(one: ServiceForm, language: str) -> Body:
    body = {name: getattr(one, name) for name in one.__dataclass_fields__}
    limits = [{"chain_id": each.chain_id, "token": each.token, "most": str(each.most)} for each in one.limits]
    return _filled({**body, "about": _texts(one.about, language), "limits": limits})


def _payment(one: PaymentForm) -> Body:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def shipping_body(form: ShippingForm, language: str) -> Body | None:
    """The body of halle/shipping/1; None when the store delivers nowhere."""
    if not form.zones:
        return None
    zones = [
        {"countries": list(zone.countries), "rates": [_rate(rate, language) for rate in zone.rates]}
        for zone in form.zones
    ]
    return _checked(Shipping, {"zones": zones}, "shipping")


def _rate(rate: RateForm, language: str) -> Body:
    body = {
        "id": rate.id,
        "name": _texts(rate.name, language),
        "price": _price(rate.price),
        "max_weight_g": rate.max_weight_g,
        "free_over": _price(rate.free_over) if rate.free_over else None,
        "days_min": rate.days_min,
        "days_max": rate.days_max,
    }
    return {name: value for name, value in body.items() if value is not None}


def policy_body(kind: str, texts: Mapping[str, str], language: str) -> Body:
    """The body of halle/policy/1."""
    body = {
        "kind": kind,
        "title": _texts({language: kind.capitalize()}, language),
        "text": _texts(texts, language),
    }
    return _checked(Policy, _filled(body), f"policy {kind}")


def review_body(form: ReviewForm) -> Body:
    """The body of halle/review/1.

    Raises: Refused("document-invalid").
    """
    body = {
        "order_id": bytes(form.order_id),
        "chain_id": form.chain_id,
        "escrow": bytes(form.escrow) if form.escrow else None,
        "merchant": bytes(form.merchant),
        "listing": form.listing_cid,
        "handle": form.handle,
        "rating": form.rating,
        "text": _texts(form.texts, form.language),
        "tx": bytes(form.tx) if form.tx else None,
    }
    return _checked(Review, _filled(body), "review")
