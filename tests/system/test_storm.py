"""The short form of `make soak ARGS=orders`: a few orders while everybody is killed and the network lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from system.storm import Storm

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]

SEED = 7
ORDERS = 4


def test_no_order_is_lost_doubled_or_stuck_when_everybody_is_killed(tmp_path: Path) -> None:
    storm = Storm(tmp_path, SEED)
    try:
        storm.open(with_mailbox=False)  # what waits there waits for most of a minute
        tally = storm.run(ORDERS, at_once=ORDERS, pause_s=4.0)
    finally:
        storm.close()
        storm.hall.show_logs()
    assert tally.kills.total() > 0, "nobody was killed: nothing is proven"
    assert tally.network["bytes"] > 0, "nothing went through the proxy"
