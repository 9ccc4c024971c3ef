"""Every legal move in an order: by whom, until when, by which channels; read from the table ACTIONS.

Spec: docs/spec/10-order.md §4
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from halle_protocol.keys import NO_CODE, ZERO_ADDRESS
from halle_protocol.order_state import OrderState
from halle_protocol.order_table import ACTIONS, ActionRule, Role, Status


@dataclass(frozen=True)
class Action:
    """A legal move: by whom, until when (None = no limit), by which channels."""

    name: str
    by: Role
    until: int | None
    channels: tuple[str, ...]


def next_actions(state: OrderState, role: Role, now: int) -> list[Action]:
    """Return every legal move of `role` at `now` (chain time), most expected first."""
    found: dict[str, Action] = {}
    for rule in ACTIONS:
        if role in rule.by and rule.name not in found and _allowed(rule, state, role, now):
            until = _limit(state) if rule.when == "before" else None
            found[rule.name] = Action(rule.name, role, until, rule.channels)
    return list(found.values())


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


def sitting_arbiter(state: OrderState) -> bytes:
    """Return who rules now: after an escalation the backup."""
    if state.terms is None:
        return ZERO_ADDRESS
    return state.terms.backup_arbiter if state.status == Status.ESCALATED else state.terms.arbiter


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
    "no-certificate": lambda s, _: not s.certificates,
    "arbiter": lambda s, _: s.terms is not None and sitting_arbiter(s) != ZERO_ADDRESS,
    "no-receipt": lambda s, _: s.receipt is None,
    "no-return": lambda s, _: s.return_ not in ("requested", "open"),
    "return-requested": lambda s, _: s.return_ == "requested",
    "return-open": lambda s, _: s.return_ == "open",
    "return-not-sent": lambda s, _: s.return_parcel is None,
    "return-running": lambda s, _: s.return_ == "requested" or (s.return_ == "open" and s.return_parcel is None),
    "shipment": lambda s, _: bool(s.shipments),
    "exchange": lambda s, _: bool(s.exchange),
    "earned": lambda s, _: s.status != Status.CLOSED or s.paid_out_merchant > 0,
    "resends": lambda s, _: s.resends_left > 0,
}
