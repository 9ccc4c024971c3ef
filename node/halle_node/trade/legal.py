"""Whether a move may be made now, by the protocol's own table."""

from __future__ import annotations

from sqlalchemy import Connection

from halle_node.catalog.own_reviews import is_reviewed
from halle_node.trade.book import Order
from halle_node.trade.folding import chain_facts, state_of
from halle_protocol.errors import Refused
from halle_protocol.order import Action, OrderState, next_actions


def possible_moves(conn: Connection, order: Order, state: OrderState, now: int) -> list[Action]:
    """Return the moves our side may make at `now` (chain time).

    The protocol's table does not see our own catalog or the warranty contract: an order is reviewed once, and only a
    certificate in force can be claimed on.
    """
    hidden = set()
    if order.role == "buyer" and state.closed_at is not None and is_reviewed(conn, order.order_id):
        hidden.add("review")
    if not any(_in_force(conn, certificate_id) for certificate_id in state.certificates):
        hidden.add("open_warranty_claim")
    return [move for move in next_actions(state, order.role, now) if move.name not in hidden]


def _in_force(conn: Connection, certificate_id: int) -> bool:
    names = [fact.name for fact in chain_facts(conn, certificate_id.to_bytes(32, "big"), "Warranty")]
    return "Registered" in names and "Expired" not in names


def require(conn: Connection, order: Order, action: str, now: int) -> OrderState:
    """Return the order's state when our side may make this move at `now` (chain time).

    Raises: Refused action-not-now, naming the moves that are possible.
    """
    state = state_of(conn, order)
    possible = [each.name for each in possible_moves(conn, order, state, now)]
    if action in possible:
        return state
    raise Refused(
        f"{action.replace('_', ' ').capitalize()} is not possible now.",
        code="action-not-now",
        hint=f"Possible now: {', '.join(possible) or 'nothing'}.",
        action=action,
        possible=tuple(possible),
    )
