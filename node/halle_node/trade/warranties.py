"""Warranty certificates of an order: issued by the merchant from a bond, claimed by the buyer.

Rule: bond, registration and the message with the certificate's number are one transaction of the database; the
chain rows of one signer go out in their order (approve, deposit, register).
"""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

import halle_contracts
from halle_node.chain.watcher_rows import events_about
from halle_node.db.schema.trade import trade_certificate
from halle_node.trade import book, chainwork, letters, offer
from halle_node.trade.book import Order
from halle_node.trade.folding import refresh, state_of
from halle_node.trade.legal import require
from halle_node.trade.room import Room
from halle_protocol.documents import WarrantyOffer
from halle_protocol.errors import HalleError, Refused
from halle_protocol.keys import keccak256
from halle_protocol.order import OrderState

DAY_S = 86_400
DEFAULT_DAYS = 365
DEFAULT_RESPOND_S = 14 * DAY_S
FULL_BPS = 10_000
TOKEN = "TestToken"  # noqa: S105 the name of an ABI


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
        certificate_id = int(await client.call("Warranty", "idOf", certificate))
        free = await self._free_bond(order)
        missing = max(0, certificate["cover"] - free)
        await self._check_balance(order, missing)

        def change(conn: Connection) -> None:
            require(conn, order, "issue_warranty", now)
            chainwork.refuse_twice(conn, order, "register-warranty")
            self._enqueue_issue(conn, order, certificate, missing)
            _remember(conn, certificate_id, order.order_id)
            body = {
                "certificate_id": certificate_id,
                "contract": room.chain.contracts.warranty,
                "chain_id": client.chain_id,
                "ends_at": certificate["endsAt"],
            }
            letters.send(room, conn, order, "warranty/issued", body)
            refresh(conn, order.key, room.clock())

        await room.db.write(change)

    async def open_claim(self, order_key: str, amount: int | None, text: str) -> None:
        """Claim on the newest certificate; None claims all cover that is left."""
        room = self._room
        now = await room.ask_chain_time()
        order, state = self._look(order_key)
        certificate_id = _certificate_of(state)
        found = await room.chain.client.call("Warranty", "certificateOf", certificate_id)
        left = int(_field(found, "coverLeft", 3))
        wanted = left if amount is None else amount
        if not 0 < wanted <= left:
            raise Refused(
                f"The certificate still covers {left}.", code="cover-out-of-range", hint="Claim no more than that."
            )
        digest = keccak256(text.encode() + secrets.token_bytes(16))

        def change(conn: Connection) -> None:
            require(conn, order, "open_warranty_claim", now)
            self._enqueue(conn, order, "openClaim", certificate_id, wanted, digest, signer=room.me)
            body = {"certificate_id": certificate_id, "amount": wanted, "text": text, "evidence": digest}
            letters.send(room, conn, order, "claim/open", body)
            refresh(conn, order.key, room.clock())

        await room.db.write(change)

    async def accept_claim(self, order_key: str) -> None:
        """Pay the open claim from the bond."""
        room = self._room
        now = await room.ask_chain_time()
        order, _ = self._look(order_key)

        def change(conn: Connection) -> None:
            state = require(conn, order, "accept_warranty_claim", now)
            certificate_id = state.open_claims[-1]
            self._enqueue(conn, order, "acceptClaim", certificate_id, signer=room.me)
            letters.send(room, conn, order, "claim/accept", {"certificate_id": certificate_id})
            refresh(conn, order.key, room.clock())

        await room.db.write(change)

    async def contest_claim(self, order_key: str, text: str) -> None:
        """Ask the arbiter about the open claim."""
        room = self._room
        now = await room.ask_chain_time()
        order, _ = self._look(order_key)

        def change(conn: Connection) -> None:
            state = require(conn, order, "accept_warranty_claim", now)
            certificate_id = state.open_claims[-1]
            digest = keccak256(text.encode())
            self._enqueue(conn, order, "contest", certificate_id, digest, signer=room.me)
            letters.send(room, conn, order, "chat", {"text": text})
            refresh(conn, order.key, room.clock())

        await room.db.write(change)

    async def pay_unanswered(self, order_key: str) -> None:
        """Pay out a claim nobody answered in time; anyone may."""
        order, state = self._look(order_key)
        certificate_id = _certificate_of(state)

        def change(conn: Connection) -> None:
            self._enqueue(conn, order, "payUnanswered", certificate_id, signer=self._room.me)

        await self._room.db.write(change)

    def _look(self, order_key: str) -> tuple[Order, OrderState]:
        order = self._room.db.read(lambda conn: book.find(conn, order_key))
        return order, self._room.db.read(lambda conn: state_of(conn, order))

    def _certificate(
        self, order: Order, state: OrderState, now: int, days: int | None, cover: int | None
    ) -> dict[str, Any]:
        terms, document = order.known_terms(), order.known_document()
        promised = self._offer(order)
        length = days or (promised.days if promised else DEFAULT_DAYS)
        bps = promised.cover_bps if promised else FULL_BPS
        covered = terms.amount * bps // FULL_BPS if cover is None else cover
        if not 0 < covered <= terms.amount:
            raise Refused(f"A cover is between 1 and the {terms.amount} paid.", code="cover-out-of-range")
        starts = state.delivered_at or state.closed_at or now
        return {
            "underwriter": order.merchant,
            "holder": order.buyer,
            "token": terms.token,
            "cover": covered,
            "premium": 0,
            "startsAt": starts,
            "endsAt": starts + length * DAY_S,
            "respondWithin": promised.respond_within_s if promised else DEFAULT_RESPOND_S,
            "arbiter": terms.arbiter,
            "arbiterWithin": terms.arbiter_within,
            "orderId": order.order_id,
            "itemHash": keccak256(document.lines[0].sku.encode() + document.salt),
            "serialHash": bytes(32),
            "termsHash": bytes(32),
        }

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

    async def _free_bond(self, order: Order) -> int:
        token = order.known_terms().token
        found = await self._room.chain.client.call("Warranty", "bondOf", order.merchant, token)
        return int(_field(found, "bond", 0)) - int(_field(found, "reserved", 1))

    async def _check_balance(self, order: Order, missing: int) -> None:
        token = order.known_terms().token
        balance = int(await self._room.chain.client.call(TOKEN, "balanceOf", order.merchant, at=token))
        if balance < missing:
            raise Refused(
                f"The bond lacks {missing}; the store's account holds {balance}.",
                code="balance-too-small",
                hint="Collect what is due first, or choose a smaller cover.",
            )

    def _enqueue_issue(self, conn: Connection, order: Order, certificate: dict[str, Any], missing: int) -> None:
        room, token = self._room, order.known_terms().token
        warranty = room.chain.contracts.warranty
        if missing:
            approval = halle_contracts.encode_call(TOKEN, "approve", warranty, missing)
            chainwork.enqueue(room, conn, order, token, approval, room.me, "approve-bond")
            self._enqueue(conn, order, "deposit", token, missing, signer=room.me)
        data = halle_contracts.encode_call("Warranty", "register", certificate)
        chainwork.enqueue(room, conn, order, warranty, data, room.me, "register-warranty")

    def _enqueue(self, conn: Connection, order: Order, function: str, *args: object, signer: bytes) -> None:
        data = halle_contracts.encode_call("Warranty", function, *args)
        warranty = self._room.chain.contracts.warranty
        chainwork.enqueue(self._room, conn, order, warranty, data, signer, function)


def certificate_ids(conn: Connection, order: Order, state: OrderState) -> list[int]:
    """Return the certificates of an order, from messages and from what we registered."""
    table = trade_certificate
    known = conn.execute(select(table.c.certificate_id).where(table.c.order_id == order.order_id)).scalars()
    own = [int.from_bytes(each, "big") for each in known]
    return list(dict.fromkeys([*state.certificates, *own]))


def certificate_events(conn: Connection, certificate_id: int) -> list[Any]:
    """Return the chain's events about a certificate."""
    subject = certificate_id.to_bytes(32, "big")
    return [event for event in events_about(conn, subject) if event.contract == "Warranty"]


def _remember(conn: Connection, certificate_id: int, order_id: bytes) -> None:
    row = {"certificate_id": certificate_id.to_bytes(32, "big"), "order_id": order_id}
    conn.execute(insert(trade_certificate).values(row).on_conflict_do_nothing())


def _certificate_of(state: OrderState) -> int:
    if not state.certificates:
        raise Refused("This order has no warranty certificate.", code="certificate-unknown")
    return state.certificates[-1]


def _field(answer: Any, name: str, place: int) -> Any:
    return answer[name] if isinstance(answer, dict) else answer[place]
