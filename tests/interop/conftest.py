"""Engines of others as fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

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
