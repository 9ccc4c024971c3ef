"""Helia and we fetch from each other by bitswap."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from halle_node.p2p.addresses import split_addr
from halle_protocol import unixfs
from interop.goods import Goods
from interop.halle_peer import HallePeer
from interop.helia_process import Helia


@pytest.fixture(scope="module")
def helia(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helia]:
    running = Helia(tmp_path_factory.mktemp("helia") / "log")
    yield running
    running.stop()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_helia_fetches_from_us(peer: HallePeer, helia: Helia, goods: Goods) -> None:
    goods.keep_in(peer.blocks)
    await helia.call("connect", peer.addr)
    assert await helia.call("block", goods.listing) == sha256(goods.blocks[goods.listing])
    assert await helia.call("field", goods.listing, "type") == "halle/listing/1"
    assert await helia.call("file", goods.image_root) == sha256(goods.image)
    assert set(await helia.call("folder", goods.folder.root)) == set(goods.files)
    pages = await helia.call("folder", (await helia.call("folder", goods.site.root))["p"])
    assert await helia.call("file", pages["7.html"]) == sha256(b"<p>picture 7</p>")


async def test_we_fetch_from_helia(peer: HallePeer, helia: Helia, goods: Goods) -> None:
    for cid, block in goods.blocks.items():
        await helia.call("put", cid, block)
    name = split_addr(helia.addrs[0])[1]
    for root in (goods.catalog, goods.folder.root, goods.site.root):
        await peer.fetch_dag(name, helia.addrs, root)
    assert unixfs.read_file(goods.image_root, peer.blocks.get, max_bytes=4_000_000) == goods.image
    assert peer.blocks.get(goods.listing) == goods.blocks[goods.listing]
