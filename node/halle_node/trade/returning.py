"""Goods that go back, and what is sent in their place: steps that the two sides tell each other.

The money follows by its own moves: a refund, a settlement, or nothing when the goods are exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from halle_node.catalog import stock
from halle_node.trade import attachments, book, letters
from halle_node.trade.book import Order
from halle_node.trade.folding import refresh
from halle_node.trade.legal import require
from halle_node.trade.parcels import parcel_body, read_pieces
from halle_node.trade.room import Room
from halle_protocol.errors import Refused
from halle_protocol.order import OrderState


class Returning:
    """The moves of a return."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def request(
        self, order_key: str, reason: str, lines: str, exchange: str, photos: Sequence[bytes], withdrawal: bool
    ) -> None:
        """Ask to send pieces back (`lines` empty: all of them), for money or for the pieces of `exchange`."""
        cards = await attachments.seal_photos(self._room, photos)

        def body(order: Order, state: OrderState) -> dict[str, Any]:
            known = {line.sku: line.original for line in state.lines}
            back = read_pieces(lines, known) or known
            wanted = read_pieces(exchange, None)
            return {
                "reason": reason,
                "lines": _lines(back),
                "exchange": _lines(wanted),
                "photos": cards,
                "withdrawal": withdrawal,
            }

        await self._say(order_key, "request_return", "return/request", body)

    async def approve(self, order_key: str, instructions: str) -> None:
        """Say yes, and how the goods come back."""
        if not instructions.strip():
            raise Refused(
                "The buyer must know where and how to send it.",
                code="instructions-missing",
                hint="Write the address and who pays for the way.",
            )
        await self._say(order_key, "approve_return", "return/approve", lambda *_: {"note": instructions})

    async def decline(self, order_key: str, reason: str) -> None:
        """Say no, and why."""
        await self._say(order_key, "decline_return", "return/decline", lambda *_: {"note": reason})

    async def send(self, order_key: str, carrier: str, tracking: str) -> None:
        """Tell the merchant that the goods are on their way back."""
        body = {"carrier": carrier, "tracking": tracking}
        await self._say(order_key, "send_return", "return/sent", lambda *_: body)

    async def receive(self, order_key: str, note: str, restock: bool) -> None:
        """Tell the buyer that the goods are here; `restock` puts them on the shelf again."""

        def body(order: Order, state: OrderState) -> dict[str, Any]:
            return {"note": note}

        def also(conn: Connection, order: Order, state: OrderState) -> None:
            if restock and state.return_request is not None:
                _put_back(conn, order, state.return_request.body.get("lines", ()))

        await self._say(order_key, "receive_return", "return/received", body, also)

    async def cancel(self, order_key: str) -> None:
        """Keep the goods after all."""
        await self._say(order_key, "cancel_return", "return/cancel", lambda *_: {})

    async def confirm_receipt(self, order_key: str, note: str) -> None:
        """Tell the merchant that it arrived; the money stays where it is until its time."""
        body = {"received_at": self._room.clock(), "note": note}
        await self._say(order_key, "confirm_receipt", "receipt", lambda *_: body)

    async def send_again(self, order_key: str, carrier: str, tracking: str, url: str, lines: str) -> None:
        """Announce a parcel in the place of one that was lost, damaged or sent back."""

        def body(order: Order, state: OrderState) -> dict[str, Any]:
            known = {line.sku: line.original for line in state.lines} | state.exchange
            pieces = read_pieces(lines, known) or state.exchange or known
            found = parcel_body(carrier, tracking, url, pieces) | {"replaces": True}
            # The carrier attests the shipment the chain knows: a new parcel stands in for it.
            return found | ({"commitment": state.shipment_hash} if state.shipment_hash else {})

        await self._say(order_key, "send_again", "shipment", body)

    async def _say(self, order_key: str, action: str, kind: str, body: Any, also: Any = None) -> None:
        room = self._room
        now = await room.ask_chain_time()

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            state = require(conn, order, action, now)
            letters.send(room, conn, order, kind, body(order, state))
            if also is not None:
                also(conn, order, state)
            refresh(conn, order.key, room.clock())

        await room.db.write(change)


def _lines(pieces: dict[str, int]) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": quantity} for sku, quantity in pieces.items()]


def _put_back(conn: Connection, order: Order, lines: Sequence[dict[str, Any]]) -> None:
    handles = {line.sku: line.handle for line in order.known_document().lines}
    for line in lines:
        if line["sku"] in handles:
            stock.put_back(conn, handles[line["sku"]], line["sku"], line["quantity"])
