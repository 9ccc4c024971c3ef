"""Counters of the network that only grow; they outlive a restart of the network thread."""

from __future__ import annotations

from collections import Counter

from halle_node.p2p.metering import MAX_PEERS, Meter


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
        self.meter = Meter()
        self.syncs_by_peer: dict[str, int] = {}

    def synced(self, peer: str, at: int) -> None:
        """Note that heads were reconciled with a peer; the newest peers are kept."""
        self.syncs += 1
        self.last_sync = at
        self.syncs_by_peer.pop(peer, None)
        self.syncs_by_peer[peer] = at
        while len(self.syncs_by_peer) > MAX_PEERS:
            self.syncs_by_peer.pop(next(iter(self.syncs_by_peer)))

    def count(self, bytes_in: int, bytes_out: int) -> None:
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out
