"""Real processes: one chain, nodes with homes of their own, driven through their public API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from halle_cli.demo.actors import ChainProcess, NodeProcess
from requirements import CHROMIUM_FLAGS, require_chromium
from system.calm import assert_calm
from system.guild import Guild
from system.hall import Hall

SettingsOf = dict[str, str]


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """An open chain, one merchant with a published shirt, one buyer who knows of it and has test money."""
    opened = Hall(tmp_path)
    try:
        opened.open()
        yield opened
    finally:
        opened.close()
        opened.show_logs()


@pytest.fixture(scope="module")
def guild(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guild]:
    """A shop, a buyer, two arbiters and a carrier who know each other; nobody may have shouted at the end."""
    folder = tmp_path_factory.mktemp("guild")
    opened = Guild(folder)
    try:
        yield opened.open()
        assert_calm(*folder.glob("*.log"))
    finally:
        opened.close()
        opened.hall.show_logs()


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainProcess]:
    """A running embedded chain."""
    process = ChainProcess(tmp_path / "chain")
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[Callable[[str, str], NodeProcess]]:
    """Make homes by `halle init`; what was started is stopped at the end."""
    made: list[NodeProcess] = []

    def make(name: str, rpc_url: str) -> NodeProcess:
        node = NodeProcess(name, tmp_path / name.lower(), rpc_url, {"country": "FR", "currency": "EUR"})
        node.init()
        made.append(node)
        return node

    yield make
    for node in made:
        node.stop()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    path = require_chromium()
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield opened
        opened.close()
