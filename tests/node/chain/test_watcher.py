"""Whatever the chain does, the stored events are those of its canonical blocks, told in the same transaction."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import eth  # noqa: F401 it raises the recursion limit, which Hypothesis wants to stay as it is
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, text

from halle_node.chain import ChainClient, ChainEvent, Depths, EmbeddedChain, Finality, Watcher
from halle_node.db import Database, open_database
from halle_node.db.schema.chain import chain_block, chain_cursor, chain_event, chain_identity
from halle_protocol.errors import ConfigError, Refused, Unavailable
from node.chain.following import catch_up, stored
from node.chain.scripted import ScriptedBlock, ScriptedChain

DEPTHS = Depths(safe=2, final=8)


def subject(number: int) -> bytes:
    return number.to_bytes(32, "big")


class Told:
    """A subscriber that keeps a table, as a room of the node would."""

    def __init__(self, db: Database, watcher: Watcher) -> None:
        self.finalities: list[tuple[bytes, Finality]] = []
        self.gone: list[bytes] = []
        self._db = db
        db.write_blocking(lambda c: c.execute(text("CREATE TABLE told (subject BLOB UNIQUE)")))
        watcher.subscribe(self.hear)
        watcher.on_reorg(self.take_back)

    def hear(self, connection: Connection, events: Sequence[ChainEvent]) -> None:
        for event in events:
            self.finalities.append((event.subject, event.finality))
            connection.execute(text("INSERT OR IGNORE INTO told VALUES (:s)"), {"s": event.subject})

    def take_back(self, connection: Connection, events: Sequence[ChainEvent]) -> None:
        for event in events:
            self.gone.append(event.subject)
            connection.execute(text("DELETE FROM told WHERE subject = :s"), {"s": event.subject})

    def table(self) -> set[bytes]:
        return set(self._db.read(lambda c: c.execute(text("SELECT subject FROM told")).scalars().all()))


@pytest.fixture
async def told_client(scripted: ScriptedChain) -> AsyncIterator[ChainClient]:
    client = ChainClient(scripted.url, timeout_s=5)
    yield client
    await client.close()


@pytest.fixture
def watcher(db: Database, told_client: ChainClient) -> Watcher:
    return Watcher(db, told_client, depths=DEPTHS, start_block=0, range_blocks=20)


@pytest.fixture
def told(db: Database, watcher: Watcher) -> Told:
    return Told(db, watcher)


async def test_events_are_told_with_their_arguments(scripted: ScriptedChain, watcher: Watcher, told: Told) -> None:
    scripted.grow((subject(1),), (), (subject(2), subject(3)))
    await catch_up(watcher)
    assert [each for each, _ in told.finalities] == [subject(1), subject(2), subject(3)]
    event = watcher.events(subject(2))[0]
    assert (event.contract, event.name, event.block_number) == ("Escrow", "Shipped", 3)
    assert event.args == {"orderId": subject(2), "shipmentHash": bytes(32), "deadline": 5}
    assert event.block_time == 1_700_000_003


async def test_finality_rises_with_depth_and_is_told_once(
    scripted: ScriptedChain, watcher: Watcher, told: Told
) -> None:
    scripted.grow((subject(1),))
    for _ in range(10):
        await catch_up(watcher)
        scripted.grow(())
    assert told.finalities == [(subject(1), each) for each in (Finality.SEEN, Finality.SAFE, Finality.FINAL)]


async def test_long_history_is_read_in_bounded_ranges(scripted: ScriptedChain, watcher: Watcher, db: Database) -> None:
    scripted.grow(*[(subject(number),) for number in range(150)])
    assert await watcher.step()
    await catch_up(watcher)
    assert stored(db) == scripted.subjects
    assert scripted.requests.count("eth_getLogs") == 8


async def test_restart_goes_on_where_it_stopped(
    scripted: ScriptedChain, watcher: Watcher, told: Told, db: Database, told_client: ChainClient
) -> None:
    scripted.grow((subject(1),), (subject(2),))
    await catch_up(watcher)
    scripted.grow((subject(3),))
    again = Watcher(db, told_client, depths=DEPTHS)
    again.subscribe(told.hear)
    await catch_up(again)
    seen = [each for each, finality in told.finalities if finality is Finality.SEEN]
    assert len(seen) == len(set(seen))
    assert stored(db) == scripted.subjects


async def test_reorg_takes_events_back_and_replays(
    scripted: ScriptedChain, watcher: Watcher, told: Told, db: Database
) -> None:
    scripted.grow((subject(1),), (subject(2),), (subject(3),))
    await catch_up(watcher)
    scripted.fork(2, (subject(4),), (subject(2),), (subject(5),))
    await catch_up(watcher)
    assert told.gone == [subject(2), subject(3)]
    assert stored(db) == [subject(1), subject(4), subject(2), subject(5)]
    assert told.table() == set(scripted.subjects)


async def test_subscriber_that_fails_leaves_nothing_behind(
    scripted: ScriptedChain, watcher: Watcher, db: Database
) -> None:
    broken = [True]

    def refuse(connection: Connection, events: Sequence[ChainEvent]) -> None:
        if broken[0]:
            raise Refused("not now", code="not-now")

    watcher.subscribe(refuse)
    scripted.grow((subject(1),))
    with pytest.raises(Refused):
        await watcher.step()
    assert stored(db) == []
    broken[0] = False
    await catch_up(watcher)
    assert stored(db) == [subject(1)]


async def test_fork_while_reading_is_noticed(
    scripted: ScriptedChain, watcher: Watcher, told: Told, db: Database
) -> None:
    scripted.grow((), ())
    await catch_up(watcher)
    scripted.grow((), ())
    # The logs are asked for between two looks at the blocks: here the chain forks in that gap.
    scripted.before_logs = lambda: scripted.fork(1, (subject(9),))
    with pytest.raises(Unavailable) as caught:
        await watcher.step()
    assert caught.value.code == "rpc-inconsistent"
    await catch_up(watcher)
    assert stored(db) == [subject(9)]


async def test_endpoint_that_lags_takes_nothing_back(
    scripted: ScriptedChain, watcher: Watcher, told: Told, db: Database
) -> None:
    scripted.grow((subject(1),), (subject(2),), ())
    await catch_up(watcher)
    ahead = scripted.blocks[2:]
    del scripted.blocks[2:]
    await catch_up(watcher)
    assert told.gone == []
    scripted.blocks += ahead
    scripted.grow((subject(3),))
    await catch_up(watcher)
    assert stored(db) == scripted.subjects


async def test_lying_logs_are_not_stored(scripted: ScriptedChain, watcher: Watcher, db: Database) -> None:
    scripted.grow((subject(1),))
    foreign = ScriptedBlock(1, bytes(32), 9, (subject(6),))
    scripted.overrides["eth_getLogs"] = lambda _: [scripted.log_json(foreign, 0)]
    with pytest.raises(Unavailable) as caught:
        await watcher.step()
    assert caught.value.code == "rpc-inconsistent"
    assert stored(db) == []


async def test_outage_is_waited_out(scripted: ScriptedChain, watcher: Watcher, db: Database) -> None:
    scripted.grow((subject(1),))
    await catch_up(watcher)
    await scripted.stop()
    with pytest.raises(Unavailable) as caught:
        await watcher.step()
    assert caught.value.code == "rpc-down"
    await scripted.start()
    scripted.grow((subject(2),))
    await catch_up(watcher)
    assert stored(db) == scripted.subjects


async def test_rescan_finds_what_was_missed_and_tells_nothing_twice(
    scripted: ScriptedChain, watcher: Watcher, told: Told, db: Database
) -> None:
    scripted.grow((subject(1),), (subject(2),))
    await catch_up(watcher)
    db.write_blocking(lambda c: c.execute(chain_event.delete().where(chain_event.c.subject == subject(1))))
    before = len(told.finalities)
    await watcher.rescan(0)
    await catch_up(watcher)
    assert stored(db) == scripted.subjects
    assert {each for each, _ in told.finalities[before:]} == {subject(1)}


# What a chain, an endpoint and a node can do; the numbers say how much.
MOVES = st.one_of(
    st.tuples(st.just("grow"), st.lists(st.integers(0, 2), min_size=1, max_size=40)),
    st.tuples(st.just("fork"), st.integers(1, 64), st.lists(st.integers(0, 2), max_size=5)),
    st.tuples(st.just("fork while reading"), st.integers(1, 3), st.lists(st.integers(0, 2), max_size=2)),
    st.tuples(st.just("lag"), st.integers(0, 9)),
    st.tuples(st.just("limit"), st.one_of(st.none(), st.integers(1, 30))),
    st.tuples(st.just("restart"), st.integers(1, 50)),
)


class World:
    """A chain, and the node that follows it through restarts."""

    def __init__(self, db: Database, chain: ScriptedChain) -> None:
        self.db, self.chain = db, chain
        self.table: set[bytes] = set()
        self.fresh = itertools.count(1)
        self.client = ChainClient(chain.url)
        self.restart(20)

    def restart(self, range_blocks: int) -> None:
        self.watcher = Watcher(self.db, self.client, depths=DEPTHS, start_block=0, range_blocks=range_blocks)
        self.watcher.subscribe(lambda _, events: self.table.update(each.subject for each in events))
        self.watcher.on_reorg(lambda _, events: self.table.difference_update(each.subject for each in events))

    def blocks(self, counts: Sequence[int]) -> list[tuple[bytes, ...]]:
        return [tuple(subject(next(self.fresh)) for _ in range(count)) for count in counts]

    def fork(self, depth: int, more: Sequence[int]) -> None:
        deep = min(depth, len(self.chain.blocks) - 1)
        self.chain.fork(deep, *self.blocks([1] * deep + list(more)), branch=next(self.fresh))

    def move(self, name: str, *how: Any) -> None:
        if name == "grow":
            self.chain.grow(*self.blocks(how[0]), branch=next(self.fresh))
        elif name == "fork":
            self.fork(*how)
        elif name == "fork while reading":
            self.chain.before_logs = lambda: self.fork(*how)
        elif name == "lag":
            self.chain.lag = how[0]
        elif name == "limit":
            self.chain.max_range = how[0]
        else:
            self.restart(how[0])

    async def look(self, steps: int) -> None:
        for _ in range(steps):
            with contextlib.suppress(Unavailable):
                await self.watcher.step()

    def rows(self) -> list[Any]:
        """Return the stored events, in order, with their finality."""
        wanted = select(chain_event).order_by(chain_event.c.block_number, chain_event.c.log_index)
        return [tuple(row)[1:] for row in self.db.read(lambda c: c.execute(wanted).all())]

    def forget(self) -> None:
        """Make the database that of a new node."""
        for table in (chain_event, chain_block, chain_cursor, chain_identity):
            self.db.write_blocking(lambda c, table=table: c.execute(table.delete()))


async def play(db: Database, moves: Sequence[tuple[tuple[Any, ...], int]]) -> None:
    chain = ScriptedChain()
    await chain.start()
    world = World(db, chain)
    world.forget()
    for (name, *how), steps in moves:
        world.move(name, *how)
        await world.look(steps)
    chain.lag, chain.max_range, chain.before_logs = 0, None, None
    await catch_up(world.watcher)
    followed = world.rows()
    assert stored(db) == chain.subjects
    assert world.table == set(chain.subjects)
    world.forget()
    world.restart(2_000)
    await catch_up(world.watcher)
    assert world.rows() == followed
    await world.client.close()
    await chain.stop()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.tuples(MOVES, st.integers(0, 3)), max_size=15))
def test_rows_are_always_those_of_a_fresh_reading(db: Database, moves: list[tuple[tuple[Any, ...], int]]) -> None:
    asyncio.run(play(db, moves))


async def test_a_fresh_chain_of_the_same_id_is_the_wrong_chain(tmp_path: Path) -> None:
    db = open_database(tmp_path / "node.db")
    codes: list[str] = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "second":
            # Another birth time, or two chains of one second would be the same one.
            (folder / "chain.jsonl").write_text('{"halle-chain":1,"id":31415926,"time":1600000000}\n')
        chain = EmbeddedChain(folder)
        client = ChainClient(await chain.start())
        try:
            await Watcher(db, client).step()
        except ConfigError as error:
            codes.append(error.code)
        await client.close()
        await chain.stop()
    db.close()
    assert codes == ["wrong-chain"]
