"""A folder is lost in the middle of trade and comes back: from a back-up, or from phrase, network and chain."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from halle_cli.demo.actors import NodeProcess, until
from halle_cli.demo.trading import Deal, is_paying, is_settled, is_shipped, knows
from system.calm import assert_calm
from system.hall import SHIRT, Hall
from system.truth import Chain

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def calm(tmp_path: Path) -> Iterator[None]:
    yield
    assert_calm(*tmp_path.glob("*.log"), tmp_path / "chain" / "chain.log")


def halle(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HALLE_")}
    command = [sys.executable, "-m", "halle_cli", "--home", str(home), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=kept, timeout=120, check=False)


def lose(node: NodeProcess) -> None:
    """The machine burns down."""
    node.kill()
    shutil.rmtree(node.home)


def bring_back(node: NodeProcess, phrase: str, *file: Path, peers: tuple[str, ...]) -> None:
    words = node.home.with_suffix(".words")
    words.write_text(phrase)
    done = halle(node.home, "restore", *file, "--phrase-file", words, "--no-password", "--country", "FR", "--json")
    assert done.returncode == 0, done.stderr
    node.start(*peers)


def funded(hall: Hall, pieces: int = 1) -> Deal:
    deal = hall.quoted(pieces)
    deal.move(hall.buyer, "approve")
    deal.reaches(hall.merchant, "the money is in escrow", is_paying("escrowed"))
    return deal


def finish(hall: Hall, deal: Deal) -> None:
    """Ship, show the code, pay: every step on its own side."""
    if not is_shipped(deal.at(hall.merchant) or {"shipments": []}):
        deal.move(hall.merchant, "ship", carrier="La Poste", tracking="6A1", anyway=True)
    shipped = deal.reaches(hall.buyer, "the parcel is on its way", is_shipped)
    deal.move(hall.merchant, "hand_over", code=shipped["delivery_code"])
    deal.move(hall.buyer, "release")
    for node in (hall.buyer, hall.merchant):
        deal.reaches(node, "the money is shared out", is_settled)


def nothing_waits(node: NodeProcess) -> bool:
    orders = [node.api.get(f"/orders/{each['order_key']}") for each in node.api.get("/orders")["orders"]]
    return all("go_on" not in [move["name"] for move in order["next_actions"]] for order in orders)


def on_chain(hall: Hall) -> dict[str, int]:
    return {node.name: hall.token_amount(node) for node in (hall.merchant, hall.buyer)}


def test_shop_comes_back_from_its_file_with_what_happened_since(hall: Hall) -> None:
    before, shipped_since = funded(hall), funded(hall)
    file = hall.folder / "shop.halle"
    done = halle(hall.merchant.home, "backup", file, "--json")
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    hall.merchant.api.post("/products", {**SHIRT, "handle": "seconde", "sku": "SEC", "title": "Seconde chemise"})
    hall.merchant.api.post("/publish")
    until("the buyer knows both shirts", lambda: knows(hall.buyer, hall.store, listings=2))
    since = funded(hall, pieces=2)
    shipped_since.move(hall.merchant, "ship", carrier="La Poste", tracking="6A0", anyway=True)
    shipped_since.reaches(hall.buyer, "the parcel is on its way", is_shipped)
    lose(hall.merchant)

    bring_back(hall.merchant, hall.phrases["merchant"], file, peers=tuple(hall.buyer.found.addrs))
    until("the buyer has told what was said", lambda: nothing_waits(hall.merchant))
    order = since.reaches(hall.merchant, "the order made since is whole", lambda order: order["address"])
    assert order["address"]["street"] == "12 rue des Tanneurs"
    assert [parcel["tracking"] for parcel in shipped_since.at(hall.merchant)["shipments"]] == ["6A0"]
    for deal in (before, shipped_since, since):
        finish(hall, deal)
    # Sold before and since: five there were, four went, each once.
    assert hall.merchant.api.get("/products/chemise-bleue")["stock"][0]["on_hand"] == 1
    # What was published after the back-up stands, and the shop publishes on.
    until("the shop is announced again", lambda: hall.merchant.api.get("/node")["head"])
    assert knows(hall.buyer, hall.store, listings=2)
    assert all(row["balance"]["held"] == 0 for row in hall.balances(hall.merchant))


def test_shop_comes_back_from_its_phrase_alone(hall: Hall) -> None:
    open_order, asked = funded(hall), funded(hall)
    asked.move(hall.buyer, "chat", text="Is it linen?")
    lose(hall.merchant)

    bring_back(hall.merchant, hall.phrases["merchant"], peers=tuple(hall.buyer.found.addrs))
    order = open_order.reaches(hall.merchant, "the buyer has told what was said", lambda order: order["address"])
    assert order["address"]["city"] == "Lyon"
    assert order["lines"][0]["sku"] == "CHB"
    asked.reaches(hall.merchant, "the question is here", lambda order: "linen" in str(order["chat"]))
    # The shop is what it was: nobody sees it empty.
    until("the shop has its edition back", lambda: hall.merchant.api.get("/node")["head"])
    assert knows(hall.buyer, hall.store, listings=1)
    asked.move(hall.merchant, "chat", text="Washed linen, yes.")
    asked.reaches(hall.buyer, "the answer arrives", lambda order: "Washed" in str(order["chat"]))
    asked.move(hall.buyer, "chat", text="Thank you!")
    asked.reaches(hall.merchant, "the thanks arrive", lambda order: "Thank you" in str(order["chat"]))
    finish(hall, open_order)
    finish(hall, asked)
    # And it sells on, to somebody who saw the shop before it was lost.
    finish(hall, funded(hall))


def test_buyer_comes_back_from_their_phrase_alone(hall: Hall) -> None:
    open_order, refused = funded(hall), funded(hall)
    open_order.move(hall.merchant, "ship", carrier="La Poste", tracking="6A1", anyway=True)
    code = open_order.reaches(hall.buyer, "the parcel is on its way", is_shipped)["delivery_code"]
    lose(hall.buyer)

    bring_back(hall.buyer, hall.phrases["buyer"], peers=tuple(hall.merchant.found.addrs))
    again = [Deal(hall.buyer, hall.merchant, deal._order_id) for deal in (open_order, refused)]
    for deal in again:
        until("the order is known again", lambda deal=deal: deal.key in ids_of(hall.buyer))
        deal.reaches(hall.buyer, "the shop has told what was said", lambda order: order["lines"])
    order = again[0].at(hall.buyer)
    assert order["delivery_code"] == code
    assert order["shipments"][0]["tracking"] == "6A1"
    again[0].move(hall.merchant, "hand_over", code=code)
    again[0].move(hall.buyer, "release")
    again[0].reaches(hall.merchant, "the money is shared out", is_settled)
    again[1].move(hall.buyer, "chat", text="I changed my mind.")
    again[1].reaches(hall.merchant, "the words arrive", lambda order: "changed my mind" in str(order["chat"]))
    again[1].move(hall.merchant, "refund")
    again[1].reaches(hall.buyer, "the money is back", is_settled)


def test_lost_machine_that_turns_up_again_only_looks_on(hall: Hall) -> None:
    deal = funded(hall)
    node = hall.merchant.api.get("/node")
    chain, store, lost = Chain(hall.chain.rpc_url, node["chain"]["escrow"]), node["store"], node["operator"]
    until("the shop's operator is named", lambda: chain.acts_until(store, lost))
    hall.merchant.kill()
    attic = hall.folder / "attic"
    shutil.move(hall.merchant.home, attic)
    bring_back(hall.merchant, hall.phrases["merchant"], peers=tuple(hall.buyer.found.addrs))
    deal.reaches(hall.merchant, "the buyer has told what was said", lambda order: order["address"])
    until("the shop is announced again", lambda: hall.merchant.api.get("/node")["head"])

    old = NodeProcess("Atelier Camille", attic, hall.chain.rpc_url)
    old.start(*hall.buyer.found.addrs)
    try:
        until("the old machine notices", lambda: "Another machine" in catalog_of(old))
        done = halle(attic, "order", "do", deal.key, "ship", "carrier=X", "tracking=Y", "anyway=1")
        assert done.returncode == 3
        assert "replaced-elsewhere" in done.stderr
    finally:
        old.stop()
    finish(hall, deal)
    until("the lost machine's operator is dismissed", lambda: not chain.acts_until(store, lost))
    assert chain.acts_until(store, hall.merchant.api.get("/node")["operator"])


def ids_of(node: NodeProcess) -> set[str]:
    return {each["order_id"] for each in node.api.get("/orders")["orders"]}


def catalog_of(node: NodeProcess) -> str:
    checks: list[dict[str, Any]] = node.api.get("/doctor")["checks"]
    return next(str(check["message"]) for check in checks if check["name"] == "catalog")
