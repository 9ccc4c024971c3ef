"""A listing as a page shows it: the chosen variant and picture, and what every other choice leads to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from halle_node.index.views import ListingView, ReviewView
from halle_protocol.documents import Listing, Media, Variant

from .local_pages import query_text

ORDERABLE = ("in_stock", "backorder", "preorder")


@dataclass(frozen=True)
class Value:
    """One value of a choice and the page that shows it."""

    text: str
    href: str
    gone: bool


@dataclass(frozen=True)
class Choice:
    """One thing to choose (size, colour)."""

    name: str
    chosen: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class ProductView:
    """Everything a product page needs, in the reader's language where texts have one."""

    handle: str
    store_hex: str
    store_name: str
    cid: str
    seq: int
    issued: int
    title: str
    description: str
    listing: Listing
    variant: Variant
    picture: Media | None
    choices: tuple[Choice, ...]
    orderable: bool
    reviews: Sequence[ReviewView]
    rating_tenths: int
    review_count: int
    link: Callable[..., str]


def product_view(found: ListingView, query: dict[str, str], path: str, lang: str) -> ProductView:
    listing = found.listing
    variant = chosen_variant(listing, query.get("sku", ""))

    def link(**changes: Any) -> str:
        kept = {key: value for key, value in query.items() if key in ("sku", "photo")}
        return path + query_text({**kept, **{key: str(value) for key, value in changes.items()}})

    return ProductView(
        handle=found.handle,
        store_hex="0x" + found.store.hex(),
        store_name=found.store_name,
        cid=str(found.cid),
        seq=found.doc.seq,
        issued=found.doc.issued,
        title=listing.title.get(lang),
        description=listing.description.get(lang) if listing.description else "",
        listing=listing,
        variant=variant,
        picture=chosen_picture(listing, variant, query.get("photo", "")),
        choices=choices_of(listing, variant, path),
        orderable=variant.availability in ORDERABLE,
        reviews=found.reviews,
        rating_tenths=found.rating_tenths or 0,
        review_count=found.review_count,
        link=link,
    )


def chosen_variant(listing: Listing, sku: str) -> Variant:
    """The variant asked for, else the first that can be ordered, else the first."""
    by_sku = {variant.sku: variant for variant in listing.variants}
    orderable = (variant for variant in listing.variants if variant.availability in ORDERABLE)
    return by_sku.get(sku) or next(orderable, listing.variants[0])


def chosen_picture(listing: Listing, variant: Variant, photo: str) -> Media | None:
    if not listing.media:
        return None
    if photo.isascii() and photo.isdigit() and int(photo[:3]) < len(listing.media):
        return listing.media[int(photo[:3])]
    place = variant.image if variant.image is not None and variant.image < len(listing.media) else 0
    return listing.media[place]


def choices_of(listing: Listing, variant: Variant, path: str) -> tuple[Choice, ...]:
    """One choice an option; a value that leads nowhere with the rest as chosen leads to its best variant."""
    names = listing.options or tuple(variant.options)
    choices = []
    for name in names:
        texts = dict.fromkeys(each.options[name] for each in listing.variants if name in each.options)
        values = tuple(_value(listing, variant, name, text, path) for text in texts)
        if values:
            choices.append(Choice(name, variant.options.get(name, ""), values))
    return tuple(choices)


def _value(listing: Listing, variant: Variant, name: str, text: str, path: str) -> Value:
    wanted = {**variant.options, name: text}
    exact = next((each for each in listing.variants if each.options == wanted), None)
    target = exact or next(each for each in listing.variants if each.options.get(name) == text)
    return Value(
        text=text,
        href=path + query_text({"sku": target.sku}),
        gone=exact is None or exact.availability not in ORDERABLE,
    )
