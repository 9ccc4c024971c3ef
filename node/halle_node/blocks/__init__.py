"""Content-addressed bytes on this machine: stored once, verified on every read, kept while pinned."""

from __future__ import annotations

from halle_node.blocks.store import BlockStore, Pinned, Report, Stats, Sweep

__all__ = ["BlockStore", "Pinned", "Report", "Stats", "Sweep"]
