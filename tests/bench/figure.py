"""One measured figure and the bar it is held against."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Test = Callable[[float], bool]


@dataclass(frozen=True)
class Figure:
    """`bar` is the text of docs/benchmarks.md; `met` says whether `value` keeps it, None when there is none."""

    what: str
    value: float
    unit: str
    bar: str = ""
    met: bool | None = None

    def row(self) -> tuple[str, str, str, str]:
        """Return the table row."""
        mark = {True: "✓", False: "✗", None: ""}[self.met]
        shown = f"{self.value:,.0f}" if abs(self.value) >= 1_000 else f"{self.value:.3g}"
        return self.what, f"{shown} {self.unit}", self.bar, mark


def at_least(what: str, value: float, unit: str, bar: float) -> Figure:
    """Return a figure that should not be lower than `bar`."""
    return Figure(what, value, unit, f"≥ {bar:,g} {unit}", value >= bar)


def at_most(what: str, value: float, unit: str, bar: float) -> Figure:
    """Return a figure that should not be higher than `bar`."""
    return Figure(what, value, unit, f"≤ {bar:,g} {unit}", value <= bar)


def per_second(work: Callable[[], object], *, seconds: float = 1.0) -> float:
    """Return how often `work` runs in a second of CPU time, over at least `seconds`."""
    work()
    count, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < seconds:
        for _ in range(20):
            work()
        count += 20
    return count / spent


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def resident_mb(pid: int) -> float:
    """Return the memory of a process now, pages of mapped files included."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
