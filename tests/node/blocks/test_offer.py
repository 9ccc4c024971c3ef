"""A stranger gets what a root reaches, and nothing else that lies in the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from halle_node.blocks import BlockStore
from halle_node.blocks.offer import Offer
from halle_protocol.cid import RAW, cid_of
from halle_protocol.unixfs import Built, build_directory, build_file


@pytest.fixture
def blocks(tmp_path: Path) -> Iterator[BlockStore]:
    store = BlockStore(tmp_path)
    yield store
    store.close()


def put(blocks: BlockStore, *built: Built) -> None:
    for one in built:
        blocks.put_many(list(one.blocks.items()))


async def test_only_what_a_root_reaches_is_offered(blocks: BlockStore) -> None:
    page, draft = build_file(b"<!doctype html>"), build_file(b"a picture of a draft")
    site = build_directory({"index.html": page})
    put(blocks, site, draft)
    blocks.pin("own/head", site.root)
    offer = Offer(blocks, lambda: blocks.pins().values(), clock=lambda: 0.0)
    assert [await offer.has(cid) for cid in (site.root, page.root, draft.root)] == [True, True, False]
    assert not await offer.has(cid_of(RAW, b"never seen"))


async def test_block_that_is_linked_and_not_here_is_not_offered(blocks: BlockStore) -> None:
    page = build_file(b"lost")
    site = build_directory({"index.html": page})
    blocks.put(site.root, site.blocks[site.root])
    offer = Offer(blocks, lambda: [site.root], clock=lambda: 0.0)
    assert [await offer.has(cid) for cid in (site.root, page.root)] == [True, False]


async def test_offer_follows_the_roots(blocks: BlockStore) -> None:
    now = [0.0]
    old, kept, new = build_file(b"old"), build_file(b"kept"), build_file(b"new")
    before, after = build_directory({"a": old, "b": kept}), build_directory({"b": kept, "c": new})
    put(blocks, before, after)
    blocks.pin("own/head", before.root)
    offer = Offer(blocks, lambda: blocks.pins().values(), clock=lambda: now[0])
    assert await offer.has(old.root)
    blocks.pin("own/head", after.root)
    assert not await offer.has(new.root)  # asked again only after a second
    now[0] += 1.0
    assert [await offer.has(one.root) for one in (old, kept, new)] == [False, True, True]
