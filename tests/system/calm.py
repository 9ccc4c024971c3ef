"""What every process must keep: nothing that a peer, a customer or the machine does makes it shout."""

from __future__ import annotations

from pathlib import Path

SHOUTS = ("Traceback (most recent call last)", " ERROR ", " CRITICAL ", "Exception ignored", "never retrieved")


def assert_calm(*logs: Path | str) -> None:
    """Fail on a log (a file, or what was said) with a traceback or a line at level error."""
    for log in logs:
        text = log if isinstance(log, str) else log.read_text(errors="replace") if log.exists() else ""
        for shout in SHOUTS:
            assert shout not in text, text[max(0, text.find(shout) - 2000) :][:6000]
