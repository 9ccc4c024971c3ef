"""What an operator sees: pins, clean-up, metrics, over a real node without network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from halle_node.catalog import ProductForm, VariantForm
from halle_node.config import Config
from halle_node.keys import Keys
from halle_node.node import Node
from halle_protocol.money import Money
from halle_storefront import WebAddresses, start_web

from .stall import picture

Served = tuple[Node, WebAddresses, ClientSession]
SHIRT = ProductForm(
    title="Bol", handle="bol", language="en", variants=(VariantForm(price=Money(1250, "EUR"), sku="B", on_hand=3),)
)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    ports = {"local_port": 0, "shop_port": 0, "p2p_port": 0, "chain_port": 0}
    config = Config(home=tmp_path, name="Atelier", scrypt_n=2, index_heap_mb=15, metrics=True, **ports)
    Keys.create(tmp_path, scrypt_n=2)
    async with Node(config, online=False) as node:
        web = await start_web(node)
        async with ClientSession(headers={"Authorization": f"Bearer {web.token}"}) as owner:
            yield node, web, owner
        await web.close()


async def ask(served: Served, method: str, path: str, **body: object) -> dict:
    _, web, owner = served
    async with owner.request(method, f"{web.local_url}/api/v1{path}", data=json.dumps(body)) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_clean_up_leaves_drafts_and_editions_and_says_what_goes(served: Served) -> None:
    node, _, _ = served
    await node.catalog.save_product(SHIRT)
    await node.catalog.add_photo("bol", "a.png", picture((90, 120, 150)))
    await node.catalog.publish()
    removed = await node.catalog.add_photo("bol", "b.png", picture((10, 20, 30), "cup"))
    kept = await node.catalog.add_photo("bol", "c.png", picture((200, 20, 30), "cup"))
    assert removed.cid
    await node.catalog.remove_photo("bol", removed.cid)
    later = node.blocks._clock() + 10_000
    node.blocks._clock = lambda: later  # what was just stored is never touched: be ten minutes older
    planned = await ask(served, "POST", "/blocks/clean-up")
    assert planned["blocks"] > 0
    assert node.blocks.has(removed.cid)
    assert await ask(served, "POST", "/blocks/clean-up", apply=True) == planned
    assert not node.blocks.has(removed.cid)
    assert kept.cid
    assert node.blocks.has(kept.cid)
    assert (await ask(served, "POST", "/blocks/clean-up"))["blocks"] == 0
    assert (await node.verify_blocks()).missing == ()
    await node.catalog.publish()


async def test_pins_say_why_and_how_much(served: Served) -> None:
    node, _, _ = served
    assert (await ask(served, "GET", "/pins"))["pins"] == []
    await node.catalog.save_product(SHIRT)
    await node.catalog.add_photo("bol", "a.png", picture((90, 120, 150)))
    await node.catalog.publish()
    found = await ask(served, "GET", "/pins")
    by_why = {one["why"]: one for one in found["pins"]}
    assert {"edition", "shop", "drafts"} <= set(by_why)
    assert by_why["edition"]["bytes"] > by_why["drafts"]["bytes"] > 0
    assert by_why["edition"]["missing"] == 0
    assert found["disk"]["bytes"] >= by_why["edition"]["bytes"]


async def test_metrics_are_readable_by_prometheus_and_name_nobody(served: Served) -> None:
    node, web, _ = served
    async with ClientSession() as anybody, anybody.get(f"{web.local_url}/metrics") as answer:
        assert answer.status == 200
        text = await answer.text()
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name in ("halle_peers", "halle_blocks_bytes", "halle_mailbox_letters", "process_open_fds"):
        assert families[name].documentation
        assert families[name].samples
    assert families["process_resident_memory_bytes"].samples[0].value > 10_000_000
    for secret in (node.keys.store_address.hex(), node.network.peer_id, "Atelier"):
        assert not secret or secret not in text
    labels = {label for family in families.values() for sample in family.samples for label in sample.labels}
    assert labels <= {"state", "kind", "reason"}
    async with ClientSession() as anybody:
        async with anybody.get(f"{web.shop_url}/metrics") as answer:
            assert answer.status == 404
        async with anybody.get(f"{web.local_url}/metrics", headers={"Host": "evil.example"}) as answer:
            assert answer.status == 421


async def test_documented_metrics_are_those_of_the_code(served: Served) -> None:
    node, _, _ = served
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for family in text_string_to_metric_families(node.metrics().decode()):
        assert f"| `{family.name}" in page, family.name


async def test_metrics_are_off_unless_asked_for(served: Served, tmp_path: Path) -> None:
    node, web, owner = served
    node.config = node.config.model_copy(update={"metrics": False})
    async with owner.get(f"{web.local_url}/metrics") as answer:
        assert answer.status == 404
