"""Orders driven by impatient people: every click is repeated until the node shows that it counted.

Rule: nobody trusts an answer that did not come. Whoever's node died under a click looks first whether it was taken,
and clicks again only if the node still offers the move: exactly what a page lets a person do.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from halle_cli.demo.actors import NodeProcess
from halle_cli.demo.trading import Deal, Json, ask_quote, has_quote
from halle_protocol.errors import HalleError
from system.hall import ADDRESS

LOOK_AGAIN_S = 0.5
PATIENCE_S = 420.0
# A node that is away, restarting or without its chain says one of these; so does one whose state just changed.
TROUBLES = frozenset(
    {
        "node-unreachable",
        "node-not-running",
        "node-bad-answer",
        "rpc-down",
        "rpc-bad-answer",
        "contracts-missing",
        "token-unknown",
        "chain-not-ready",
        "action-not-now",
        "already-sent",
        "already-funded",
    }
)


class Stuck(AssertionError):
    """An order that did not go on."""


@dataclass(frozen=True)
class Step:
    """`who` makes the first offered of `moves` until `done` holds for the order at their node."""

    who: str
    moves: tuple[str, ...]
    done: Callable[[Json], Any]
    form: Callable[[Json], dict[str, Any]] = field(default=lambda _: {})
    ready: Callable[[Json], Any] = field(default=lambda _: True)


def stands(*words: str) -> Callable[[Json], bool]:
    """Return a test for the status."""
    return lambda order: order["summary"]["status"] in words


def _quarter(order: Json) -> int:
    return int(order["balance"]["total_in"]) // 4


def _is_paid(order: Json) -> bool:
    return int(order["balance"]["total_in"]) > 0


DAY_S = 86_400
PARCEL = {"carrier": "La Poste", "tracking": "6A1"}
OVER = stands("closed")
PAY = Step("buyer", ("approve",), _is_paid, ready=has_quote)
OFFER = Step("buyer", ("make_offer", "approve"), _is_paid)
SHIP = Step("shop", ("ship",), lambda order: order["shipments"] and not stands("accepted")(order), lambda _: PARCEL)
HAND = Step("buyer", ("hand_over",), stands("delivered", "closed"), lambda order: {"code": order["delivery_code"]})
RELEASE = Step("buyer", ("release",), OVER)
REFUND = Step("shop", ("refund",), OVER)
QUARTER = Step(
    "shop", ("refund",), lambda order: int(order["balance"]["to_buyer"]) > 0, lambda order: {"amount": _quarter(order)}
)
PROPOSE = Step(
    "buyer",
    ("propose_settlement",),
    lambda order: order["settlements"],
    lambda order: {"buyer_share": _quarter(order), "note": "A quarter back"},
)
SETTLE = Step("shop", ("accept_settlement",), OVER)
CANCEL = Step("buyer", ("cancel",), stands("cancelled"), lambda _: {"reason": "Changed my mind"})
DISPUTE = Step("buyer", ("dispute",), stands("disputed", "escalated", "closed"), lambda _: {"text": "It is torn"})
RECLAIM = Step("buyer", ("reclaim",), OVER)
DEFAULT = Step("shop", ("close_by_default",), OVER)


@dataclass(frozen=True)
class Path:
    """Steps before and after weeks have passed, and what the chain must show at the end."""

    steps: tuple[Step, ...]
    later: tuple[Step, ...]
    events: dict[str, int]
    outcome: str = ""
    races: tuple[str, ...] = ()
    """What the contract may answer, before anything is sent, to one side that did not know of the other's move yet."""


def _events(*names: str, paid: int = 1) -> dict[str, int]:
    return {"Funded": 1, **dict.fromkeys(names, 1), "Paid": paid, "Closed": 1}


PATHS: dict[str, Path] = {
    "released": Path((PAY, SHIP, HAND, RELEASE), (), _events("Shipped", "Delivered"), "released"),
    "offered": Path((OFFER, SHIP, RELEASE), (), _events("Shipped"), "released"),
    "refunded": Path((PAY, REFUND), (), _events(), "refunded"),
    "partly": Path((PAY, SHIP, QUARTER, RELEASE), (), _events("Shipped", paid=2), "released", ("BadAmount",)),
    "settled": Path((PAY, PROPOSE, SETTLE), (), _events(), "settled"),
    "cancelled": Path((CANCEL,), (), {}),
    "claimed": Path((PAY, SHIP, HAND), (), _events("Shipped", "Delivered"), "claimed"),
    "reclaimed": Path((PAY,), (RECLAIM,), _events(), "reclaimed"),
    "disputed": Path((PAY, SHIP, DISPUTE), (DEFAULT,), _events("Shipped", "Disputed"), "defaulted"),
}


class Till:
    """Where orders are made: the buyer has one cart, so one at a time."""

    def __init__(self, buyer: NodeProcess, shop: NodeProcess, store: str) -> None:
        self.people = {"buyer": buyer, "shop": shop}
        self.store = store
        self.troubles: Counter[str] = Counter()
        self._lock = threading.Lock()

    def order(self, name: str) -> Deal:
        """Ask for one shirt in a name of its own; once, whatever happens meanwhile."""
        buyer, ends = self.people["buyer"], time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            with self._lock:
                try:
                    made = [each for each in buyer.api.get("/orders", query=name)["orders"] if each["customer"] == name]
                    if made:
                        return Deal(buyer, self.people["shop"], made[0]["order_key"])
                    buyer.api.delete("/cart")
                    ask_quote(buyer, self.store, [("chemise-bleue", "CHB", 1)], name=name, address=ADDRESS)
                    continue
                except HalleError as error:
                    self.note(error)
            time.sleep(LOOK_AGAIN_S)
        raise Stuck(f"{name} cannot order: {dict(self.troubles)}")

    def note(self, error: HalleError) -> None:
        """Count a refusal. What no node should say ends the run."""
        self.troubles[error.code] += 1
        if error.code not in TROUBLES:
            raise error


@dataclass
class Life:
    """One order on its path."""

    till: Till
    name: str
    path: Path
    deal: Deal | None = None
    acknowledged: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Order, and walk until nothing can be done before weeks have passed."""
        self.deal = self.till.order(self.name)
        for step in self.path.steps:
            self.take(step)

    def finish(self) -> None:
        """Walk the rest."""
        for step in self.path.later:
            self.take(step)
        for who in ("buyer", "shop"):
            self.take(Step(who, (), stands("closed" if self.path.events else "cancelled")))

    def take(self, step: Step) -> None:
        """Make one step."""
        node, ends, order = self.till.people[step.who], time.monotonic() + PATIENCE_S, None
        while time.monotonic() < ends:
            try:
                order = self.at(node)
                if order and step.done(order):
                    return
                if order and step.ready(order):
                    self._click(node, order, step)
            except HalleError as error:
                self.till.note(error)
            time.sleep(LOOK_AGAIN_S)
        raise Stuck(f"{self.name}: {step.who} waits for {step.moves or 'the end'}: {_shown(order)}")

    def at(self, node: NodeProcess) -> Json | None:
        """Return the order as a node shows it."""
        assert self.deal is not None
        return self.deal.at(node)

    def _click(self, node: NodeProcess, order: Json, step: Step) -> None:
        offered = {move["name"] for move in order["next_actions"]}
        for move in step.moves:
            if move in offered:
                node.api.post(f"/orders/{order['summary']['order_key']}/{move}", step.form(order))
                self.acknowledged.append(move)
                return


def _shown(order: Json | None) -> str:
    if order is None:
        return "the node does not know the order"
    keys = ("problem", "waiting", "waiting_at", "transactions", "balance")
    return f"{order['summary']} {[move['name'] for move in order['next_actions']]} {[order[key] for key in keys]}"
