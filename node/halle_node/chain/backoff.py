"""How long to wait after failures: doubling to a ceiling, with jitter against coming back in step."""

from __future__ import annotations

import random

FIRST_S = 0.25
CEILING_S = 30.0


class Backoff:
    """Delays for one repeated task."""

    def __init__(self, first_s: float = FIRST_S, ceiling_s: float = CEILING_S) -> None:
        self._first_s = first_s
        self._ceiling_s = ceiling_s
        self._failures = 0

    def next(self) -> float:
        """Return the delay after one more failure, in seconds."""
        delay = min(self._first_s * (1 << self._failures), self._ceiling_s)
        self._failures = min(self._failures + 1, 30)
        return delay * random.uniform(0.75, 1.25)  # noqa: S311 jitter, not a secret

    def reset(self) -> None:
        self._failures = 0
