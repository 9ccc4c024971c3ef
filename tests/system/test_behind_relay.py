"""A shop and a buyer that no packet can pass between, apart from a relay: they trade."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from halle_cli.demo.actors import until
from halle_cli.demo.trading import Deal, ask_quote, has_quote, is_paying, is_settled, is_shipped, knows
from system.hall import ADDRESS, SHIRT
from system.town import BUYER, LINKS, RELAY, RELAY_IP, SHOP, PlacedChain, PlacedNode, Town, place_node, set_up

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


class Valley:
    """A relay with the chain beside it, a shop and a buyer, each in a namespace of its own."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.town = town
        self.chain = PlacedChain(folder / "chain")
        self.chain.town, self.chain.place = town, RELAY
        self.relay, self.shop, self.buyer = (
            place_node(town, place, name, folder, self.chain.rpc_url)
            for place, name in ((RELAY, "Relais"), (SHOP, "Atelier Camille"), (BUYER, "Noé"))
        )
        self.store = ""

    def open(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda begin: begin(), (self.chain.start, self.relay.init)))
        for place in (SHOP, BUYER):
            self.town.lend_loopback(self.chain.port, of=RELAY, to=place)
        set_up(self.relay, listen_host="0.0.0.0", relay_service=True)
        self.relay.start()
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._settle, (self.shop, self.buyer)))

    def _settle(self, node: PlacedNode) -> None:
        made = node.init()
        if node is self.shop:
            self.store = made["store"]
        relay = f"/ip4/{RELAY_IP}/tcp/{self.relay.p2p_port}/p2p/{self.relay.found.peer_id}"
        set_up(node, listen_host="0.0.0.0", relays=[relay])
        node.start(relay)

    def halle(self, node: PlacedNode, *words: str) -> str:
        """Run a command beside a node and return what it says."""
        command = [sys.executable, "-m", "halle_cli", "--home", str(node.home), *words]
        with self.town.inside(node.place):
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def close(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda process: process.stop(), (self.buyer, self.shop, self.relay)))
        self.chain.stop()

    def show_logs(self) -> None:
        for log in (self.shop.log, self.buyer.log, self.relay.log):
            if log.exists():
                sys.stdout.write(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}\n")


@pytest.fixture
def valley(tmp_path: Path) -> Iterator[Valley]:
    town = Town().build()
    made = Valley(town, tmp_path)
    try:
        made.open()
        yield made
    finally:
        made.close()
        town.raze()
        made.show_logs()


def peer_of(node: PlacedNode, other: PlacedNode) -> dict[str, Any] | None:
    peers = node.api.get("/network")["peers"]
    return next((peer for peer in peers if peer["peer_id"] == other.found.peer_id), None)


def test_order_is_settled_between_namespaces_that_reach_only_a_relay(valley: Valley) -> None:
    shop, buyer = valley.shop, valley.buyer
    assert valley.town.can_reach(SHOP, f"{LINKS[SHOP]}.2", shop.p2p_port)
    assert not valley.town.can_reach(BUYER, f"{LINKS[SHOP]}.2", shop.p2p_port)
    for node in (shop, buyer):
        node.api.post("/wallet/test-money")
    shop.api.post("/products", SHIRT)
    shop.api.post("/publish")
    until("the buyer knows the shirt", lambda: knows(buyer, valley.store, listings=1))

    key = ask_quote(buyer, valley.store, [("chemise-bleue", "CHB", 1)], name="Noé Martin", address=ADDRESS)
    deal = Deal(buyer, shop, key)
    deal.reaches(buyer, "a signed quote comes back", has_quote)
    deal.move(buyer, "approve")
    deal.reaches(shop, "the money is in escrow", is_paying("escrowed"))
    deal.move(shop, "ship", carrier="Colissimo", tracking="8R1")
    code = deal.reaches(buyer, "the parcel is announced", is_shipped)["delivery_code"]
    deal.move(shop, "hand_over", code=code)
    deal.move(buyer, "release")
    deal.reaches(shop, "the merchant sees it settled", is_settled)

    route = peer_of(buyer, shop)
    assert route is not None
    assert "/p2p-circuit/" in route["addr"]
    found = valley.halle(shop, "reachability", "--json")
    assert json.loads(found)["state"] == "relayed"
    assert "Others reach you through a relay." in valley.halle(shop, "reachability")
    assert json.loads(valley.halle(valley.relay, "reachability", "--json"))["facts"]["serving"][0] >= 1
