"""What a shop publishes is kept, pinned, named and announced by a real Kubo, through both adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from halle_node.blocks.kubo import Source, make_calls, make_publisher
from halle_node.blocks.kubo.plan import make_plan
from halle_protocol import catalog as tree
from halle_protocol import ipns, unixfs
from halle_protocol.documents import decode_document
from halle_protocol.errors import Refused
from halle_protocol.head import sign_head
from interop.conftest import MakeKubo
from interop.goods import Goods
from interop.kubo_daemon import KuboDaemon
from interop.kubo_shop import KuboShop, kubo_shop

CLIENTS = ("aiohttp", "ipfshttpclient")


@pytest.fixture(scope="module")
def pair(make_kubo: MakeKubo) -> tuple[KuboDaemon, KuboDaemon]:
    """Two daemons that find each other's content by their own DHT."""
    near, far = (make_kubo({"Routing.Type": "dhtserver"}).start() for _ in range(2))
    near.connect(far.addrs[0])
    return near, far


@pytest.fixture(params=CLIENTS)
async def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def keeper(tmp_path: Path, pair: tuple[KuboDaemon, KuboDaemon], client: str) -> AsyncIterator[KuboShop]:
    async with kubo_shop(tmp_path / "home", pair[0].api, kubo_client=client) as opened:
        yield opened


async def test_shop_is_kept_pinned_named_and_found(keeper: KuboShop, pair: tuple[KuboDaemon, KuboDaemon]) -> None:
    near, far = pair
    published = await keeper.offer("blue-shirt")
    status = await keeper.kept(published)
    assert (status.peer_id, status.trouble) == (near.peer_id, None)
    assert near.pins()[str(published.catalog_root)] == keeper.prefix + "catalog"
    assert near.pins("direct")[str(published.head.cid)] == keeper.prefix + "head"
    assert status.sent_blocks == len(set(keeper.shop.blocks.walk(published.head.cid)))
    # Somebody else's daemon finds the name, then the blocks, knowing nothing of us.
    record = await asyncio.to_thread(far.rpc_bytes, "name/get", keeper.naming.name)
    found = ipns.verify(record, keeper.naming.name, now=keeper.shop.clock())
    assert (found.value, found.sequence) == (f"/ipfs/{published.head.cid}", status.name_sequence)
    listing = tree.lookup(published.catalog_root, "listing/blue-shirt", keeper.shop.blocks.get)
    assert listing is not None
    block = await asyncio.to_thread(far.rpc_bytes, "block/get", str(listing))
    photo = decode_document(block).body["media"][0]["cid"]
    stored = unixfs.read_file(photo, keeper.shop.blocks.get, max_bytes=1_000_000)
    assert await asyncio.to_thread(far.cat, str(photo)) == stored
    assert status.provide_trouble is None
    assert status.provided_at


async def test_next_publish_sends_the_difference_and_lets_the_old_go(
    keeper: KuboShop, pair: tuple[KuboDaemon, KuboDaemon]
) -> None:
    for number in range(20):
        first = await keeper.offer(f"shirt-{number}")
    before = await keeper.kept(first)
    second = await keeper.offer("shirt-3", cents=999)
    after = await keeper.kept(second)
    assert 0 < after.sent_blocks - before.sent_blocks < 10
    assert after.name_sequence > before.name_sequence
    pins = pair[0].pins()
    assert str(second.catalog_root) in pins
    assert str(first.catalog_root) not in pins
    assert str(first.head.cid) not in pair[0].pins("direct")


async def test_restarted_node_sends_nothing_again(
    tmp_path: Path, pair: tuple[KuboDaemon, KuboDaemon], client: str
) -> None:
    async with kubo_shop(tmp_path, pair[0].api, kubo_client=client) as keeper:
        published = await keeper.offer("blue-shirt")
        await keeper.kept(published)
    async with kubo_shop(tmp_path, pair[0].api, kubo_client=client) as keeper:
        assert (await keeper.kept(published)).sent_blocks == 0


async def test_wiped_daemon_is_filled_again(keeper: KuboShop, pair: tuple[KuboDaemon, KuboDaemon]) -> None:
    near = pair[0]
    published = await keeper.offer("blue-shirt")
    await keeper.kept(published)
    for cid in (published.catalog_root, published.head.cid):
        await asyncio.to_thread(near.rpc, "pin/rm", str(cid))
    await asyncio.to_thread(near.rpc, "repo/gc")
    assert not near.has(str(published.catalog_root))
    again = await keeper.offer("red-shirt")
    await keeper.kept(again)
    assert near.pins()[str(again.catalog_root)] == keeper.prefix + "catalog"
    listing = tree.lookup(again.catalog_root, "listing/blue-shirt", keeper.shop.blocks.get)
    assert near.has(str(listing))


async def test_operators_own_pin_stays(keeper: KuboShop, pair: tuple[KuboDaemon, KuboDaemon]) -> None:
    near = pair[0]
    first = await keeper.offer("blue-shirt")
    await keeper.kept(first)
    await asyncio.to_thread(near.rpc, "pin/add", str(first.catalog_root), name="mine")
    await keeper.kept(await keeper.offer("red-shirt"))
    assert near.pins()[str(first.catalog_root)] == "mine"


async def test_files_and_blocks_get_the_names_that_we_give_them(
    pair: tuple[KuboDaemon, KuboDaemon], client: str
) -> None:
    goods, calls = Goods("names"), _calls(pair[0].api, client)
    try:
        assert (await calls.hash_file(goods.image))["Hash"] == str(goods.image_root)
        assert (await calls.block_put(goods.listing, goods.blocks[goods.listing]))["Key"] == str(goods.listing)
    finally:
        await calls.close()


@pytest.mark.parametrize("call", ["dht.findprovs", "object.get", "pubsub.publish", "name.publish", "bitswap.wantlist"])
async def test_library_call_that_kubo_has_dropped_is_refused(pair: tuple[KuboDaemon, KuboDaemon], call: str) -> None:
    calls = _calls(pair[0].api, "ipfshttpclient")
    with pytest.raises(Refused) as caught:
        await calls.call(call, "x")
    assert caught.value.code == "kubo-call-gone"


async def test_site_is_pinned_with_the_catalog_and_a_hole_is_walked_round(
    tmp_path: Path, pair: tuple[KuboDaemon, KuboDaemon]
) -> None:
    """A review leads to a listing of another shop, whose picture is not here."""
    near, goods, other = pair[0], Goods("holes"), Goods("other")
    merchant = goods.merchant
    merchant.review(other.merchant.store, "mug", other.listing, 5)
    merchant.blocks[other.listing] = other.blocks[other.listing]
    merchant.frame()
    goods.blocks.update(merchant.blocks)
    async with kubo_shop(tmp_path, near.api) as keeper:
        goods.keep_in(keeper.shop.blocks)
        root = tree.build(merchant.items).root
        times = {"issued": 1_800_000_000, "expires": 1_800_086_400}
        head = sign_head(merchant.operator_key, merchant.store, 1, root, site=goods.site.root, **times)
        plan = make_plan(keeper.shop.blocks, head)
        assert not plan.pins[root].recursive
        assert plan.pins[goods.site.root].recursive
        keeper.shop.blocks.put(head.cid, head.encode())
        source = Source(keeper.shop.blocks, merchant.store, lambda: head, keeper.naming.point_to, keeper.shop.clock)
        await _publish_once(source, near.api)
    assert near.pins()[str(goods.site.root)].endswith(":site")
    assert str(root) in near.pins("direct")
    assert near.has(str(goods.listing))
    assert near.has(str(unixfs.resolve_path(goods.site.root, "p/7.html", goods.blocks.__getitem__)))


async def _publish_once(source: Source, api: str) -> None:
    from halle_node.config import load

    publisher = make_publisher(load(Path("/nowhere"), {"kubo_api": api}, {}), source)
    duty = asyncio.create_task(publisher.run())
    status = await publisher.settled(lambda status: status.state in ("ok", "failed"))
    duty.cancel()
    await asyncio.wait({duty})
    await publisher.close()
    assert status.trouble is None


def _calls(api: str, client: str):  # type: ignore[no-untyped-def]
    from halle_node.config import load

    return make_calls(load(Path("/nowhere"), {"kubo_api": api, "kubo_client": client}, {}))
