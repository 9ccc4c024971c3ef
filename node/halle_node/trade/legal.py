"""Whether a move may be made now: by the protocol's tables of orders and certificates, and by what only we can see.

Rule: nothing is offered that would be refused. Our own catalog (an order is reviewed once), the carrier's records, and
whose turn it is to rule are looked up here, because the tables cannot know them.
"""

from __future__ import annotations

from sqlalchemy import Connection

from halle_node.catalog.own_reviews import is_reviewed
from halle_node.trade.book import Order
from halle_node.trade.certificate_facts import certificate_ids, certificate_state, is_moving, party_of
from halle_node.trade.chainwork import in_flight, is_live
from halle_node.trade.folding import state_of
from halle_node.trade.parcels import is_proven
from halle_node.trade.restored import ERASED, GO_ON, WAITS_FOR_CHAIN, WAITS_FOR_HISTORY, is_held
from halle_protocol.errors import Refused
from halle_protocol.order import Action, OrderState, Status, next_actions, sitting_arbiter
from halle_protocol.warranty import CertificateState, Party, certificate_actions

CERTIFICATE_MOVES = {
    "open_claim": "open_warranty_claim",
    "accept_claim": "accept_warranty_claim",
    "offer": "offer_repair",
    "contest": "contest_warranty_claim",
    "accept_offer": "accept_repair",
    "lapse_offer": "lapse_repair_offer",
    "pay_unanswered": "collect_warranty_claim",
    "rule_claim": "rule_warranty_claim",
    "expire": "expire_warranty",
    "transfer": "transfer_warranty",
    "surrender": "surrender_warranty",
}
"""The certificate's moves by the names that pages and commands use."""


def possible_moves(conn: Connection, order: Order, state: OrderState, now: int) -> list[Action]:
    """Return the moves our side may make at `now` (chain time), most expected first."""
    found = [each for each in next_actions(state, order.role, now) if not _is_hidden(conn, order, state, each.name)]
    if order.row.restored == WAITS_FOR_HISTORY:
        found.insert(0, Action(GO_ON, order.role, None, ("node",)))
    if order.row.restored in (WAITS_FOR_CHAIN, ERASED):
        return found
    certificates = [
        action
        for certificate_id in certificate_ids(conn, order, state)
        for action in certificate_moves(conn, order, certificate_id, now)
    ]
    known = {each.name for each in found}
    place = next((place for place, each in enumerate(found) if each.name == "chat"), len(found))
    return [*found[:place], *(each for each in certificates if each.name not in known), *found[place:]]


def certificate_moves(conn: Connection, order: Order, certificate_id: int, now: int) -> list[Action]:
    """Return our side's moves on one certificate of an order."""
    certificate = certificate_state(conn, certificate_id)
    party: Party = "arbiter" if order.role == "arbiter" else party_of(certificate, order.me)
    return [Action(name, order.role, until, ("chain",)) for name, until in moves_of(conn, certificate, party, now)]


def moves_of(conn: Connection, certificate: CertificateState, party: Party, now: int) -> list[tuple[str, int | None]]:
    """Return (move, until) of a party on a certificate; nothing while a move of ours is on its way."""
    if party == "anyone" or is_moving(conn, certificate.id):
        return []
    return [(CERTIFICATE_MOVES[each.name], each.until) for each in certificate_actions(certificate, party, now)]


SENT_ONCE = {
    "accept": ("accept",),
    "approve": ("fund",),
    "lapse": ("lapse",),
    "ship": ("ship",),
    "hand_over": ("deliver", "deliverByCarrier"),
    "prove_delivery": ("deliver", "deliverByCarrier"),
    "claim": ("claim",),
    "reclaim": ("reclaim",),
    "dispute": ("dispute",),
    "rule": ("rule",),
    "escalate": ("escalate",),
    "close_by_default": ("closeByDefault",),
    "accept_settlement": ("settle",),
    "issue_warranty": ("register-warranty",),
}
"""Moves that a transaction of ours for one of these purposes has made already, whatever the chain says yet."""
PAYOUTS = ("release", "refund", "settle")
"""One payout at a time: the next would count what is held twice."""


def _is_hidden(conn: Connection, order: Order, state: OrderState, name: str) -> bool:
    if is_held(order, name) or is_live(conn, order, SENT_ONCE.get(name, ())):
        return True
    if name in ("release", "refund", "accept_settlement") and in_flight(conn, order, PAYOUTS):
        return True
    if name == "approve" and order.row.problem == "quote-mismatch":
        return True  # the shop's last word is not what was ordered
    if name == "cancel" and state.status == Status.NONE and is_live(conn, order, ("fund",)):
        return True
    if name == "review":
        return is_reviewed(conn, order.order_id)
    if name == "prove_delivery":
        return not is_proven(conn, order, state)
    if name == "rule":
        return sitting_arbiter(state) != order.me
    return False


def require(conn: Connection, order: Order, action: str, now: int) -> OrderState:
    """Return the order's state when our side may make this move at `now` (chain time).

    Raises: Refused action-not-now, naming the moves that are possible.
    """
    state = state_of(conn, order)
    require_one(action, [each.name for each in possible_moves(conn, order, state, now)])
    return state


def require_one(action: str, possible: list[str]) -> None:
    """Pass when the action is possible.

    Raises: Refused action-not-now, naming the moves that are.
    """
    if action not in possible:
        raise Refused(
            f"{action.replace('_', ' ').capitalize()} is not possible now.",
            code="action-not-now",
            hint=f"Possible now: {', '.join(possible) or 'nothing'}.",
            action=action,
            possible=tuple(possible),
        )
