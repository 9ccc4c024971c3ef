"""Orders in a storm: both nodes, the mailbox and the chain are killed at any moment, and the network between them lies.

Each round is a market of its own with a seed of its own, so that what fails can be repeated:
`python tests/soak/orders.py SEED ORDERS` lives that one round. Its folder stays when it failed.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from system.storm import Storm, Tally

MOST_ORDERS, FEWEST_ORDERS = 60, 6
AT_ONCE = 18
PAUSE_S = 3.5
OPENING_S, ORDER_S = 60.0, 9.0
"""About what a round takes on two busy cores, and each order of it: the last round has as many as there is time for."""


def soak(seconds: float) -> None:
    """Live rounds until the time is over. Raises what did not hold, with the seed."""
    ends, total, rounds = time.monotonic() + seconds, Tally(), 0
    while rounds == 0 or orders_in(ends - time.monotonic()) >= FEWEST_ORDERS:
        total += one_round(secrets.randbits(32), max(FEWEST_ORDERS, orders_in(ends - time.monotonic())))
        rounds += 1
    print(f"   {rounds} rounds: {total}", flush=True)


def orders_in(seconds: float) -> int:
    """Return how many orders a round may have that should be over in `seconds`."""
    return min(MOST_ORDERS, int((seconds - OPENING_S) / ORDER_S))


def one_round(seed: int, orders: int = MOST_ORDERS) -> Tally:
    """Live one market from its opening to its reckoning."""
    folder = Path(tempfile.mkdtemp(prefix=f"halle-storm-{seed}-"))
    storm, began = Storm(folder, seed), time.monotonic()
    try:
        storm.open()
        tally = storm.run(orders, at_once=AT_ONCE, pause_s=PAUSE_S)
    except BaseException as error:
        error.add_note(f"seed {seed}, {orders} orders, {storm.tally}; see {folder}")
        raise
    finally:
        storm.close()
    shutil.rmtree(folder)
    print(f"   seed {seed}, {time.monotonic() - began:.0f} s: {tally}", flush=True)
    return tally


if __name__ == "__main__":
    one_round(*map(int, sys.argv[1:]))
