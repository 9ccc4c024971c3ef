"""The parts of an order's page beyond the plain path: checkpoints, returns, digital goods, evidence, and its files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from halle_node.messages.route import Route
from halle_node.trade import attachments, book, letters
from halle_node.trade.arbiting import bundles, destination_of_side
from halle_node.trade.book import Order
from halle_node.trade.parcels import STATUSES, checkpoints
from halle_node.trade.room import Room
from halle_node.trade.views import (
    BundleView,
    CheckpointView,
    DeliverableView,
    FileView,
    ReturnView,
)
from halle_protocol.errors import HalleError, Refused
from halle_protocol.evidence import Evidence, examine, messages_of
from halle_protocol.message_bodies import SealedFile
from halle_protocol.messages import Message
from halle_protocol.order import OrderState


def parcel_history(conn: Connection, order: Order, state: OrderState) -> tuple[CheckpointView, ...]:
    """Return what the order's carrier recorded, oldest first, with the words that were passed on."""
    said = [message for message in book.messages(conn, order.key) if message.type == "checkpoint"]
    words = {(message.body["shipment_id"], message.body["at"]): message.body for message in said}
    found = []
    for each in checkpoints(conn, order, state):
        note = words.get((each.shipment_id, each.at), {})
        word = STATUSES[each.status]
        tx_hash = "0x" + each.tx_hash.hex()
        found.append(CheckpointView(word, each.at, note.get("place", ""), note.get("text", ""), tx_hash))
    return tuple(found)


def deliverables(state: OrderState) -> tuple[DeliverableView, ...]:
    """Return what was handed over without a parcel, in the order it came; of goods sent again the newest."""
    found = sorted(
        state.goods, key=lambda message: (message.issued, message.body["name"], message.body.get("text", ""))
    )
    return tuple(_deliverable(message) for message in found)


def return_view(state: OrderState) -> ReturnView | None:
    """Return the newest return; None when there was none."""
    asked = state.return_request
    if asked is None:
        return None
    approval, parcel = state.return_approval, state.return_parcel
    return ReturnView(
        reason=asked.body.get("reason", ""),
        pieces=_pieces(asked.body.get("lines", ())),
        exchange=_pieces(asked.body.get("exchange", ())),
        instructions=approval.body.get("note", "") if approval else "",
        tracking=" ".join(filter(None, (parcel.body.get("carrier"), parcel.body.get("tracking")))) if parcel else "",
        withdrawal=bool(asked.body.get("withdrawal")),
        photos=tuple(file_view(asked, card) for card in cards_of(asked)),
    )


def case_bundles(conn: Connection, order: Order, state: OrderState) -> tuple[BundleView, ...]:
    """Return the evidence of both sides, checked against the chain; nothing for anyone but the arbiter."""
    if order.role != "arbiter" or order.terms is None:
        return ()
    found = []
    for message, data in bundles(conn, order):
        evidence = Evidence.decode(data)
        findings = examine(evidence, (state.evidence,), data, order.terms)
        found.append(
            BundleView(
                by="merchant" if message.sender == order.merchant else "buyer",
                at=message.issued,
                text=evidence.text,
                findings={each.name: each.good for each in findings},
                photos=tuple(file_view(message, card) for card in evidence.photos),
                messages=len(messages_of(evidence)),
            )
        )
    return tuple(found)


async def open_file(room: Room, order_key: str, file_id: str) -> tuple[str, str, bytes]:
    """Return name, MIME type and bytes of a file of an order.

    Raises: Refused file-unknown; Unavailable block-missing, peer-…; RemoteProtocolError file-damaged.
    """
    order = room.db.read(lambda conn: book.find(conn, order_key))
    said = room.db.read(lambda conn: book.messages(conn, order.key))
    message, place = named_file(said, file_id)
    return await open_card(room, message, place, _route(room, order, message.sender))


def named_file(said: Iterable[Message], file_id: str) -> tuple[Message, int]:
    """Return the message that carries a file, and the file's place in it.

    Raises: Refused file-unknown.
    """
    message_hex, _, place = file_id.partition("-")
    found = next((message for message in said if message.id.hex() == message_hex), None)
    if found is None or not (place.isascii() and place.isdigit() and len(place) < 3):
        raise Refused("There is no such file.", code="file-unknown", hint="Open the page again.")
    return found, int(place)


async def open_card(room: Room, message: Message, place: int, route: Route | None) -> tuple[str, str, bytes]:
    """Return name, MIME type and bytes of a message's file; what is not here is fetched from `route`.

    Raises: Refused file-unknown; Unavailable block-missing, peer-…; RemoteProtocolError file-damaged.
    """
    content = message.body.get("content")
    if isinstance(content, bytes) and place == 0:
        return message.body["name"], message.body.get("mime", ""), content
    cards = cards_of(message)
    if place >= len(cards):
        raise Refused("There is no such file.", code="file-unknown", hint="Open the page again.")
    card = cards[place]
    return card.name, card.mime, await attachments.read(room, card, route)


def cards_of(message: Message) -> list[SealedFile]:
    """Return the sealed files a message names, those inside a bundle too."""
    if message.type == "case/evidence":
        return list(Evidence.decode(bytes(message.body["bundle"])).photos)
    plain: Iterable[Any] = message.body.get("photos", ())
    single = message.body.get("file")
    return [SealedFile.from_body(each) for each in (*plain, *([single] if single else []))]


def _route(room: Room, order: Order, sender: bytes) -> Route | None:
    """Return where a sender is reached; None when it is us or nobody knows."""
    if sender == room.me:
        return None
    try:
        if order.role == "arbiter":
            return destination_of_side(room, order, sender).route
        return letters.destination_of(room, order).route
    except HalleError:
        return None


def _deliverable(message: Message) -> DeliverableView:
    body = message.body
    cards = cards_of(message)
    file = file_view(message, cards[0]) if cards else None
    if file is None and isinstance(body.get("content"), bytes):
        file = FileView(f"{message.id.hex()}-0", body["name"], body.get("mime", ""), len(body["content"]))
    return DeliverableView(
        name=body["name"],
        kind=body.get("kind", "file"),
        sku=body.get("sku", ""),
        text=body.get("text", ""),
        at=message.issued,
        left=body.get("left"),
        file=file,
        appointment_at=body.get("at"),
    )


def file_view(message: Message, card: SealedFile) -> FileView:
    """Return a message's file as `open_file` opens it."""
    place = cards_of(message).index(card)
    return FileView(f"{message.id.hex()}-{place}", card.name, card.mime, card.size_bytes)


def _pieces(lines: Iterable[Any]) -> dict[str, int]:
    return {line["sku"]: line["quantity"] for line in lines}
