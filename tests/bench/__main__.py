"""`make bench`: measure against the bars, print the table, write docs/benchmarks.md. One run on one machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import gateway, gossip, ipfs, market, orders, protocol, shop, site
from bench.figure import Figure

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "protocol": protocol.figures,
    "market": market.figures,
    "shop": shop.figures,
    "orders": orders.figures,
    "ipfs": ipfs.figures,
    "site": site.figures,
    "gateway": gateway.figures,
    "gossip": gossip.figures,
}


def main() -> None:
    """Measure all parts, or the named ones (then nothing is written)."""
    named = sys.argv[1:] or list(PARTS)
    load = os.getloadavg()[0]
    lines = ["| what | measured | bar | |", "| --- | ---: | ---: | --- |"]
    for name in named:
        for figure in PARTS[name]():
            row = figure.row()
            print(f"{row[3] or ' '} {row[0]:<72} {row[1]:>14}   {row[2]}", flush=True)
            lines.append("| " + " | ".join(row) + " |")
    if len(named) == len(PARTS):
        PAGE.write_text(page(lines, load), encoding="utf-8")


def page(lines: list[str], load: float) -> str:
    """Return docs/benchmarks.md; `load` is how many processes wanted the machine before the first figure."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}, "
    machine += f"load average {load:.1f} at the start (0 is a machine of one's own)"
    head = (
        "# Benchmarks\n\nWritten by `make bench`: one run on one machine, shared and noisy. CPU figures are per core; "
        f"wall figures include the noise.\n\n{datetime.now(UTC).date().isoformat()}, {machine}.\n\n"
    )
    return head + "\n".join(lines) + "\n"


main()
