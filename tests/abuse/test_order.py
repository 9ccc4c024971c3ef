"""A whole order between two real nodes while one of them is flooded with valid heads of 1,000 unknown stores."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.figure import resident_mb
from halle_cli.demo.trading import is_paying
from system.calm import assert_calm
from system.hall import Hall

ATTACKER = Path(__file__).with_name("attacker_process.py")
FLOOD_S = 60
MAX_RSS_MB = 300

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def test_order_is_paid_while_the_merchant_is_flooded_with_heads(hall: Hall) -> None:
    victim = hall.merchant.found.addrs[0]
    command = [sys.executable, str(ATTACKER), "head_flood", victim, str(FLOOD_S), str(int(time.time()))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as flood:
        try:
            while hall.merchant.api.get("/network")["stats"]["heads_in"] < 200:
                assert flood.poll() is None, "the flood ended before the order began"
                time.sleep(0.1)
            begun = time.perf_counter()
            deal = hall.quoted()
            quoted_s = time.perf_counter() - begun
            deal.move(hall.buyer, "approve")
            deal.reaches(hall.merchant, "the money is in escrow", is_paying("escrowed"))
            paid_s = time.perf_counter() - begun
            stats = hall.merchant.api.get("/network")["stats"]
            assert flood.poll() is None, "the order outlived the flood: nothing is proved"
        finally:
            flood.terminate()
    assert hall.merchant.process is not None
    used_mb = resident_mb(hall.merchant.process.pid)
    print(
        f"\nunder {stats['heads_in']} heads of strangers let in and {json.dumps(stats['drops'])}: quote after "
        f"{quoted_s:.1f} s, paid after {paid_s:.1f} s; {used_mb:.0f} MB; waiting {stats['queues']}"
    )
    assert used_mb < MAX_RSS_MB
    assert stats["restarts"] == 0
    assert stats["queues"]["heads"] <= 4096
    assert_calm(hall.merchant.log, hall.buyer.log)
