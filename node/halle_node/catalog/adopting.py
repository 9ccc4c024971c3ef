"""A restored store goes on from the edition of itself that the network kept.

Rule: what others see of the shop stays as it is. Each document that another operator key signed is signed again, word
for word; the owner's card, delivery zones and policies become forms again, so that the next publish starts from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from halle_node.blocks import BlockStore
from halle_node.catalog import settings
from halle_node.catalog.profile import (
    EscrowForm,
    LimitForm,
    PaymentForm,
    ProfileForm,
    RateForm,
    ServiceForm,
    ShippingForm,
    ZoneForm,
)
from halle_node.catalog.publish import PIN, PROFILE_KEY, SHIPPING_KEY, Edition, Publisher, last_head, store_adopted
from halle_node.db.schema.index import head as heard_head
from halle_node.keys import Keys
from halle_protocol import catalog as tree
from halle_protocol.cid import CID
from halle_protocol.documents import (
    Policy,
    Profile,
    Shipping,
    SignedDocument,
    decode_document,
    parse_body,
    sign_document,
)
from halle_protocol.documents.shape import Price
from halle_protocol.head import Announcement, Head
from halle_protocol.money import Money

T = TypeVar("T")


@dataclass(frozen=True)
class Adopted:
    """An edition as this node will go on from it."""

    head: Head
    frame: bytes
    root: CID
    editions: Mapping[str, Edition]
    profile: ProfileForm | None
    shipping: ShippingForm


def heard(connection: Connection, store: bytes) -> bytes | None:
    """Return the announcement of this store's newest edition, when it is newer than what this node published."""
    row = connection.execute(select(heard_head.c.seq, heard_head.c.frame).where(heard_head.c.store == store)).first()
    own = last_head(connection)
    return None if row is None or (own is not None and own.head.seq >= row.seq) else bytes(row.frame)


def prepare(frame: bytes, publisher: Publisher, blocks: BlockStore, keys: Keys, clock: Callable[[], int]) -> Adopted:
    """Read the edition and sign again what another key signed. Every block of it must be here.

    Raises: Unavailable block-missing while it is still being fetched, disk-full.
    """
    head = Announcement.decode(frame).open()[0]
    documents = {key: decode_document(blocks.get(cid)) for key, cid in tree.entries(head.catalog, blocks.get)}
    editions: dict[str, Edition] = {}
    for key, document in documents.items():
        ours = document
        if document.signer() != keys.operator_address:
            ours = sign_document(
                keys.operator_private, document.type, document.store, document.seq + 1, clock(), document.body
            )
            blocks.put(ours.cid, ours.bytes)
        editions[key] = Edition(ours.cid, ours.seq, publisher.content_of(ours.type, ours.body))
    made = tree.build({key: edition.cid for key, edition in editions.items() if edition.cid is not None})
    blocks.put_many(list(made.blocks.items()))
    blocks.pin(PIN, made.root)
    profile = _body(documents.get(PROFILE_KEY), Profile)
    shipping = _body(documents.get(SHIPPING_KEY), Shipping)
    policies = {
        policy.kind: dict(policy.text.texts)
        for key, document in documents.items()
        if key.startswith("policy/") and (policy := _body(document, Policy)) is not None
    }
    return Adopted(
        head,
        frame,
        made.root,
        editions,
        None if profile is None else profile_form_of(profile, policies),
        ShippingForm() if shipping is None else shipping_form_of(shipping),
    )


def commit(connection: Connection, adopted: Adopted, now: int) -> None:
    """Make it the store's last edition, in the caller's transaction."""
    store_adopted(connection, adopted.head, adopted.root, adopted.frame, adopted.editions)
    if adopted.profile is not None:
        settings.write_profile(connection, adopted.profile, now)
    if adopted.shipping.zones:
        settings.write_shipping(connection, adopted.shipping, now)


def profile_form_of(profile: Profile, policies: Mapping[str, Mapping[str, str]]) -> ProfileForm:
    """Return the owner's form that a published profile was made from; where the node is reached is not taken over."""
    return ProfileForm(
        name=profile.name,
        language=profile.fallback,
        languages=tuple(profile.languages),
        country=profile.country,
        currency=profile.currency,
        about=dict(profile.about.texts) if profile.about else {},
        logo=profile.logo,
        email=profile.email or "",
        shop_url=profile.shop_url or "",
        mailboxes=tuple(profile.mailboxes),
        payment=tuple(PaymentForm(**_shared(PaymentForm, option)) for option in profile.payment),
        terms=EscrowForm(**_shared(EscrowForm, profile.terms)),
        policies=policies,
        services={
            role: ServiceForm(
                **_shared(ServiceForm, service)
                | {"about": dict(service.about.texts) if service.about else {}}
                | {"limits": tuple(LimitForm(each.chain_id, each.token, int(each.most)) for each in service.limits)}
            )
            for role, service in profile.services.items()
        },
    )


def shipping_form_of(shipping: Shipping) -> ShippingForm:
    """Return the owner's form that published delivery zones were made from."""
    return ShippingForm(
        tuple(
            ZoneForm(
                tuple(zone.countries),
                tuple(
                    RateForm(
                        id=rate.id,
                        name=dict(rate.name.texts),
                        price=_money(rate.price),
                        max_weight_g=rate.max_weight_g,
                        free_over=_money(rate.free_over) if rate.free_over else None,
                        days_min=rate.days_min,
                        days_max=rate.days_max,
                    )
                    for rate in zone.rates
                ),
                ", ".join(zone.countries),
            )
            for zone in shipping.zones
        )
    )


def _body(document: SignedDocument | None, kind: type[T]) -> T | None:
    body = None if document is None else parse_body(document)
    return body if isinstance(body, kind) else None


def _shared(form: type[Any], value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(form)}


def _money(price: Price) -> Money:
    return Money(price.amount, price.currency)
