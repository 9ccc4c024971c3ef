"""Forms as the JSON text a row keeps, and back. Reading is lenient about absent fields, so old rows stay readable."""

from __future__ import annotations

import json
from typing import Any

from halle_node.catalog.product import Photo, ProductForm, Translation, VariantForm, WarrantyForm
from halle_node.catalog.profile import (
    EscrowForm,
    LimitForm,
    PaymentForm,
    ProfileForm,
    RateForm,
    ReviewForm,
    ServiceForm,
    ShippingForm,
    ZoneForm,
)
from halle_protocol.cid import CID
from halle_protocol.money import Money


def dump(value: dict[str, Any]) -> str:
    """Canonical text: the same form is always the same row."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def product_text(form: ProductForm) -> str:
    """A product form as text."""
    plain = {name: getattr(form, name) for name in _PRODUCT_PLAIN}
    plain["tags"], plain["options"] = list(form.tags), list(form.options)
    plain["attributes"], plain["extra"] = dict(form.attributes), dict(form.extra)
    plain["translations"] = {key: [one.title, one.description] for key, one in form.translations.items()}
    plain["variants"] = [_variant(one) for one in form.variants]
    if form.warranty is not None:
        plain["warranty"] = [form.warranty.days, form.warranty.cover_bps, form.warranty.terms]
    return dump(plain)


_PRODUCT_PLAIN = [
    "title",
    "description",
    "handle",
    "kind",
    "status",
    "language",
    "vendor",
    "product_type",
    "category",
    "delivery_proof",
    "min_quantity",
    "max_quantity",
    "origin",
    "hs_code",
]


def product_form(text: str) -> ProductForm:
    """The product form a row keeps."""
    fields = json.loads(text)
    warranty = fields.pop("warranty", None)
    return ProductForm(
        **{name: fields[name] for name in _PRODUCT_PLAIN if name in fields},
        tags=tuple(fields.get("tags", ())),
        options=tuple(fields.get("options", ())),
        attributes=fields.get("attributes", {}),
        extra=fields.get("extra", {}),
        translations={key: Translation(*pair) for key, pair in fields.get("translations", {}).items()},
        variants=tuple(_variant_form(one) for one in fields.get("variants", ())),
        warranty=WarrantyForm(*warranty) if warranty else None,
    )


_VARIANT_PLAIN = ["sku", "barcode", "weight_g", "on_hand", "tracked", "oversell", "image"]


def _variant(form: VariantForm) -> dict[str, Any]:
    plain: dict[str, Any] = {name: getattr(form, name) for name in _VARIANT_PLAIN}
    plain["options"], plain["extra"] = list(form.options.items()), dict(form.extra)
    plain["price"], plain["list_price"] = _money(form.price), _money(form.list_price)
    return plain


def _variant_form(fields: dict[str, Any]) -> VariantForm:
    price = _to_money(fields["price"])
    if price is None:
        raise ValueError("a variant without a price was stored")
    return VariantForm(
        price=price,
        list_price=_to_money(fields.get("list_price")),
        options=dict(fields.get("options", ())),
        extra=fields.get("extra", {}),
        **{name: fields[name] for name in _VARIANT_PLAIN if name in fields},
    )


def profile_text(form: ProfileForm) -> str:
    """A profile form as text."""
    plain: dict[str, Any] = {name: getattr(form, name) for name in _PROFILE_PLAIN}
    plain |= {"languages": list(form.languages), "addrs": list(form.addrs), "about": dict(form.about)}
    plain["mailboxes"] = list(form.mailboxes)
    plain["policies"] = {kind: dict(texts) for kind, texts in form.policies.items()}
    plain["logo"] = form.logo.hex() if form.logo else None
    plain["payment"] = [_slots(one, hexed=("escrow", "token")) for one in form.payment]
    plain["terms"] = _slots(form.terms, hexed=PARTIES)
    plain["services"] = {role: _service(one) for role, one in form.services.items()}
    return dump(plain)


PARTIES = ("arbiter", "backup_arbiter", "carrier")


def _service(form: ServiceForm) -> dict[str, Any]:
    plain = _slots(form, hexed=())
    return {**plain, "about": dict(form.about), "limits": [_slots(each, hexed=("token",)) for each in form.limits]}


def _service_form(fields: dict[str, Any]) -> ServiceForm:
    lists = {name: tuple(fields[name]) for name in ("languages", "countries")}
    limits = tuple(LimitForm(**{**each, "token": bytes.fromhex(each["token"])}) for each in fields.get("limits", ()))
    return ServiceForm(**{**fields, **lists, "limits": limits})


_PROFILE_PLAIN = [
    "name",
    "language",
    "country",
    "currency",
    "email",
    "shop_url",
    "peer_id",
    "answers_within_s",
    "tell_answer_time",
]


def profile_form(text: str) -> ProfileForm:
    """The profile form a row keeps."""
    fields = json.loads(text)
    return ProfileForm(
        **{name: fields[name] for name in _PROFILE_PLAIN if name in fields},
        languages=tuple(fields["languages"]),
        addrs=tuple(fields["addrs"]),
        mailboxes=tuple(fields.get("mailboxes", ())),
        about=fields["about"],
        policies=fields["policies"],
        logo=CID.from_bytes(bytes.fromhex(fields["logo"])) if fields["logo"] else None,
        payment=tuple(PaymentForm(**_unhex(one, ("escrow", "token"))) for one in fields["payment"]),
        terms=EscrowForm(**_unhex(fields["terms"], PARTIES)),
        services={role: _service_form(one) for role, one in fields.get("services", {}).items()},
    )


def shipping_text(form: ShippingForm) -> str:
    """A shipping form as text."""
    zones = [
        {"name": zone.name, "countries": list(zone.countries), "rates": [_rate(rate) for rate in zone.rates]}
        for zone in form.zones
    ]
    return dump({"zones": zones})


def _rate(rate: RateForm) -> dict[str, Any]:
    plain = _slots(rate, hexed=())
    return {
        **plain,
        "name": dict(rate.name),
        "price": _money(rate.price),
        "free_over": _money(rate.free_over),
    }


def shipping_form(text: str) -> ShippingForm:
    """The shipping form a row keeps."""
    zones = json.loads(text)["zones"]
    return ShippingForm(
        tuple(
            ZoneForm(tuple(zone["countries"]), tuple(_rate_form(rate) for rate in zone["rates"]), zone["name"])
            for zone in zones
        )
    )


def _rate_form(fields: dict[str, Any]) -> RateForm:
    price, free_over = _to_money(fields.pop("price")), _to_money(fields.pop("free_over"))
    if price is None:
        raise ValueError("a rate without a price was stored")
    return RateForm(price=price, free_over=free_over, **fields)


def review_text(form: ReviewForm) -> str:
    """A review form as text."""
    plain = _slots(form, hexed=("order_id", "merchant", "tx", "escrow", "listing_cid"))
    return dump({**plain, "texts": dict(form.texts)})


def review_form(text: str) -> ReviewForm:
    """The review form a row keeps."""
    fields = _unhex(json.loads(text), ("order_id", "merchant", "tx", "escrow"))
    cid = fields.pop("listing_cid")
    return ReviewForm(**fields, listing_cid=CID.from_bytes(bytes.fromhex(cid)) if cid else None)


def photo_value(photo: Photo) -> dict[str, Any]:
    """A photo inside an import's undo record."""
    return {"cid": photo.cid.hex() if photo.cid else None, "alt": dict(photo.alt), "source": photo.source}


def _slots(value: Any, hexed: tuple[str, ...]) -> dict[str, Any]:
    plain = {name: getattr(value, name) for name in value.__dataclass_fields__}
    return {name: (one.hex() if one else None) if name in hexed else one for name, one in plain.items()}


def _unhex(fields: dict[str, Any], hexed: tuple[str, ...]) -> dict[str, Any]:
    return {name: bytes.fromhex(one or "") if name in hexed else one for name, one in fields.items()}


def _money(value: Money | None) -> list[Any] | None:
    return None if value is None else [value.amount_minor, value.currency]


def _to_money(value: list[Any] | None) -> Money | None:
    return None if value is None else Money(int(value[0]), str(value[1]))
