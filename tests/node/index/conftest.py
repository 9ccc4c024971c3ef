"""Fixtures of the index's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.index.hall import Hall, Listener, open_listener


@pytest.fixture
def hall() -> Hall:
    return Hall()


@pytest.fixture
async def listener(tmp_path: Path, hall: Hall) -> AsyncIterator[Listener]:
    async with open_listener(tmp_path / "home", hall) as opened:
        yield opened
