"""Digital goods: licence keys, files and texts on a shelf, handed over sealed when the money is in escrow.

Rule: a licence key is spent once, in the transaction that sends it; a file's blocks lie encrypted, and its key travels
only in sealed messages; how often the merchant sends again travels with the good.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from halle_node.db.schema.trade import trade_digital as table
from halle_node.trade import attachments, book, chainwork, letters
from halle_node.trade.book import Order
from halle_node.trade.folding import refresh
from halle_node.trade.legal import require
from halle_node.trade.lines import listing_of_line
from halle_node.trade.parcels import parcel_body
from halle_node.trade.restored import somebody_waits
from halle_node.trade.room import Room
from halle_node.trade.views import DigitalGood
from halle_protocol import dagcbor
from halle_protocol.errors import Refused
from halle_protocol.message_bodies import SealedFile
from halle_protocol.order import OrderState, Status
from halle_protocol.terms import OrderLine

LICENCE, FILE, TEXT = "licence", "file", "text"
KINDS = (LICENCE, FILE, TEXT)
SENT_BY_HAND = ("file", "text", "licence", "appointment", "milestone", "lesson")
MAX_KEYS = 10_000
MAX_TEXT = 4_000
DEFAULT_RESENDS = 3


class Digital:
    """The merchant's shelf of digital goods, and both sides' moves about them."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def add_licences(self, handle: str, sku: str, keys: Sequence[str], resends: int) -> int:
        """Put licence keys on the shelf, one a line; return how many."""
        clean = [key.strip() for key in keys if key.strip()]
        if not clean or len(clean) > MAX_KEYS or max(map(len, clean)) > MAX_TEXT:
            raise Refused(
                f"Give between 1 and {MAX_KEYS} keys.",
                code="licences-invalid",
                hint="One key a line, at most 4000 letters.",
            )
        rows = [_row(handle, sku, LICENCE, "Licence", key.encode(), resends) for key in clean]
        await self._insert(rows)
        return len(rows)

    async def add_file(self, handle: str, sku: str, name: str, mime: str, data: bytes, resends: int) -> None:
        """Put a file on the shelf; every buyer gets it."""
        card = attachments.seal(self._room, name or "file", mime, data)
        content = dagcbor.encode(card.to_body())
        await self._insert([_row(handle, sku, FILE, card.name, content, resends)])

    async def add_text(self, handle: str, sku: str, name: str, text: str, resends: int) -> None:
        """Put words on the shelf (a link, instructions); every buyer gets them."""
        if not text.strip() or len(text) > MAX_TEXT:
            raise Refused(f"A text has 1 to {MAX_TEXT} letters.", code="form-invalid")
        await self._insert([_row(handle, sku, TEXT, name or "Text", text.encode(), resends)])

    async def remove(self, good_id: int) -> None:
        """Take a good off the shelf; what was delivered stays delivered."""
        gone = delete(table).where(table.c.id == good_id, table.c.order_key.is_(None))
        await self._room.db.write(lambda conn: conn.execute(gone).rowcount)

    async def _insert(self, rows: list[dict[str, Any]]) -> None:
        await self._room.db.write(lambda conn: conn.execute(insert(table), rows).rowcount)

    def shelf(self, handle: str) -> list[DigitalGood]:
        """Return what is on the shelf of a product: each file and text, and the licence keys by sku."""

        def read(conn: Connection) -> list[DigitalGood]:
            plain = select(table).where(table.c.handle == handle, table.c.kind != LICENCE).order_by(table.c.id)
            found = [DigitalGood(row.id, row.sku, row.kind, row.name, 1, row.resends) for row in conn.execute(plain)]
            spent = table.c.order_key.is_not(None)
            keys = (
                select(table.c.sku, func.sum(~spent), func.max(table.c.resends))
                .where(table.c.handle == handle, table.c.kind == LICENCE)
                .group_by(table.c.sku)
            )
            found += [
                DigitalGood(0, sku, LICENCE, "", int(left or 0), resends) for sku, left, resends in conn.execute(keys)
            ]
            return found

        return self._room.db.read(read)

    async def send(self, order_key: str, name: str, text: str, kind: str, at: int | None, file: bytes | None) -> None:
        """Hand something over by hand: a file, an appointment, a milestone reached."""
        room = self._room
        now = await room.ask_chain_time()
        if kind not in SENT_BY_HAND:
            raise Refused(f"There is no kind {kind[:40]!r}.", code="form-invalid", hint=", ".join(SENT_BY_HAND))
        if not text.strip() and not file:
            raise Refused("There is nothing in it.", code="form-invalid", hint="Write a text or add a file.")
        card = attachments.seal(room, name, "", file) if file else None

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            require(conn, order, "send_deliverable", now)
            body = {"name": name, "kind": kind, "text": text, "at": at, "file": card}
            letters.send(room, conn, order, "deliverable", {k: v for k, v in body.items() if v is not None})
            refresh(conn, order.key, room.clock())

        await room.db.write(change)

    async def ask_again(self, order_key: str, note: str) -> None:
        """Ask the merchant to send the goods again."""
        room = self._room
        now = await room.ask_chain_time()

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            require(conn, order, "ask_deliverable", now)
            letters.send(room, conn, order, "deliverable/request", {"note": note})
            refresh(conn, order.key, room.clock())

        await room.db.write(change)


def deliver(room: Room, conn: Connection, order: Order, state: OrderState) -> None:
    """Hand over what the money bought, once; an order of digital goods alone is then on its way on the chain too.

    Raises: Refused licences-sold-out, keys-locked.
    """
    if state.status != Status.ACCEPTED or state.finality == "seen" or state.cancel is not None:
        return
    document = order.known_document()
    given = {message.body.get("sku") for message in state.deliverables}
    shelves = {line.sku: _shelf_of(conn, line) for line in document.lines}
    for line in document.lines:
        if shelves[line.sku] and line.sku not in given:
            for body in _bodies(room, conn, order, line, shelves[line.sku]):
                letters.send(room, conn, order, "deliverable", body)
    immaterial = all(_is_immaterial(room, line) for line in document.lines)
    if immaterial and all(shelves.values()) and not state.shipments and not chainwork.is_live(conn, order, ("ship",)):
        _say_sent(room, conn, order, document.lines)


def note_sent(conn: Connection, order: Order, text: str) -> None:
    """Take a licence key off the shelf that was handed over before a restore."""
    here = (table.c.kind == LICENCE, table.c.content == text.encode(), table.c.order_key.is_(None))
    conn.execute(update(table).where(*here).values(order_key=order.key))


def send_again(room: Room, conn: Connection, order: Order, state: OrderState) -> None:
    """Send the goods again as often as was promised."""
    for message in state.goods if state.resends_left else ():
        left = int(message.body.get("left") or 0)
        if left > 0:
            letters.send(room, conn, order, "deliverable", {**message.body, "left": left - 1})


def _say_sent(room: Room, conn: Connection, order: Order, lines: Sequence[OrderLine]) -> None:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.sku] = counts.get(line.sku, 0) + line.quantity
    body = parcel_body("", "", "", counts)
    chainwork.call(room, conn, order, "ship", body["commitment"], signer=chainwork.merchant_signer(room, conn))
    letters.send(room, conn, order, "shipment", body)


def _is_immaterial(room: Room, line: OrderLine) -> bool:
    listing = listing_of_line(room, line)
    return listing is not None and listing.kind != "physical"


def _shelf_of(conn: Connection, line: OrderLine) -> list[Any]:
    mine = (table.c.handle == line.handle, or_(table.c.sku == line.sku, table.c.sku == ""))
    return list(conn.execute(select(table).where(*mine).order_by(table.c.id)).all())


def _bodies(room: Room, conn: Connection, order: Order, line: OrderLine, shelf: Sequence[Any]) -> list[dict[str, Any]]:
    found = [_body(line, row) for row in shelf if row.kind != LICENCE]
    if not any(row.kind == LICENCE for row in shelf):
        return found
    if somebody_waits(conn):
        raise Refused(
            "A restored order may have got one of these licence keys already.",
            code="history-awaited",
            hint="Its buyer's node tells; or open that order and go on without.",
        )
    keys = [row for row in shelf if row.kind == LICENCE and row.order_key is None][: line.quantity]
    if len(keys) < line.quantity:
        raise Refused(
            f"Only {len(keys)} of {line.quantity} licence keys of {line.sku} are left.",
            code="licences-sold-out",
            hint="Add licence keys to the product; they go out by themselves.",
        )
    ids = [row.id for row in keys]
    conn.execute(update(table).where(table.c.id.in_(ids)).values(order_key=order.key))
    return [*found, *(_body(line, row) for row in keys)]


def _body(line: OrderLine, row: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"name": row.name, "kind": row.kind, "sku": line.sku, "left": row.resends}
    if row.kind == FILE:
        return body | {"file": SealedFile.from_body(dagcbor.decode(row.content))}
    return body | {"text": row.content.decode()}


def _row(handle: str, sku: str, kind: str, name: str, content: bytes, resends: int) -> dict[str, Any]:
    values = {"handle": handle, "sku": sku, "kind": kind, "name": name[:120], "content": content}
    return values | {"resends": max(0, min(resends, 100)), "order_key": None}
