"""What follows from an order's facts: amounts, deadlines and the three derived axes.

The words of the axes are Shopify's and UCP's; none of them is ever stored.
Spec: docs/spec/10-order.md §3
"""

from __future__ import annotations

from dataclasses import dataclass, field

from halle_protocol.messages import Message
from halle_protocol.order_facts import Finality, HistoryEntry
from halle_protocol.order_table import Role, Status
from halle_protocol.terms import Terms


@dataclass(frozen=True)
class LineState:
    """Quantities of one sku."""

    sku: str
    original: int
    fulfilled: int

    @property
    def status(self) -> str:
        """UCP's derivation: removed, fulfilled, partial or processing."""
        if self.original == 0:
            return "removed"
        if self.fulfilled >= self.original:
            return "fulfilled"
        return "partial" if self.fulfilled else "processing"


@dataclass(frozen=True)
class Proposal:
    """A settlement on the table; void as soon as `paid_out` has moved."""

    by: Role
    buyer_share: int
    paid_out: int
    sig: bytes
    at: int


@dataclass(frozen=True)
class OrderState:
    """Everything that follows from the facts.

    Units: total, paid_out_… and held in the token's smallest unit; times in unix seconds.
    """

    order_id: bytes = b""
    status: Status = Status.NONE
    deadline: int | None = None
    total: int = 0
    paid_out_buyer: int = 0
    paid_out_merchant: int = 0
    paid_out_arbiter: int = 0
    merchant: bytes = b""
    buyer: bytes = b""
    token: bytes = b""
    order_hash: bytes = b""
    how: str = ""
    terms: Terms | None = None
    finality: Finality | None = None
    funded_at: int | None = None
    shipped_at: int | None = None
    delivered_at: int | None = None
    closed_at: int | None = None
    disputed_by: bytes = b""
    request: Message | None = None
    quote: Message | None = None
    decline: Message | None = None
    cancel: Message | None = None
    receipt: Message | None = None
    shipments: tuple[Message, ...] = ()
    shipment_hash: bytes = b""
    evidence: bytes = b""
    deliverables: tuple[Message, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    return_: str = "none"
    return_request: Message | None = None
    return_approval: Message | None = None
    return_parcel: Message | None = None
    certificates: tuple[int, ...] = ()
    lines: tuple[LineState, ...] = ()
    history: tuple[HistoryEntry, ...] = field(default=(), repr=False)
    gaps: tuple[str, ...] = ()

    @property
    def held(self) -> int:
        """What the escrow still holds."""
        return 0 if self.status in (Status.NONE, Status.CLOSED) else max(0, self.total - self.paid_out)

    @property
    def paid_out(self) -> int:
        """What has left the escrow; settlements and releases sign over it."""
        return self.paid_out_buyer + self.paid_out_merchant + self.paid_out_arbiter

    @property
    def payment(self) -> str:
        """The payment axis.

        One of unpaid, pending, escrowed, partially_paid, partially_refunded, released, refunded, disputed.
        """
        return _payment(self)

    @property
    def fulfilment(self) -> str:
        """The fulfilment axis: unfulfilled, in_progress, on_hold, partially_fulfilled, fulfilled."""
        return _fulfilment(self)

    @property
    def unsent(self) -> dict[str, int]:
        """Pieces by sku that no parcel was announced for."""
        return {line.sku: line.original - line.fulfilled for line in self.lines if line.fulfilled < line.original}

    @property
    def goods(self) -> tuple[Message, ...]:
        """What was handed over without a parcel, oldest first; of a good sent again the sending that leaves fewest."""
        newest: dict[tuple[str, ...], Message] = {}
        for message in self.deliverables:
            known = newest.setdefault(_good(message), message)
            if _left(message) < _left(known):
                newest[_good(message)] = message
        return tuple(newest.values())

    @property
    def resends_left(self) -> int:
        """How often the merchant will still send the digital goods again."""
        return min((_left(message) for message in self.goods if message.body.get("left") is not None), default=0)

    @property
    def exchange(self) -> dict[str, int]:
        """Pieces by sku that the buyer wants instead of those sent back, until they are on their way."""
        if self.return_request is None or self.return_ not in ("open", "closed"):
            return {}
        since = self.return_request.issued
        if any(parcel.body.get("replaces") and parcel.issued >= since for parcel in self.shipments):
            return {}
        return {line["sku"]: line["quantity"] for line in self.return_request.body.get("exchange", ())}

    @property
    def amounts(self) -> dict[str, int]:
        """Total, paid out to each side, held."""
        return {
            "total": self.total,
            "paid_out_buyer": self.paid_out_buyer,
            "paid_out_merchant": self.paid_out_merchant,
            "paid_out_arbiter": self.paid_out_arbiter,
            "held": self.held,
        }


def _left(message: Message) -> int:
    return int(message.body.get("left") or 0)


def _good(message: Message) -> tuple[str, ...]:
    """Return what tells one good from another; what was sent by hand is sent once."""
    body = message.body
    if body.get("left") is None:
        return (message.id.hex(),)
    return (str(body.get("sku", "")), str(body.get("name", "")), str(body.get("text", "")))


def _payment(state: OrderState) -> str:
    to_buyer, to_merchant = state.paid_out_buyer > 0, state.paid_out_merchant > 0
    if state.status == Status.NONE:
        return "unpaid"
    if state.status == Status.CLOSED:
        if to_merchant:
            return "partially_refunded" if to_buyer else "released"
        return "refunded"
    if state.status in (Status.DISPUTED, Status.ESCALATED):
        return "disputed"
    if to_buyer or to_merchant:
        return "partially_refunded" if to_buyer else "partially_paid"
    return "pending" if state.finality == "seen" else "escrowed"


def _fulfilment(state: OrderState) -> str:
    done = [line.status for line in state.lines]
    if state.delivered_at is not None or (done and all(status == "fulfilled" for status in done)):
        return "fulfilled"
    if any(status in ("partial", "fulfilled") for status in done):
        return "partially_fulfilled"
    if state.shipped_at is not None:
        return "fulfilled"
    if state.status in (Status.DISPUTED, Status.ESCALATED):
        return "on_hold"
    return "in_progress" if state.status == Status.ACCEPTED else "unfulfilled"
