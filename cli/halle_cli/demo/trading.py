"""Moves of an order between two nodes, through their public API; every wait has an end and says what it waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from halle_cli.demo.actors import NodeProcess, until
from halle_protocol.errors import HalleError

Json = dict[str, Any]


def order_of(node: NodeProcess, key: str) -> Json:
    """Return one order as the node shows it. Raises: Refused order-unknown."""
    order: Json = node.api.get(f"/orders/{key}")
    return order


class Deal:
    """One order seen from both sides. A merchant who knows it only from the chain knows it by its order id."""

    def __init__(self, buyer: NodeProcess, merchant: NodeProcess, key: str) -> None:
        self.buyer = buyer
        self.merchant = merchant
        self.key = key
        self._order_id = ""

    def at(self, node: NodeProcess) -> Json | None:
        """Return the order as `node` shows it, None while that node does not know it."""
        if node is self.buyer:
            order = order_of(node, self.key)
            self._order_id = order["summary"]["order_id"] or self._order_id
            return order
        for name in filter(None, (self.key, self._order_id)):
            try:
                return order_of(node, name)
            except HalleError as error:
                if error.code != "order-unknown":
                    raise
        return None

    def reaches(self, node: NodeProcess, what: str, test: Callable[[Json], Any], *, seconds: float = 60.0) -> Json:
        """Return the order once `test` holds for it at `node`."""

        def look() -> Json | None:
            order = self.at(node)
            return order if order and test(order) else None

        return until(what, look, seconds=seconds)

    def may(self, node: NodeProcess, action: str) -> bool:
        """Return whether `action` is a next action of the order at `node`."""
        order = self.at(node)
        return order is not None and any(move["name"] == action for move in order["next_actions"])

    def move(self, node: NodeProcess, action: str, **form: Any) -> Json:
        """Make a move as soon as it is legal, and return the order after it."""
        until(f"{node.name} may {action}", lambda: self.may(node, action))
        order = self.at(node)
        assert order is not None
        made: Json = node.api.post(f"/orders/{order['summary']['order_key']}/{action}", form)
        return made


def is_paying(word: str) -> Callable[[Json], bool]:
    """Return a test for the payment axis of an order."""
    return lambda order: order["summary"]["payment"] == word


def is_shipped(order: Json) -> bool:
    """Return whether the order's shipment is known."""
    return bool(order["shipments"])


def is_settled(order: Json) -> bool:
    """Return whether no money of a funded order is held any more."""
    balance = order["balance"]
    return int(balance["total_in"]) > 0 and balance["held"] == 0


def has_quote(order: Json) -> bool:
    """Return whether the merchant's signed quote is here."""
    return bool(order["quote"] and order["quote"]["signed"])


def knows(node: NodeProcess, store: str, *, listings: int) -> bool:
    """Return whether a node has indexed that many listings of a store."""
    stores = node.api.get("/stores")["stores"]
    return any(same(each["store"], store) and int(each["listing_count"]) >= listings for each in stores)


def ask_quote(
    buyer: NodeProcess, store: str, lines: list[tuple[str, str, int]], *, name: str, address: Json | None
) -> str:
    """Put lines (handle, sku, pieces) into the cart and send the store a request; return the order key."""
    for handle, sku, quantity in lines:
        buyer.api.post("/cart", {"store": store, "handle": handle, "sku": sku, "quantity": quantity})
    cart = next(part for part in buyer.api.get("/cart")["stores"] if same(part["store"], store))
    form = {
        "store": store,
        "name": name,
        "address": address,
        "country": address["country"] if address else "",
        "rate_id": cart["rates"][0]["rate_id"] if cart["rates"] else "",
        "token_symbol": cart["tokens"][0]["symbol"] if cart["tokens"] else "",
    }
    return str(buyer.api.post("/checkout", form)["order_key"])


def same(a: str, b: str) -> bool:
    """Return whether two spellings are one address."""
    return a.lower() == b.lower()
