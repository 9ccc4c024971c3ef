"""How long to wait before trying a delivery again. Rule: doubling, capped, spread out so that nobody is stormed."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom

FIRST_WAIT_MS = 500
LONGEST_WAIT_MS = 60_000
LEFT_WAIT_MS = 60_000
_DOUBLINGS_TO_CAP = 16
_random = SystemRandom().random


def wait_ms(attempts: int, random: Callable[[], float] = _random) -> int:
    """Return the wait after `attempts` failures: half of it fixed, half of it chance. Units: milliseconds."""
    ceiling = min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(max(attempts - 1, 0), _DOUBLINGS_TO_CAP))
    return ceiling // 2 + int(random() * (ceiling // 2))
