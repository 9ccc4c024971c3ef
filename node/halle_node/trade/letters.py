"""Messages of an order. Rule: whatever we say is a fact of the order and a row of the outbox, in one transaction."""

from __future__ import annotations

import contextlib
import secrets
from typing import Any

from sqlalchemy import Connection, select

from halle_node.db.schema.messages import message_outbox
from halle_node.messages.route import Destination, Route, newer
from halle_node.trade import book
from halle_node.trade.book import Order
from halle_node.trade.room import Room
from halle_protocol.documents.shape import Model
from halle_protocol.errors import HalleError, Refused
from halle_protocol.message_bodies import ReplyRoute
from halle_protocol.messages import BODIES, Message, sign_message
from halle_protocol.sealing import choose_prekey

MESSAGE_ID_BYTES = 16
MOST_AHEAD_S = 300
MAX_ADDRS = 16


def compose(
    room: Room,
    to: bytes,
    thread: bytes,
    message_type: str,
    body: Model | dict[str, Any],
    *,
    id: bytes = b"",
    issued: int = 0,
) -> Message:
    """Return a message signed by the operator, whose grant goes along.

    Raises: Refused form-invalid naming the field that does not fit.
    """
    try:
        checked = body if isinstance(body, Model) else BODIES[message_type].from_body(body)
        return sign_message(
            room.keys.operator_private,
            id=id or secrets.token_bytes(MESSAGE_ID_BYTES),
            thread=thread,
            type=message_type,
            sender=room.me,
            to=to,
            issued=issued or room.clock(),
            body=checked,
            grant=room.keys.grant,
        )
    except HalleError as error:
        raise Refused(error.message, code="form-invalid", hint="Correct the field and send it again.") from error


def send(room: Room, conn: Connection, order: Order, message_type: str, body: Model | dict[str, Any]) -> Message:
    """Say something to the other side of an order.

    Raises: Refused order-message-missing while nobody knows how to reach the buyer.
    """
    if order.thread is None:
        order.known_document()
    issued = _after_all_known(conn, order, room.clock())
    message = compose(room, order.other, order.thread or bytes(32), message_type, body, issued=issued)
    post(room, conn, order.key, message, destination_of(room, order))
    return message


def _after_all_known(conn: Connection, order: Order, now: int) -> int:
    """Date a message after every other of its order, even within one second; a false clock there moves us little."""
    newest = min(book.newest_issued(conn, order.key), now + MOST_AHEAD_S)
    return max(now, newest + 1)


def post(room: Room, conn: Connection, key: str, message: Message, to: Destination) -> None:
    """Make a composed message a fact of the order and queue it."""
    book.add_message(conn, key, message)
    room.messages.send(conn, message, to.prekey, to.route)


def is_queued(conn: Connection, message: Message) -> bool:
    """Say whether a message of ours is in the outbox, on its way or answered."""
    table = message_outbox
    where = (table.c.recipient == message.to, table.c.message_id == message.id)
    return conn.execute(select(table.c.id).where(*where)).first() is not None


def destination_of(room: Room, order: Order) -> Destination:
    """Return where the other side of an order is reached."""
    if order.role == "buyer":
        return store_destination(room, order.merchant)
    request = order.request
    if request is None:
        raise Refused(
            "The buyer's message has not arrived; nobody knows yet how to reach them.",
            code="order-message-missing",
            hint="Their node sends it again.",
        )
    return reply_destination(request.reply)


def reply_route(room: Room, name: str = "") -> dict[str, Any]:
    """Return how we are answered, for somebody who may not know our profile.

    Raises: Refused no-prekey.
    """
    prekeys = room.keys.prekeys()
    if not prekeys:
        raise Refused("This store has no prekey to be answered with.", code="no-prekey", hint="Restart the node.")
    profile = room.catalog.profile()
    # Ways that lead to us while our node is away.
    others = {"mailboxes": list(profile.mailboxes), "shop_url": profile.shop_url}
    return {
        "peer_id": room.keys.grant.peer_id,
        "addrs": _own_addrs(room),
        "prekey": prekeys[0].to_body(),
        "name": name,
        **{way: value for way, value in others.items() if value},
    }


def _own_addrs(room: Room) -> list[str]:
    """Return where our node is reached: as told by the network, else as our own profile says."""
    found = list(room.whereabouts())
    view = None if found else room.index.store(room.me)
    if view is not None and view.profile is not None:
        found = list(view.profile.addrs)
    return found[:MAX_ADDRS]


def store_destination(room: Room, store: bytes) -> Destination:
    """Return where a store is reached, from its published profile.

    Raises: Refused store-unknown; RemoteProtocolError no-prekey.
    """
    view = room.index.store(store)
    if view is None or view.profile is None:
        raise Refused(
            "The store's profile is not here yet.",
            code="store-unknown",
            hint="Wait until its catalog has been fetched.",
        )
    profile = view.profile
    prekey = choose_prekey(profile.sealing_keys(), room.clock())
    peer_id, addrs = profile.peer_id or view.peer_id, profile.addrs or view.addrs
    route = Route(peer_id, tuple(addrs), profile.shop_url or "", tuple(profile.mailboxes))
    return Destination(route, prekey)


def newest_destination(room: Room, recipient: bytes, told: ReplyRoute | None = None) -> Destination | None:
    """Return where a recipient says that it is reached: in its profile, or as `told`, whichever is the newer.

    None for somebody who publishes nothing and told nothing.
    """
    found = [] if told is None else [reply_destination(told)]
    with contextlib.suppress(HalleError):
        published = store_destination(room, recipient)
        found += [published] if published.route.peer_id else []
    return newer(*found) if found else None


def reply_destination(reply: ReplyRoute) -> Destination:
    """Return a route that somebody told."""
    route = Route(reply.peer_id, tuple(reply.addrs), reply.shop_url or "", tuple(reply.mailboxes))
    return Destination(route, reply.prekey.key)
