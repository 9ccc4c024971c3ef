"""Cover that was asked for, as rows: the signed question, the newest signed answer, and what both make of it.

Rule: nothing here is a state of its own; where a cover stands is read from the two messages, the chain and the outbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.chain.watcher_rows import event_of
from halle_node.db.schema.chain import chain_event
from halle_node.db.schema.messages import message_outbox
from halle_node.db.schema.trade import trade_cover as table
from halle_node.messages.outbox import REFUSED
from halle_node.trade.certificate_facts import certificate_state, is_moving
from halle_protocol.cover import Certificate, line_price
from halle_protocol.errors import Refused
from halle_protocol.messages import CoverDecline, CoverOffer, CoverRequest, Message, parse_message
from halle_protocol.order import OrderState, Status
from halle_protocol.terms import OrderDocument
from halle_protocol.warranty import ClaimStatus

Role = Literal["buyer", "underwriter"]
INSURABLE = (Status.ACCEPTED, Status.SHIPPED, Status.DELIVERED)
WORD_BYTES = 32
SHORTEST_PREFIX = 4


@dataclass(frozen=True)
class Cover:
    """One row, decoded."""

    row: Row[Any]

    @property
    def key(self) -> str:
        return str(self.row.cover_key)

    @property
    def other(self) -> bytes:
        return bytes(self.row.other)

    @property
    def order_id(self) -> bytes:
        return bytes(self.row.order_id)

    @cached_property
    def message(self) -> Message:
        """The buyer's signed request."""
        return Message.decode(self.row.request)

    @cached_property
    def request(self) -> CoverRequest:
        body = parse_message(self.message)
        assert isinstance(body, CoverRequest)
        return body

    @cached_property
    def document(self) -> OrderDocument:
        return OrderDocument.decode(self.request.order_document)

    @property
    def title(self) -> str:
        """What it is about."""
        line = self.document.lines[self.request.line]
        return line.title or line.handle

    @cached_property
    def answer(self) -> CoverOffer | CoverDecline | None:
        if self.row.answer is None:
            return None
        body = parse_message(Message.decode(self.row.answer))
        return body if isinstance(body, CoverOffer | CoverDecline) else None

    @property
    def certificate(self) -> Certificate | None:
        """What is offered."""
        return self.answer.certificate if isinstance(self.answer, CoverOffer) else None

    @property
    def certificate_id(self) -> int:
        """The number of what is offered, 0 without an offer."""
        return int.from_bytes(self.row.certificate_id or b"", "big")

    def known_offer(self) -> CoverOffer:
        """Return the offer.

        Raises: Refused cover-not-offered.
        """
        if not isinstance(self.answer, CoverOffer):
            raise Refused("Nothing is offered.", code="cover-not-offered", hint="Wait for the underwriter's answer.")
        return self.answer


def add(conn: Connection, role: Role, other: bytes, message: Message, order_id: bytes, now: int) -> str:
    """Keep a request, sent or received; return its key.

    Raises: Refused already-asked for an id that is taken.
    """
    key = message.id.hex()
    values = {"role": role, "other": other, "order_id": order_id, "request": message.encode()}
    row = {"cover_key": key, "problem": "", "tried_at": 0, "created_at": now, "updated_at": now, **values}
    if not conn.execute(insert(table).values(row).on_conflict_do_nothing()).rowcount:
        raise Refused("This was asked already.", code="already-asked", hint="Wait for the answer.")
    return key


def answered(conn: Connection, key: str, message: Message, offer: CoverOffer | None, now: int) -> None:
    """Keep the newest answer."""
    number = offer.certificate.id(offer.chain_id, offer.contract) if offer is not None else None
    certificate_id = None if number is None else number.to_bytes(WORD_BYTES, "big")
    values = {"answer": message.encode(), "certificate_id": certificate_id, "problem": "", "updated_at": now}
    conn.execute(update(table).where(table.c.cover_key == key).values(values))


def find(conn: Connection, key: str, role: Role | None = None) -> Cover:
    """Return a cover by its key, or the first letters of it when they name one only.

    Raises: Refused cover-unknown.
    """
    wanted = key.lower()
    query = select(table).where(table.c.cover_key.startswith(wanted, autoescape=True)).limit(2)
    rows = conn.execute(query).all() if len(wanted) >= SHORTEST_PREFIX else []
    if len(rows) != 1 or (role is not None and rows[0].role != role):
        raise Refused(f"There is no cover {key[:40]!r}.", code="cover-unknown", hint="See: halle cover list")
    return Cover(rows[0])


def listing(conn: Connection, role: Role | None = None, order_id: bytes | None = None) -> list[Cover]:
    """Return covers, newest first."""
    query = select(table).order_by(table.c.created_at.desc(), table.c.cover_key).limit(500)
    query = query if role is None else query.where(table.c.role == role)
    query = query if order_id is None else query.where(table.c.order_id == order_id)
    return [Cover(row) for row in conn.execute(query)]


def by_certificate(conn: Connection, certificate_id: int) -> Cover | None:
    """Return the cover that a certificate was offered for, if it went through our hands."""
    wanted = certificate_id.to_bytes(WORD_BYTES, "big")
    row = conn.execute(select(table).where(table.c.certificate_id == wanted)).first()
    return None if row is None else Cover(row)


def open_offers(conn: Connection, token: bytes, now: int, but: str = "") -> int:
    """Return how much bond our offers that can still be bought would take, their premiums counted in."""
    offered = (table.c.role == "underwriter", table.c.certificate_id.is_not(None), table.c.cover_key != but)
    known = map(Cover, conn.execute(select(table).where(*offered)))
    live = [cover for cover in known if status_of(conn, cover, now) == "offered"]
    papers = [cover.certificate for cover in live if cover.certificate and cover.certificate.token == token]
    return sum(max(0, int(paper.cover) - int(paper.premium)) for paper in papers)


def status_of(conn: Connection, cover: Cover, now: int) -> str:
    """Return asked, undelivered, declined, offered, expired, paying or bought; `now` is the chain's time."""
    answer = cover.answer
    if answer is None:
        return "undelivered" if refusal_of(conn, cover) else "asked"
    if isinstance(answer, CoverDecline):
        return "declined"
    if certificate_state(conn, cover.certificate_id).status != ClaimStatus.NONE:
        return "bought"
    if is_moving(conn, cover.certificate_id):
        return "paying"
    return "expired" if now > answer.deadline else "offered"


def refusal_of(conn: Connection, cover: Cover) -> str:
    """Return the code with which the underwriter's node refused our request, empty when it did not."""
    out = message_outbox
    mine = (out.c.recipient == cover.other, out.c.message_id == cover.message.id, out.c.state == REFUSED)
    return str(conn.execute(select(out.c.error_code).where(*mine)).scalar() or "")


def insurable_amount(state: OrderState, document: OrderDocument, line: int) -> int:
    """Return the most a line may be covered for: its part of what the buyer paid and has not got back.

    Raises: Refused line-unknown, order-not-insurable. Units: token's smallest unit.
    """
    if not 0 <= line < len(document.lines):
        raise Refused(f"The order has {len(document.lines)} lines.", code="line-unknown", hint="Count from 0.")
    kept = state.total - state.paid_out_buyer
    sold = state.status in INSURABLE or (state.status == Status.CLOSED and state.paid_out_merchant > 0)
    if not sold or kept <= 0 or state.terms is None:
        raise Refused(
            "Only what was sold and not given back can be insured.",
            code="order-not-insurable",
            hint="Wait until the shop has accepted, or until a dispute is over.",
        )
    return line_price(state.terms, document, line) * kept // state.total


def check_amount(conn: Connection, state: OrderState, document: OrderDocument, line: int, cover: int) -> None:
    """Pass when nobody would gain from a loss.

    Raises: Refused cover-out-of-range, already-covered and those of `insurable_amount`.
    """
    most = insurable_amount(state, document, line)
    if not 0 < cover <= most:
        raise Refused(f"A cover is between 1 and {most}.", code="cover-out-of-range", hint="Ask for no more.")
    held = state.total - state.paid_out_buyer
    if covered(conn, state) + cover > held:
        raise Refused("Certificates cover this order already.", code="already-covered", hint="Ask for less, or later.")


def covered(conn: Connection, state: OrderState) -> int:
    """Return what the buyer's certificates of an order can still pay, whoever backs them."""
    about = (func.substr(chain_event.c.data, 1, WORD_BYTES) == state.order_id, chain_event.c.name == "Registered")
    rows = conn.execute(select(chain_event).where(chain_event.c.contract == "Warranty", *about)).all()
    found = [certificate_state(conn, int(event_of(row).args["id"])) for row in rows]
    return sum(each.cover_left for each in found if each.holder == state.buyer and each.status != ClaimStatus.ENDED)
