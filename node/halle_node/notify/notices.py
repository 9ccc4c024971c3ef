"""Notices as rows. Every function runs in its caller's transaction.

Rule: `once` names what a notice is about so exactly that telling it twice is impossible; a state that may come again
(`hold`) gives its mark back when it ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema.notify import notice as table
from halle_node.notify import settings

NONE, NOW, DIGEST, SENT, DROPPED = "", "now", "digest", "sent", "dropped"
MAX_KEPT = 2_000
BATCH = 50
FIRST_WAIT_S, LONGEST_WAIT_S = 60, 6 * 3_600
GIVE_UP_S = 7 * 86_400
PARAM_CHARS = 200
_random = SystemRandom().random


@dataclass(frozen=True)
class Notice:
    """One thing to hear of. `mail` is "", now, digest, sent or dropped; times are unix seconds."""

    notice_id: int
    kind: str
    subject: str
    params: Mapping[str, str]
    at: int
    read: bool
    mail: str
    attempts: int = 0
    error_code: str = ""


def add(conn: Connection, kind: str, subject: str, now: int, *, once: str = "", **params: object) -> None:
    """Tell the owner something, once for each mark `once`, in the way they chose for the kind."""
    wanted = settings.read(conn)
    how = wanted.how(kind)
    if how == "off":
        return
    mail = {"mail": NOW, "digest": DIGEST}.get(how, NONE) if wanted.enabled else NONE
    row = {
        "kind": kind,
        "subject": subject[:PARAM_CHARS],
        "params": json.dumps({name: str(value)[:PARAM_CHARS] for name, value in params.items()}, ensure_ascii=False),
        "once": once or None,
        "at": now,
        "mail": mail,
    }
    conn.execute(insert(table).values(row).on_conflict_do_nothing())


def hold(conn: Connection, kind: str, states: Mapping[str, Mapping[str, object]], now: int) -> None:
    """Tell of each subject in `states` when its state begins; one that has ended may be told again later."""
    marks = {f"{kind}/{subject}": (subject, params) for subject, params in states.items()}
    over = and_(table.c.kind == kind, table.c.once.is_not(None), table.c.once.not_in(marks))
    conn.execute(update(table).where(over).values(once=None))
    for once, (subject, params) in marks.items():
        add(conn, kind, subject, now, once=once, **params)


def listing(conn: Connection, *, unread_only: bool, limit: int) -> list[Notice]:
    """Return notices, newest first."""
    query = select(table).order_by(table.c.at.desc(), table.c.id.desc()).limit(limit)
    if unread_only:
        query = query.where(table.c.read_at.is_(None))
    return [view(row) for row in conn.execute(query)]


def one(conn: Connection, notice_id: int) -> Notice | None:
    """Return a notice, None when it is gone."""
    row = conn.execute(select(table).where(table.c.id == notice_id)).first()
    return None if row is None else view(row)


def unread(conn: Connection) -> int:
    """Count what the owner has not seen."""
    return int(conn.execute(select(func.count()).select_from(table).where(table.c.read_at.is_(None))).scalar_one())


def mark_read(conn: Connection, now: int, notice_id: int | None = None) -> int:
    """Note that the owner has seen one notice, or all; return how many."""
    change = update(table).where(table.c.read_at.is_(None))
    if notice_id is not None:
        change = change.where(table.c.id == notice_id)
    return int(conn.execute(change.values(read_at=now)).rowcount)


def mark_seen(conn: Connection, subject: str, now: int) -> None:
    """Note that the owner looked at what notices are about."""
    conn.execute(update(table).where(table.c.subject == subject, table.c.read_at.is_(None)).values(read_at=now))


def has_unseen(conn: Connection, subject: str) -> bool:
    """Say whether an unread notice is about this."""
    query = select(table.c.id).where(table.c.subject == subject, table.c.read_at.is_(None)).limit(1)
    return conn.execute(query).first() is not None


# --- mail


def due(conn: Connection, now: int) -> list[Notice]:
    """Return what is to be mailed now, oldest first."""
    query = select(table).where(table.c.mail == NOW, table.c.next_at <= now).order_by(table.c.id).limit(BATCH)
    return [view(row) for row in conn.execute(query)]


def waiting(conn: Connection) -> tuple[int, str]:
    """Return how many notices wait for the server, and the last error."""
    rows = conn.execute(select(table.c.error_code).where(table.c.mail == NOW, table.c.attempts > 0)).scalars().all()
    return len(rows), next((code for code in rows if code), "")


def release_digest(conn: Connection) -> int:
    """Make everything that waited for the daily mail due; return how much."""
    return int(conn.execute(update(table).where(table.c.mail == DIGEST).values(mail=NOW, next_at=0)).rowcount)


def hurry(conn: Connection) -> None:
    """Try what waits again at once."""
    conn.execute(update(table).where(table.c.mail == NOW).values(next_at=0))


def mark_sent(conn: Connection, sent: Sequence[Notice]) -> None:
    """Note that the server took the mail."""
    ids = [each.notice_id for each in sent]
    conn.execute(update(table).where(table.c.id.in_(ids)).values(mail=SENT, error_code=""))


def postpone(conn: Connection, tried: Sequence[Notice], code: str, now: int) -> None:
    """Try again later, twice as long each time; what is a week old is given up."""
    for each in tried:
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S << min(each.attempts, 10))
        state = DROPPED if now - each.at > GIVE_UP_S else NOW
        values = {"attempts": each.attempts + 1, "next_at": now + wait // 2 + int(_random() * wait / 2)}
        conn.execute(
            update(table).where(table.c.id == each.notice_id).values(mail=state, error_code=code[:64], **values)
        )


def stop_mail(conn: Connection) -> None:
    """Mail nothing of what waits: the owner has switched mail off."""
    conn.execute(update(table).where(table.c.mail.in_((NOW, DIGEST))).values(mail=NONE))


def forget(conn: Connection, subjects: Iterable[str]) -> None:
    """Remove every notice about these orders or conversations."""
    conn.execute(delete(table).where(table.c.subject.in_(list(subjects))))


def forget_old(conn: Connection) -> None:
    """Keep the newest notices only."""
    newest = select(table.c.id).order_by(table.c.id.desc()).limit(MAX_KEPT)
    done = or_(table.c.mail.not_in((NOW, DIGEST)), table.c.read_at.is_not(None))
    conn.execute(delete(table).where(table.c.id.not_in(newest), done))


def view(row: Row[Any]) -> Notice:
    """Return a row as others see it."""
    params = json.loads(row.params)
    return Notice(
        row.id,
        row.kind,
        row.subject,
        params,
        row.at,
        row.read_at is not None,
        row.mail,
        row.attempts,
        row.error_code,
    )
