"""The pages over a real node without network: its own catalog, index, trade room and block store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar
from stall import eur

from halle_node.catalog import ProductForm, VariantForm
from halle_node.config import Config
from halle_node.keys import Keys
from halle_node.node import Node
from halle_storefront import WebAddresses, start_web


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[tuple[Node, WebAddresses, ClientSession]]:
    config = Config(
        home=tmp_path, name="Atelier", local_port=0, shop_port=0, p2p_port=0, chain_port=0, scrypt_n=2, index_heap_mb=15
    )
    Keys.create(tmp_path, scrypt_n=2)
    node = Node(config, online=False)
    await node.start()
    web = await start_web(node)
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as owner:
        await owner.get(web.setup_url)
        yield node, web, owner
    await web.close()
    await node.close()


async def test_a_published_product_is_seen_in_shop_and_market(shop) -> None:
    node, web, owner = shop
    await node.catalog.save_product(
        ProductForm(
            title="Bol bleu",
            handle="bol",
            language="en",
            variants=(VariantForm(price=eur("12.50"), sku="B1", on_hand=3),),
        )
    )
    await node.catalog.publish()
    await node.index.commit_search()
    store = "0x" + node.keys.store_address.hex()
    for url, words in (
        (f"{web.shop_url}/en/", "Bol bleu"),
        (f"{web.shop_url}/en/p/bol", "€12.50"),
        (f"{web.local_url}/en/market/?q=bol", "Bol bleu"),
        (f"{web.local_url}/en/market/p/{store}/bol", "In stock"),
        (f"{web.local_url}/en/market/s/{store}", "Bol bleu"),
    ):
        async with owner.get(url) as answer:
            assert answer.status == 200, url
            assert words in await answer.text(), url


async def test_every_page_of_a_new_home_opens(shop) -> None:
    _, web, owner = shop
    for path in (
        "admin/",
        "admin/products",
        "admin/products/new",
        "admin/orders",
        "admin/import",
        "admin/network",
        "admin/settings",
        "market/",
        "market/stores",
        "market/cart",
        "market/orders",
        "market/wallet",
    ):
        async with owner.get(f"{web.local_url}/fr/{path}") as answer:
            assert answer.status == 200, (path, await answer.text())
    async with owner.get(f"{web.shop_url}/fr/") as answer:
        assert "Ouverture prochaine" in await answer.text()
