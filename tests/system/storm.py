"""A shop, a buyer, a mailbox and a chain that are killed at any moment, with bad weather between all of them."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from halle_cli.demo.actors import ChainProcess, NodeProcess, until
from halle_cli.demo.trading import knows
from halle_node.run_file import RunFile
from halle_protocol.errors import HalleError, Unavailable
from system.calm import assert_calm
from system.chaos import CALM, STORM, ChaosProxy
from system.hall import Hall
from system.lives import DAY_S, PATHS, Life, Till
from system.town import set_up
from system.truth import Chain

OUTSIDE = "127.0.0.2"
"""Where links between peers listen and come from. Nodes refuse 127.0.0.1, so that nobody finds a way past them."""
SHELF = 100_000
WEEKS_S = 60 * DAY_S


@dataclass
class Tally:
    """What happened in some rounds."""

    orders: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    network: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    reverted: list[str] = field(default_factory=list)

    def __iadd__(self, other: Tally) -> Tally:
        for name in ("orders", "kills", "network", "troubles"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reverted += other.reverted
        return self

    def __str__(self) -> str:
        kills, orders = self.kills.total(), self.orders.total()
        parts = (dict(self.kills), dict(self.orders), dict(self.network), dict(self.troubles))
        return f"{kills} kills {parts[0]}, {orders} orders {parts[1]}, network {parts[2]}, answers {parts[3]}"


@dataclass
class FarNode(NodeProcess):
    """A node that others reach through the proxy alone."""

    outside_port: int = 0

    def init(self) -> dict[str, str]:
        """Make the home, with the address others are told."""
        made = super().init()
        set_up(self, announce_addrs=[f"/ip4/{OUTSIDE}/tcp/{self.outside_port}"], mailbox_for="anyone")
        return made

    @property
    def found(self) -> RunFile:
        """Where the running node listens, as others may know it."""
        found = super().found
        return replace(found, addrs=(f"/ip4/{OUTSIDE}/tcp/{self.outside_port}/p2p/{found.peer_id}",))


class Storm:
    """One market. `seed` decides who is killed when, what the weather does and which paths orders take."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed = seed
        self.proxy = ChaosProxy(seed)
        self.hall = Hall(folder)
        self.chain_process: ChainProcess = self.hall.chain
        self.shop, self.buyer, self.keeper = (self._far(folder, name) for name in ("shop", "buyer", "keeper"))
        self.hall.merchant, self.hall.buyer = self.shop, self.buyer
        self.tally = Tally()
        self.trouble: list[BaseException] = []
        self._calm_again = threading.Event()

    def _far(self, folder: Path, name: str) -> FarNode:
        settings = {"language": "fr", "country": "FR", "currency": "EUR"}
        rpc = self.proxy.link(f"{name} chain", self.chain_process.port)
        node = FarNode(name, folder / name, f"http://127.0.0.1:{rpc.port}", settings)
        node.outside_port = self.proxy.link(name, node.p2p_port, host=OUTSIDE).port
        return node

    # --- fair weather

    def open(self, *, with_mailbox: bool = True) -> None:
        """Open the shop, and a mailbox for both sides; the buyer has money and knows both."""
        hall = self.hall
        hall.open()
        self.shop.api.post("/products/chemise-bleue/stock", {"on_hand": SHELF})
        for node in (self.shop, self.buyer):
            node.api.post("/access/block", {"subject": "127.0.0.1"})
            for _ in range(3):
                node.api.post("/wallet/test-money")
        if with_mailbox:
            self._open_mailbox()
        until("the buyer knows the shop again", lambda: knows(self.buyer, hall.store, listings=1))
        self.chain = Chain(hall.chain.rpc_url, self.shop.api.get("/node")["chain"]["escrow"])
        self.before = {node.name: hall.token_amount(node) for node in (self.shop, self.buyer)}
        self.till = Till(self.buyer, self.shop, hall.store)

    def _open_mailbox(self) -> None:
        self.keeper.init()
        self.keeper.start(*self.shop.found.addrs, *self.buyer.found.addrs)
        self.keeper.api.post("/access/block", {"subject": "127.0.0.1"})
        for node in (self.shop, self.buyer):
            node.api.post("/mailboxes", {"addr": self.keeper.found.addrs[0]})

    def close(self) -> None:
        """End everything."""
        self.keeper.stop()
        self.hall.close()
        self.proxy.close()

    # --- the storm

    def run(self, orders: int, *, at_once: int = 12, pause_s: float = 3.0) -> Tally:
        """Live `orders` orders to their end while everybody is killed about every `pause_s`; then judge."""
        rng = random.Random(self.seed)
        names = [rng.choice(list(PATHS)) for _ in range(orders)]
        lives = [Life(self.till, f"Client-{number}-{name}", PATHS[name]) for number, name in enumerate(names)]
        with self.storm(pause_s), ThreadPoolExecutor(at_once) as pool:
            self._all(pool, [life.begin for life in lives])
            self._let_weeks_pass(rng)
            self._all(pool, [life.finish for life in lives])
        self.tally.orders = Counter(names)
        self.tally.network = self.proxy.did()
        self.tally.troubles = self.till.troubles
        self._judge(lives)
        return self.tally

    @contextmanager
    def storm(self, pause_s: float) -> Iterator[None]:
        """Kill and disturb until the end of the block; then everybody is up and the weather is good."""
        self._calm_again.clear()
        self.proxy.weather(STORM)
        # The embedded chain replays its journal at each start: it is killed less often, or nothing else would happen.
        shares = {"shop": 1.0, "buyer": 1.0, "keeper": 1.5, "chain": 3.0}
        killers = [
            threading.Thread(target=self._kill_again, args=(name, pause_s * share), name=f"kill {name}")
            for name, share in shares.items()
            if self._process(name).process is not None
        ]
        for killer in killers:
            killer.start()
        try:
            yield
        finally:
            self._calm_again.set()
            for killer in killers:
                killer.join()
            self.proxy.weather(CALM)
            self.proxy.heal()
        if self.trouble:
            raise self.trouble[0]

    def _process(self, name: str) -> NodeProcess | ChainProcess:
        return {"shop": self.shop, "buyer": self.buyer, "keeper": self.keeper, "chain": self.chain_process}[name]

    def _kill_again(self, name: str, pause_s: float) -> None:
        """Kill one process over and over, sometimes while it starts; leave it running."""
        process = self._process(name)
        rng, start_s = random.Random(f"{self.seed} {name}"), 0.0
        try:
            # On a busy machine starts are slow: whoever is never up longer than it takes to start gets nothing done.
            while not self._calm_again.wait(rng.uniform(0.2, 2.0) * max(pause_s, start_s)):
                process.kill()
                self.tally.kills[name] += 1
                if rng.random() < 0.3:
                    self._calm_again.wait(rng.random() * 2)
                began = time.monotonic()
                self._start(process, rng)
                start_s = time.monotonic() - began
        except BaseException as error:  # the top of a thread: the storm raises it
            self.trouble.append(error)

    def _start(self, process: NodeProcess | ChainProcess, rng: random.Random) -> None:
        """Start, now and then only to be killed before it is there."""
        while rng.random() < 0.15:
            starting = threading.Thread(target=_quietly, args=(process.start,))
            starting.start()
            time.sleep(rng.random() * 2)
            process.kill()
            starting.join()
            self.tally.kills[f"{process_name(process)} starting"] += 1
        process.start()

    def _let_weeks_pass(self, rng: random.Random) -> None:
        """Cut everybody off, let weeks pass on the chain, and mend the lines."""
        self.proxy.cut(*self.proxy.links)
        until("the chain's clock moves", lambda: self._asked("evm_increaseTime", hex(WEEKS_S)))
        until("a block shows it", lambda: self._asked("evm_mine"))
        time.sleep(2 + rng.random() * 3)
        self.proxy.heal()

    def _asked(self, method: str, *params: Any) -> bool:
        try:
            self.chain.ask(method, *params)
        except OSError:
            return False
        return True

    def _all(self, pool: ThreadPoolExecutor, work: list[Callable[[], None]]) -> None:
        def do(each: Callable[[], None]) -> None:
            if not self.trouble:
                each()

        for job in [pool.submit(do, each) for each in work]:
            job.result()

    # --- judgement

    def _judge(self, lives: list[Life]) -> None:
        from system.judge import judge

        judge(self, lives)
        folder = self.hall.folder
        assert_calm(*folder.glob("*.log"), folder / "chain" / "chain.log")


def process_name(process: NodeProcess | ChainProcess) -> str:
    """Return what a tally calls a process."""
    return process.name if isinstance(process, NodeProcess) else "chain"


def _quietly(start: Callable[[], None]) -> None:
    try:
        start()
    except (HalleError, Unavailable, OSError):
        return  # killed while it started: what was wanted
