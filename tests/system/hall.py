"""A small market for one test: a chain, a merchant with one shirt, a buyer who knows of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from halle_cli.demo.actors import ChainProcess, NodeProcess, until
from halle_cli.demo.drawing import draw
from halle_cli.demo.trading import Deal, ask_quote, has_quote, knows

ADDRESS = {"name": "Noé Martin", "street": "12 rue des Tanneurs", "city": "Lyon", "postcode": "69007", "country": "FR"}
SHIRT = {
    "title": "Chemise bleue",
    "handle": "chemise-bleue",
    "description": "Lin lavé.",
    "tags": "shirt, lin",
    "price": "89.00",
    "sku": "CHB",
    "stock": 5,
}


class Hall:
    """Processes and what a test asks of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chain = ChainProcess(folder / "chain")
        settings = {"language": "fr", "country": "FR", "currency": "EUR"}
        self.merchant = NodeProcess("Atelier Camille", folder / "camille", self.chain.rpc_url, settings)
        self.buyer = NodeProcess("Noé", folder / "noe", self.chain.rpc_url, settings)
        self.store = ""
        self.phrases: dict[str, str] = {}

    def open(self) -> None:
        """Start everything and return when the buyer knows the shirt and has money."""
        self.chain.start()
        made = self.merchant.init()
        self.store = made["store"]
        self.phrases = {"merchant": made["phrase"], "buyer": self.buyer.init()["phrase"]}
        self.merchant.start()
        self.merchant.api.post("/wallet/test-money")
        self.merchant.api.post("/products", SHIRT)
        picture = self.folder / "shirt.png"
        draw(picture, "shirt", "#3b6ea5", "#f3ece1")
        self.merchant.api.upload(
            "/products/chemise-bleue/photos", picture.read_bytes(), "image/png", filename="shirt.png", alt="Chemise"
        )
        self.merchant.api.post("/publish")
        self.buyer.start(*self.merchant.found.addrs)
        self.buyer.api.post("/wallet/test-money")
        until("the buyer knows the shirt", lambda: knows(self.buyer, self.store, listings=1))

    def ask(self, pieces: int = 1) -> Deal:
        """Send a request for some shirts."""
        lines = [("chemise-bleue", "CHB", pieces)]
        key = ask_quote(self.buyer, self.store, lines, name="Noé Martin", address=ADDRESS)
        return Deal(self.buyer, self.merchant, key)

    def quoted(self, pieces: int = 1) -> Deal:
        """Return a deal whose signed quote has come back."""
        deal = self.ask(pieces)
        deal.reaches(self.buyer, "a signed quote comes back", has_quote)
        return deal

    def balances(self, node: NodeProcess) -> list[dict[str, Any]]:
        """Return a node's balance sheet."""
        rows: list[dict[str, Any]] = node.api.get("/balances")["balances"]
        return rows

    def token_amount(self, node: NodeProcess, symbol: str = "tEUR") -> int:
        """Return what a node's store account has of a token."""
        tokens = node.api.get("/wallet")["tokens"]
        return int(next(token["amount"] for token in tokens if token["symbol"] == symbol))

    def close(self) -> None:
        """End every process."""
        for process in (self.merchant, self.buyer, self.chain):
            process.stop()

    def show_logs(self) -> None:
        """Print what the processes said: pytest shows it when the test failed."""
        for log in (self.merchant.log, self.buyer.log, self.chain.folder / "chain.log"):
            if log.exists():
                sys.stdout.write(f"--- {log.name}\n{log.read_text(errors='replace')[-6000:]}\n")
