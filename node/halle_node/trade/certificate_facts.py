"""What the chain and our own rows say about warranty certificates. Nothing here decides anything."""

from __future__ import annotations

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert

from halle_node.chain.records import ChainEvent
from halle_node.chain.watcher_rows import event_of, events_about
from halle_node.db.schema.chain import chain_event, chain_tx
from halle_node.db.schema.trade import trade_certificate
from halle_node.trade.book import Order
from halle_node.trade.chainwork import unseen
from halle_node.trade.folding import fact_of
from halle_protocol.order import OrderState
from halle_protocol.warranty import CertificateState, Party, fold_certificate

WORD_BYTES = 32
PREFIX = "certificate-"


def certificate_name(certificate_id: int) -> str:
    """Return what `act` takes in the place of an order key."""
    return f"{PREFIX}{certificate_id:064x}"


def certificate_ids(conn: Connection, order: Order, state: OrderState) -> list[int]:
    """Return the certificates of an order, from messages and from what we registered."""
    table = trade_certificate
    known = conn.execute(select(table.c.certificate_id).where(table.c.order_id == order.order_id)).scalars()
    own = [int.from_bytes(each, "big") for each in known]
    return list(dict.fromkeys([*state.certificates, *own]))


def certificate_events(conn: Connection, certificate_id: int) -> list[ChainEvent]:
    """Return the chain's events about a certificate, its transfers among them, oldest first."""
    subject = certificate_id.to_bytes(WORD_BYTES, "big")
    named = [event for event in events_about(conn, subject) if event.contract == "Warranty"]
    moved = select(chain_event).where(
        chain_event.c.contract == "Warranty",
        chain_event.c.name == "Transfer",
        func.substr(chain_event.c.topics, 3 * WORD_BYTES + 1, WORD_BYTES) == subject,
    )
    named += [event_of(row) for row in conn.execute(moved)]
    return sorted(named, key=lambda event: (event.block_number, event.log_index))


def certificate_state(conn: Connection, certificate_id: int) -> CertificateState:
    """Return where a certificate stands."""
    return fold_certificate(fact_of(event) for event in certificate_events(conn, certificate_id))


def party_of(certificate: CertificateState, me: bytes) -> Party:
    """Return what we are to a certificate."""
    if me == certificate.holder:
        return "holder"
    return "underwriter" if me == certificate.underwriter else "anyone"


def is_moving(conn: Connection, certificate_id: int) -> bool:
    """Say whether what a transaction of ours does to a certificate is still to be seen."""
    ref = certificate_id.to_bytes(WORD_BYTES, "big")
    query = select(chain_tx.c.id).where(chain_tx.c.ref == ref, unseen(conn))
    return conn.execute(query).first() is not None


def held_or_backed(conn: Connection, me: bytes) -> list[int]:
    """Return the certificates that ever came to us or that we underwrite, newest first."""
    word = me.rjust(WORD_BYTES, b"\0")
    third = func.substr(chain_event.c.topics, 2 * WORD_BYTES + 1, WORD_BYTES)
    fourth = func.substr(chain_event.c.topics, 3 * WORD_BYTES + 1, WORD_BYTES)
    query = (
        select(chain_event)
        .where(chain_event.c.contract == "Warranty", chain_event.c.name.in_(("Registered", "Transfer")))
        .where((third == word) | (fourth == word))
        .order_by(chain_event.c.block_number.desc(), chain_event.c.log_index.desc())
    )
    found = [event_of(row) for row in conn.execute(query)]
    ids = [event.args["id"] if event.name == "Registered" else event.args["tokenId"] for event in found]
    return list(dict.fromkeys(int(each) for each in ids))


def remember(conn: Connection, certificate_id: int, order_id: bytes) -> None:
    """Note that a certificate belongs to an order."""
    row = {"certificate_id": certificate_id.to_bytes(WORD_BYTES, "big"), "order_id": order_id}
    conn.execute(insert(trade_certificate).values(row).on_conflict_do_nothing())
