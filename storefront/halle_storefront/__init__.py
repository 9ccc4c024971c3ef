"""The three faces of a node: admin and market on this machine, the shop for everybody."""

from __future__ import annotations

from .app import WebAddresses, make_apps, start_web

__all__ = ["WebAddresses", "make_apps", "start_web"]
