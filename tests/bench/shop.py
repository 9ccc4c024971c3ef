"""What a visitor of a shop waits for: a running `halle up`, asked over HTTP by another process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from bench.figure import Figure, at_least, at_most, percentile, resident_mb
from halle_cli.demo.actors import ChainProcess, NodeProcess, until
from halle_cli.demo.drawing import draw

LOAD = Path(__file__).with_name("load.py")
CONNECTIONS = 32
SECONDS = 5
STARTS = 3
PRODUCTS = 30
PAGES = {
    "product page": "/en/p/shirt-0",
    "home page": "/en/",
    "product page, made anew each time": "/en/p/shirt-0?again={n}",
    "home page, made anew each time": "/en/?again={n}",
}
TEXT = "Washed linen, straight cut, corozo buttons, sewn in Lyon. " * 12


def figures() -> Iterator[Figure]:
    """Yield every figure of the shop."""
    with tempfile.TemporaryDirectory(prefix="halle-bench-") as name:
        folder = Path(name)
        chain = ChainProcess(folder / "chain")
        node = NodeProcess("Bench", folder / "home", chain.rpc_url)
        try:
            chain.start()
            node.init()
            node.start()
            stock(folder, node)
            node.stop()
            starts = [start(node) for _ in range(STARTS)]
            yield at_most(
                f"start to serving, chain running, no password, median of {STARTS}", percentile(starts, 0.5), "s", 2
            )
            yield from page_figures(node)
            assert node.process is not None
            yield Figure(f"memory of a running node, {PRODUCTS} products, after the above", rss(node), "MB")
        finally:
            node.stop()
            chain.stop()


def rss(node: NodeProcess) -> float:
    """Return the memory of a running node."""
    assert node.process is not None
    return resident_mb(node.process.pid)


def stock(folder: Path, node: NodeProcess) -> None:
    """Publish some shirts, one with a picture."""
    for number in range(PRODUCTS):
        node.api.post(
            "/products",
            {
                "title": f"Blue shirt {number}",
                "handle": f"shirt-{number}",
                "description": TEXT,
                "tags": "shirt, linen",
                "price": "89.00",
                "sku": f"S{number}",
                "stock": 5,
            },
        )
    picture = folder / "shirt.png"
    draw(picture, "shirt", "#3b6ea5", "#f3ece1")
    node.api.upload(
        "/products/shirt-0/photos", picture.read_bytes(), "image/png", filename="shirt.png", alt="A blue shirt"
    )
    node.api.post("/publish")
    until("the shop shows its shirts", lambda: node.api.get("/search", q="shirt")["total"] >= PRODUCTS)


def start(node: NodeProcess) -> float:
    """Return the seconds from starting the process to the first page of the shop; looked at every 50 ms."""
    node.stop()
    begun = time.perf_counter()
    node.start()
    connection = HTTPConnection(urlsplit(node.found.shop_url).netloc)
    connection.request("GET", "/en/p/shirt-0")
    answer = connection.getresponse()
    answer.read()
    took = time.perf_counter() - begun
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the shop answered {answer.status}")
    return took


def page_figures(node: NodeProcess) -> Iterator[Figure]:
    """Yield how many pages a second the shop serves, and how long the slow ones took."""
    for name, path in PAGES.items():
        rate, p50_ms, p99_ms = load(node, path)
        if name == "product page":
            yield at_least(f"{name}, {CONNECTIONS} connections", rate, "req/s", 3_000)
            yield Figure(f"{name} p50", p50_ms, "ms")
            yield at_most(f"{name} p99", p99_ms, "ms", 25)
        else:
            yield Figure(name, rate, "req/s")
            yield Figure(f"{name}, p99", p99_ms, "ms")


def load(node: NodeProcess, path: str) -> tuple[float, float, float]:
    """Return requests a second, and p50 and p99 in milliseconds."""
    where = urlsplit(node.found.shop_url)
    command = [sys.executable, str(LOAD), str(where.hostname), str(where.port), path, str(CONNECTIONS), str(SECONDS)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    took = found["took"]
    return len(took) / found["seconds"], percentile(took, 0.5), percentile(took, 0.99)
