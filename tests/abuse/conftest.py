"""The market of the system tests, for orders under attack."""

from __future__ import annotations

from system.conftest import hall

__all__ = ["hall"]
