"""A real chain that undoes up to 64 of its blocks: rows follow it, and our transactions come back as they were."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from sqlalchemy import Connection, select

from halle_contracts import encode_call
from halle_node.chain import ChainClient, ChainEvent, Finality, Outbox, Watcher
from halle_node.db import Database
from halle_node.db.schema.chain import chain_event, chain_tx_attempt
from halle_protocol.keys import address_of, keccak256
from node.chain.following import catch_up
from node.chain.real import Anvil, anvil_market

PAYER = keccak256(b"payer of the reorg tests")


@pytest.fixture
def market() -> Iterator[Anvil]:
    with anvil_market(7_008) as found:
        found.ask("anvil_setBalance", "0x" + address_of(PAYER).hex(), hex(10**20))
        yield found


@pytest.fixture
async def client(market: Anvil) -> AsyncIterator[ChainClient]:
    found = ChainClient(market.url)
    await found.connect()
    yield found
    await found.close()


def known(db: Database) -> list[tuple[str, int]]:
    wanted = select(chain_event).where(chain_event.c.contract == "Escrow")
    rows = db.read(lambda c: c.execute(wanted.order_by(chain_event.c.block_number, chain_event.c.log_index)).all())
    return [("0x" + row.block_hash.hex(), row.log_index) for row in rows]


def finalities(db: Database) -> list[str]:
    wanted = select(chain_event.c.finality).where(chain_event.c.contract == "Escrow")
    return list(db.read(lambda c: c.execute(wanted.order_by(chain_event.c.block_number)).scalars().all()))


async def test_rows_follow_every_reorg_up_to_64_blocks(market: Anvil, client: ChainClient, db: Database) -> None:
    watcher = Watcher(db, client, start_block=0)
    live: set[tuple[str, int]] = set()

    def place(event: ChainEvent) -> tuple[str, int]:
        return "0x" + event.block_hash.hex(), event.log_index

    def tell(_: Connection, events: Sequence[ChainEvent]) -> None:
        live.update(place(event) for event in events if event.contract == "Escrow")

    def take_back(_: Connection, events: Sequence[ChainEvent]) -> None:
        assert all(event.finality is not Finality.FINAL for event in events)
        live.difference_update(place(event) for event in events)

    watcher.subscribe(tell)
    watcher.on_reorg(take_back)
    for depth in (1, 2, 3, 17, 63):
        market.emit(5)
        market.mine(60)
        market.emit(5)
        await catch_up(watcher)
        before = known(db)
        # What is put into the new blocks is another event, at another place.
        market.ask("anvil_reorg", depth, [[market.call(), depth // 2]])
        await catch_up(watcher)
        assert known(db) == market.logs() != before
        assert live == set(known(db))
    market.mine(64)
    await catch_up(watcher)
    assert set(finalities(db)) == {"final"}


async def test_chain_that_went_back_in_time_is_followed(market: Anvil, client: ChainClient, db: Database) -> None:
    """A snapshot restored: the head falls, and other blocks grow above it."""
    watcher = Watcher(db, client, start_block=0)
    market.emit(3)
    snapshot = market.ask("evm_snapshot")
    market.emit(40)
    await catch_up(watcher)
    market.ask("evm_revert", snapshot)
    market.mine(2)
    market.emit(1)
    await catch_up(watcher)  # lower than before: it may only lag
    market.emit(45)
    await catch_up(watcher)
    assert known(db) == market.logs()


async def test_finality_rises_from_seen_to_safe_to_final(market: Anvil, client: ChainClient, db: Database) -> None:
    watcher = Watcher(db, client, start_block=0)
    market.emit()
    told = []
    for blocks in (0, 1, 1, 60, 1, 1):
        if blocks:
            market.mine(blocks)
        await catch_up(watcher)
        told.append(finalities(db)[0])
    assert told == ["seen", "seen", "safe", "safe", "final", "final"]


async def test_transaction_that_a_reorg_drops_is_sent_again_as_it_was(
    market: Anvil, client: ChainClient, db: Database
) -> None:
    """Same nonce, same calldata, same signed bytes; and each happens once."""
    outbox = Outbox(db, client, {address_of(PAYER): PAYER}, clock=lambda: int(time.time()))
    token = client.contracts.address_of("tEUR")
    payees = [bytes([0x70 + number]) * 20 for number in range(3)]

    def pay(conn: Connection, to: bytes) -> int:
        call = encode_call("TestToken", "mint", to, 7)
        return outbox.enqueue(conn, signer=address_of(PAYER), to=token, data=call, purpose="pay", ref=to)

    rows = [await db.write(lambda conn, to=to: pay(conn, to)) for to in payees]
    await outbox.step()
    await outbox.step()
    assert [outbox.status(row).state for row in rows] == ["mined"] * 3
    was = [outbox.status(row) for row in rows]
    for depth in (3, 40):
        market.mine(depth - 3)
        market.ask("anvil_reorg", depth, [])
        assert await client.nonce(address_of(PAYER)) == 0
        await outbox.step()
        assert [outbox.status(row).state for row in rows] == ["sent"] * 3
        await outbox.step()
        assert [outbox.status(row).state for row in rows] == ["mined"] * 3
    market.mine(64)
    assert await outbox.step() == 0
    now = [outbox.status(row) for row in rows]
    assert [(each.nonce, each.tx_hash, each.state) for each in now] == [
        (each.nonce, each.tx_hash, "final") for each in was
    ]
    assert len(db.read(lambda c: c.execute(select(chain_tx_attempt)).all())) == 3
    paid = [await client.call("TestToken", "balanceOf", to, at=token) for to in payees]
    assert paid == [7, 7, 7]
    assert await client.nonce(address_of(PAYER)) == 3
