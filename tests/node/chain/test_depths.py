"""How deep is deep enough, chain by chain, and what the owner sets instead."""

from __future__ import annotations

import pytest

from halle_node.chain import ChainClient, Depths, Watcher
from halle_node.chain.depths import CHAINS, UNKNOWN_CHAIN
from halle_node.db import Database
from node.chain.following import catch_up
from node.chain.scripted import ScriptedChain

SUBJECT = b"\x05" * 32
POLYGON = 137


@pytest.mark.parametrize(
    ("chain_id", "given", "expected"),
    [
        (1, Depths(0, 0), Depths(12, 96)),
        (8_453, Depths(0, 0), Depths(10, 600)),
        (777, Depths(0, 0), UNKNOWN_CHAIN),
        (31_337, Depths(0, 0), Depths(1, 1)),
        (1, Depths(30, 0), Depths(30, 96)),
        (1, Depths(0, 200), Depths(12, 200)),
        (1, Depths(0, 5), Depths(12, 12)),
        (1, Depths(500, 0), Depths(500, 500)),
    ],
)
async def test_depths_are_the_chains_own_where_the_owner_set_none(
    scripted: ScriptedChain, chain_id: int, given: Depths, expected: Depths
) -> None:
    scripted.chain_id = chain_id
    client = ChainClient(scripted.url, depths=given)
    await client.connect()
    assert client.depths == expected
    await client.close()


async def test_embedded_chain_has_its_own(client: ChainClient) -> None:
    assert client.depths == Depths(1, 1)


def test_final_is_never_before_safe() -> None:
    assert all(0 < each.safe <= each.final for _, each in CHAINS.values())


async def test_event_is_safe_and_final_as_its_chain_wants(scripted: ScriptedChain, db: Database) -> None:
    scripted.chain_id = POLYGON
    usual = CHAINS[POLYGON][1]
    client = ChainClient(scripted.url)
    watcher = Watcher(db, client, start_block=0)
    scripted.grow((SUBJECT,))
    for blocks, finality in (
        (usual.safe - 2, "seen"),
        (1, "safe"),
        (usual.final - usual.safe - 1, "safe"),
        (1, "final"),
    ):
        scripted.grow(*[()] * blocks)
        await catch_up(watcher)
        assert [each.finality for each in watcher.events(SUBJECT)] == [finality]
    await client.close()
