"""Whether nothing was lost, doubled or stuck, and every cent is where it should be: chain, nodes and shelf compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from halle_cli.demo.actors import NodeProcess, until
from halle_cli.demo.trading import Json
from system.lives import Life
from system.truth import ONCE, Fate

if TYPE_CHECKING:
    from system.storm import Storm

AXES = ("status", "payment", "fulfilment", "returns", "outcome", "total", "pieces")
PARTS = ("balance", "lines")
COUNTS = ("shipments", "settlements", "chat", "certificates", "deliverables")


def judge(storm: Storm, lives: list[Life]) -> None:
    """Fail on the first thing that is wrong."""
    fates = storm.chain.fates()
    agreed = [until(f"both sides agree on {life.name}", lambda life=life: _agreed(life)) for life in lives]
    for life, order in zip(lives, agreed, strict=True):
        _judge_one(life, order, fates.pop(order["summary"]["order_id"], Fate()))
    assert not fates, f"funded orders that nobody made: {fates}"
    _judge_money(storm)
    _judge_transactions(storm)
    _judge_shelf(storm, agreed)


def _agreed(life: Life) -> Json | None:
    """Return the order when both nodes show the same."""
    people = life.till.people
    mine, theirs = life.at(people["buyer"]), life.at(people["shop"])
    if mine is None or theirs is None or view(mine) != view(theirs):
        return None
    return mine


def view(order: Json) -> dict[str, Any]:
    """Return what two nodes with the same facts must both show."""
    axes = {name: order["summary"][name] for name in AXES}
    return {**axes, **{name: order[name] for name in PARTS}, **{name: len(order[name]) for name in COUNTS}}


def _judge_one(life: Life, order: Json, fate: Fate) -> None:
    expected, what = life.path.events, f"{life.name} {order['summary']['order_id']}"
    seen = {name: count for name, count in fate.events.items() if name in (*ONCE, "Paid")}
    if "Accepted" in seen and expected:
        seen.pop("Accepted")  # an offer, or a quote that came too late to be paid on
    assert seen == expected, f"{what}: the chain has {seen}, not {expected}"
    assert order["summary"]["outcome"] == life.path.outcome, (what, order["summary"]["outcome"])
    balance = {name: int(value) for name, value in order["balance"].items()}
    onchain = {"total_in": fate.total, "held": fate.held, **{f"to_{who}": fate.paid[who] for who in _SIDES}}
    assert balance == onchain, (what, balance, onchain)
    assert fate.held == 0, what
    assert len(order["shipments"]) == expected.get("Shipped", 0), what
    for node in life.till.people.values():
        failed = [each for each in (life.at(node) or {})["transactions"] if each["state"] == "failed"]
        surprises = [each for each in failed if not any(race in each["error"] for race in life.path.races)]
        assert not surprises, (what, node.name, surprises)


_SIDES = ("buyer", "merchant", "arbiter")


def _judge_money(storm: Storm) -> None:
    """Compare accounts with the chain's events, and both balance sheets with each other and the escrow."""
    fates = storm.chain.fates().values()
    total, back = sum(fate.total for fate in fates), sum(fate.paid["buyer"] for fate in fates)
    earned = sum(fate.paid["merchant"] for fate in fates)
    assert total == back + earned + sum(fate.held for fate in fates)
    gained = {"shop": earned, "buyer": back - total}
    for node in (storm.shop, storm.buyer):
        assert storm.hall.token_amount(node) - storm.before[node.name] == gained[node.name], node.name
        assert _sheet(node) == {order_id: fate.total for order_id, fate in storm.chain.fates().items()}, node.name
    for token in storm.shop.api.get("/balances")["escrow"]:
        assert int(token["amount"]) == 0, token


def _sheet(node: NodeProcess) -> dict[str, int]:
    rows = node.api.get("/balances")["balances"]
    assert all(int(row["balance"]["held"]) == 0 and int(row["credited"]) == 0 for row in rows)
    return {row["order_id"]: int(row["balance"]["total_in"]) for row in rows}


def _judge_transactions(storm: Storm) -> None:
    """No call of ours was refused by the contract: a second try of something done would be."""
    senders = [node.api.get("/node")[name] for node in (storm.shop, storm.buyer) for name in ("store", "operator")]
    reverted = [name for name, worked in storm.chain.calls(senders) if not worked]
    storm.tally.reverted = reverted
    assert not reverted, reverted


def _judge_shelf(storm: Storm, orders: list[Json]) -> None:
    """What was sent is off the shelf, the rest is on it, and nothing is held back."""
    from system.storm import SHELF

    sent = sum(1 for order in orders if order["shipments"])
    [stock] = storm.shop.api.get("/products/chemise-bleue")["stock"]
    assert (stock["on_hand"], stock["reserved"]) == (SHELF - sent, 0), (stock, sent)
