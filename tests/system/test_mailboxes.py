"""An order between a shop and a buyer whose nodes are never on together: everything goes through a mailbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from halle_cli.demo.actors import NodeProcess, until
from halle_cli.demo.trading import has_quote, knows
from system.calm import assert_calm
from system.hall import Hall

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def keeper_of(hall: Hall) -> NodeProcess:
    """Start a node that keeps mail for anyone who names it, and knows merchant and buyer."""
    keeper = NodeProcess("Halle", hall.folder / "keeper", hall.chain.rpc_url, {})
    keeper.init()
    (keeper.home / "halle.toml").write_text('mailbox_for = "anyone"\n')
    keeper.start(*hall.merchant.found.addrs, *hall.buyer.found.addrs)
    return keeper


def names(keeper: NodeProcess, store: str, mailbox: str) -> bool:
    """Say whether the keeper has heard that `store` names it."""
    stores = keeper.api.get("/stores")["stores"]
    return any(
        each["store"].lower() == store.lower() and mailbox in ((each["profile"] or {}).get("mailboxes") or ())
        for each in stores
    )


def test_order_is_quoted_when_shop_and_buyer_are_never_on_together(hall: Hall, tmp_path: Path) -> None:
    keeper = keeper_of(hall)
    try:
        mailbox = keeper.found.addrs[0]
        buyer_store = hall.buyer.api.get("/node")["store"]
        for node, store in ((hall.merchant, hall.store), (hall.buyer, buyer_store)):
            node.api.post("/mailboxes", {"addr": mailbox})
            until(f"the keeper knows {node.name}'s mailbox", lambda store=store: names(keeper, store, mailbox))
        until("the buyer knows the shop's mailbox", lambda: names(hall.buyer, hall.store, mailbox))
        hall.merchant.stop()

        deal = hall.ask()
        deal.reaches(hall.buyer, "the request waits at the mailbox", lambda order: order["waiting_at"])
        assert [box["letters"] for box in keeper.api.get("/mailboxes")["kept"]["boxes"]] == [1]
        entries = [entry["key"] for entry in deal.at(hall.buyer)["timeline"]]
        assert "timeline.left-at-mailbox" in entries
        hall.buyer.stop()

        hall.merchant.start(mailbox)
        until("the shop collects the request", lambda: len(hall.merchant.api.get("/orders")["orders"]) == 1)
        until("the quote waits for the buyer", lambda: keeper.api.get("/mailboxes")["kept"]["letters"] >= 1)
        keeper.kill()  # a mailbox may lose its power, but not what it has confirmed
        hall.merchant.stop()
        keeper.start()

        hall.buyer.start(mailbox)
        deal.reaches(hall.buyer, "the quote is here", has_quote)
        until("the buyer's request is signed for", lambda: not deal.at(hall.buyer)["waiting_at"])
        assert knows(hall.buyer, hall.store, listings=1)
        assert len(hall.buyer.api.get("/orders")["orders"]) == 1
        assert_calm(keeper.log, hall.merchant.log, hall.buyer.log)
    finally:
        keeper.stop()
