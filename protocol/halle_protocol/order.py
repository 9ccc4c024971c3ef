"""An order is a pure fold over facts: signed messages and chain events, in any order, any number of times.

The escrow's events decide about money; messages add what the chain must not know. Nothing here asks the time.
Spec: docs/spec/10-order.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .errors import ProtocolError
from .keys import NO_CODE, ZERO_ADDRESS, parse_address
from .message_bodies import OrderQuote, OrderRequest, SettlementPropose, Shipment, WarrantyIssued
from .messages import Message, parse_message
from .order_table import ACTIONS, HOW, LEGAL, OPEN, TARGET, TRANSITIONS, ActionRule, Role, Status
from .terms import OrderDocument, Terms

Finality = Literal["seen", "safe", "final"]
_FINALITY: tuple[Finality, ...] = ("seen", "safe", "final")


@dataclass(frozen=True)
class ChainFact:
    """One event of the escrow, as decoded.

    Shape: position = (block number, log index); args named as in Solidity. Units: at = block time, unix seconds.
    """

    name: str
    args: Mapping[str, Any]
    at: int
    finality: Finality
    position: tuple[int, int]
    tx: bytes = b""


@dataclass(frozen=True)
class MessageFact:
    """One verified message of the order's thread."""

    message: Message


Fact = ChainFact | MessageFact


@dataclass(frozen=True)
class HistoryEntry:
    """One thing that happened, in the order's own words."""

    at: int
    source: Literal["chain", "message"]
    name: str
    by: bytes = b""
    finality: Finality | None = None
    tx: bytes = b""


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
    proposals: tuple[Proposal, ...] = ()
    return_: str = "none"
    certificates: tuple[int, ...] = ()
    open_claims: tuple[int, ...] = ()
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
        """The payment axis: unpaid, pending, escrowed, partially_paid, partially_refunded, released, refunded, disputed."""
        return _payment(self)

    @property
    def fulfilment(self) -> str:
        """The fulfilment axis: unfulfilled, in_progress, on_hold, partially_fulfilled, fulfilled."""
        return _fulfilment(self)

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


@dataclass(frozen=True)
class Action:
    """A legal move: by whom, until when (None = no limit), by which channels."""

    name: str
    by: Role
    until: int | None
    channels: tuple[str, ...]


def fold(facts: Iterable[Fact], terms: Terms | None = None) -> OrderState:
    """Return the order's state. Duplicates, order of arrival and missing facts never raise.

    `terms` are those of the funding transaction, when its calldata was read; else the quote's or the offer's.
    """
    known = list(facts)
    events = _chain_facts(known)
    messages = _messages(known)
    state = _with_parties(OrderState(), events, messages)
    for message in messages:
        state = _apply_message(state, message)
    state = replace(state, terms=_terms_in_force(state, terms, events))
    for event in events:
        state = _apply_event(state, event)
    return replace(state, lines=_lines(state), history=_history(events, messages))


def next_actions(state: OrderState, role: Role, now: int) -> list[Action]:
    """Return every legal move of `role` at `now` (chain time), most expected first."""
    found: dict[str, Action] = {}
    for rule in ACTIONS:
        if role in rule.by and rule.name not in found and _allowed(rule, state, role, now):
            until = _limit(state) if rule.when == "before" else None
            found[rule.name] = Action(rule.name, role, until, rule.channels)
    return list(found.values())


# --- facts in one order -------------------------------------------------------------------------------------------


def _chain_facts(facts: list[Fact]) -> list[ChainFact]:
    """Sort by place in the chain; of equal places the most final fact counts."""
    best: dict[tuple[int, int], ChainFact] = {}
    for fact in facts:
        if isinstance(fact, ChainFact):
            other = best.get(fact.position)
            if other is None or _weight(fact) > _weight(other):
                best[fact.position] = fact
    return [best[place] for place in sorted(best)]


def _weight(fact: ChainFact) -> tuple[int, str, bytes]:
    return _FINALITY.index(fact.finality), fact.name, fact.tx


def _messages(facts: list[Fact]) -> list[Message]:
    """Sort by (issued, sender, id); of two messages with one (sender, id) the one with the smaller signature counts."""
    best: dict[tuple[bytes, bytes], Message] = {}
    for fact in facts:
        if isinstance(fact, MessageFact):
            message = fact.message
            other = best.get((message.sender, message.id))
            if other is None or (message.issued, message.sig) < (other.issued, other.sig):
                best[message.sender, message.id] = message
    return sorted(best.values(), key=lambda m: (m.issued, m.sender, m.id))


def _with_parties(state: OrderState, events: list[ChainFact], messages: list[Message]) -> OrderState:
    """Take merchant and buyer from the funding, else from the first request."""
    for event in events:
        if event.name == "Funded":
            merchant, buyer = _address(event.args.get("merchant")), _address(event.args.get("buyer"))
            return replace(state, merchant=merchant, buyer=buyer)
    for message in messages:
        if message.type == "order/request":
            return replace(state, merchant=message.to, buyer=message.sender)
    return state


# --- messages -----------------------------------------------------------------------------------------------------

_MERCHANT_SAYS = {
    "order/quote",
    "order/decline",
    "shipment",
    "return/approve",
    "return/decline",
    "return/received",
    "warranty/issued",
    "claim/accept",
    "claim/decline",
}
_BUYER_SAYS = {"order/request", "order/cancel", "receipt", "return/request", "return/cancel", "claim/open"}
_RETURNS = {
    "return/request": "requested",
    "return/approve": "open",
    "return/decline": "declined",
    "return/cancel": "canceled",
    "return/received": "closed",
}


def _role_of(state: OrderState, sender: bytes) -> Role | None:
    """Name the sender's side; before anything is known of the merchant, nobody has one."""
    if state.merchant and sender == state.merchant:
        return "merchant"
    return "buyer" if state.buyer and sender == state.buyer else None


def _apply_message(state: OrderState, message: Message) -> OrderState:
    role = _role_of(state, message.sender)
    if role is None or message.type in (_BUYER_SAYS if role == "merchant" else _MERCHANT_SAYS):
        return state
    try:
        body = parse_message(message)
    except ProtocolError:
        return state  # a malformed body says nothing
    apply = _MESSAGE_EFFECTS.get(message.type)
    return apply(state, message, body, role) if apply else state


_Effect = Callable[[OrderState, Message, Any, Role], OrderState]


def _on_request(state: OrderState, message: Message, body: OrderRequest, role: Role) -> OrderState:
    return state if state.request else replace(state, request=message)


def _on_quote(state: OrderState, message: Message, body: OrderQuote, role: Role) -> OrderState:
    """Keep the newest quote; one about the same order that the chain knows wins over it in _terms_in_force."""
    return replace(state, quote=message, decline=None)


def _on_shipment(state: OrderState, message: Message, body: Shipment, role: Role) -> OrderState:
    return replace(state, shipments=(*state.shipments, message))


def _on_proposal(state: OrderState, message: Message, body: SettlementPropose, role: Role) -> OrderState:
    mine = Proposal(role, int(body.buyer_share), int(body.paid_out), body.sig, message.issued)
    others = tuple(proposal for proposal in state.proposals if proposal.by != role)
    return replace(state, proposals=(*others, mine))


def _on_return(state: OrderState, message: Message, body: Any, role: Role) -> OrderState:
    return replace(state, return_=_RETURNS[message.type])


def _on_certificate(state: OrderState, message: Message, body: WarrantyIssued, role: Role) -> OrderState:
    ids = dict.fromkeys((*state.certificates, int(body.certificate_id)))
    return replace(state, certificates=tuple(ids))


def _on_claim(state: OrderState, message: Message, body: Any, role: Role) -> OrderState:
    others = tuple(known for known in state.open_claims if known != body.certificate_id)
    opened = message.type == "claim/open"
    return replace(state, open_claims=(*others, int(body.certificate_id)) if opened else others)


def _keep(name: str) -> _Effect:
    def effect(state: OrderState, message: Message, body: Any, role: Role) -> OrderState:
        return replace(state, **{name: message})

    return effect


_MESSAGE_EFFECTS: dict[str, _Effect] = {
    "order/request": _on_request,
    "order/quote": _on_quote,
    "order/decline": _keep("decline"),
    "order/cancel": _keep("cancel"),
    "receipt": _keep("receipt"),
    "shipment": _on_shipment,
    "settlement/propose": _on_proposal,
    "warranty/issued": _on_certificate,
    "claim/open": _on_claim,
    "claim/accept": _on_claim,
    "claim/decline": _on_claim,
    **dict.fromkeys(_RETURNS, _on_return),
}


# --- chain events -------------------------------------------------------------------------------------------------


def _apply_event(state: OrderState, event: ChainFact) -> OrderState:
    key = event.name
    if key == "Funded":
        key = "Funded(accepted)" if event.args.get("accepted") else "Funded(offer)"
        state = _funded(state, event)
    if key == "Paid":
        return _paid(state, event)
    target = TARGET.get(key)
    if target is None:
        return state
    legal = LEGAL.get((state.status, key))
    if legal is None:
        state = replace(state, gaps=(*state.gaps, f"{state.status.name}+{key}"))
        if state.status == Status.CLOSED or target < state.status:
            return state
    state = replace(state, status=target, deadline=_deadline(state, event, target))
    effect = _EVENT_EFFECTS.get(event.name)
    return effect(state, event) if effect else state


def _funded(state: OrderState, event: ChainFact) -> OrderState:
    args = event.args
    return replace(
        state,
        order_id=args.get("orderId", b""),
        token=_address(args.get("token")),
        total=int(args.get("amount", 0)),
        order_hash=args.get("orderHash", b""),
        finality=event.finality,
        funded_at=event.at,
    )


def _paid(state: OrderState, event: ChainFact) -> OrderState:
    args = event.args
    return replace(
        state,
        order_id=state.order_id or args.get("orderId", b""),
        paid_out_buyer=state.paid_out_buyer + int(args.get("toBuyer", 0)),
        paid_out_merchant=state.paid_out_merchant + int(args.get("toMerchant", 0)),
        paid_out_arbiter=state.paid_out_arbiter + int(args.get("toArbiter", 0)),
    )


def _deadline(state: OrderState, event: ChainFact, target: Status) -> int | None:
    """Take the event's own deadline; funding carries none, so it follows from the terms."""
    if target == Status.CLOSED:
        return None
    if "deadline" in event.args:
        return int(event.args["deadline"])
    if state.terms is None or event.name != "Funded":
        return None
    offer = target == Status.OFFERED
    return event.at + (state.terms.accept_within if offer else state.terms.ship_within)


_EVENT_EFFECTS: dict[str, Callable[[OrderState, ChainFact], OrderState]] = {
    "Shipped": lambda state, event: replace(state, shipped_at=event.at),
    "Delivered": lambda state, event: replace(state, delivered_at=event.at),
    "Disputed": lambda state, event: replace(state, disputed_by=_address(event.args.get("by"))),
    "Closed": lambda state, event: replace(
        state, closed_at=event.at, how=HOW.get(int(event.args.get("how", 0)), "closed")
    ),
}


def _address(value: object) -> bytes:
    """Accept both forms in which decoders give addresses."""
    if isinstance(value, str):
        return parse_address(value)
    return value if isinstance(value, bytes) else b""


def _terms_in_force(state: OrderState, given: Terms | None, events: list[ChainFact]) -> Terms | None:
    """Choose calldata's terms, else the offered or quoted ones that the chain's order hash names, else the newest."""
    if given is not None:
        return given
    offered: list[Terms] = []
    for message in (state.quote, state.request):
        body = parse_message(message) if message else None
        terms = body.terms if isinstance(body, OrderQuote) else getattr(body, "offer", None)
        if isinstance(terms, Terms):
            offered.append(terms)
    hashes = [event.args.get("orderHash") for event in events if event.name == "Funded"]
    if hashes:
        return next((terms for terms in offered if terms.order_hash == hashes[0]), None)
    return offered[0] if offered else None


# --- axes, lines, history -----------------------------------------------------------------------------------------


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


def _lines(state: OrderState) -> tuple[LineState, ...]:
    """Count what was ordered and what the shipments name; a shipment without lines carries everything."""
    ordered = _ordered(state)
    sent: dict[str, int] = {}
    for message in state.shipments:
        body = parse_message(message)
        named = {line.sku: line.quantity for line in body.lines} if isinstance(body, Shipment) else {}
        for sku, quantity in (named or ordered).items():
            sent[sku] = sent.get(sku, 0) + quantity
    return tuple(LineState(sku, count, min(count, sent.get(sku, 0))) for sku, count in ordered.items())


def _ordered(state: OrderState) -> dict[str, int]:
    counts: dict[str, int] = {}
    lines: Iterable[Any] = ()
    quote = parse_message(state.quote) if state.quote else None
    request = parse_message(state.request) if state.request else None
    if isinstance(quote, OrderQuote):
        try:
            lines = OrderDocument.decode(quote.order_document).lines
        except ProtocolError:
            lines = ()
    elif isinstance(request, OrderRequest):
        lines = request.lines
    for line in lines:
        counts[line.sku] = counts.get(line.sku, 0) + line.quantity
    return counts


def _history(events: list[ChainFact], messages: list[Message]) -> tuple[HistoryEntry, ...]:
    entries = [HistoryEntry(e.at, "chain", e.name, b"", e.finality, e.tx) for e in events]
    entries += [HistoryEntry(m.issued, "message", m.type, m.sender) for m in messages]
    return tuple(sorted(entries, key=lambda entry: entry.at))


# --- actions ------------------------------------------------------------------------------------------------------


def _allowed(rule: ActionRule, state: OrderState, role: Role, now: int) -> bool:
    if state.status not in rule.statuses:
        return False
    limit = _limit(state)
    if rule.when == "after" and (limit is None or now <= limit):
        return False
    if rule.when == "before" and limit is not None and now > limit:
        return False
    return all(_NEEDS[need](state, role) for need in rule.needs)


def _limit(state: OrderState) -> int | None:
    """Return the deadline that counts: the escrow's, or before funding the quote's."""
    if state.status == Status.NONE:
        return state.terms.valid_until if state.terms else None
    return state.deadline


def _live_proposal(state: OrderState, role: Role) -> bool:
    return any(p.by != role and p.paid_out == state.paid_out for p in state.proposals)


_NEEDS: dict[str, Callable[[OrderState, Role], bool]] = {
    "requested": lambda s, _: s.request is not None,
    "unanswered": lambda s, _: s.quote is None,
    "wanted": lambda s, _: s.decline is None and s.cancel is None,
    "terms": lambda s, _: s.terms is not None,
    "held": lambda s, _: s.held > 0,
    "proposal": _live_proposal,
    "code": lambda s, _: s.terms is None or s.terms.delivery_code != NO_CODE,
    "carrier": lambda s, _: s.terms is not None and s.terms.carrier != ZERO_ADDRESS,
    "proof-required": lambda s, _: s.terms is not None and s.terms.proof_required,
    "no-proof-required": lambda s, _: s.terms is not None and not s.terms.proof_required,
    "backup": lambda s, _: s.terms is not None and s.terms.backup_arbiter != ZERO_ADDRESS,
    "no-backup": lambda s, _: s.terms is not None and s.terms.backup_arbiter == ZERO_ADDRESS,
    "merchant-paid": lambda s, _: s.paid_out_merchant > 0,
    "sold": lambda s, _: s.delivered_at is not None or s.paid_out_merchant > 0,
    "certificate": lambda s, _: bool(s.certificates),
    "no-certificate": lambda s, _: not s.certificates,
    "claim": lambda s, _: bool(s.open_claims),
    "no-claim": lambda s, _: not s.open_claims,
}

__all__ = [
    "ACTIONS",
    "OPEN",
    "TRANSITIONS",
    "Action",
    "ChainFact",
    "Fact",
    "HistoryEntry",
    "LineState",
    "MessageFact",
    "OrderState",
    "Proposal",
    "Role",
    "Status",
    "fold",
    "next_actions",
]
