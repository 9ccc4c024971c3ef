"""Disputes we were named to rule: found on the chain or in a side's bundle, read, asked about, ruled.

Rule: a case exists because the chain says that an order naming us is in dispute; nothing a bundle claims is believed
before it was compared with those terms.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.chain.records import ChainEvent
from halle_node.chain.watcher_rows import events_about
from halle_node.db.schema.trade import trade_dispute as table
from halle_node.messages.route import Destination, Route
from halle_node.trade import book, chainwork, covers, letters
from halle_node.trade.book import Order
from halle_node.trade.certificate_facts import certificate_state, remember
from halle_node.trade.claim_messages import add_claim_message
from halle_node.trade.folding import refresh
from halle_node.trade.legal import require
from halle_node.trade.room import Room
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError, Unavailable
from halle_protocol.evidence import Evidence, messages_of
from halle_protocol.messages import (
    CaseEvidence,
    CaseNote,
    CaseRuling,
    Message,
    OrderQuote,
    OrderRequest,
    parse_message,
    thread_of,
)
from halle_protocol.terms import OrderDocument, Terms, order_hash
from halle_protocol.warranty import ClaimStatus

FULL_BPS = 10_000
MAX_BUNDLES = 40
BATCH = 20
NOBODY = bytes(20)


class Arbiting:
    """An arbiter's moves."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def rule(self, order_key: str, buyer_bps: int, text: str) -> None:
        """Share out what is held; the reasons go to both sides.

        Raises: Refused share-out-of-range, keys-locked.
        """
        room = self._room
        now = await room.ask_chain_time()
        _ = room.keys.store_private
        if not 0 <= buyer_bps <= FULL_BPS:
            raise Refused(
                f"The buyer's share is between 0 and {FULL_BPS}.",
                code="share-out-of-range",
                hint="10000 is everything.",
            )

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            require(conn, order, "rule", now)
            chainwork.refuse_twice(conn, order, "rule")
            chainwork.call(room, conn, order, "rule", buyer_bps, signer=room.me)
            body = {"order_id": order.order_id, "buyer_bps": buyer_bps, "text": text}
            for side in (order.merchant, order.buyer):
                _tell(room, conn, order, side, "case/ruling", body)
            refresh(conn, order.key, room.clock())

        await room.db.write(change)

    async def ask(self, order_key: str, party: str, text: str) -> None:
        """Ask one side, or both.

        Raises: Refused party-unknown, party-unreached.
        """
        room = self._room
        now = await room.ask_chain_time()

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            require(conn, order, "ask_party", now)
            sides = {"buyer": (order.buyer,), "merchant": (order.merchant,), "both": (order.merchant, order.buyer)}
            if party not in sides:
                raise Refused("Ask buyer, merchant or both.", code="party-unknown")
            body = {"order_id": order.order_id, "text": text}
            reached = [_tell(room, conn, order, side, "case/question", body) for side in sides[party]]
            if not all(reached):
                raise Refused(
                    "Nobody here knows how to reach that side.",
                    code="party-unreached",
                    hint="Wait for their bundle or their profile.",
                )
            refresh(conn, order.key, room.clock())

        await room.db.write(change)


def note_dispute(conn: Connection, event: ChainEvent) -> None:
    """Remember a dispute, so that its arbiter can be read from the transaction."""
    row = {"order_id": event.subject, "tx_hash": event.tx_hash}
    conn.execute(insert(table).values(row).on_conflict_do_nothing())


async def read_disputes(room: Room) -> None:
    """Learn who sits over new disputes, and open the cases that are ours."""
    query = select(table.c.order_id, table.c.tx_hash).where(table.c.arbiter.is_(None)).limit(BATCH)
    for order_id, tx_hash in room.db.read(lambda conn: conn.execute(query).all()):
        try:
            terms = await room.chain.watcher.terms_of(tx_hash)
        except Refused:
            terms = None  # opened through another contract: its arbiter must be told by a bundle

        def note(conn: Connection, order_id: bytes = order_id, terms: Terms | None = terms) -> None:
            seats = {"arbiter": terms.arbiter if terms else NOBODY, "backup": terms.backup_arbiter if terms else NOBODY}
            conn.execute(update(table).where(table.c.order_id == order_id).values(seats))
            if terms is not None and room.me in (terms.arbiter, terms.backup_arbiter):
                open_case(room, conn, order_id, terms)

        await room.db.write(note)


def open_case(room: Room, conn: Connection, order_id: bytes, terms: Terms, certificate_id: int | None = None) -> Order:
    """Return the case of an order in dispute (or of its contested certificate) that names us, opened when it is new.

    Raises: Unavailable dispute-unseen while the chain's events are not here; Refused not-the-arbiter.
    """
    known = book.by_order_id(conn, order_id)
    if known is not None:
        if certificate_id is not None:
            remember(conn, certificate_id, order_id)
        return known
    events = {event.name: event for event in events_about(conn, order_id)}
    fought = "Disputed" in events if certificate_id is None else _is_contested(conn, certificate_id, order_id)
    if "Funded" not in events or not fought:
        raise Unavailable("The dispute is not on the chain yet.", code="dispute-unseen", hint="Send it again later.")
    buyer = events["Funded"].args["buyer"]
    client, escrow = room.chain.client, room.chain.contracts.escrow
    mine = room.me in (terms.arbiter, terms.backup_arbiter)
    if not mine or terms.order_id(client.chain_id, escrow, buyer) != order_id:
        raise Refused("The order does not name us as its arbiter.", code="not-the-arbiter")
    now = room.clock()
    key = order_id.hex()[: book.KEY_CHARS]
    book.add(
        conn,
        order_key=key,
        role="arbiter",
        arbiter=room.me,
        order_id=order_id,
        merchant=terms.merchant,
        buyer=buyer,
        terms=book.encode_terms(terms),
        funded_tx=events["Funded"].tx_hash,
        created_at=now,
        updated_at=now,
    )
    if certificate_id is not None:
        remember(conn, certificate_id, order_id)
    refresh(conn, key, now)
    return book.find(conn, key)


def _is_contested(conn: Connection, certificate_id: int, order_id: bytes) -> bool:
    state = certificate_state(conn, certificate_id)
    return state.status == ClaimStatus.CONTESTED and state.order_id == order_id


def take_message(room: Room, conn: Connection, message: Message) -> None:
    """Take in a message of a case: a bundle for us as arbiter, a question or a ruling for us as a side.

    Raises: Refused not-a-party, order-unknown, case-full; Unavailable dispute-unseen; RemoteProtocolError.
    """
    body = parse_message(message)
    if isinstance(body, CaseEvidence):
        _take_bundle(room, conn, message, body)
        return
    if not isinstance(body, CaseNote | CaseRuling):
        return
    order = book.by_order_id(conn, body.order_id)
    if order is None and isinstance(body, CaseRuling) and body.certificate_id is not None:
        _take_claim_ruling(room, conn, message, int(body.certificate_id))
        return
    if order is None or order.terms is None or order.role == "arbiter":
        raise Refused("No such order is in dispute here.", code="order-unknown")
    if message.sender not in (order.terms.arbiter, order.terms.backup_arbiter):
        raise Refused("The sender is not the arbiter of this order.", code="not-a-party")
    book.add_message(conn, order.key, message)
    refresh(conn, order.key, room.clock())


def _take_claim_ruling(room: Room, conn: Connection, message: Message, certificate_id: int) -> None:
    """Keep what an arbiter says of a claim on a certificate that we sold."""
    cover = covers.by_certificate(conn, certificate_id)
    if cover is None or cover.certificate is None or cover.certificate.underwriter != room.me:
        raise Refused("No such order is in dispute here.", code="order-unknown")
    if message.sender != cover.certificate.arbiter:
        raise Refused("The sender is not the arbiter of this certificate.", code="not-a-party")
    add_claim_message(conn, certificate_id, message)


def _take_bundle(room: Room, conn: Connection, message: Message, body: CaseEvidence) -> None:
    evidence = Evidence.decode(body.bundle)
    ours = (room.chain.client.chain_id, room.chain.contracts.escrow)
    if (evidence.chain_id, evidence.escrow) != ours or evidence.order_id != body.order_id:
        raise Refused("The bundle is about another escrow or order.", code="wrong-chain")
    certificate_id = None if body.certificate_id is None else int(body.certificate_id)
    case = open_case(room, conn, body.order_id, evidence.terms, certificate_id)
    if case.role != "arbiter":
        raise Refused("We are a side of this order, not its arbiter.", code="not-the-arbiter")
    if message.sender not in (case.merchant, case.buyer) or evidence.by != message.sender:
        raise Refused("The sender is no party to this order.", code="not-a-party")
    if len(bundles(conn, case)) >= MAX_BUNDLES:
        raise Refused("This case has enough evidence.", code="case-full")
    book.add_message(conn, case.key, message)
    _learn(conn, case, evidence)
    refresh(conn, case.key, room.clock())


def bundles(conn: Connection, case: Order) -> list[tuple[Message, bytes]]:
    """Return the bundles of a case, oldest first."""
    found = [message for message in book.messages(conn, case.key) if message.type == "case/evidence"]
    return [(message, bytes(message.body["bundle"])) for message in found]


def _learn(conn: Connection, case: Order, evidence: Evidence) -> None:
    """Take over what was said in the order, as far as it is signed by its sides."""
    if evidence.terms != case.terms:
        return
    for said in messages_of(evidence):
        request = parse_message(said)
        if isinstance(request, OrderQuote) and not _is_of(request, evidence.terms):
            book.keep_contradiction(conn, case.key, said)
            continue
        book.add_message(conn, case.key, said)
        if case.request is None and isinstance(request, OrderRequest) and request.offer == case.terms:
            book.change(conn, case.key, **_columns(said, request))


def _is_of(quote: OrderQuote, terms: Terms) -> bool:
    return quote.terms == terms and order_hash(quote.order_document) == terms.order_hash


def _columns(message: Message, request: OrderRequest) -> dict[str, Any]:
    try:
        document = OrderDocument.decode(request.order_document or b"")
    except RemoteProtocolError:
        return {}
    return {
        "request": message.encode(),
        "customer": request.contact.name[:200],
        "title": (document.lines[0].title or document.lines[0].handle)[:200],
        "pieces": sum(line.quantity for line in document.lines),
        "total_minor": document.total,
        "currency": document.currency,
    }


def destination_of_side(room: Room, order: Order, side: bytes) -> Destination:
    """Return where a side of a case is reached: by its profile, the buyer also by the route in the request.

    Raises: Refused store-unknown.
    """
    try:
        return letters.store_destination(room, side)
    except HalleError:
        if side == order.buyer and order.request is not None:
            reply = order.request.reply
            return Destination(Route(reply.peer_id, tuple(reply.addrs)), reply.prekey.key)
        raise


def _tell(room: Room, conn: Connection, order: Order, side: bytes, kind: str, body: dict[str, Any]) -> bool:
    """Send one side a word; False when nobody knows how to reach it."""
    try:
        to = destination_of_side(room, order, side)
    except HalleError:
        return False
    message = letters.compose(room, side, thread_of(room.me, side, order.order_id), kind, body)
    letters.post(room, conn, order.key, message, to)
    return True
