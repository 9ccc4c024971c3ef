"""Every move by its name in the protocol's table, so that faces offer exactly what `next_actions` lists."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from halle_node.trade.buying import Buying
from halle_node.trade.funding import Funding
from halle_node.trade.reviewing import Reviewing
from halle_node.trade.room import Room
from halle_node.trade.selling import Selling
from halle_node.trade.settling import Settling
from halle_node.trade.talking import Talking
from halle_node.trade.warranties import Warranties
from halle_protocol.errors import Refused

DEFAULTS: dict[str, dict[str, Any]] = {
    "decline": {"reason": ""},
    "cancel": {"reason": ""},
    "ship": {"carrier": "", "tracking": "", "url": "", "anyway": False},
    "release": {"amount": None},
    "refund": {"amount": None},
    "dispute": {"text": ""},
    "propose_settlement": {"note": ""},
    "review": {"text": "", "handle": "", "language": ""},
    "issue_warranty": {"days": None, "cover": None},
    "open_warranty_claim": {"amount": None, "text": ""},
}
WHOLE_NUMBERS = frozenset({"amount", "buyer_share", "rating", "days", "cover"})
SAME = {"deliver": "hand_over", "deliver_with_code": "hand_over"}


class Moves:
    """All moves of one store."""

    def __init__(self, room: Room) -> None:
        self.buying = Buying(room)
        self.funding = Funding(room)
        self.selling = Selling(room)
        self.settling = Settling(room)
        self.talking = Talking(room)
        self.reviewing = Reviewing(room)
        self.warranties = Warranties(room)
        self._by_name: dict[str, Callable[..., Awaitable[None]]] = {
            "accept": self.selling.accept,
            "decline": self.selling.decline,
            "approve": self.funding.approve,
            "make_offer": self.funding.offer,
            "cancel": self.buying.cancel,
            "lapse": self.settling.lapse,
            "ship": self.selling.ship,
            "hand_over": self.selling.deliver_with_code,
            "prove_delivery": self.selling.prove_delivery,
            "claim": self.settling.claim,
            "release": self.settling.release,
            "refund": self.settling.refund,
            "accept_settlement": self.settling.accept,
            "propose_settlement": self.settling.propose,
            "reclaim": self.settling.reclaim,
            "dispute": self.settling.dispute,
            "escalate": self.settling.escalate,
            "close_by_default": self.settling.close_by_default,
            "review": self.reviewing.review,
            "issue_warranty": self.warranties.issue,
            "open_warranty_claim": self.warranties.open_claim,
            "accept_warranty_claim": self.warranties.accept_claim,
            "contest_warranty_claim": self.warranties.contest_claim,
            "collect_warranty_claim": self.warranties.pay_unanswered,
            "chat": self.talking.chat,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Every move that can be made here."""
        return tuple(self._by_name)

    async def act(self, order_key: str, action: str, form: Mapping[str, Any]) -> None:
        """Make a move with a form's fields.

        Raises: Refused action-unknown, form-invalid.
        """
        name = action.replace("-", "_")
        name = SAME.get(name, name)
        move = self._by_name.get(name)
        if move is None:
            raise Refused(f"There is no move {action[:40]!r}.", code="action-unknown", hint="See the next actions.")
        given = {field: _read(field, value) for field, value in form.items()}
        arguments = DEFAULTS.get(name, {}) | given
        try:
            inspect.signature(move).bind(order_key, **arguments)
        except TypeError as error:
            raise Refused(
                f"The form of {name} does not fit: {error}.", code="form-invalid", hint="Fill in its fields."
            ) from error
        await move(order_key, **arguments)


FIELDS: dict[str, tuple[str, ...]] = {
    **{name: tuple(fields) for name, fields in DEFAULTS.items()},
    "hand_over": ("code",),
    "propose_settlement": ("buyer_share", "note"),
    "review": ("rating", "text", "handle"),
    "chat": ("text",),
}
"""What the form of each move asks for; a move that is not named needs nothing."""


def _read(field: str, value: Any) -> Any:
    if field not in WHOLE_NUMBERS:
        return value
    if value in ("", None):
        return None
    if isinstance(value, str) and value.strip().lstrip("-").isdigit():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Refused(f"{field} must be a whole number.", code="form-invalid", hint="Units are the smallest ones.")
