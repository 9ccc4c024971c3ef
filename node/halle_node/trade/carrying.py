"""Carrying parcels for others: what was handed over, and the checkpoints recorded about it.

Rule: a checkpoint is a transaction that anybody can read, and its words a message to the merchant, in one commit.
"""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert

import halle_contracts
from halle_node.chain.watcher_rows import events_about
from halle_node.db.schema.trade import trade_parcel as table
from halle_node.trade import letters
from halle_node.trade.parcels import STATUSES
from halle_node.trade.room import Room, promises
from halle_node.trade.views import Address, ParcelView
from halle_protocol import dagcbor
from halle_protocol.errors import Refused
from halle_protocol.keys import to_checksum
from halle_protocol.messages import Message, ParcelHandover, parse_message, thread_of

MAX_PARCELS = 50_000
ROLE = "carrier"
CODES = {word: code for code, word in STATUSES.items()}


class Carrying:
    """A carrier's moves."""

    def __init__(self, room: Room) -> None:
        self._room = room

    @promises
    async def attest(self, shipment: str, status: str, place: str, text: str) -> None:
        """Record a checkpoint of a parcel we carry.

        Raises: Refused parcel-unknown, checkpoint-unknown, keys-locked.
        """
        room = self._room
        code = CODES.get(status.replace("_", "-"))
        if code is None:
            raise Refused(
                f"There is no checkpoint {status[:40]!r}.",
                code="checkpoint-unknown",
                hint=f"One of: {', '.join(CODES)}.",
            )
        _ = room.keys.store_private
        at = await room.ask_chain_time()

        def change(conn: Connection) -> None:
            message = _find(conn, shipment)
            body = _handover(message)
            detail = {"status": code, "at": at, "place": place, "text": text, "shipment_id": body.shipment_id}
            data = halle_contracts.encode_call(
                "DeliveryTracking", "attest", body.shipment_id, code, at, sha256(dagcbor.encode(detail)).digest()
            )
            to = room.chain.contracts.tracking
            room.chain.outbox.enqueue(
                conn, signer=room.me, to=to, data=data, purpose=f"attest-{STATUSES[code]}", ref=body.shipment_id
            )
            where = letters.store_destination(room, message.sender)
            thread = thread_of(room.me, message.sender, body.shipment_id)
            note = letters.compose(
                room, message.sender, thread, "parcel/checkpoint", detail | {"order_id": body.order_id}
            )
            room.messages.send(conn, note, where.prekey, where.route)

        await room.db.write(change)

    def parcels(self) -> list[ParcelView]:
        """Return what we carry, newest first."""

        def read(conn: Connection) -> list[ParcelView]:
            rows = conn.execute(select(table).order_by(table.c.received_at.desc()).limit(500)).all()
            return [self._view(conn, Message.decode(row.content), row.received_at) for row in rows]

        return self._room.db.read(read)

    def _view(self, conn: Connection, message: Message, received_at: int) -> ParcelView:
        body = _handover(message)
        mine = [
            (int(event.args["status"]), int(event.args["at"]))
            for event in events_about(conn, body.shipment_id)
            if event.name == "Checkpoint" and event.args["carrier"] == self._room.me
        ]
        address = body.address
        return ParcelView(
            shipment_id="0x" + body.shipment_id.hex(),
            merchant=to_checksum(message.sender),
            tracking=body.tracking,
            pieces=body.pieces,
            note=body.note,
            address=Address(**{name: getattr(address, name) for name in _ADDRESS}) if address else None,
            received_at=received_at,
            status=STATUSES[mine[-1][0]] if mine else "",
            status_at=mine[-1][1] if mine else None,
        )


_ADDRESS = ("name", "street", "city", "postcode", "country", "street2", "region", "phone")


def take_handover(room: Room, conn: Connection, message: Message) -> None:
    """Take on a parcel.

    Raises: Refused not-a-carrier, parcels-full.
    """
    body = parse_message(message)
    if not isinstance(body, ParcelHandover):
        return
    if ROLE not in room.catalog.profile().services:
        raise Refused("This node carries no parcels.", code="not-a-carrier", hint="Name another carrier.")
    if conn.execute(select(func.count()).select_from(table)).scalar_one() >= MAX_PARCELS:
        raise Refused("This carrier takes no more parcels now.", code="parcels-full")
    row = {
        "shipment_id": body.shipment_id,
        "merchant": message.sender,
        "content": message.encode(),
        "received_at": room.clock(),
    }
    conn.execute(insert(table).values(row).on_conflict_do_nothing())


def _find(conn: Connection, shipment: str) -> Message:
    wanted = shipment.removeprefix("0x").lower()
    rows = conn.execute(select(table.c.content, table.c.shipment_id)).all()
    found = [row.content for row in rows if wanted and row.shipment_id.hex().startswith(wanted)]
    if len(found) != 1:
        raise Refused(
            f"{len(found)} parcels begin with {shipment[:40]!r}.", code="parcel-unknown", hint="Look at your list."
        )
    return Message.decode(found[0])


def _handover(message: Message) -> ParcelHandover:
    body = parse_message(message)
    assert isinstance(body, ParcelHandover)
    return body
