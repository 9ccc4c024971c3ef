"""Cover for what we bought, from an underwriter: ask, look at the offer, pay the premium.

Rule: an offer is compared with what was asked and what the underwriter publishes before anybody sees it; the premium is
an approval of exactly that much and the purchase, queued together with the note of the certificate.
"""

from __future__ import annotations

from sqlalchemy import Connection

import halle_contracts
from halle_node.notify import notices
from halle_node.trade import book, covers, letters
from halle_node.trade.bonding import TOKEN, balance_of, free_bond
from halle_node.trade.book import Order
from halle_node.trade.certificate_facts import remember
from halle_node.trade.cover_checks import ROLE, check_limits, check_offer, conflict, limit_of
from halle_node.trade.covers import Cover
from halle_node.trade.folding import refresh, state_of
from halle_node.trade.listing import name_of
from halle_node.trade.room import Room
from halle_node.trade.services import policy_of, record_of
from halle_node.trade.views import CoverChoice, CoverPrice
from halle_protocol.cover import Certificate, premium_of
from halle_protocol.documents import Profile, Service
from halle_protocol.errors import Refused
from halle_protocol.keys import parse_address, to_checksum
from halle_protocol.messages import CoverDecline, CoverOffer, Message, parse_message, thread_of

DEFAULT_DAYS = 365
MOST_OPEN = 20


class Insuring:
    """A buyer's moves."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def ask(
        self,
        order_key: str,
        underwriter: str,
        *,
        line: int = 0,
        cover: int | None = None,
        days: int | None = None,
        note: str = "",
    ) -> str:
        """Ask for cover of a line of an order of ours; return the key of the question. None asks for the most.

        Raises: Refused underwriter-unknown, order-not-insurable, line-unknown, cover-out-of-range, already-covered,
        token-not-covered, cover-too-large, term-too-long, arbiter-is-underwriter, already-asked.
        """
        room, other = self._room, parse_address(underwriter.strip())
        await room.ask_chain_time()

        def change(conn: Connection) -> str:
            order = self._bought(conn, order_key)
            profile, service = _offer_of(room, other)
            policy = profile.policies[policy_of(ROLE)]
            terms, document, state = order.known_terms(), order.known_document(), state_of(conn, order)
            if other in (terms.arbiter, terms.backup_arbiter):
                raise conflict()
            most = covers.insurable_amount(state, document, line)
            wanted = min(most, limit_of(room, service, terms.token, most)) if cover is None else cover
            covers.check_amount(conn, state, document, line, wanted)
            length = days or service.max_days or DEFAULT_DAYS
            check_limits(room, service, terms.token, wanted, length)
            _check_unasked(covers.listing(conn, "buyer"), conn, order, other, line, room.chain_time())
            body = {
                "terms": terms,
                "order_document": document.encode(),
                "line": line,
                "cover": wanted,
                "days": length,
                "policy": policy,
                "fee_bps": service.fee_bps,
                "respond_within": service.respond_within_s,
                "note": note,
                "reply": letters.reply_route(room),
            }
            to = letters.store_destination(room, other)
            thread = thread_of(room.me, other, order.order_id)
            message = letters.compose(room, other, thread, "cover/request", body)
            key = covers.add(conn, "buyer", other, message, order.order_id, room.clock())
            room.messages.send(conn, message, to.prekey, to.route)
            return key

        return await room.db.write(change)

    async def buy(self, key: str, premium: int) -> None:
        """Pay the premium that was shown; the certificate is ours as soon as the chain has it.

        Raises: Refused cover-not-offered, offer-changed, offer-expired, already-sent, bond-too-small,
        balance-too-small, keys-locked, order-not-insurable.
        """
        room = self._room
        now = await room.ask_chain_time()
        _ = room.keys.store_private
        cover = room.db.read(lambda conn: covers.find(conn, key, "buyer"))
        paper = cover.known_offer().certificate
        await self._check_bond(paper)
        await self._check_balance(paper)

        def change(conn: Connection) -> None:
            current = covers.find(conn, key, "buyer")
            offer = current.known_offer()
            if offer.certificate != paper or int(paper.premium) != premium:
                raise Refused("The offer is another one by now.", code="offer-changed", hint="Look at it again.")
            status = covers.status_of(conn, current, now)
            if status == "expired":
                raise Refused("The time to pay is over.", code="offer-expired", hint="Ask again.")
            if status != "offered":
                raise Refused("The premium is paid or on its way.", code="already-sent", hint="See the certificate.")
            order = self._bought(conn, current.order_id.hex())
            line = current.request.line
            covers.check_amount(conn, state_of(conn, order), order.known_document(), line, int(paper.cover))
            self._enqueue(conn, order, current, offer)

        await room.db.write(change)

    def choices(self, order_key: str) -> list[CoverChoice]:
        """Return the underwriters who may insure lines of an order, with the premium for as much as they cover.

        Nothing for what cannot be insured.
        """
        room = self._room

        def read(conn: Connection) -> list[CoverChoice]:
            order = book.find(conn, order_key)
            if order.role != "buyer" or order.terms is None or order.document is None:
                return []
            found = [store for store in room.index.stores() if store.profile and ROLE in store.profile.services]
            return [
                choice
                for store in found
                if store.profile and store.store != room.me and policy_of(ROLE) in store.profile.policies
                if (choice := self._choice(conn, order, store.store, store.name, store.profile)).prices
            ]

        return room.db.read(read)

    def _choice(self, conn: Connection, order: Order, store: bytes, name: str, profile: Profile) -> CoverChoice:
        service, terms, document = profile.services[ROLE], order.known_terms(), order.known_document()
        state, prices = state_of(conn, order), []
        spare = state.total - state.paid_out_buyer - covers.covered(conn, state)
        for line, each in enumerate(document.lines):
            try:
                most = covers.insurable_amount(state, document, line)
                cover = min(most, spare, limit_of(self._room, service, terms.token, most))
            except Refused:
                continue
            if cover > 0 and store not in (terms.arbiter, terms.backup_arbiter):
                prices.append(CoverPrice(line, each.title or each.handle, cover, premium_of(cover, service.fee_bps)))
        return CoverChoice(
            address=to_checksum(store),
            name=name,
            fee_bps=service.fee_bps,
            max_days=service.max_days or DEFAULT_DAYS,
            respond_within_s=service.respond_within_s,
            record=record_of(conn, ROLE, store)[0],
            token_symbol=document.token_symbol,
            token_decimals=document.token_decimals,
            prices=tuple(prices),
        )

    def _bought(self, conn: Connection, key: str) -> Order:
        order = book.find(conn, key)
        if order.role != "buyer":
            raise Refused("Only what you bought can be insured.", code="order-not-insurable", hint="Name a purchase.")
        return order

    async def _check_bond(self, paper: Certificate) -> None:
        free = await free_bond(self._room, paper.underwriter, paper.token)
        if free + int(paper.premium) < int(paper.cover):
            raise Refused(
                "The underwriter's free bond no longer covers this.",
                code="bond-too-small",
                hint="Nothing was paid. Ask them, or another underwriter.",
            )

    async def _check_balance(self, paper: Certificate) -> None:
        room = self._room
        balance = await balance_of(room, room.me, paper.token)
        if balance < int(paper.premium):
            raise Refused(
                f"Your account holds {balance} of the premium's {paper.premium}.",
                code="balance-too-small",
                hint="Top up the account, then pay again.",
            )

    def _enqueue(self, conn: Connection, order: Order, cover: Cover, offer: CoverOffer) -> None:
        room, paper = self._room, offer.certificate
        warranty, ref = room.chain.contracts.warranty, cover.row.certificate_id
        calls = (
            (paper.token, TOKEN, "approve", (warranty, int(paper.premium)), "approve-premium"),
            (warranty, "Warranty", "buy", (paper.as_tuple(), offer.deadline, offer.signature), "buy-cover"),
        )
        for to, contract, function, arguments, purpose in calls:
            data = halle_contracts.encode_call(contract, function, *arguments)
            row = room.chain.outbox.enqueue(conn, signer=room.me, to=to, data=data, purpose=purpose, ref=bytes(ref))
            book.add_transaction(conn, order.key, row, purpose, room.clock())
        remember(conn, cover.certificate_id, order.order_id)
        refresh(conn, order.key, room.clock())


def take_answer(room: Room, conn: Connection, message: Message) -> None:
    """Take in an underwriter's answer to a question of ours.

    Raises: Refused cover-unasked, already-sent and those of `check_offer`; RemoteProtocolError bad-signature.
    """
    body = parse_message(message)
    if not isinstance(body, CoverOffer | CoverDecline):
        return
    try:
        cover = covers.find(conn, body.request_id.hex(), "buyer")
    except Refused:
        cover = None
    if cover is None or (cover.other, cover.message.thread) != (message.sender, message.thread):
        raise Refused("Nobody here asked for this cover.", code="cover-unasked")
    if covers.status_of(conn, cover, room.chain_time()) in ("paying", "bought"):
        raise Refused("The cover was bought on an earlier answer.", code="already-sent")
    offer = body if isinstance(body, CoverOffer) else None
    if offer is not None:
        check_offer(room, cover, offer, room.chain_time())
    covers.answered(conn, cover.key, message, offer, room.clock())
    order = book.by_order_id(conn, cover.order_id)
    if order is not None:
        facts = {"who": name_of(room, cover.other), "what": order.row.title}
        notices.add(conn, "cover-answered", order.key, room.clock(), once=f"cover/{message.id.hex()}", **facts)


def _offer_of(room: Room, underwriter: bytes) -> tuple[Profile, Service]:
    view = None if underwriter == room.me else room.index.store(underwriter)
    profile = view.profile if view else None
    if profile is None or ROLE not in profile.services or policy_of(ROLE) not in profile.policies:
        raise Refused("They insure nothing, as far as is known here.", code="underwriter-unknown", hint="See the list.")
    return profile, profile.services[ROLE]


def _check_unasked(known: list[Cover], conn: Connection, order: Order, other: bytes, line: int, now: int) -> None:
    live = [each for each in known if covers.status_of(conn, each, now) in ("asked", "offered", "paying")]
    if len(live) >= MOST_OPEN or any(
        (each.order_id, each.other, each.request.line) == (order.order_id, other, line) for each in live
    ):
        raise Refused("This was asked already.", code="already-asked", hint="Wait for the answer, or take the offer.")
