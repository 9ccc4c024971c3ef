"""The mailbox role: keep sealed envelopes for stores that named this node, until they collect them.

Rule: nothing is promised that is not committed; everything has a quota (sender, recipient, disk) and an end. An
envelope goes only when its recipient has signed for it or its time is over; the signature stays in its place, so that
the sender can read it when both were never awake together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.db import Database
from halle_node.db.schema.messages import mailbox_letter as table
from halle_node.p2p.types import Kept
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError, Unavailable
from halle_protocol.mailbox import Acknowledgement
from halle_protocol.sealing import MAX_ENVELOPE_BYTES, Envelope

BATCH = 32
# A signature that nobody asks for any more still has a row: rows are bounded too, not only bytes.
ROW_BYTES = 1024


@dataclass(frozen=True)
class Quotas:
    """What one mailbox keeps. Units: bytes, days."""

    total_bytes: int = 64 << 20
    store_bytes: int = 4 << 20
    sender_bytes: int = 1 << 20
    days: int = 14


@dataclass(frozen=True)
class BoxUse:
    """What a mailbox keeps for one store. Units: bytes; `oldest` unix seconds."""

    store: bytes
    letters: int
    bytes: int
    oldest: int


@dataclass(frozen=True)
class MailboxUse:
    """How full the mailbox is."""

    letters: int
    bytes: int
    quotas: Quotas
    boxes: tuple[BoxUse, ...]


class Mailbox:
    """`serves(store)` says whose mail is kept here; it is asked for every envelope."""

    def __init__(
        self,
        db: Database,
        clock: Callable[[], int],
        serves: Callable[[bytes], bool],
        quotas: Quotas,
        *,
        min_sequence: Callable[[bytes], int] = lambda store: 0,
    ) -> None:
        self._db = db
        self._clock = clock
        self._serves = serves
        self._min_sequence = min_sequence
        self.quotas = quotas

    def serves(self, store: bytes) -> bool:
        """True when mail of `store` is kept here."""
        return self._serves(store)

    def now(self) -> int:
        """Return the time that grants are judged by."""
        return self._clock()

    def min_sequence(self, store: bytes) -> int:
        """Return the highest grant sequence known of a store."""
        return self._min_sequence(store)

    async def leave(self, envelope: bytes, peer: str) -> Kept:
        """Keep an envelope that `peer` brought; committed when this returns. The same again changes nothing.

        Raises: RemoteProtocolError envelope-…; Refused mailbox-not-served; Unavailable mailbox-full, quota-….
        """
        if len(envelope) > MAX_ENVELOPE_BYTES:
            raise RemoteProtocolError("The envelope is too large.", code="envelope-too-large")
        to = Envelope.decode(envelope).to
        if not self._serves(to):
            raise Refused(
                f"No mail is kept here for 0x{to.hex()}.",
                code="mailbox-not-served",
                hint="Its profile must name this node, and this node must know it.",
            )
        return await self._db.write(lambda conn: self._leave(conn, envelope, to, peer[:128]))

    def _leave(self, conn: Connection, envelope: bytes, to: bytes, peer: str) -> Kept:
        now, digest = self._clock(), sha256(envelope).digest()
        known = _find(conn, digest, now)
        if known is not None:
            return known
        _forget_expired(conn, now)
        self._check_quotas(conn, to, peer, len(envelope) + ROW_BYTES)
        until = now + self.quotas.days * 86_400
        row = {"digest": digest, "recipient": to, "sender_peer": peer, "size_bytes": len(envelope)}
        conn.execute(
            insert(table).values(row | {"envelope": envelope, "received_at": now, "expires_at": until, "answer": b""})
        )
        return Kept(until)

    def _check_quotas(self, conn: Connection, to: bytes, peer: str, size: int) -> None:
        used = select(func.coalesce(func.sum(table.c.size_bytes + ROW_BYTES), 0))
        limits = (
            ("quota-sender", self.quotas.sender_bytes, used.where(table.c.sender_peer == peer)),
            ("quota-recipient", self.quotas.store_bytes, used.where(table.c.recipient == to)),
            ("mailbox-full", self.quotas.total_bytes, used),
        )
        for code, limit, query in limits:
            if conn.execute(query).scalar_one() + size > limit:
                raise Unavailable(
                    f"This mailbox keeps {limit >> 10} KB here and they are used up.",
                    code=code,
                    hint="Try the recipient's next mailbox, or later.",
                )

    async def look(self, digest: bytes) -> Kept:
        """Return what became of an envelope.

        Raises: Refused letter-unknown.
        """
        found = self._db.read(lambda conn: _find(conn, digest, self._clock()))
        if found is None:
            raise Refused("No such envelope is here.", code="letter-unknown", hint="Leave it again.")
        return found

    async def letters(self, store: bytes, *, limit: int = BATCH) -> tuple[list[bytes], bool]:
        """Return the oldest envelopes that wait for `store`, and whether there are more."""
        query = (
            select(table.c.envelope)
            .where(table.c.recipient == store, table.c.answer == b"", table.c.expires_at > self._clock())
            .order_by(table.c.received_at, table.c.digest)
        )
        found = self._db.read(lambda conn: conn.execute(query.limit(limit + 1)).scalars().all())
        return list(found[:limit]), len(found) > limit

    async def settle(self, store: bytes, signed: Sequence[bytes]) -> int:
        """Put the recipient's acknowledgements in the place of the envelopes; return how many fitted.

        What is malformed, not signed by `store`, or about an envelope that is not here has no effect.
        """
        good = [each for each in map(self._readable, signed) if each is not None]
        return await self._db.write(lambda conn: sum(self._settle(conn, store, each) for each in good))

    def _readable(self, data: bytes) -> Acknowledgement | None:
        try:
            return Acknowledgement.decode(data)
        except HalleError:
            return None

    def _settle(self, conn: Connection, store: bytes, word: Acknowledgement) -> int:
        sequence = self._min_sequence(store)
        try:
            word.verify(store=store, envelope=word.envelope, now=self._clock(), min_sequence=sequence)
        except HalleError:
            return 0
        here = (table.c.digest == word.envelope) & (table.c.recipient == store) & (table.c.answer == b"")
        changed = conn.execute(
            update(table).where(here).values(envelope=b"", size_bytes=0, answer=word.encode(), sender_peer="")
        )
        return int(changed.rowcount)

    def use(self) -> MailboxUse:
        """Return how full the mailbox is."""
        return self._db.read(self._use)

    def _use(self, conn: Connection) -> MailboxUse:
        waiting = (
            select(
                table.c.recipient,
                func.count().label("letters"),
                func.sum(table.c.size_bytes).label("size"),
                func.min(table.c.received_at).label("oldest"),
            )
            .where(table.c.answer == b"")
            .group_by(table.c.recipient)
            .order_by(func.sum(table.c.size_bytes).desc())
        )
        boxes = tuple(BoxUse(row.recipient, row.letters, row.size, row.oldest) for row in conn.execute(waiting))
        return MailboxUse(sum(box.letters for box in boxes), sum(box.bytes for box in boxes), self.quotas, boxes)

    async def forget_expired(self) -> None:
        """Drop what is over its time."""
        await self._db.write(lambda conn: _forget_expired(conn, self._clock()))


def _find(conn: Connection, digest: bytes, now: int) -> Kept | None:
    row = conn.execute(select(table).where(table.c.digest == digest, table.c.expires_at > now)).first()
    return None if row is None else Kept(row.expires_at, row.answer)


def _forget_expired(conn: Connection, now: int) -> None:
    conn.execute(delete(table).where(table.c.expires_at <= now))
