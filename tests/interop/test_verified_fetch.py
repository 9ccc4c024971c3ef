"""Helia's verified-fetch against the shop's port: it checks every block, so what it returns is what we published."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from halle_protocol import catalog as tree
from halle_protocol import unixfs
from halle_protocol.cid import CID
from halle_protocol.documents import Listing, decode_document, parse_body
from interop.engines import JS, node_js
from interop.shop_node import ShopNode, shop_node

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[ShopNode]:
    async with shop_node(tmp_path) as opened:
        yield opened


async def fetched(gateway: str, router: str, *wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """What verified-fetch makes of each request."""
    program = await asyncio.create_subprocess_exec(
        node_js(), JS / "verified_fetch.mjs", gateway, router, cwd=JS, stdin=-1, stdout=-1, stderr=-1
    )
    out, err = await program.communicate("".join(json.dumps(one) + "\n" for one in wanted).encode())
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == len(wanted), err.decode()
    return lines


def a_listing(shop: ShopNode) -> tuple[str, Listing]:
    """The CID of a listing with pictures, and the listing."""
    blocks, head = shop.node.blocks, shop.node.catalog.current_head()
    assert head is not None
    cid = tree.lookup(head.catalog_root, "listing/chemise-bleue", blocks.get)
    assert cid is not None
    listing = parse_body(decode_document(blocks.get(cid)))
    assert isinstance(listing, Listing)
    return str(cid), listing


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("knows_gateway", [True, False], ids=["by-gateway", "by-router-alone"])
async def test_verified_fetch_reads_the_shop(shop: ShopNode, knows_gateway: bool) -> None:
    url, get = shop.web.shop_url, shop.node.blocks.get
    listing_cid, listing = a_listing(shop)
    picture = unixfs.read_file(listing.media[0].cid, get, max_bytes=1 << 24)
    page_cid = unixfs.resolve_path(shop.site, "fr/index.html", get)
    page = unixfs.read_file(page_cid, get, max_bytes=1 << 24)
    name = shop.node.naming.name
    wanted = [
        {"url": f"ipfs://{listing.media[0].cid}"},
        {"url": f"ipfs://{shop.site}/fr/index.html"},
        {"url": f"ipfs://{listing_cid}", "headers": {"Accept": "application/vnd.ipld.dag-cbor"}},
        {"url": f"ipfs://{listing_cid}/body/media/0/cid"},
        {"url": f"ipns://{name}/fr/index.html"},
        {"url": f"ipfs://{listing.media[0].cid}", "headers": {"Range": "bytes=10-99"}},
        {"url": f"ipfs://{shop.site}/fr/nothing-here.html"},
    ]
    got = await fetched(url if knows_gateway else "-", url, *wanted)
    assert [one.get("status", one.get("error")) for one in got] == [200, 200, 200, 200, 200, 206, 404], got
    assert got[0]["sha256"] == got[3]["sha256"] == digest(picture)
    assert got[0]["type"].startswith("image/")
    assert got[1]["sha256"] == got[4]["sha256"] == digest(page)
    assert got[1]["type"].startswith("text/html")
    assert got[2]["sha256"] == digest(get(CID.parse(listing_cid)))
    assert got[5]["sha256"] == digest(picture[10:100])


async def test_verified_fetch_gets_no_draft(shop: ShopNode) -> None:
    """A picture that is in the store and in no published product."""
    hidden = unixfs.build_file(b"\xff\xd8\xff a picture of a draft")
    shop.node.blocks.put_many(list(hidden.blocks.items()))
    (got,) = await fetched(shop.web.shop_url, shop.web.shop_url, {"url": f"ipfs://{hidden.root}"})
    assert got.get("status") != 200
