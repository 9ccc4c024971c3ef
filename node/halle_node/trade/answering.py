"""How soon questions are answered: counted from conversations, never promised by anybody.

Rule: only what was answered counts, and a published figure is rounded up, so that it says nothing of one customer.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from sqlalchemy import Connection, select

from halle_node.db.schema.trade import trade_talk as table
from halle_node.db.schema.trade import trade_talk_line as lines

HOUR_S, DAY_S = 3_600, 86_400
STEPS_S = (HOUR_S, 3 * HOUR_S, 12 * HOUR_S, DAY_S, 2 * DAY_S, 3 * DAY_S, 7 * DAY_S)
LOOK_BACK_S = 90 * DAY_S
MIN_ANSWERS = 3


def waits(said: Iterable[tuple[int, bool]]) -> list[int]:
    """Return how long each question waited; `said` is (time, by the asker) in order, in seconds.

    Lines of the asker before an answer are one question, asked with the first of them.
    """
    found: list[int] = []
    asked: int | None = None
    for at, by_asker in said:
        if by_asker:
            asked = at if asked is None else asked
        elif asked is not None:
            found.append(max(0, at - asked))
            asked = None
    return found


def rounded_up(seconds: float) -> int:
    """Return the next of the steps that are told, 0 beyond the last."""
    return next((step for step in STEPS_S if seconds <= step), 0)


def our_answer_time(conn: Connection, now: int) -> int:
    """Return how soon this shop usually answers, rounded up; 0 while fewer than three answers tell."""
    found = _waits_in(conn, now, role="merchant")
    return rounded_up(median(found)) if len(found) >= MIN_ANSWERS else 0


def seen_answer_time(conn: Connection, store: bytes, now: int) -> int:
    """Return how soon a shop usually answered us, rounded up; 0 when it never did."""
    found = _waits_in(conn, now, role="buyer", other=store)
    return rounded_up(median(found)) if found else 0


def _waits_in(conn: Connection, now: int, *, role: str, other: bytes | None = None) -> list[int]:
    query = (
        select(lines.c.talk_key, lines.c.received_at, lines.c.sender == table.c.other)
        .join(table)
        .where(table.c.role == role, lines.c.received_at > now - LOOK_BACK_S)
        .order_by(lines.c.talk_key, lines.c.id)
    )
    if other is not None:
        query = query.where(table.c.other == other)
    asker_is_other = role == "merchant"
    by_talk: dict[str, list[tuple[int, bool]]] = {}
    for key, at, is_other in conn.execute(query):
        by_talk.setdefault(key, []).append((at, bool(is_other) == asker_is_other))
    return [wait for said in by_talk.values() for wait in waits(said)]
