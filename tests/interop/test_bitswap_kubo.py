"""Kubo and we fetch from each other by bitswap: documents, pictures, directories, whole shops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from halle_protocol import unixfs
from halle_protocol.cid import RAW, cid_of
from interop.conftest import MakeKubo
from interop.goods import Goods, noise
from interop.halle_peer import HallePeer
from interop.kubo_daemon import KuboDaemon
from node.p2p.conftest import Peers


@pytest.fixture(scope="module")
def empty_kubo(make_kubo: MakeKubo) -> KuboDaemon:
    """A daemon that has nothing of the goods."""
    return make_kubo().start()


@pytest.fixture(scope="module")
def full_kubo(make_kubo: MakeKubo, goods: Goods) -> KuboDaemon:
    """A daemon that has all of the goods, made by itself where it can make them."""
    daemon = make_kubo().start()
    assert daemon.add(goods.image) == str(goods.image_root)
    for cid, block in goods.blocks.items():
        codec = {0x55: "raw", 0x70: "dag-pb", 0x71: "dag-cbor"}[cid.codec]
        assert daemon.rpc("block/put", data=block, cid_codec=codec, mhtype="sha2-256")["Key"] == str(cid)
    return daemon


@pytest.fixture
async def stocked(peer: HallePeer, goods: Goods, empty_kubo: KuboDaemon) -> AsyncIterator[HallePeer]:
    """Our peer with the goods, and a daemon connected to it that has nothing."""
    goods.keep_in(peer.blocks)
    await asyncio.to_thread(empty_kubo.connect, peer.addr)
    yield peer
    await asyncio.to_thread(empty_kubo.rpc, "repo/gc")


async def test_kubo_fetches_a_listing_and_its_picture(stocked: HallePeer, empty_kubo: KuboDaemon, goods: Goods) -> None:
    block = await asyncio.to_thread(empty_kubo.rpc_bytes, "block/get", str(goods.listing))
    assert block == goods.blocks[goods.listing]
    shown = json.loads(await asyncio.to_thread(empty_kubo.rpc_bytes, "dag/get", str(goods.listing)))
    assert shown["body"]["media"][0]["cid"] == {"/": str(goods.image_root)}
    assert await asyncio.to_thread(empty_kubo.cat, str(goods.image_root)) == goods.image


async def test_kubo_reads_a_directory_and_a_page_of_the_static_shop(
    stocked: HallePeer, empty_kubo: KuboDaemon, goods: Goods
) -> None:
    listed = await asyncio.to_thread(empty_kubo.rpc, "ls", str(goods.folder.root))
    assert {link["Name"] for link in listed["Objects"][0]["Links"]} == set(goods.files)
    page = await asyncio.to_thread(empty_kubo.cat, f"{goods.site.root}/p/7.html")
    assert page == b"<p>picture 7</p>"
    whole = await asyncio.to_thread(empty_kubo.rpc, "dag/stat", str(goods.site.root), progress=False)
    assert whole["UniqueBlocks"] == len(goods.site.blocks)


async def test_kubo_pins_the_catalog_root_recursively(stocked: HallePeer, empty_kubo: KuboDaemon, goods: Goods) -> None:
    done = await asyncio.to_thread(empty_kubo.rpc, "pin/add", str(goods.catalog), timeout=60)
    assert done["Pins"] == [str(goods.catalog)]
    assert str(goods.catalog) in empty_kubo.pins()
    assert all(empty_kubo.has(str(cid)) for cid in (goods.listing, *unixfs.build_file(goods.image).blocks))
    await asyncio.to_thread(empty_kubo.rpc, "pin/rm", str(goods.catalog))


async def test_we_fetch_all_of_it_from_kubo(peer: HallePeer, full_kubo: KuboDaemon, goods: Goods) -> None:
    kubo, addrs = full_kubo.peer_id, full_kubo.addrs
    for root in (goods.catalog, goods.folder.root, goods.site.root):
        await peer.fetch_dag(kubo, addrs, root)
    read = peer.blocks.get
    assert unixfs.read_file(goods.image_root, read, max_bytes=4_000_000) == goods.image
    assert read(goods.listing) == goods.blocks[goods.listing]
    assert set(unixfs.read_directory(goods.folder.root, read)) == set(goods.files)
    page = unixfs.resolve_path(goods.site.root, "p/7.html", read)
    assert unixfs.read_file(page, read, max_bytes=1_000) == b"<p>picture 7</p>"


async def test_block_that_kubo_lacks_is_left_out(peer: HallePeer, full_kubo: KuboDaemon, goods: Goods) -> None:
    absent = cid_of(RAW, b"nobody has this")
    found = await peer.network.fetch(full_kubo.peer_id, full_kubo.addrs, [absent, goods.listing])
    assert set(found) == {goods.listing}
    assert await peer.network.fetch(full_kubo.peer_id, full_kubo.addrs, [absent]) == {}


async def test_frozen_kubo_is_given_up(tmp_path: Path, make_kubo: MakeKubo) -> None:
    """Our side is a process of its own: py-libp2p leaves the socket of a failed handshake to the garbage collector."""
    daemon = make_kubo().start()
    cid = unixfs.build_file(b"frozen").root
    assert daemon.add(b"frozen") == str(cid)
    peer = await Peers(tmp_path).start("a", read_timeout_s=1.0)
    await peer.call("connect", addr=daemon.addrs[0])
    daemon.pause()
    with pytest.raises(Exception, match="etry"):
        await peer.call("fetch", peer=daemon.peer_id, addrs=[], cids=[str(cid)])
    await peer.close()
    daemon.stop()


async def test_kubo_of_cid_version_0_gets_its_blocks(make_kubo: MakeKubo, peer: HallePeer) -> None:
    """A file that somebody else added the old way is served under the old name."""
    old, other = make_kubo(profile="legacy-cid-v0").start(), make_kubo().start()
    data = noise(600_000, "old")
    name = old.add(data)
    assert name.startswith("Qm")
    blocks = [line["Ref"] for line in map(json.loads, old.rpc_bytes("refs", name, recursive=True).splitlines())]
    for ref in (name, *blocks):
        block = old.rpc_bytes("block/get", ref)
        peer.blocks.put(cid_of(RAW, block), block)
    await asyncio.to_thread(other.connect, peer.addr)
    assert await asyncio.to_thread(other.cat, name) == data
