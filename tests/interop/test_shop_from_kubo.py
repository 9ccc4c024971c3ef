"""A shop is read from the IPFS daemon that keeps it while the merchant is away, by nodes that know only its profile."""

from __future__ import annotations

import asyncio
from pathlib import Path

from halle_node.blocks import BlockStore
from halle_node.config import load, paths
from halle_node.db import open_database
from halle_node.index import IndexService
from halle_protocol import unixfs
from interop.goods import Goods
from interop.halle_peer import halle_peer
from interop.kubo_daemon import KuboDaemon
from node.index.hall import NOW


def fill(kubo: KuboDaemon, goods: Goods) -> None:
    """Have the daemon hold what the merchant publishes."""
    names = {0x55: "raw", 0x70: "dag-pb", 0x71: "dag-cbor"}
    for cid, block in goods.blocks.items():
        kubo.rpc("block/put", data=block, cid_codec=names[cid.codec], mhtype="sha2-256")


async def test_new_edition_is_read_from_the_daemon_in_the_profile(tmp_path: Path, kubo: KuboDaemon) -> None:
    goods = Goods("away")
    merchant = goods.merchant
    nobody = "12D3KooWGCyS8gmm9gYyy4D6ZHe6oVnV9w6GFdR2rfAKtv3aE3Cw"
    merchant.introduce("Away", peer_id=nobody, addrs=["/ip4/127.0.0.1/tcp/9", *kubo.addrs])
    first = merchant.frame()
    goods.blocks.update(merchant.blocks)
    await asyncio.to_thread(fill, kubo, goods)
    config = load(tmp_path / "home", {"index_heap_mb": 15}, {})
    db, blocks = open_database(paths(config)["database"]), BlockStore(paths(config)["blocks"])
    async with halle_peer(tmp_path, connect_timeout_s=2.0) as peer:
        index = IndexService(config, db, blocks, peer.network.fetch, lambda: NOW + 100)
        # The first edition comes from a peer that is connected and speaks bitswap alone.
        await peer.network.connect(kubo.addrs[0])
        assert await index.ingest_head(first, kubo.peer_id)
        # The second is heard from somebody who has none of it; the merchant does not answer.
        merchant.list("bowl", "Bol")
        second = merchant.frame()
        goods.blocks.update(merchant.blocks)
        await asyncio.to_thread(fill, kubo, goods)
        assert await index.ingest_head(second, "")
        await index.commit_search()
        assert {hit.title for hit in index.search("", locale="fr").hits} == {"Tasse", "Bol"}
        assert index.listing(merchant.store, "mug") is not None
        assert await index.media(goods.image_root) == goods.image
        assert blocks.has(unixfs.build_file(goods.image).root)
        await index.close()
    blocks.close()
    db.close()
