"""Real embedded chains for the chain tests, and a scripted endpoint for what no honest chain does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from halle_node.chain import ChainClient
from halle_node.db import Database, open_database
from node.chain.scripted import ScriptedChain


@pytest.fixture(scope="session")
def chain_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One embedded chain for all tests that do not break it."""
    data = tmp_path_factory.mktemp("chain")
    command = [sys.executable, "-m", "halle_node.chain.embedded", "--data", str(data), "--port", "0"]
    with subprocess.Popen(
        [*command, "--with-parent"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1]
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
async def client(chain_url: str) -> AsyncIterator[ChainClient]:
    found = ChainClient(chain_url)
    await found.connect()
    yield found
    await found.close()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path / "node.db")
    yield database
    database.close()


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedChain]:
    chain = ScriptedChain()
    await chain.start()
    yield chain
    await chain.stop()
