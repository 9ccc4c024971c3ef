"""Counters of the network that only grow; they outlive a restart of the network thread."""

from __future__ import annotations

from collections import Counter


class Traffic:
    def __init__(self) -> None:
        self.bytes_in = 0
        self.bytes_out = 0
        self.frames_in = 0
        self.heads_in = 0
        self.frames_out = 0
        self.syncs = 0
        self.last_sync = 0
        self.drops: Counter[str] = Counter()

    def count(self, bytes_in: int, bytes_out: int) -> None:
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out
