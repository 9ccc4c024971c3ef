"""Engines of others as fixtures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interop.goods import Goods
from interop.halle_peer import HallePeer, halle_peer
from interop.kubo_daemon import KuboDaemon

MakeKubo = Callable[..., KuboDaemon]


@pytest.fixture(scope="session")
def make_kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeKubo]:
    """Make daemons, not yet started; each is stopped at the end of the run."""
    made: list[KuboDaemon] = []

    def make(settings: dict[str, Any] | None = None, **options: Any) -> KuboDaemon:
        made.append(KuboDaemon(tmp_path_factory.mktemp("kubo"), settings, **options))
        return made[-1]

    yield make
    for daemon in made:
        daemon.stop()


@pytest.fixture(scope="session")
def kubo(make_kubo: MakeKubo) -> KuboDaemon:
    """One running daemon for all tests: leave in it only blocks and pins."""
    return make_kubo().start()


@pytest.fixture(scope="session")
def goods() -> Goods:
    """One shop's content, the same for all tests."""
    return Goods()


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[HallePeer]:
    """Our network with an empty block store."""
    async with halle_peer(tmp_path / "peer") as opened:
        yield opened
