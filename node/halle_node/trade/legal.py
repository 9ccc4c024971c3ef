"""Whether a move may be made now, by the protocol's own table."""

from __future__ import annotations

from sqlalchemy import Connection

from halle_node.trade.book import Order
from halle_node.trade.folding import state_of
from halle_protocol.errors import Refused
from halle_protocol.order import OrderState, next_actions


def require(conn: Connection, order: Order, action: str, now: int) -> OrderState:
    """Return the order's state when our side may make this move at `now` (chain time).

    Raises: Refused action-not-now, naming the moves that are possible.
    """
    state = state_of(conn, order)
    possible = [each.name for each in next_actions(state, order.role, now)]
    if action in possible:
        return state
    raise Refused(
        f"{action.replace('_', ' ').capitalize()} is not possible now.",
        code="action-not-now",
        hint=f"Possible now: {', '.join(possible) or 'nothing'}.",
        action=action,
        possible=tuple(possible),
    )
