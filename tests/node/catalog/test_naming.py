"""The store's IPNS record: valid for any reader, stored before it is shown, and never with a sequence twice."""

from __future__ import annotations

from pathlib import Path

from halle_node.catalog.naming import LIFE_S, Naming, head_path
from halle_protocol import ipns
from halle_protocol.cid import DAG_CBOR, cid_of
from halle_protocol.head import Head, sign_head
from node.catalog.shop import Shop, open_shop


def naming(shop: Shop) -> Naming:
    return Naming(shop.db, shop.keys.peer_private, shop.clock)


def head(shop: Shop, seq: int, *, site: bool = False) -> Head:
    root = cid_of(DAG_CBOR, b"\xa0")
    times = {"issued": shop.clock.now, "expires": shop.clock.now + 86_400}
    key = shop.keys.operator_private
    return sign_head(key, shop.keys.store_address, seq, root, site=root if site else None, **times)


async def test_record_points_to_the_head_and_through_it_to_the_shop(shop: Shop) -> None:
    names, bare, shown = naming(shop), head(shop, 3), head(shop, 4, site=True)
    assert names.current() is None
    for each, path in ((bare, f"/ipfs/{bare.cid}"), (shown, f"/ipfs/{shown.cid}/site")):
        made = await names.point_to(each)
        found = ipns.verify(made.record, names.name, now=shop.clock.now)
        assert (found.value, found.sequence, found.ttl_s) == (path, each.seq, 300)
        assert found.expires_at == shop.clock.now + LIFE_S
        assert names.current() == made
        assert head_path(each) == path


async def test_record_is_signed_again_only_for_a_new_value_or_when_half_its_life_is_over(shop: Shop) -> None:
    names, first = naming(shop), head(shop, 1)
    made = await names.point_to(first)
    shop.clock.now += LIFE_S // 2 - 1
    assert await names.point_to(first) == made
    shop.clock.now += 2
    renewed = await names.point_to(first)
    assert (renewed.sequence, renewed.expires_at) == (made.sequence, shop.clock.now + LIFE_S)
    shop.clock.now += LIFE_S
    assert names.current() is None


async def test_sequence_never_goes_back_when_the_home_is_opened_again(tmp_path: Path) -> None:
    async with open_shop(tmp_path / "home") as shop:
        for seq in (7, 2, 3):
            await naming(shop).point_to(head(shop, seq))
    async with open_shop(tmp_path / "home") as shop:
        made = await naming(shop).point_to(head(shop, 4))
    assert made.sequence == 10


async def test_restored_home_starts_above_what_it_published_before(tmp_path: Path) -> None:
    async with open_shop(tmp_path / "home") as shop:
        made = await naming(shop).point_to(head(shop, 41))
    assert made.sequence == 41
