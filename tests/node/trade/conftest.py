"""One embedded chain for all trade tests, and a hall a test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from node.trade.hall import Hall


@pytest.fixture(scope="session")
def trade_chain_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("trade-chain")
    command = [sys.executable, "-m", "halle_node.chain.embedded", "--data", str(data), "--port", "0", "--with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1]
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
async def hall(tmp_path: Path, trade_chain_url: str) -> AsyncIterator[Hall]:
    made = Hall(tmp_path, trade_chain_url)
    yield made
    await made.close()
