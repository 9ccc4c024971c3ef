"""How many orders a minute one shop takes on, and how soon a payment that is on the chain is an order to pack.

Buyers' nodes order, pay when the signed quote is there, and the shop ships what it has to pack: all over the nodes'
own APIs, on a chain in a process of its own. What happens is read past the nodes, from their databases and the chain,
so that looking costs them nothing.

`python tests/bench/orders.py SECONDS ORDERS_A_MINUTE` tries another load than `make bench ARGS=orders`.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figure import Figure, at_least, at_most, percentile, resident_mb
from halle_cli.demo.actors import ChainProcess, NodeProcess, until
from halle_cli.demo.trading import ask_quote, knows
from system.hall import ADDRESS, SHIRT
from system.truth import Chain

SECONDS = 150.0
A_MINUTE = 60.0
BUYERS = 2
LOOK_S = 0.02
REST_S = 60.0
PARCEL = {"carrier": "La Poste", "tracking": "6A1"}
GIFTS = 5


@dataclass
class Seen:
    """When each order was first seen somewhere. Units: seconds of a clock that only goes forward."""

    asked: dict[str, float] = field(default_factory=dict)
    quoted: dict[str, float] = field(default_factory=dict)
    funded: dict[str, float] = field(default_factory=dict)
    to_pack: dict[str, float] = field(default_factory=dict)
    shipped: dict[str, float] = field(default_factory=dict)

    def between(self, first: dict[str, float], then: dict[str, float]) -> list[float]:
        """Return how long each order took from one to the other."""
        return [max(0.0, then[each] - first[each]) for each in then if each in first]


class Market:
    """One shop, its buyers and their chain."""

    def __init__(self, folder: Path) -> None:
        settings = {"country": "FR", "currency": "EUR"}
        self.chain = ChainProcess(folder / "chain")
        self.shop = NodeProcess("Bench", folder / "shop", self.chain.rpc_url, settings)
        self.buyers = [
            NodeProcess(f"Buyer {number}", folder / f"buyer-{number}", self.chain.rpc_url, settings)
            for number in range(BUYERS)
        ]
        self.seen = Seen()
        self.over = threading.Event()
        self.trouble: list[BaseException] = []

    def open(self) -> None:
        """Start everything; every buyer knows the shirt and has money."""
        self.chain.start()
        self.store = self.shop.init()["store"]
        self.shop.start()
        self.shop.api.post("/wallet/test-money")
        self.shop.api.post("/products", SHIRT | {"price": "1.00", "stock": 100_000})
        self.shop.api.post("/publish")
        for buyer in self.buyers:
            buyer.init()
            buyer.start(*self.shop.found.addrs)
            for _ in range(GIFTS):
                buyer.api.post("/wallet/test-money")
        for buyer in self.buyers:
            until("a buyer knows the shirt", lambda buyer=buyer: knows(buyer, self.store, listings=1))

    def close(self) -> None:
        """End every process."""
        for process in (self.shop, *self.buyers, self.chain):
            process.stop()

    def run(self, seconds: float, a_minute: float) -> float:
        """Trade for some seconds, then let what is on its way arrive; return the seconds from first to last order."""
        pause_s, begun = 60 * BUYERS / a_minute, time.monotonic()
        works: list[Callable[[], None]] = [self._watch_chain, self._watch_shop, self._ship]
        for place, buyer in enumerate(self.buyers):
            works.append(lambda buyer=buyer: self._pay(buyer))
            late_s = pause_s * place / BUYERS
            works.append(lambda buyer=buyer, late_s=late_s: self._order(buyer, begun + late_s, pause_s, seconds))
        threads = [threading.Thread(target=self._safely, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        self.over.wait(seconds)
        ends = time.monotonic() + REST_S
        while time.monotonic() < ends and not self.trouble and len(self.seen.shipped) < len(self.seen.asked):
            time.sleep(LOOK_S)
        self.over.set()
        for thread in threads:
            thread.join()
        if self.trouble:
            raise self.trouble[0]
        return max(self.seen.to_pack.values()) - begun

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # the top of a thread: `run` raises it
            self.trouble.append(error)
            self.over.set()

    def _order(self, buyer: NodeProcess, at: float, pause_s: float, seconds: float) -> None:
        ends = at + seconds
        while at < ends and not self.over.wait(max(0.0, at - time.monotonic())):
            key = ask_quote(buyer, self.store, [("chemise-bleue", "CHB", 1)], name="Noé Martin", address=ADDRESS)
            self.seen.asked[key] = time.monotonic()
            at += pause_s

    def _pay(self, buyer: NodeProcess) -> None:
        query = "SELECT order_key FROM trade_order WHERE folded_status = 'quoted'"
        for key in self._appearing(buyer, query):
            self.seen.quoted[key] = time.monotonic()
            buyer.api.post(f"/orders/{key}/approve", {})

    def _ship(self) -> None:
        query = "SELECT order_key FROM trade_order WHERE folded_status = 'accepted' AND role = 'merchant'"
        for key in self._appearing(self.shop, query):
            self.shop.api.post(f"/orders/{key}/ship", PARCEL)
            self.seen.shipped[key] = time.monotonic()

    def _watch_shop(self) -> None:
        query = "SELECT lower(hex(order_id)) FROM trade_order WHERE folded_status = 'accepted' AND role = 'merchant'"
        for order_id in self._appearing(self.shop, query):
            self.seen.to_pack[order_id] = time.monotonic()

    def _appearing(self, node: NodeProcess, query: str) -> Iterator[str]:
        """Yield each new answer of a query about a node's database, as soon as it is there."""
        known: set[str] = set()
        with closing(sqlite3.connect(f"file:{node.home / 'halle.db'}?mode=ro", uri=True)) as rows:
            while not self.over.wait(LOOK_S):
                new = [name for (name,) in rows.execute(query) if name not in known]
                known.update(new)
                yield from new

    def _watch_chain(self) -> None:
        chain = Chain(self.chain.rpc_url, self.shop.api.get("/node")["chain"]["escrow"])
        height, looked_at = int(chain.ask("eth_blockNumber"), 16), time.monotonic()
        while not self.over.wait(LOOK_S):
            now = time.monotonic()
            if (head := int(chain.ask("eth_blockNumber"), 16)) > height:
                for order_id, fate in chain.fates(height + 1).items():
                    if fate.events["Funded"]:  # at the earliest when it was looked for in vain
                        self.seen.funded.setdefault(order_id.removeprefix("0x"), looked_at)
                height = head
            looked_at = now


def cpu_s(node: NodeProcess) -> float:
    """Return the CPU seconds a running node has used."""
    assert node.process is not None
    fields = Path(f"/proc/{node.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def figures(seconds: float = SECONDS, a_minute: float = A_MINUTE) -> Iterator[Figure]:
    """Yield every figure of orders."""
    with tempfile.TemporaryDirectory(prefix="halle-bench-") as name:
        market = Market(Path(name))
        try:
            market.open()
            shop, before_s = market.shop, cpu_s(market.shop)
            took_s = market.run(seconds, a_minute)
            used_s, seen = cpu_s(shop) - before_s, market.seen
            waits = sorted(seen.between(seen.funded, seen.to_pack))
            answers = seen.between(seen.asked, seen.quoted)
            yield Figure(f"orders asked for in {seconds:.0f} s, {BUYERS} buyers' nodes", len(seen.asked), "orders")
            yield at_least("  paid and to pack", 60 * len(waits) / took_s, "/min", 50)
            yield at_least("  of them to pack in the end", 100 * len(waits) / len(seen.asked), "%", 100)
            yield Figure("  request to signed quote p50", percentile(answers, 0.5), "s")
            yield Figure("  payment in a block to to pack, p50", percentile(waits, 0.5), "s")
            yield at_most("  payment in a block to to pack, p99", percentile(waits, 0.99), "s", 1)
            yield Figure("  CPU of the shop's node an order, shipping included", 1e3 * used_s / len(waits), "ms")
            assert shop.process is not None
            yield Figure("  memory of the shop's node afterwards", resident_mb(shop.process.pid), "MB")
        finally:
            market.close()


if __name__ == "__main__":
    for figure in figures(*map(float, sys.argv[1:])):
        print("  ".join(figure.row()), flush=True)
