"""What buyer and shop say to each other: in an order, and before there is one.

Rule: an answer goes where the question came from, to the thread of its order or to the one of the two alone; photos
are made anew from their pixels and sealed before they leave.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema.trade import trade_order, trade_setting
from halle_node.db.schema.trade import trade_talk as table
from halle_node.db.schema.trade import trade_talk_line as lines
from halle_node.messages.route import Destination, Route
from halle_node.trade import answering, attachments, book, letters, offer, talk_pages, talks
from halle_node.trade.book import Order
from halle_node.trade.extras import cards_of, named_file, open_card
from halle_node.trade.folding import refresh
from halle_node.trade.room import Room, promises
from halle_node.trade.talk_views import TalkDetail, TalkRole, TalkSummary, UnreadTalks
from halle_protocol.documents.text import clean_text
from halle_protocol.errors import HalleError, Refused
from halle_protocol.messages import Message

MAX_TALKS = 500
MAX_NOTE = 4_000
MAX_SAVED = 30
FETCHES_A_ROUND = 4
FETCH_TICK_S = 3.0
FETCH_WAIT_S, GIVE_UP_S = 15, 7 * 86_400
SAVED_ANSWERS = "saved-answers"


class Talking:
    """Conversations of one store, on both sides of the counter."""

    def __init__(self, room: Room, is_blocked: Callable[[bytes], bool] = lambda store: False) -> None:
        self._room = room
        self._is_blocked = is_blocked

    # --- reading

    def listing(self, role: str = "", limit: int = MAX_TALKS) -> list[TalkSummary]:
        """Return conversations, the newest line first."""
        query = select(table).order_by(table.c.last_at.desc(), table.c.talk_key).limit(min(limit, MAX_TALKS))
        if role:
            query = query.where(table.c.role == role)
        room = self._room
        return room.db.read(lambda conn: [talk_pages.summary_of(room, conn, row) for row in conn.execute(query).all()])

    def show(self, key: str) -> TalkDetail:
        """Return one conversation.

        Raises: Refused talk-unknown.
        """
        room = self._room
        return room.db.read(lambda conn: talk_pages.detail_of(room, conn, talks.find(conn, key), self._is_blocked))

    def unread(self) -> UnreadTalks:
        """Count the conversations with lines that nobody has seen."""
        return self._room.db.read(lambda conn: UnreadTalks(talks.unread(conn, "merchant"), talks.unread(conn, "buyer")))

    async def file(self, key: str, file_id: str) -> tuple[str, str, bytes]:
        """Return name, MIME type and bytes of a photo of a conversation.

        Raises: Refused talk-unknown, file-unknown; Unavailable block-missing, peer-…; RemoteProtocolError file-damaged.
        """
        room = self._room
        talk = room.db.read(lambda conn: talks.find(conn, key))
        said = room.db.read(lambda conn: [Message.decode(row.content) for row in talks.rows(conn, talk.talk_key)])
        message, place = named_file(said, file_id)
        return await open_card(room, message, place, self._route(talk) if message.sender != room.me else None)

    # --- writing

    @promises
    async def ask(
        self, store: bytes | str, text: str, *, handle: str = "", photos: Sequence[bytes] = (), name: str = ""
    ) -> str:
        """Ask a shop something before there is an order; return the conversation's key.

        Raises: Refused own-listing, store-unknown, listing-unknown, wait-for-answer, form-invalid, photos-too-many.
        """
        room, shop = self._room, offer.address_of(store)
        if shop == room.me:
            raise Refused("This is your own shop.", code="own-listing", hint="Ask another one.")
        letters.store_destination(room, shop)
        listing = offer.listing_of(room, shop, handle).cid if handle else None
        about = {"handle": handle, "listing": listing} if listing is not None else {}
        cards = await self._seal(photos, shop, "buyer")
        view = room.index.store(shop)
        known = {"name": view.name if view else "", "handle": handle}
        signed = name or room.db.read(self._own_name)
        body = {"text": clean_text(text), "photos": cards, "reply": letters.reply_route(room, signed), **about}
        return await room.db.write(lambda conn: self._say(conn, shop, "buyer", body, known))

    @promises
    async def say(self, key: str, text: str, *, photos: Sequence[bytes] = (), order_key: str = "") -> None:
        """Write another line: about an order between the two, or about none.

        Raises: Refused talk-unknown, order-unknown, not-a-party, wait-for-answer, form-invalid, photos-too-many.
        """
        room = self._room
        talk = room.db.read(lambda conn: talks.find(conn, key))
        if order_key:
            order = room.db.read(lambda conn: book.find(conn, order_key))
            if order.other != talk.other or order.role != talk.role:
                raise Refused("This order is with somebody else.", code="not-a-party", hint="Choose one of theirs.")
            await self.chat(order.key, text, photos)
            return
        cards = await self._seal(photos, talk.other, talk.role)
        body: dict[str, Any] = {"text": clean_text(text), "photos": cards}
        if talk.role == "buyer":
            body["reply"] = letters.reply_route(room, room.db.read(self._own_name))
        await room.db.write(lambda conn: self._say(conn, talk.other, talk.role, body, {}))

    @promises
    async def chat(self, order_key: str, text: str = "", photos: Sequence[bytes] = ()) -> None:
        """Say something to the other side of an order."""
        room = self._room
        cards = await attachments.seal_photos(room, photos)

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            message = letters.send(room, conn, order, "chat", {"text": clean_text(text), "photos": cards})
            talks.add_order_line(room, conn, order, message)
            if order.role != "arbiter":
                talks.mark_read(conn, talks.key_of(room, order.other, order.role), room.clock())
            refresh(conn, order.key, room.clock())

        await room.db.write(change)

    async def mark_read(self, key: str) -> None:
        """Note that the owner has seen everything so far."""
        room = self._room
        talk = room.db.read(lambda conn: talks.find(conn, key))
        if room.db.read(lambda conn: talks.unread_lines(conn, talk.talk_key)):
            await room.db.write(lambda conn: talks.mark_read(conn, talk.talk_key, room.clock()))

    async def note(self, key: str, note: str) -> None:
        """Keep the owner's own words about the other side; they never leave this node."""
        kept = clean_text(note)
        if len(kept) > MAX_NOTE:
            raise Refused(f"A note has at most {MAX_NOTE} letters.", code="form-invalid", hint="Write less.")
        room = self._room
        talk = room.db.read(lambda conn: talks.find(conn, key))
        await room.db.write(lambda conn: talks.set_note(conn, talk.talk_key, kept))

    # --- answers

    def saved_answers(self) -> tuple[str, ...]:
        """Return the answers the owner keeps at hand."""
        query = select(trade_setting.c.form).where(trade_setting.c.name == SAVED_ANSWERS)
        text = self._room.db.read(lambda conn: conn.execute(query).scalar())
        return tuple(json.loads(text)) if text else ()

    async def set_saved_answers(self, answers: Sequence[str]) -> None:
        """Keep answers at hand.

        Raises: Refused form-invalid.
        """
        kept = [each for each in map(clean_text, answers) if each]
        if len(kept) > MAX_SAVED or any(len(each) > MAX_NOTE for each in kept):
            raise Refused(f"At most {MAX_SAVED} answers of {MAX_NOTE} letters.", code="form-invalid", hint="Keep less.")
        values = {"form": json.dumps(kept, ensure_ascii=False), "updated_at": self._room.clock()}
        row = insert(trade_setting).values(name=SAVED_ANSWERS, **values)
        row = row.on_conflict_do_update(index_elements=["name"], set_=values)
        await self._room.db.write(lambda conn: conn.execute(row).rowcount)

    def answer_time(self) -> int:
        """Return how soon this shop usually answers, rounded up, in seconds; 0 while too little tells."""
        return self._room.db.read(lambda conn: answering.our_answer_time(conn, self._room.clock()))

    def seen_answer_time(self, store: bytes) -> int:
        """Return how soon a shop usually answered us, rounded up, in seconds; 0 when it never did."""
        return self._room.db.read(lambda conn: answering.seen_answer_time(conn, store, self._room.clock()))

    # --- by itself

    async def run(self) -> None:
        """Fetch photos until cancelled: apart from the rest of the work, which must not wait for a slow peer."""
        while True:
            await self.fetch_photos()
            await asyncio.sleep(FETCH_TICK_S)

    async def fetch_photos(self) -> None:
        """Fetch photos while their sender is there: of buyers who have paid or were answered, and of shops we asked."""
        room = self._room
        now = room.clock()
        wanted = (
            select(lines.c.id, lines.c.received_at, lines.c.message_id, lines.c.talk_key)
            .where(lines.c.fetch_at <= now)
            .order_by(lines.c.fetch_at)
            .limit(FETCHES_A_ROUND)
        )
        due = room.db.read(lambda conn: conn.execute(wanted).all())
        await asyncio.gather(*(self._fetch(row, now) for row in due))

    async def _fetch(self, row: Any, now: int) -> None:
        room, age = self._room, now - row.received_at
        talk = room.db.read(lambda conn: talks.find(conn, row.talk_key))
        again: int | None = None
        if room.db.read(lambda conn: self._is_trusted(conn, talk)):
            try:
                said = room.db.read(lambda conn: talks.rows(conn, talk.talk_key))
                message = next(Message.decode(each.content) for each in said if each.id == row.id)
                for card in cards_of(message):
                    await attachments.read(room, card, self._route(talk))
            except HalleError:
                again = now + max(FETCH_WAIT_S, age) if age < GIVE_UP_S else None
        later = update(lines).where(lines.c.id == row.id).values(fetch_at=again)
        await room.db.write(lambda conn: conn.execute(later).rowcount)

    # --- parts

    def _is_trusted(self, conn: Connection, talk: Row[Any]) -> bool:
        """Say whether we may spend disk on the other side's photos before the owner looks at them."""
        if talk.role == "buyer" or talks.paid_orders(conn, talk.role, talk.other):
            return True
        ours = (lines.c.talk_key == talk.talk_key, lines.c.sender == self._room.me)
        return conn.execute(select(lines.c.id).where(*ours).limit(1)).first() is not None

    def _say(self, conn: Connection, other: bytes, role: TalkRole, body: dict[str, Any], known: dict[str, str]) -> str:
        room = self._room
        talk = conn.execute(select(table).where(table.c.role == role, table.c.other == other)).first()
        if role == "buyer":
            is_customer = talks.paid_orders(conn, role, other)
            talks.check_turn(conn, talk, room.me, is_customer=is_customer)
        message = letters.compose(room, other, talks.thread_with(room, other, role), "chat", body)
        to = self._destination(conn, other, role, talk)
        key = talks.add_own_line(room, conn, other, role, message, **known)
        talks.mark_read(conn, key, room.clock())
        room.messages.send(conn, message, to.prekey, to.route)
        return key

    async def _seal(self, photos: Sequence[bytes], other: bytes, role: TalkRole) -> tuple[Any, ...]:
        room = self._room
        is_stranger = role == "buyer" and not room.db.read(lambda conn: talks.paid_orders(conn, role, other))
        if is_stranger and len(photos) > talks.MAX_PHOTOS_OF_A_STRANGER:
            most = talks.MAX_PHOTOS_OF_A_STRANGER
            raise Refused(f"At most {most} photos.", code="photos-too-many", hint="Choose the clearest ones.")
        return await attachments.seal_photos(room, photos)

    def _destination(self, conn: Connection, other: bytes, role: TalkRole, talk: Row[Any] | None) -> Destination:
        """Return where the other side is reached.

        Raises: Refused store-unknown, order-message-missing.
        """
        if role == "buyer":
            return letters.store_destination(self._room, other)
        if talk is not None and talk.contact is not None:
            return Destination.decode(talk.contact)
        newest = talk_pages.orders_with(role, other).where(trade_order.c.request.is_not(None)).limit(1)
        row = conn.execute(newest).first()
        if row is not None:
            return letters.destination_of(self._room, Order(row))
        return letters.store_destination(self._room, other)

    def _route(self, talk: Row[Any]) -> Route | None:
        newest = letters.newest_destination(self._room, talk.other)
        if newest is not None:
            return newest.route
        try:
            return self._room.db.read(lambda conn: self._destination(conn, talk.other, talk.role, talk)).route
        except HalleError:
            return None

    def _own_name(self, conn: Connection) -> str:
        """Return the name we gave with our last order."""
        query = select(trade_order.c.customer).where(trade_order.c.role == "buyer", trade_order.c.customer != "")
        return str(conn.execute(query.order_by(trade_order.c.created_at.desc()).limit(1)).scalar() or "")
