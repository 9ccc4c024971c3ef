"""The rows of the watcher: events, the newest blocks and the cursor.

Shape: every function runs inside a transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_contracts import decode_event
from halle_node.chain.records import Block, ChainEvent, Depths, Finality, Log
from halle_node.db.schema.chain import chain_block, chain_cursor, chain_event

CURSOR = "watcher"
WITNESSED = "witnessed"
TOPIC_BYTES = 32


def next_block(connection: Connection, cursor: str = CURSOR) -> int | None:
    """Return the first block not scanned yet, None before the first scan."""
    wanted = select(chain_cursor.c.next_block).where(chain_cursor.c.name == cursor)
    return connection.execute(wanted).scalar()


def set_next_block(connection: Connection, number: int, cursor: str = CURSOR) -> None:
    statement = insert(chain_cursor).values(name=cursor, next_block=number)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"next_block": number}))


def next_unwitnessed(connection: Connection) -> int | None:
    """Return the first scanned block that a second endpoint has not confirmed yet, None before the first scan.

    What was stored while there was only one endpoint counts, from its first event on.
    """
    scanned = next_block(connection)
    if scanned is None:
        return None
    first_event = connection.execute(select(func.min(chain_event.c.block_number))).scalar()
    start = next_block(connection, WITNESSED)
    if start is None:
        start = scanned if first_event is None else int(first_event)
    return min(start, scanned)


def track_witness(connection: Connection, first: int, last: int, *, witnessed: bool) -> None:
    """Record whether a second endpoint confirmed a range, before the range counts as scanned."""
    start = next_unwitnessed(connection)
    start = first if start is None else start
    set_next_block(connection, last + 1 if witnessed and start >= first else start, WITNESSED)


def logs_between(connection: Connection, first: int, last: int) -> set[Log]:
    """Return the stored events of a closed range of blocks as the logs that they were."""
    wanted = select(chain_event).where(chain_event.c.block_number.between(first, last))
    return {
        Log(
            address=row.address,
            topics=tuple(_topics(row)),
            data=row.data,
            block_number=row.block_number,
            block_hash=row.block_hash,
            tx_hash=row.tx_hash,
            log_index=row.log_index,
        )
        for row in connection.execute(wanted)
    }


def known_blocks(connection: Connection, highest: int) -> list[tuple[int, bytes]]:
    """Return remembered (number, hash) up to a height, newest first."""
    wanted = select(chain_block).where(chain_block.c.number <= highest).order_by(chain_block.c.number.desc())
    return [(row.number, row.hash) for row in connection.execute(wanted)]


def block_hash(connection: Connection, number: int) -> bytes | None:
    return connection.execute(select(chain_block.c.hash).where(chain_block.c.number == number)).scalar()


def remember_blocks(connection: Connection, blocks: Iterable[Block], keep_from: int) -> None:
    """Store block hashes, and forget those too old for any fork we handle; the newest one always stays."""
    for block in blocks:
        statement = insert(chain_block).values(number=block.number, hash=block.hash)
        connection.execute(statement.on_conflict_do_update(index_elements=["number"], set_={"hash": block.hash}))
    newest = connection.execute(select(func.max(chain_block.c.number))).scalar()
    if newest is not None:
        connection.execute(delete(chain_block).where(chain_block.c.number < min(keep_from, newest)))


def add_events(
    connection: Connection, logs: Sequence[Log], names: dict[bytes, str], times: dict[int, int]
) -> list[int]:
    """Store the logs that are events of our contracts; return the ids of the new rows, in order."""
    added: list[int] = []
    for log in logs:
        contract = names[log.address]
        decoded = decode_event(contract, list(log.topics), log.data)
        if decoded is None:
            continue
        statement = insert(chain_event).values(
            contract=contract,
            name=decoded[0],
            address=log.address,
            subject=log.topics[1] if len(log.topics) > 1 else b"",
            topics=b"".join(log.topics),
            data=log.data,
            block_number=log.block_number,
            block_hash=log.block_hash,
            block_time=times[log.block_number],
            tx_hash=log.tx_hash,
            log_index=log.log_index,
            finality=Finality.SEEN.value,
        )
        result = connection.execute(
            statement.on_conflict_do_nothing(index_elements=["block_hash", "log_index"]).returning(chain_event.c.id)
        ).first()
        if result is not None:
            added.append(int(result.id))
    return added


def advance_finality(connection: Connection, depths: Depths, head: int) -> list[int]:
    """Raise the finality of events that are deep enough now; return the ids of those that changed."""
    changed: list[int] = []
    for finality, below, depth in (
        (Finality.FINAL, (Finality.SEEN, Finality.SAFE), depths.final),
        (Finality.SAFE, (Finality.SEEN,), depths.safe),
    ):
        statement = (
            update(chain_event)
            .where(chain_event.c.finality.in_([each.value for each in below]))
            .where(chain_event.c.block_number <= head - depth + 1)
            .values(finality=finality.value)
            .returning(chain_event.c.id)
        )
        changed += [int(row.id) for row in connection.execute(statement)]
    return changed


def remove_above(connection: Connection, fork: int) -> list[ChainEvent]:
    """Forget every block and event above the last common block; return the events that are gone."""
    wanted = select(chain_event).where(chain_event.c.block_number > fork)
    gone = [event_of(row) for row in connection.execute(_ordered(wanted))]
    connection.execute(delete(chain_event).where(chain_event.c.block_number > fork))
    connection.execute(delete(chain_block).where(chain_block.c.number > fork))
    set_next_block(connection, fork + 1)
    return gone


def events_by_id(connection: Connection, ids: Iterable[int]) -> list[ChainEvent]:
    wanted = select(chain_event).where(chain_event.c.id.in_(set(ids)))
    return [event_of(row) for row in connection.execute(_ordered(wanted))]


def events_about(connection: Connection, subject: bytes) -> list[ChainEvent]:
    """Return the events of one order, shipment or certificate, in the chain's order."""
    wanted = select(chain_event).where(chain_event.c.subject == subject)
    return [event_of(row) for row in connection.execute(_ordered(wanted))]


def event_of(row: Row[Any]) -> ChainEvent:
    decoded = decode_event(row.contract, _topics(row), row.data)
    return ChainEvent(
        id=row.id,
        contract=row.contract,
        name=row.name,
        address=row.address,
        subject=row.subject,
        args=decoded[1] if decoded is not None else {},
        block_number=row.block_number,
        block_hash=row.block_hash,
        block_time=row.block_time,
        tx_hash=row.tx_hash,
        log_index=row.log_index,
        finality=Finality(row.finality),
    )


def _topics(row: Row[Any]) -> list[bytes]:
    return [row.topics[place : place + TOPIC_BYTES] for place in range(0, len(row.topics), TOPIC_BYTES)]


def _ordered(wanted: Any) -> Any:
    return wanted.order_by(chain_event.c.block_number, chain_event.c.log_index)
