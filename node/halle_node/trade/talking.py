"""Words between the two sides of an order."""

from __future__ import annotations

from sqlalchemy import Connection

from halle_node.trade import book, letters
from halle_node.trade.folding import refresh
from halle_node.trade.room import Room


class Talking:
    """The conversation of an order."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def chat(self, order_key: str, text: str) -> None:
        """Say something to the other side."""

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            letters.send(self._room, conn, order, "chat", {"text": text})
            refresh(conn, order.key, self._room.clock())

        await self._room.db.write(change)
