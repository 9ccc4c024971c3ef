"""Documents come in by difference, each one checked, and whatever breaks is continued."""

from __future__ import annotations

from pathlib import Path

import pytest

from halle_protocol.cid import CID, DAG_PB, cid_of
from halle_protocol.documents import LISTING, PROFILE, TOMBSTONE, Listing
from halle_protocol.errors import Refused, RemoteProtocolError, Unavailable
from halle_protocol.unixfs import Link, build_file, encode_node
from node.index.hall import Hall, Listener, Merchant, listing_body, open_listener, priced


async def test_listing_comes_in_with_its_signed_document(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("Chez Camille")
    cid = merchant.list("blue", "Chemise bleue")
    assert await listener.hear(merchant)
    view = listener.index.listing(merchant.store, "blue")
    assert view is not None
    assert isinstance(view.listing, Listing)
    assert (view.cid, view.doc.cid, view.store_name) == (cid, cid, "Chez Camille")
    assert view.store_profile is not None
    assert view.store_profile.country == "FR"
    assert listener.index.listing(merchant.store, "none") is None
    assert listener.index.store(bytes(20)) is None


async def test_one_change_fetches_one_document_and_its_path(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("A")
    for number in range(500):
        merchant.list(f"p{number}", f"Produit {number}")
    await listener.hear(merchant)
    before = hall.fetched
    merchant.list("p7", "Nouveau")
    await listener.hear(merchant)
    assert hall.fetched - before <= 8
    assert listener.titles("nouveau") == ["Nouveau"]
    assert listener.titles("produit 7") == []


async def test_removed_listing_is_gone_everywhere(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("blue", "Chemise")
    await listener.hear(merchant)
    del merchant.items["listing/blue"]
    merchant.introduce("A")
    await listener.hear(merchant)
    assert listener.index.listing(merchant.store, "blue") is None
    assert listener.titles("chemise") == []


async def test_tombstone_takes_a_listing_away(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("blue", "Chemise")
    await listener.hear(merchant)
    merchant.put("listing/blue", TOMBSTONE, {"key": "listing/blue"})
    await listener.hear(merchant)
    assert listener.titles("chemise") == []


async def test_cut_connection_is_continued(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("blue", "Chemise")
    frame = merchant.frame()
    hall.cut = True
    with pytest.raises(Unavailable):
        await listener.index.ingest_head(frame, "peer1")
    assert listener.titles() == []
    hall.cut = False
    assert await listener.index.ingest_head(frame, "peer1")
    await listener.index.commit_search()
    assert listener.titles() == ["Chemise"]


async def test_cut_transfer_fetches_only_the_rest_and_tells_how_far_it_is(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("A")
    for number in range(1500):
        merchant.list(f"p{number}", f"Produit {number}")
    frame = merchant.frame()
    told: list[tuple[int, int]] = []
    whole = hall.fetch

    async def fetch_until_cut(peer_id: str, addrs: list[str], cids: list[CID]) -> dict[CID, bytes]:
        told.extend((one.done, one.total) for one in listener.index.progress().values())
        hall.cut = hall.cut or hall.fetched > 900
        return await whole(peer_id, addrs, cids)

    listener.index._sync._fetcher = fetch_until_cut
    with pytest.raises(Unavailable):
        await listener.index.ingest_head(frame, "peer1")
    first, hall.cut, hall.fetched = hall.fetched, False, 0
    assert listener.index.progress() == {}
    listener.index._sync._fetcher = whole
    assert await listener.index.ingest_head(frame, "peer1")
    assert first > 900
    assert first + hall.fetched == len(merchant.blocks)
    assert (0, 0) in told
    assert any(0 < done < total == 1501 for done, total in told)


@pytest.mark.parametrize("depth", [17, 5_000])
async def test_picture_nested_too_deep_is_given_up_soon(listener: Listener, hall: Hall, depth: int) -> None:
    merchant = hall.merchant(1)
    leaf = build_file(b"x" * 10)
    root = leaf.root
    merchant.blocks.update(leaf.blocks)
    for _ in range(depth):
        node = encode_node([Link(root, "", 10)], b"\x08\x02\x18\x0a\x20\x0a")
        root = cid_of(DAG_PB, node)
        merchant.blocks[root] = node
    merchant.list("deep", "Profond", media=[{"cid": root, "mime": "image/png", "alt": {"texts": {}, "fallback": "en"}}])
    before = hall.fetched
    await listener.hear(merchant)
    listener.index._shown[root] = merchant.store
    with pytest.raises(RemoteProtocolError) as caught:
        await listener.index.media(root)
    assert caught.value.code == "unixfs-too-deep"
    assert hall.fetched - before < 30


async def test_second_source_is_asked_when_the_first_lacks_blocks(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("A", peer_id="peer1".replace("peer", "Peer"), addrs=["/ip4/127.0.0.1/tcp/1"])
    hall.merchants["Peer1"] = merchant
    await listener.hear(merchant)
    merchant.list("blue", "Chemise")
    assert await listener.index.ingest_head(merchant.frame(), "somebody else")


async def test_document_of_another_signer_is_not_shown(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("good", "Bonne")
    merchant.put("listing/bad", LISTING, listing_body("bad", "Mauvaise"), signer=Merchant(2).operator_key)
    assert await listener.hear(merchant)
    assert listener.titles() == ["Bonne"]
    assert listener.index.problems(merchant.store) == {"listing/bad": "not-authorised"}


async def test_document_of_another_store_is_not_shown(listener: Listener, hall: Hall) -> None:
    merchant, other = hall.merchant(1), Merchant(2)
    cid = other.list("blue", "Chemise")
    merchant.items["listing/blue"] = cid
    merchant.blocks[cid] = other.blocks[cid]
    await listener.hear(merchant)
    assert listener.index.problems(merchant.store) == {"listing/blue": "store-mismatch"}


async def test_document_under_a_wrong_key_is_not_shown(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.put("listing/red", LISTING, listing_body("blue", "Chemise"))
    await listener.hear(merchant)
    assert listener.index.problems(merchant.store) == {"listing/red": "key-mismatch"}


async def test_broken_document_is_named_and_mended_by_the_next_edition(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.put("listing/blue", LISTING, listing_body("blue", "Chemise", variants=[]))
    await listener.hear(merchant)
    assert listener.index.problems(merchant.store) == {"listing/blue": "body-invalid"}
    merchant.list("blue", "Chemise")
    await listener.hear(merchant)
    assert listener.titles() == ["Chemise"]


async def test_broken_edition_takes_the_old_one_away(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("blue", "Chemise")
    await listener.hear(merchant)
    merchant.put("listing/blue", LISTING, listing_body("blue", "Chemise", variants=[]))
    await listener.hear(merchant)
    assert listener.titles() == []


async def test_catalog_that_is_none_is_refused(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    cid = merchant.list("blue", "Chemise")
    frame = merchant.frame()
    from halle_protocol.head import Announcement, announce, sign_head

    head, grant = Announcement.decode(frame).open()
    bad = sign_head(
        merchant.operator_key, merchant.store, 9, cid, issued=head.issued, expires=head.expires, grant=head.grant
    )
    with pytest.raises(RemoteProtocolError):
        await listener.index.ingest_head(announce(bad, grant).encode(), "peer1")


async def test_lying_peer_cannot_plant_blocks(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("blue", "Chemise")
    frame = merchant.frame()
    merchant.blocks = dict.fromkeys(merchant.blocks, b"planted")
    with pytest.raises((RemoteProtocolError, Unavailable)):
        await listener.index.ingest_head(frame, "peer1")
    assert listener.titles() == []


async def test_stranger_gets_limited_room_and_a_followed_store_all(tmp_path: Path, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("A")
    for number in range(30):
        merchant.list(f"p{number:02}", f"Produit {number}")
    async with open_listener(tmp_path, hall, {"unknown_listings": 10}) as listener:
        assert await listener.hear(merchant)
        assert listener.index.stats()["listings"] == 10
        await listener.index.follow(merchant.store)
        assert await listener.hear(merchant)
        assert listener.index.stats()["listings"] == 30
        assert [one.name for one in listener.index.stores(followed=True)] == ["A"]
        await listener.index.unfollow(merchant.store)
        assert listener.index.stores(followed=True) == []


async def test_unknown_types_are_carried(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.put("rental/boat", "example.org/rental/1", {"boat": "red"})
    await listener.hear(merchant)
    doc = listener.index.document(merchant.store, "rental/boat")
    assert doc is not None
    assert doc.body == {"boat": "red"}


async def test_markup_of_strangers_is_never_kept(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("<b>A</b><script>x()</script>")
    merchant.list("blue", "Chemise <img src=x onerror=alert(1)>bleue")
    await listener.hear(merchant)
    (hit,) = listener.index.search("chemise").hits
    assert "<" not in hit.title + hit.store_name
    assert hit.store_name == "A"


async def test_reviews_count_when_verified(tmp_path: Path, hall: Hall) -> None:
    merchant, buyer, liar = hall.merchant(1), hall.merchant(2), hall.merchant(3)
    merchant.introduce("Shop")
    cid = merchant.list("blue", "Chemise")
    merchant.list("red", "Chemise rouge")
    buyer.introduce("Léa")
    buyer.review(merchant.store, "blue", cid, 5)
    liar.review(merchant.store, "blue", cid, 1, order=2)
    async with open_listener(tmp_path, hall, verify_review=lambda _, author: author == buyer.store) as listener:
        for one in (buyer, merchant, liar):  # the review may come before the listing
            await listener.hear(one)
        assert await listener.index.verify_reviews() == 1
        await listener.index.commit_search()
        first, second = listener.index.reviews(merchant.store, "blue")
        assert (first.verified, first.author_name, first.texts) == (True, "Léa", {"en": "Well made."})
        assert not second.verified
        view = listener.index.listing(merchant.store, "blue")
        assert view is not None
        assert (view.rating_tenths, view.review_count) == (50, 1)
        assert listener.titles("chemise", sort="rating")[0] == "Chemise"
        merchant.list("blue", "Chemise neuve")
        await listener.hear(merchant)
        assert listener.index.search("neuve").hits[0].rating_tenths == 50
        del buyer.items[f"review/{(1).to_bytes(32, 'big').hex()}"]
        await listener.hear(buyer)
        view = listener.index.listing(merchant.store, "blue")
        assert view is not None
        assert (view.rating_tenths, len(view.reviews)) == (None, 1)


async def test_old_pages_cleaned_up_do_not_stop_a_sync(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("one", "Un")
    merchant.list("two", "Deux")
    await listener.hear(merchant)
    view = listener.index.store(merchant.store)
    assert view is not None
    old_root: CID = view.catalog
    with listener.blocks._index.exclusive():
        listener.blocks._index.remove([old_root.digest])
    del merchant.blocks[old_root]
    del merchant.items["listing/one"]
    merchant.list("three", "Trois")
    assert await listener.hear(merchant)
    assert set(listener.titles()) == {"Deux", "Trois"}


async def test_profile_change_moves_its_listings(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("A")
    merchant.list("blue", "Chemise", **priced(100))
    await listener.hear(merchant)
    merchant.put("profile/store", PROFILE, {"name": "B", "country": "BE", "currency": "EUR"})
    await listener.hear(merchant)
    (hit,) = listener.index.search("chemise", facets={"country": "BE"}).hits
    assert (hit.country, hit.store_name) == ("BE", "B")


async def test_picture_of_a_shown_listing_is_fetched_and_no_other(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    shown, hidden = build_file(bytes(600_000)), build_file(b"hidden")
    merchant.blocks |= shown.blocks | hidden.blocks
    merchant.list("blue", "Chemise", media=[{"cid": shown.root}])
    await listener.hear(merchant)
    with pytest.raises(Unavailable):
        await listener.index.media(shown.root)
    listener.titles("chemise")
    assert await listener.index.media(shown.root) == bytes(600_000)
    with pytest.raises(Unavailable):
        await listener.index.media(hidden.root)
    hall.cut = True
    assert await listener.index.media(shown.root) == bytes(600_000)


async def test_picture_too_large_is_not_fetched(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    large = build_file(bytes(range(256)) * 20_000)
    merchant.blocks |= large.blocks
    merchant.list("blue", "Chemise", media=[{"cid": large.root}])
    await listener.hear(merchant)
    listener.index.listing(merchant.store, "blue")
    with pytest.raises(Refused):
        await listener.index.media(large.root, max_bytes=100_000)
