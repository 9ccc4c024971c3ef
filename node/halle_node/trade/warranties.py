"""Warranty certificates: issued by a merchant from a bond, or bought of an underwriter; claimed by their holder.

Rule: bond, registration and the message with the certificate's number are one transaction of the database; the
chain rows of one signer go out in their order (approve, deposit, register).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

import halle_contracts
from halle_node.messages.route import Destination
from halle_node.trade import attachments, book, chainwork, covers, letters, offer
from halle_node.trade.arbiting import destination_of_side
from halle_node.trade.bonding import TOKEN, balance_of, free_bond
from halle_node.trade.book import Order
from halle_node.trade.certificate_facts import PREFIX, certificate_ids, certificate_state, party_of, remember
from halle_node.trade.claim_messages import add_claim_message, claim_messages
from halle_node.trade.covering import destination_of
from halle_node.trade.folding import refresh, state_of
from halle_node.trade.legal import certificate_moves, moves_of, require, require_one
from halle_node.trade.room import Room
from halle_protocol.cover import Certificate, item_hash
from halle_protocol.documents import WarrantyOffer
from halle_protocol.errors import HalleError, Refused, Unavailable
from halle_protocol.keys import ZERO_ADDRESS, keccak256, parse_address
from halle_protocol.messages import Message, parse_message, thread_of
from halle_protocol.order import OrderState
from halle_protocol.warranty import CertificateState

DAY_S = 86_400
DEFAULT_DAYS = 365
DEFAULT_RESPOND_S = 14 * DAY_S
FULL_BPS = 10_000
OFFER_CHARS = 120
MAX_CLAIM_MESSAGES = 200


@dataclass(frozen=True)
class Desk:
    """A certificate on the table, and the order of ours it belongs to, if any."""

    id: int
    state: CertificateState
    order: Order | None


class Warranties:
    """Issue, claim, pay."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def issue(self, order_key: str, days: int | None, cover: int | None) -> None:
        """Bond and register a certificate for the buyer; the store key signs, because the bond is the store's.

        Raises: Refused keys-locked, balance-too-small, cover-out-of-range.
        """
        room = self._room
        now = await room.ask_chain_time()
        _ = room.keys.store_private  # refuse before anything is asked of the chain
        order = room.db.read(lambda conn: book.find(conn, order_key))
        state = room.db.read(lambda conn: require(conn, order, "issue_warranty", now))
        certificate = self._certificate(order, state, now, days, cover)
        client = room.chain.client
        certificate_id = certificate.id(client.chain_id, room.chain.contracts.warranty)
        free = await free_bond(room, order.merchant, certificate.token)
        missing = max(0, int(certificate.cover) - free)
        await self._check_balance(order, missing)

        def change(conn: Connection) -> None:
            require(conn, order, "issue_warranty", now)
            chainwork.refuse_twice(conn, order, "register-warranty")
            self._enqueue_issue(conn, order, certificate, missing)
            remember(conn, certificate_id, order.order_id)
            body = {
                "certificate_id": certificate_id,
                "contract": room.chain.contracts.warranty,
                "chain_id": client.chain_id,
                "ends_at": certificate.ends_at,
            }
            letters.send(room, conn, order, "warranty/issued", body)
            refresh(conn, order.key, room.clock())

        await room.db.write(change)

    async def open_claim(self, ref: str, amount: int | None, text: str, photos: Sequence[bytes]) -> None:
        """Claim on the certificate; None claims all cover that is left."""
        cards = await attachments.seal_photos(self._room, photos)

        def body(desk: Desk) -> dict[str, Any]:
            left = desk.state.cover_left
            wanted = left if amount is None else amount
            if not 0 < wanted <= left:
                raise Refused(
                    f"The certificate still covers {left}.", code="cover-out-of-range", hint="Claim no more than that."
                )
            digest = keccak256(text.encode() + secrets.token_bytes(16))
            return {"amount": wanted, "text": text, "evidence": digest, "photos": cards}

        await self._act(
            ref, "open_warranty_claim", "openClaim", "claim/open", body, lambda said: (said["amount"], said["evidence"])
        )

    async def accept_claim(self, ref: str) -> None:
        """Pay the open claim from the bond."""
        await self._act(ref, "accept_warranty_claim", "acceptClaim", "claim/accept", lambda _: {})

    async def offer_repair(self, ref: str, text: str) -> None:
        """Offer to repair or replace instead of paying."""

        def body(desk: Desk) -> dict[str, Any]:
            return {"note": text, "offer": text[:OFFER_CHARS]}

        await self._act(
            ref, "offer_repair", "offer", "claim/offer", body, lambda said: (keccak256(said["note"].encode()),)
        )

    async def accept_repair(self, ref: str) -> None:
        """Take the repair or replacement that was offered."""
        await self._act(ref, "accept_repair", "acceptOffer", "claim/accept", lambda _: {})

    async def contest_claim(self, ref: str, text: str) -> None:
        """Ask the arbiter about the claim, or about the offer made instead of paying it."""
        await self._act(
            ref,
            "contest_warranty_claim",
            "contest",
            "claim/contest",
            lambda _: {"note": text},
            lambda said: (keccak256(said["note"].encode()),),
        )

    async def rule_claim(self, ref: str, amount: int, text: str) -> None:
        """Rule a contested claim; the reasons go to both sides."""

        def body(desk: Desk) -> dict[str, Any]:
            if not 0 <= amount <= desk.state.claimed:
                raise Refused(f"{desk.state.claimed} is claimed.", code="cover-out-of-range")
            return {"order_id": desk.state.order_id, "amount": amount, "text": text}

        await self._act(ref, "rule_warranty_claim", "ruleClaim", "case/ruling", body, lambda said: (said["amount"],))

    async def pay_unanswered(self, ref: str) -> None:
        """Pay out a claim nobody answered in time."""
        await self._act(ref, "collect_warranty_claim", "payUnanswered")

    async def lapse_offer(self, ref: str) -> None:
        """End an offer that its holder left unanswered."""
        await self._act(ref, "lapse_repair_offer", "lapseOffer")

    async def expire(self, ref: str) -> None:
        """Free the bond of a certificate whose term is over."""
        await self._act(ref, "expire_warranty", "expire")

    async def surrender(self, ref: str) -> None:
        """Give the certificate up."""
        await self._act(ref, "surrender_warranty", "surrender")

    async def transfer(self, ref: str, to: str) -> None:
        """Hand the certificate to whoever bought the thing.

        Raises: LocalProtocolError bad-address.
        """
        new = parse_address(to.strip())
        await self._act(
            ref, "transfer_warranty", "transferFrom", arguments=lambda _: (new,), first=lambda desk: (self._room.me,)
        )

    def moves(self, conn: Connection, certificate_id: int, now: int) -> list[tuple[str, int | None]]:
        """Return (move, until): what we may do with a certificate."""
        state = certificate_state(conn, certificate_id)
        return moves_of(conn, state, party_of(state, self._room.me), now)

    async def _act(
        self,
        ref: str,
        move: str,
        function: str,
        kind: str = "",
        body: Callable[[Desk], dict[str, Any]] | None = None,
        arguments: Callable[[dict[str, Any]], tuple[object, ...]] | None = None,
        first: Callable[[Desk], tuple[object, ...]] | None = None,
    ) -> None:
        """Make one move: the transaction, and what the other side is told of it."""
        room = self._room
        now = await room.ask_chain_time()
        _ = room.keys.store_private

        def change(conn: Connection) -> None:
            desk = self._desk(conn, ref, move, now)
            said = body(desk) if body else {}
            given = (*(first(desk) if first else ()), *(arguments(said) if arguments and first else ()))
            args = (*given, desk.id) if first else (desk.id, *(arguments(said) if arguments else ()))
            self._enqueue(conn, desk, function, args, move)
            if kind:
                self._tell(conn, desk, kind, {"certificate_id": desk.id, **said})
            if desk.order is not None:
                refresh(conn, desk.order.key, room.clock())

        await room.db.write(change)

    def _desk(self, conn: Connection, ref: str, move: str, now: int) -> Desk:
        """Return the certificate a move is about: by its own name, or the one of the order that allows the move.

        Raises: Refused certificate-unknown, action-not-now.
        """
        if ref.startswith(PREFIX):
            certificate_id = read_id(ref)
            state = certificate_state(conn, certificate_id)
            require_one(move, [name for name, _ in self.moves(conn, certificate_id, now)])
            return Desk(certificate_id, state, self._own_order(conn, state))
        order = book.find(conn, ref)
        require(conn, order, move, now)
        for certificate_id in reversed(certificate_ids(conn, order, state_of(conn, order))):
            if any(each.name == move for each in certificate_moves(conn, order, certificate_id, now)):
                return Desk(certificate_id, certificate_state(conn, certificate_id), order)
        raise Refused("This order has no warranty certificate.", code="certificate-unknown")

    def _own_order(self, conn: Connection, state: CertificateState) -> Order | None:
        """Return the order of ours that a certificate came with, whoever holds or backs it by now."""
        order = book.by_order_id(conn, state.order_id)
        return None if order is None or order.thread is None else order

    def _enqueue(self, conn: Connection, desk: Desk, function: str, args: tuple[object, ...], move: str) -> None:
        room = self._room
        data = halle_contracts.encode_call("Warranty", function, *args)
        to, ref = room.chain.contracts.warranty, desk.id.to_bytes(32, "big")
        row = room.chain.outbox.enqueue(conn, signer=room.me, to=to, data=data, purpose=move, ref=ref)
        if desk.order is not None:
            book.add_transaction(conn, desk.order.key, row, move, room.clock())

    def _tell(self, conn: Connection, desk: Desk, kind: str, body: dict[str, Any]) -> None:
        """Tell the other side; whoever cannot be reached sees the chain's own event."""
        room, order = self._room, desk.order
        sides: tuple[bytes, ...] = (desk.state.holder, desk.state.underwriter)
        if order is not None and order.role != "arbiter" and {order.buyer, order.merchant} == set(sides):
            letters.send(room, conn, order, kind, body)
            return
        cover = covers.by_certificate(conn, desk.id)
        if kind == "claim/contest" and cover is not None and cover.certificate is not None:
            sides += (cover.certificate.arbiter,)  # who sees the holder's bundle must hear us too
        for side in (each for each in sides if each not in (room.me, ZERO_ADDRESS)):
            reference = desk.state.order_id if kind.startswith("case/") else desk.id.to_bytes(32, "big")
            message = letters.compose(room, side, thread_of(room.me, side, reference), kind, body)
            add_claim_message(conn, desk.id, message)
            where = destination_of(room, conn, side) or self._destination(order, side)
            if where is not None:
                room.messages.send(conn, message, where.prekey, where.route)

    def _destination(self, order: Order | None, side: bytes) -> Destination | None:
        """Return where a side is reached: as it publishes, a buyer also as the order's request said."""
        try:
            if order is not None:
                return destination_of_side(self._room, order, side)
            return letters.store_destination(self._room, side)
        except HalleError:
            return None

    def _certificate(
        self, order: Order, state: OrderState, now: int, days: int | None, cover: int | None
    ) -> Certificate:
        terms, document = order.known_terms(), order.known_document()
        promised = self._offer(order)
        length = days or (promised.days if promised else DEFAULT_DAYS)
        bps = promised.cover_bps if promised else FULL_BPS
        covered = terms.amount * bps // FULL_BPS if cover is None else cover
        if not 0 < covered <= terms.amount:
            raise Refused(f"A cover is between 1 and the {terms.amount} paid.", code="cover-out-of-range")
        starts = state.delivered_at or state.closed_at or now
        return Certificate(
            underwriter=order.merchant,
            holder=order.buyer,
            token=terms.token,
            cover=covered,
            premium=0,
            starts_at=starts,
            ends_at=starts + length * DAY_S,
            respond_within=promised.respond_within_s if promised else DEFAULT_RESPOND_S,
            arbiter=terms.arbiter,
            arbiter_within=terms.arbiter_within,
            order_id=order.order_id,
            item_hash=item_hash(document, 0),
        )

    def _offer(self, order: Order) -> WarrantyOffer | None:
        """Return the first warranty among the order's listings, as they are published now."""
        for line in order.known_document().lines:
            try:
                found = offer.listing_of(self._room, order.merchant, line.handle).listing.warranty
            except HalleError:
                continue
            if found is not None:
                return found
        return None

    async def _check_balance(self, order: Order, missing: int) -> None:
        balance = await balance_of(self._room, order.merchant, order.known_terms().token)
        if balance < missing:
            raise Refused(
                f"The bond lacks {missing}; the store's account holds {balance}.",
                code="balance-too-small",
                hint="Collect what is due first, or choose a smaller cover.",
            )

    def _enqueue_issue(self, conn: Connection, order: Order, certificate: Certificate, missing: int) -> None:
        room, token = self._room, order.known_terms().token
        warranty = room.chain.contracts.warranty
        if missing:
            approval = halle_contracts.encode_call(TOKEN, "approve", warranty, missing)
            chainwork.enqueue(room, conn, order, token, approval, room.me, "approve-bond")
            deposit = halle_contracts.encode_call("Warranty", "deposit", token, missing)
            chainwork.enqueue(room, conn, order, warranty, deposit, room.me, "deposit")
        data = halle_contracts.encode_call("Warranty", "register", certificate.as_tuple())
        chainwork.enqueue(room, conn, order, warranty, data, room.me, "register-warranty")


def read_id(ref: str) -> int:
    """Return the certificate a name such as `certificate-1f…` means.

    Raises: Refused certificate-unknown.
    """
    try:
        return int(ref.removeprefix(PREFIX).removeprefix("0x"), 16)
    except ValueError:
        raise Refused(f"There is no certificate {ref[:80]!r}.", code="certificate-unknown") from None


def take_claim(room: Room, conn: Connection, message: Message) -> None:
    """Take in what a holder or an underwriter says of a certificate that no order of ours is about.

    Raises: Unavailable certificate-unseen; Refused conversation-full.
    """
    certificate_id = int(parse_message(message).certificate_id)  # type: ignore[union-attr]
    state = certificate_state(conn, certificate_id)
    sides = {state.holder, state.underwriter}
    case = book.by_order_id(conn, state.order_id)
    heard = {room.me} if case is not None and case.role == "arbiter" else sides
    if message.sender not in sides or room.me not in heard:
        # A transfer is heard of by one node sooner than by the other: the sender keeps the message and tries again.
        raise Unavailable("The chain does not show both of us beside this certificate yet.", code="certificate-unseen")
    if len(claim_messages(conn, certificate_id)) >= MAX_CLAIM_MESSAGES:
        raise Refused("This conversation is full.", code="conversation-full")
    add_claim_message(conn, certificate_id, message)
