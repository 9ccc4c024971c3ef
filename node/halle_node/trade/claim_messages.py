"""What was said about certificates outside orders of ours, as rows."""

from __future__ import annotations

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema.trade import trade_claim_message
from halle_protocol.messages import Message


def add_claim_message(conn: Connection, certificate_id: int, message: Message) -> None:
    """Keep what was said about a certificate outside an order of ours."""
    row = {
        "certificate_id": certificate_id.to_bytes(32, "big"),
        "sender": message.sender,
        "message_id": message.id,
        "content": message.encode(),
    }
    conn.execute(insert(trade_claim_message).values(row).on_conflict_do_nothing())


def claim_messages(conn: Connection, certificate_id: int) -> list[Message]:
    """Return what was said about a certificate outside an order of ours, in the order it came."""
    table = trade_claim_message
    query = select(table.c.content).where(table.c.certificate_id == certificate_id.to_bytes(32, "big"))
    return [Message.decode(data) for data in conn.execute(query.order_by(table.c.id)).scalars()]
