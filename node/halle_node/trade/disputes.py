"""A dispute from one side: what happened, what proves it, and the arbiter who gets to see it.

Rule: the bundle's hash goes on the chain with the dispute; the bundle itself is a fact of the order, sealed to the
arbiter and queued in the same transaction. Whoever is dragged into a dispute sends their own copy without being asked,
so that no arbiter ever sees one side only; after an escalation the backup arbiter gets everything again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from halle_node.trade import attachments, book, chainwork, letters
from halle_node.trade.book import Order
from halle_node.trade.certificate_facts import certificate_events, certificate_ids, certificate_state
from halle_node.trade.claim_messages import claim_messages
from halle_node.trade.folding import refresh
from halle_node.trade.legal import require
from halle_node.trade.room import Room
from halle_protocol.errors import HalleError
from halle_protocol.evidence import STANDING, Evidence, bundle_of, digest_of
from halle_protocol.keys import ZERO_ADDRESS
from halle_protocol.message_bodies import SealedFile
from halle_protocol.messages import Message, thread_of
from halle_protocol.order import OrderState, Status, sitting_arbiter
from halle_protocol.warranty import ClaimStatus

BUNDLE = "case/evidence"
UNREACHED = "arbiter-unreached"
ALL = "all"
MAX_WORDS = 4_000


class Disputing:
    """The moves of a side in a dispute."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def dispute(self, order_key: str, text: str, photos: Sequence[bytes], chat: Sequence[str]) -> None:
        """Stop the clock: the chain gets the bundle's hash, the arbiter the bundle, the other side the words."""
        await self._state(order_key, "dispute", text, photos, chat)

    async def add_evidence(self, order_key: str, text: str, photos: Sequence[bytes], chat: Sequence[str]) -> None:
        """Send the arbiter more; the chain does not hear of it."""
        await self._state(order_key, "add_evidence", text, photos, chat)

    async def _state(
        self, order_key: str, action: str, text: str, photos: Sequence[bytes], chat: Sequence[str]
    ) -> None:
        room = self._room
        now = await room.ask_chain_time()
        order = room.db.read(lambda conn: book.find(conn, order_key))
        room.db.read(lambda conn: require(conn, order, action, now))
        cards = await attachments.seal_photos(room, photos)

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            state = require(conn, order, action, now)
            bundle = assemble(room, conn, order, text, cards, chat)
            digest = digest_of(bundle)
            if action == "dispute":
                chainwork.refuse_twice(conn, order, "dispute")
                signer = chainwork.side_signer(room, conn, order)
                chainwork.call(room, conn, order, "dispute", digest, signer=signer)
            if order.thread is not None:
                body = {"text": text, "digest": digest, "photos": cards}
                letters.send(room, conn, order, "dispute/evidence", body)
            to = order.known_terms().arbiter if action == "dispute" else sitting_arbiter(state)
            if to != ZERO_ADDRESS:
                _hand_in(room, conn, order, to, bundle)
            refresh(conn, order.key, room.clock())

        await room.db.write(change)


def inform_arbiter(room: Room, conn: Connection, order: Order, state: OrderState) -> None:
    """Give whoever decides now our side, once: of a dispute, and of each contested warranty claim."""
    if order.terms is None:
        return
    if state.status in (Status.DISPUTED, Status.ESCALATED):
        _inform(room, conn, order, sitting_arbiter(state), None, 1)
    for certificate_id in certificate_ids(conn, order, state):
        contested = [each for each in certificate_events(conn, certificate_id) if each.name == "ClaimContested"]
        if contested and certificate_state(conn, certificate_id).status == ClaimStatus.CONTESTED:
            _inform(room, conn, order, order.terms.arbiter, certificate_id, len(contested))


def _inform(room: Room, conn: Connection, order: Order, to: bytes, certificate_id: int | None, times: int) -> None:
    """See that at least `times` bundles of ours about this are on their way to `to`."""
    if to == ZERO_ADDRESS:
        return
    said = [
        each for each in own_bundles(room, conn, order) if each.body.get("certificate_id") == _plain(certificate_id)
    ]
    handed = [message for message in said if message.to == to]
    if len(handed) < times:
        earlier = [bytes(message.body["bundle"]) for message in said] if times == 1 else []
        words = "" if certificate_id is None else _own_words(room, conn, certificate_id)
        for bundle in earlier or [assemble(room, conn, order, words, (), (ALL,))]:
            _hand_in(room, conn, order, to, bundle, certificate_id)
        return
    for message in handed:
        if not letters.is_queued(conn, message):
            _post(room, conn, order, message)


def _own_words(room: Room, conn: Connection, certificate_id: int) -> str:
    """Return what we said of a certificate outside the order, which its bundle does not carry."""
    own = [each.body for each in claim_messages(conn, certificate_id) if each.sender == room.me]
    return "\n".join(filter(None, (str(body.get("text") or body.get("note") or "") for body in own)))[:MAX_WORDS]


def own_bundles(room: Room, conn: Connection, order: Order) -> list[Message]:
    """Return the bundles we made for an order, oldest first."""
    return [each for each in book.messages(conn, order.key) if each.type == BUNDLE and each.sender == room.me]


def _plain(certificate_id: int | None) -> str | None:
    return None if certificate_id is None else str(certificate_id)


def assemble(
    room: Room, conn: Connection, order: Order, text: str, photos: Sequence[SealedFile], chat: Sequence[str]
) -> bytes:
    """Return our bundle of an order; `chat` names messages by their id in hex, or is "all".

    Raises: Refused terms-unknown; LocalProtocolError evidence-too-large.
    """
    request = order.request
    messages = book.messages(conn, order.key)
    kept = book.contradictions(conn, order.key)
    standing = [message.encode() for message in (*messages, *kept) if message.type in STANDING]
    talk = [each.encode() for each in messages if each.type == "chat" and (ALL in chat or each.id.hex() in chat)]
    evidence = Evidence(
        order_id=order.order_id,
        chain_id=room.chain.client.chain_id,
        escrow=room.chain.contracts.escrow,
        by=room.me,
        buyer=order.buyer,
        terms=order.known_terms(),
        order_document=request.order_document if request else None,
        merchant_signature=order.signature,
        messages=tuple(standing),
        text=text,
        photos=tuple(photos),
        created=room.clock(),
    )
    return bundle_of(evidence, talk)


def _hand_in(
    room: Room, conn: Connection, order: Order, to: bytes, bundle: bytes, certificate_id: int | None = None
) -> None:
    body: dict[str, Any] = {"order_id": order.order_id, "bundle": bundle}
    if certificate_id is not None:
        body["certificate_id"] = certificate_id
    message = letters.compose(room, to, thread_of(room.me, to, order.order_id), BUNDLE, body)
    book.add_message(conn, order.key, message)
    _post(room, conn, order, message)


def _post(room: Room, conn: Connection, order: Order, message: Message) -> None:
    """Queue a bundle; an arbiter whose address nobody knows yet gets it as soon as it is found."""
    problem = book.find(conn, order.key).row.problem
    try:
        found = letters.store_destination(room, message.to)
        room.messages.send(conn, message, found.prekey, found.route)
    except HalleError:
        if problem != UNREACHED:
            book.set_problem(conn, order.key, UNREACHED)
        return
    if problem == UNREACHED:
        book.set_problem(conn, order.key, "")
