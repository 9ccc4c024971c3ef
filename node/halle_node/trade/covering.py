"""An underwriter's answers: what somebody asks us to insure, checked against the chain, offered or declined.

Rule: the node signs by itself only what the published terms plainly allow and the free bond backs; everything else
waits for its person. Offers that can still be bought count as spent.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Connection, func, select, update

from halle_node.db.schema.trade import trade_cover as table
from halle_node.messages.route import Destination
from halle_node.notify import notices
from halle_node.trade import covers, letters
from halle_node.trade.bonding import free_bond
from halle_node.trade.cover_checks import DAY_S, ROLE, check_limits, conflict
from halle_node.trade.covers import Cover
from halle_node.trade.folding import chain_facts
from halle_node.trade.room import Room, promises
from halle_node.trade.services import policy_of
from halle_protocol.cover import Certificate, item_hash, premium_of, sign_offer
from halle_protocol.documents import Profile
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.keys import ZERO_ADDRESS
from halle_protocol.messages import CoverOffer, CoverRequest, Message, parse_message, thread_of
from halle_protocol.order import OrderState, Status, fold
from halle_protocol.terms import check_binding

OFFER_VALID_S = DAY_S
TRY_AGAIN_S = 60
MOST_OPEN, MOST_OPEN_OF_ONE = 2_000, 20
BATCH = 20
UNANSWERED = table.c.answer.is_(None)
AUTOMATIC_DECLINES = (
    "terms-changed",
    "token-not-covered",
    "cover-too-large",
    "term-too-long",
    "order-not-insurable",
    "cover-out-of-range",
    "already-covered",
)
"""What no person could offer, or has published not to."""


class Covering:
    """An underwriter's moves."""

    def __init__(self, room: Room) -> None:
        self._room = room
        # What is free of the bond is read before it is promised: one promise at a time.
        self._one_by_one = asyncio.Lock()

    @promises
    async def offer(
        self,
        key: str,
        premium: int | None = None,
        cover: int | None = None,
        days: int | None = None,
        note: str = "",
    ) -> None:
        """Sign a certificate for who asked; None means as asked, at the published price.

        Raises: Refused cover-unknown, already-answered, cover-out-of-range, bond-too-small, keys-locked and those of
        the order's state. Units: token's smallest unit.
        """
        room = self._room
        async with self._one_by_one:
            now = await room.ask_chain_time()
            private = room.keys.store_private
            asked = room.db.read(lambda conn: covers.find(conn, key, "underwriter"))
            covered = int(asked.request.cover) if cover is None else cover
            usual = premium_of(covered, asked.request.fee_bps)
            price = usual if premium is None else premium
            length = asked.request.days if days is None else days
            if not (0 < covered <= asked.request.cover and 0 < price <= usual and 0 < length <= asked.request.days):
                raise Refused(
                    f"Offer a cover of 1 to {asked.request.cover}, 1 to {asked.request.days} days, "
                    f"and a premium of 1 to {usual}.",
                    code="cover-out-of-range",
                    hint="A buyer's node refuses more than they asked for and you publish.",
                )
            bond = await free_bond(room, room.me, asked.request.terms.token)
            paper = _certificate(room, asked, covered, price, length, now)
            signature = sign_offer(private, paper, now + OFFER_VALID_S, *_contract(room))

            def change(conn: Connection) -> None:
                current = covers.find(conn, key, "underwriter")
                _require_open(conn, current, now)
                covers.check_amount(conn, _paid(conn, current), current.document, current.request.line, covered)
                self._check_bond(conn, current, bond, covered - price, now)
                chain_id, contract = _contract(room)
                body = {
                    "request_id": current.message.id,
                    "certificate": paper,
                    "chain_id": chain_id,
                    "contract": contract,
                    "deadline": now + OFFER_VALID_S,
                    "signature": signature,
                    "note": note,
                }
                _answer(room, conn, current, "cover/offer", body)

            await room.db.write(change)

    @promises
    async def decline(self, key: str, note: str = "", code: str = "declined") -> None:
        """Say no.

        Raises: Refused cover-unknown, already-answered.
        """
        room = self._room
        now = await room.ask_chain_time()

        def change(conn: Connection) -> None:
            current = covers.find(conn, key, "underwriter")
            _require_open(conn, current, now)
            body = {"request_id": current.message.id, "code": code, "note": note}
            _answer(room, conn, current, "cover/decline", body)

        await room.db.write(change)

    async def answer_due(self) -> None:
        """Answer by ourselves what the published terms decide; leave the rest to our person, and tell them."""
        room = self._room
        due = (table.c.role == "underwriter", UNANSWERED, table.c.tried_at <= room.clock() - TRY_AGAIN_S)
        query = select(table.c.cover_key).where(*due).order_by(table.c.tried_at).limit(BATCH)
        for key in room.db.read(lambda conn: list(conn.execute(query).scalars())):
            try:
                self._check_published(key)
                await self.offer(key)
            except Refused as error:
                if error.code in AUTOMATIC_DECLINES:
                    await self.decline(key, code=error.code)
                else:
                    await self._leave_to_person(key, error.code)

    def _check_published(self, key: str) -> None:
        """Pass when our published terms say yes without anybody being asked.

        Raises: Refused terms-changed, no-limits, no-arbiter and those of `check_limits`.
        """
        room = self._room
        cover = room.db.read(lambda conn: covers.find(conn, key, "underwriter"))
        request, profile = cover.request, _profile(room)
        service = profile.services.get(ROLE) if profile else None
        policy = profile.policies.get(policy_of(ROLE)) if profile else None
        read = (request.policy, request.fee_bps, request.respond_within)
        if service is None or read != (policy, service.fee_bps, service.respond_within_s):
            raise Refused("Our terms are others by now.", code="terms-changed")
        check_limits(room, service, request.terms.token, int(request.cover), request.days)
        if not service.limits:
            raise Refused("No limits are published.", code="no-limits")
        if request.terms.arbiter == ZERO_ADDRESS:
            raise Refused("Nobody would decide a contested claim.", code="no-arbiter")

    async def _leave_to_person(self, key: str, why: str) -> None:
        room = self._room

        def change(conn: Connection) -> None:
            values = {"problem": why[:64], "tried_at": room.clock()}
            conn.execute(update(table).where(table.c.cover_key == key, UNANSWERED).values(values))
            cover = covers.find(conn, key)
            notices.add(conn, "cover-asked", key, room.clock(), once=f"cover-asked/{key}", what=cover.title)

        await room.db.write(change)

    def _check_bond(self, conn: Connection, cover: Cover, bond: int, needed: int, now: int) -> None:
        token = cover.request.terms.token
        free = bond - covers.open_offers(conn, token, now, cover.key)
        if needed > free:
            raise Refused(
                f"{max(0, free)} of the bond is free; this takes {needed}.",
                code="bond-too-small",
                hint="Add to the bond: halle underwriter bond TOKEN --add AMOUNT",
            )


def take_request(room: Room, conn: Connection, message: Message) -> None:
    """Keep a request whose order the chain shows as paid by who asks.

    Raises: Refused not-an-underwriter, wrong-chain, request-mismatch, not-a-party, arbiter-is-underwriter,
    too-many-requests and those of `check_amount`; Unavailable order-unseen; RemoteProtocolError order-….
    """
    body = parse_message(message)
    if not isinstance(body, CoverRequest):
        return
    if ROLE not in room.catalog.profile().services:
        raise Refused("This node insures nothing.", code="not-an-underwriter", hint="Ask another underwriter.")
    terms, document = body.terms, check_binding(body.terms, body.order_document)
    chain = (room.chain.client.chain_id, room.chain.contracts.escrow)
    if (document.chain_id, document.escrow) != chain:
        raise Refused("The order is on another chain or escrow.", code="wrong-chain")
    if document.buyer != message.sender:
        raise Refused("The order is somebody else's.", code="not-a-party")
    order_id = terms.order_id(*chain, document.buyer)
    if message.thread != thread_of(message.sender, room.me, order_id):
        raise Refused("The request contradicts itself.", code="request-mismatch")
    if room.me in (terms.arbiter, terms.backup_arbiter):
        raise conflict()
    state = fold(chain_facts(conn, order_id), terms)
    if state.status == Status.NONE:
        raise Unavailable("The order is not paid as far as our chain shows.", code="order-unseen", hint="Ask later.")
    covers.check_amount(conn, state, document, body.line, int(body.cover))
    waiting = select(func.count()).select_from(table).where(table.c.role == "underwriter", UNANSWERED)
    own = conn.execute(waiting.where(table.c.other == message.sender)).scalar_one()
    if own >= MOST_OPEN_OF_ONE or conn.execute(waiting).scalar_one() >= MOST_OPEN:
        raise Refused("Too many requests wait for an answer.", code="too-many-requests", hint="Wait for the answers.")
    covers.add(conn, "underwriter", message.sender, message, order_id, room.clock())


def destination_of(room: Room, conn: Connection, side: bytes) -> Destination | None:
    """Return where somebody who asked us for cover is reached, None for others: as they said, or as they publish."""
    query = select(table.c.request).where(table.c.role == "underwriter", table.c.other == side)
    found = conn.execute(query.order_by(table.c.created_at.desc()).limit(1)).scalar()
    body = None if found is None else parse_message(Message.decode(found))
    return letters.newest_destination(room, side, body.reply) if isinstance(body, CoverRequest) else None


def _contract(room: Room) -> tuple[int, bytes]:
    return room.chain.client.chain_id, room.chain.contracts.warranty


def _profile(room: Room) -> Profile | None:
    view = room.index.store(room.me)
    return view.profile if view else None


def _paid(conn: Connection, cover: Cover) -> OrderState:
    return fold(chain_facts(conn, cover.order_id), cover.request.terms)


def _require_open(conn: Connection, cover: Cover, now: int) -> None:
    """Pass while nothing binds us: unanswered, declined, or offered in vain."""
    if covers.status_of(conn, cover, now) not in ("asked", "declined", "expired"):
        raise Refused("This is answered already.", code="already-answered", hint="An offer cannot be taken back.")


def _certificate(room: Room, cover: Cover, amount: int, premium: int, days: int, now: int) -> Certificate:
    request = cover.request
    return Certificate(
        underwriter=room.me,
        holder=cover.other,
        token=request.terms.token,
        cover=amount,
        premium=premium,
        starts_at=now,
        ends_at=now + days * DAY_S,
        respond_within=request.respond_within,
        arbiter=request.terms.arbiter,
        arbiter_within=request.terms.arbiter_within,
        order_id=cover.order_id,
        item_hash=item_hash(cover.document, request.line),
        terms_hash=request.policy.digest,
    )


def _answer(room: Room, conn: Connection, cover: Cover, kind: str, body: dict[str, Any]) -> None:
    to = destination_of(room, conn, cover.other)
    if to is None:
        raise Refused("Nobody here knows how to reach them.", code="party-unreached", hint="Wait for their profile.")
    message = letters.compose(room, cover.other, cover.message.thread, kind, body)
    answer = parse_message(message)
    covers.answered(conn, cover.key, message, answer if isinstance(answer, CoverOffer) else None, room.clock())
    room.messages.send(conn, message, to.prekey, to.route)
