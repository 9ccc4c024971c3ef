"""Every move by its name in the protocol's table, so that faces offer exactly what `next_actions` lists."""

from __future__ import annotations

import base64
import binascii
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from halle_node.trade.arbiting import Arbiting
from halle_node.trade.buying import Buying
from halle_node.trade.digital import Digital
from halle_node.trade.disputes import Disputing
from halle_node.trade.funding import Funding
from halle_node.trade.history import History
from halle_node.trade.restored import GO_ON
from halle_node.trade.returning import Returning
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
    "ship": {"carrier": "", "tracking": "", "url": "", "lines": "", "complete": False, "anyway": False},
    "send_again": {"carrier": "", "tracking": "", "url": "", "lines": ""},
    "request_return": {"reason": "", "lines": "", "exchange": "", "photos": (), "withdrawal": False},
    "decline_return": {"reason": ""},
    "send_return": {"carrier": "", "tracking": ""},
    "receive_return": {"note": "", "restock": False},
    "confirm_receipt": {"note": ""},
    "send_deliverable": {"text": "", "kind": "file", "at": None, "file": None},
    "ask_deliverable": {"note": ""},
    "release": {"amount": None},
    "refund": {"amount": None},
    "chat": {"text": "", "photos": ()},
    "dispute": {"text": "", "photos": (), "chat": ("all",)},
    "add_evidence": {"text": "", "photos": (), "chat": ("all",)},
    "rule": {"text": ""},
    "propose_settlement": {"note": ""},
    "accept_settlement": {"buyer_share": None},
    "review": {"text": "", "handle": "", "language": ""},
    "issue_warranty": {"days": None, "cover": None},
    "open_warranty_claim": {"amount": None, "text": "", "photos": ()},
    "rule_warranty_claim": {"text": ""},
}
WHOLE_NUMBERS = frozenset({"amount", "buyer_share", "rating", "days", "cover", "buyer_bps", "at"})
YES_OR_NO = frozenset({"anyway", "complete", "withdrawal", "restock"})
BYTES = frozenset({"file"})
MANY_BYTES = frozenset({"photos"})
SAME = {"deliver": "hand_over", "deliver_with_code": "hand_over"}


class Moves:
    """All moves of one store."""

    def __init__(self, room: Room, talking: Talking) -> None:
        self.buying = Buying(room)
        self.funding = Funding(room)
        self.selling = Selling(room)
        self.settling = Settling(room)
        self.disputing = Disputing(room)
        self.arbiting = Arbiting(room)
        self.returning = Returning(room)
        self.digital = Digital(room)
        self.talking = talking
        self.reviewing = Reviewing(room)
        self.warranties = Warranties(room)
        self.history = History(room)
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
            "dispute": self.disputing.dispute,
            "add_evidence": self.disputing.add_evidence,
            "rule": self.arbiting.rule,
            "ask_party": self.arbiting.ask,
            "confirm_receipt": self.returning.confirm_receipt,
            "request_return": self.returning.request,
            "approve_return": self.returning.approve,
            "decline_return": self.returning.decline,
            "send_return": self.returning.send,
            "receive_return": self.returning.receive,
            "cancel_return": self.returning.cancel,
            "send_again": self.returning.send_again,
            "send_deliverable": self.digital.send,
            "ask_deliverable": self.digital.ask_again,
            "escalate": self.settling.escalate,
            "close_by_default": self.settling.close_by_default,
            "review": self.reviewing.review,
            "issue_warranty": self.warranties.issue,
            "open_warranty_claim": self.warranties.open_claim,
            "accept_warranty_claim": self.warranties.accept_claim,
            "contest_warranty_claim": self.warranties.contest_claim,
            "collect_warranty_claim": self.warranties.pay_unanswered,
            "offer_repair": self.warranties.offer_repair,
            "accept_repair": self.warranties.accept_repair,
            "lapse_repair_offer": self.warranties.lapse_offer,
            "rule_warranty_claim": self.warranties.rule_claim,
            "expire_warranty": self.warranties.expire,
            "transfer_warranty": self.warranties.transfer,
            "surrender_warranty": self.warranties.surrender,
            "chat": self.talking.chat,
            GO_ON: self.history.go_on,
        }
        self._room = room

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
    "rule": ("buyer_bps", "text"),
    "ask_party": ("party", "text"),
    "approve_return": ("instructions",),
    "offer_repair": ("text",),
    "contest_warranty_claim": ("text",),
    "rule_warranty_claim": ("amount", "text"),
    "transfer_warranty": ("to",),
    "send_deliverable": ("name", "text", "kind", "at", "file"),
}
"""What the form of each move asks for; a move that is not named needs nothing."""


def _read(field: str, value: Any) -> Any:
    if field in YES_OR_NO:
        return value is True or str(value).lower() in ("1", "true", "yes", "on")
    if field in BYTES:
        return _bytes(field, value) if value else None
    if field in MANY_BYTES:
        return tuple(_bytes(field, each) for each in (value if isinstance(value, list | tuple) else [value]) if each)
    if field == "chat":
        return tuple(value) if isinstance(value, list | tuple) else tuple(str(value).replace(",", " ").split())
    if field not in WHOLE_NUMBERS:
        return value
    if value in ("", None):
        return None
    if isinstance(value, str) and value.strip().lstrip("-").isdigit():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Refused(f"{field} must be a whole number.", code="form-invalid", hint="Units are the smallest ones.")


def _bytes(field: str, value: Any) -> bytes:
    """Take bytes as they are, and base64 as it comes in JSON."""
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"{field} is not base64.", code="form-invalid", hint="Send the file's bytes in base64.") from None
