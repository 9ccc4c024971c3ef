"""Publishing: signed, stored, then announced; only what changed; never backwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from halle_node.catalog import (
    ProductForm,
    ProfileForm,
    Published,
    RateForm,
    ReviewForm,
    ShippingForm,
    Translation,
    VariantForm,
    WarrantyForm,
    ZoneForm,
    stock,
)
from halle_node.index.writing import write_head
from halle_protocol import catalog as tree
from halle_protocol.documents import (
    Listing,
    Profile,
    Review,
    Shipping,
    SignedDocument,
    WarrantyTerms,
    decode_document,
    parse_body,
    verify_document,
)
from halle_protocol.errors import Refused
from halle_protocol.head import Announcement, announce, sign_head
from node.catalog.shop import NOW, Shop, euros, open_shop, picture, shirt

DAY = 86_400


def document(shop: Shop, key: str) -> SignedDocument:
    current = shop.catalog.current_head()
    assert current is not None
    cid = tree.lookup(current.catalog_root, key, shop.blocks.get)
    assert cid is not None, key
    return decode_document(shop.blocks.get(cid))


def keys(shop: Shop) -> list[str]:
    current = shop.catalog.current_head()
    assert current is not None
    return [key for key, _ in tree.entries(current.catalog_root, shop.blocks.get)]


async def test_publish_signs_every_document_and_a_head_over_them(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    photo = await shop.catalog.add_photo("blue-shirt", "a.jpg", picture(), "Front")
    zones = (ZoneForm(("FR",), (RateForm("post", {"fr": "Poste"}, euros(500)),)),)
    await shop.catalog.save_shipping(ShippingForm(zones))
    published = await shop.catalog.publish()
    assert published.is_new
    assert published.changed == ("listing/blue-shirt", "profile/store", "shipping/store")
    head = Announcement.decode(published.announcement).verify(NOW)
    assert head == published.head
    assert (head.store, head.seq, head.issued) == (shop.keys.store_address, 1, NOW)
    for key in keys(shop):
        verify_document(document(shop, key), shop.keys.grant, NOW)
    listing = parse_body(document(shop, "listing/blue-shirt"))
    assert isinstance(listing, Listing)
    assert listing.media[0].cid == photo.cid
    assert listing.media[0].thumb == photo.thumb
    assert listing.variants[0].price.amount == 2_500
    assert isinstance(parse_body(document(shop, "shipping/store")), Shipping)
    profile = parse_body(document(shop, "profile/store"))
    assert isinstance(profile, Profile)
    assert profile.shipping == document(shop, "shipping/store").cid
    assert [one.id for one in profile.prekeys] == [one.id for one in shop.keys.prekeys(NOW)]
    assert shop.blocks.holes(head.cid) == []


async def test_publish_without_change_makes_no_new_head(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    first = await shop.catalog.publish()
    shop.clock.now += 60
    again = await shop.catalog.publish()
    assert not again.is_new
    assert again.head == first.head
    await shop.catalog.save_product(shirt())  # the same words
    assert (await shop.catalog.publish()).head == first.head
    assert not shop.catalog.product("blue-shirt").changed


async def test_publish_signs_only_what_changed(shop: Shop) -> None:
    await shop.catalog.save_product(shirt("one"))
    await shop.catalog.save_product(shirt("two"))
    first = await shop.catalog.publish()
    old_two = document(shop, "listing/two").cid
    await shop.catalog.save_product(shirt("one", 3_000))
    second = await shop.catalog.publish()
    assert second.changed == ("listing/one",)
    assert second.head.seq == first.head.seq + 1
    assert document(shop, "listing/one").seq == 2
    assert document(shop, "listing/two").cid == old_two


async def test_removed_product_leaves_the_catalog_and_returns_with_a_higher_seq(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    await shop.catalog.publish()
    await shop.catalog.remove_product("blue-shirt")
    assert (await shop.catalog.publish()).removed == ("listing/blue-shirt",)
    assert "listing/blue-shirt" not in keys(shop)
    assert shop.catalog.products() == []
    assert [one.handle for one in shop.catalog.products(removed=True)] == ["blue-shirt"]
    await shop.catalog.restore("blue-shirt")
    await shop.catalog.publish()
    assert document(shop, "listing/blue-shirt").seq == 2


async def test_drafts_are_not_published(shop: Shop) -> None:
    await shop.catalog.save_product(shirt(status="draft"))
    await shop.catalog.publish()
    assert keys(shop) == ["profile/store"]
    assert shop.catalog.product("blue-shirt").published_cid is None


async def test_sold_out_product_is_published_as_such(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    await shop.catalog.publish()
    await shop.db.write(lambda connection: stock.reserve(connection, "blue-shirt", "blue-shirt", 9))
    assert not (await shop.catalog.publish()).is_new  # the count itself is nobody's business
    await shop.db.write(lambda connection: stock.reserve(connection, "blue-shirt", "blue-shirt", 1))
    assert (await shop.catalog.publish()).is_new
    listing = parse_body(document(shop, "listing/blue-shirt"))
    assert isinstance(listing, Listing)
    assert listing.variants[0].availability == "out_of_stock"
    await shop.db.write(lambda connection: stock.free(connection, "blue-shirt", "blue-shirt", 2))
    await shop.catalog.publish()
    listing = parse_body(document(shop, "listing/blue-shirt"))
    assert isinstance(listing, Listing)
    assert listing.variants[0].availability == "in_stock"


async def test_head_is_renewed_before_it_expires(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    first = await shop.catalog.publish()
    shop.clock.now += 16 * DAY
    second = await shop.catalog.publish()
    assert second.is_new
    assert second.changed == ()
    assert second.catalog_root == first.catalog_root


async def test_prekey_rotation_reaches_the_profile(shop: Shop) -> None:
    await shop.catalog.publish()
    shop.clock.now += 7 * DAY
    fresh = shop.keys.rotate_prekeys(shop.clock.now)
    assert fresh is not None
    assert (await shop.catalog.publish()).changed == ("profile/store",)
    profile = parse_body(document(shop, "profile/store"))
    assert isinstance(profile, Profile)
    assert profile.prekeys[0].id == fresh.id


async def test_new_operator_signs_everything_again(tmp_path: Path) -> None:
    async with open_shop(tmp_path / "a") as shop:
        await shop.catalog.save_product(shirt())
        first = await shop.catalog.publish()
        phrase = shop.keys.phrase("")
    async with open_shop(tmp_path / "b", phrase=phrase) as other:
        (tmp_path / "a" / "keys").rename(tmp_path / "a" / "old-keys")
        (tmp_path / "b" / "keys").rename(tmp_path / "a" / "keys")
        assert other.keys.store_address == first.head.store
    async with open_shop(tmp_path / "a") as shop:
        second = await shop.catalog.publish()
        assert second.changed == ("listing/blue-shirt", "profile/store")
        verify_document(document(shop, "listing/blue-shirt"), shop.keys.grant, NOW)


async def test_product_that_cannot_be_published_is_left_out_and_named(shop: Shop) -> None:
    await shop.catalog.save_product(shirt("good"))
    await shop.catalog.save_product(shirt("bad", translations={"not a locale!": Translation("x")}))
    await shop.catalog.publish()
    assert "listing/good" in keys(shop)
    assert "listing/bad" not in keys(shop)
    assert shop.catalog.problems()["bad"][0] == "document-invalid"
    await shop.catalog.save_product(shirt("bad", translations={"fr": Translation("Chemise")}))
    await shop.catalog.publish()
    assert shop.catalog.problems() == {}


async def test_languages_options_warranty_and_policies_are_published(shop: Shop) -> None:
    form = ProductForm(
        title="Lamp",
        translations={"fr": Translation("Lampe", "Une lampe.")},
        options=("Colour",),
        variants=(
            VariantForm(price=euros(100), sku="R", options={"Colour": "Red"}, list_price=euros(120), weight_g=500),
            VariantForm(price=euros(110), sku="B", options={"Colour": "Blue"}, tracked=False),
        ),
        warranty=WarrantyForm(730, 10_000, "We repair it."),
        delivery_proof="code",
        tags=("light",),
    )
    await shop.catalog.save_product(form)
    await shop.catalog.save_profile(
        ProfileForm(name="Lumière", language="fr", about={"fr": "Des lampes"}, policies={"returns": {"fr": "14 jours"}})
    )
    await shop.catalog.publish()
    assert keys(shop) == ["listing/lamp", "policy/returns", "profile/store", "warranty-terms/lamp"]
    listing = parse_body(document(shop, "listing/lamp"))
    assert isinstance(listing, Listing)
    assert listing.title.get("fr") == "Lampe"
    assert listing.warranty is not None
    assert listing.warranty.terms == document(shop, "warranty-terms/lamp").cid
    assert isinstance(parse_body(document(shop, "warranty-terms/lamp")), WarrantyTerms)
    assert listing.variant("R").availability == "out_of_stock"
    assert listing.variant("B").availability == "in_stock"


async def test_review_is_published_in_the_authors_catalog(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    listing_cid = (await shop.catalog.publish()).catalog_root
    form = ReviewForm(bytes(32), 31337, b"\1" * 20, "lamp", 5, listing_cid, {"en": "Good."}, tx=b"\2" * 32)
    published = await shop.catalog.publish_review(form)
    assert published.changed == (f"review/{bytes(32).hex()}",)
    review = parse_body(document(shop, published.changed[0]))
    assert isinstance(review, Review)
    assert review.rating == 5
    with pytest.raises(Refused) as refusal:
        await shop.catalog.publish_review(ReviewForm(bytes(32), 1, b"\1" * 20, "lamp", 6, listing_cid))
    assert refusal.value.code == "document-invalid"


async def test_listeners_hear_of_new_heads_only(shop: Shop) -> None:
    heard: list[Published] = []

    async def listen(published: Published) -> None:
        heard.append(published)

    shop.catalog.subscribe(listen)
    await shop.catalog.publish()
    await shop.catalog.publish()
    assert len(heard) == 1


async def test_route_is_published_with_the_profile(shop: Shop) -> None:
    await shop.catalog.set_route("12D3KooWabc", ["/ip4/127.0.0.1/tcp/1"])
    await shop.catalog.publish()
    profile = parse_body(document(shop, "profile/store"))
    assert isinstance(profile, Profile)
    assert (profile.peer_id, profile.addrs) == ("12D3KooWabc", ("/ip4/127.0.0.1/tcp/1",))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"title": " "}, "product-invalid"),
        ({"handle": "a/b"}, "handle-invalid"),
        ({"kind": "boat"}, "product-invalid"),
        ({"variants": ()}, "product-invalid"),
        ({"tags": ("x" * 121,)}, "product-invalid"),
        ({"min_quantity": 3, "max_quantity": 2}, "product-invalid"),
        ({"description": "x" * 20_001}, "product-invalid"),
    ],
)
async def test_save_product_refuses_what_cannot_be_sold(shop: Shop, changes: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as refusal:
        await shop.catalog.save_product(shirt(**changes))  # type: ignore[arg-type]
    assert refusal.value.code == code


async def test_products_are_found_by_words_and_counted(shop: Shop) -> None:
    for number in range(7):
        await shop.catalog.save_product(shirt(f"shirt-{number}", tags=("été",) if number % 2 else ()))
    assert shop.catalog.product_count("shirt") == 7
    assert {one.handle for one in shop.catalog.products("BLUE été")} == {"shirt-1", "shirt-3", "shirt-5"}
    assert len(shop.catalog.products(page=2, page_size=5)) == 2
    summary = shop.catalog.products("shirt-0")[0]
    assert (summary.price_min, summary.on_hand, summary.published, summary.changed) == (euros(2_500), 10, False, True)


async def test_store_card_is_published_without_products_that_wait(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    await shop.catalog.publish(products=False)
    assert "profile/store" in keys(shop)
    assert "listing/blue-shirt" not in keys(shop)
    await shop.catalog.publish()
    assert "listing/blue-shirt" in keys(shop)


async def test_publish_is_refused_over_a_newer_head_from_elsewhere_until_it_replaces_it(shop: Shop) -> None:
    await shop.catalog.publish()
    head = sign_head(
        shop.keys.operator_private,
        shop.keys.store_address,
        7,
        shop.catalog.current_head().catalog_root,
        issued=NOW,
        expires=NOW + DAY,
        grant=shop.keys.grant.cid,
    )
    frame = announce(head, shop.keys.grant).encode()
    await shop.db.write(lambda connection: write_head(connection, head, frame, "", NOW))
    await shop.catalog.save_product(shirt())
    with pytest.raises(Refused) as refusal:
        await shop.catalog.publish()
    assert refusal.value.code == "published-elsewhere"
    assert shop.catalog.current_head().head.seq == 1
    assert (await shop.catalog.publish(replace=True)).head.seq == 8
