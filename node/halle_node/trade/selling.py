"""The merchant's moves: answer, ship, hand over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from halle_node.trade import book, chainwork, letters
from halle_node.trade.book import Order
from halle_node.trade.folding import refresh
from halle_node.trade.legal import require
from halle_node.trade.merchant_duty import decline_request, take_on
from halle_node.trade.parcels import parcel_body, read_pieces
from halle_node.trade.quoting import quote
from halle_node.trade.room import Room
from halle_protocol.errors import Refused
from halle_protocol.keys import ZERO_ADDRESS, keccak256
from halle_protocol.messages import thread_of
from halle_protocol.order import Status
from halle_protocol.terms import shipment_id


class Selling:
    """Moves that say yes, no, sent and handed over."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def accept(self, order_key: str) -> None:
        """Quote a request, or take on a funded offer."""
        now = await self._room.ask_chain_time()

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            state = require(conn, order, "accept", now)
            if state.status == Status.NONE:
                quote(self._room, conn, order)
            else:
                chainwork.refuse_twice(conn, order, "accept")
                take_on(self._room, conn, order)
            book.set_problem(conn, order.key, "")
            refresh(conn, order.key, self._room.clock())

        await self._room.db.write(change)

    async def decline(self, order_key: str, reason: str) -> None:
        """Decline a request by message, or a funded offer by giving all of it back."""
        now = await self._room.ask_chain_time()

        def change(conn: Connection) -> None:
            room = self._room
            order = book.find(conn, order_key)
            state = require(conn, order, "decline", now)
            if order.thread is not None:
                decline_request(room, conn, order, reason or "The shop cannot take this order.")
            if state.status != Status.NONE:
                chainwork.refuse_twice(conn, order, "refund", "accept")
                signer = chainwork.merchant_signer(room, conn)
                chainwork.call(room, conn, order, "refund", state.held, signer=signer)
            refresh(conn, order.key, room.clock())

        await self._room.db.write(change)

    async def ship(
        self, order_key: str, carrier: str, tracking: str, url: str, lines: str, complete: bool, anyway: bool
    ) -> None:
        """Announce a parcel; the one that completes the order (or with `complete`) goes on the chain too.

        `lines` names the pieces as `SKU:2, SKU`; empty is all that was not sent yet.
        """
        now = await self._room.ask_chain_time()

        def change(conn: Connection) -> None:
            room = self._room
            order = book.find(conn, order_key)
            state = require(conn, order, "ship", now)
            order.known_document()
            if state.finality == "seen" and not anyway:
                raise Refused(
                    "The payment is in a block, but not deep enough yet to rely on.",
                    code="payment-not-safe",
                    hint="Wait until it is safe, or ship anyway if you trust this buyer.",
                )
            chainwork.refuse_twice(conn, order, "ship")
            pieces = read_pieces(lines, state.unsent) or state.unsent
            body = parcel_body(carrier, tracking, url, pieces)
            if complete or pieces == state.unsent:
                signer = chainwork.merchant_signer(room, conn)
                chainwork.call(room, conn, order, "ship", body["commitment"], signer=signer)
                hand_to_carrier(room, conn, order, body)
            letters.send(room, conn, order, "shipment", body)
            refresh(conn, order.key, room.clock())

        await self._room.db.write(change)

    async def deliver_with_code(self, order_key: str, code: str) -> None:
        """Show the buyer's code to the chain."""
        now = await self._room.ask_chain_time()
        given = read_code(code)

        def change(conn: Connection) -> None:
            room = self._room
            order = book.find(conn, order_key)
            require(conn, order, "hand_over", now)
            if keccak256(given) != order.known_terms().delivery_code:
                raise Refused(
                    "This is not the code of this order.",
                    code="delivery-code-wrong",
                    hint="Scan or type the buyer's code again.",
                )
            chainwork.refuse_twice(conn, order, "deliver")
            signer = chainwork.errand_signer(room, conn, order)
            chainwork.call(room, conn, order, "deliver", given, signer=signer)

        await self._room.db.write(change)

    async def prove_delivery(self, order_key: str) -> None:
        """Show the named carrier's checkpoint to the chain."""
        now = await self._room.ask_chain_time()

        def change(conn: Connection) -> None:
            room = self._room
            order = book.find(conn, order_key)
            state = require(conn, order, "prove_delivery", now)
            chainwork.refuse_twice(conn, order, "deliverByCarrier")
            signer = chainwork.errand_signer(room, conn, order)
            chainwork.call(room, conn, order, "deliverByCarrier", state.shipment_hash, signer=signer)

        await self._room.db.write(change)


def hand_to_carrier(room: Room, conn: Connection, order: Order, body: Mapping[str, Any]) -> None:
    """Tell the carrier whose word counts what to attest and where it goes.

    Raises: Refused store-unknown while nobody knows how to reach the carrier.
    """
    carrier = order.known_terms().carrier
    if carrier in (ZERO_ADDRESS, room.me):
        return
    request, where = order.request, letters.store_destination(room, carrier)
    shipment = shipment_id(order.order_id, body["commitment"])
    handover = {
        "shipment_id": shipment,
        "order_id": order.order_id,
        "tracking": body["tracking"],
        "address": request.address if request else None,
        "pieces": sum(line["quantity"] for line in body["lines"]),
    }
    thread = thread_of(room.me, carrier, shipment)
    message = letters.compose(room, carrier, thread, "parcel/handover", handover)
    letters.post(room, conn, order.key, message, where)


def read_code(code: str) -> bytes:
    """Return the bytes of a delivery code as people type or scan it.

    Raises: Refused delivery-code-wrong.
    """
    plain = "".join(code.split()).replace("-", "").removeprefix("0x")
    try:
        return bytes.fromhex(plain)
    except ValueError as error:
        raise Refused(
            "A delivery code has the digits 0–9 and the letters a–f.",
            code="delivery-code-wrong",
            hint="Scan or type the buyer's code again.",
        ) from error
