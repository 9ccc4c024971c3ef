"""Engines of others as fixtures, and our own peers beside them, driven alike."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from halle_protocol.cid import DAG_CBOR, cid_of
from halle_protocol.head import announce, sign_head
from interop.engines import JS, go_program, node_js
from interop.goods import Goods
from interop.halle_peer import HallePeer, halle_peer
from interop.kubo_daemon import KuboDaemon
from node.p2p.conftest import Peer, peers  # noqa: F401 - the fixture of our own peers
from samples_people import DAY, MERCHANT, MERCHANT_KEY


class Foreign(Peer):
    """A peer that nobody here wrote libp2p for; its data is base64."""

    def __init__(self, directory: Path, *command: str | Path) -> None:
        super().__init__(directory, "", {})
        self._command = [str(part) for part in command]

    async def start(self) -> Foreign:
        """Start the process; `ready` waits for it."""
        self.directory.mkdir(exist_ok=True)
        with (self.directory / "stderr").open("ab") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=2**24,
            )
        self._reader = asyncio.create_task(self._read())
        return self

    async def hears(self) -> None:
        """Wait until somebody else has told that they follow the topic."""

        async def check() -> bool:
            return bool(await self.call("mesh") > 0)

        await self.until(check)


Starter = Callable[..., Any]


@pytest.fixture
async def foreign(tmp_path: Path) -> AsyncIterator[Starter]:
    """Start peers of others: `await foreign("go", "-relay")`, `await foreign("js", relay=True)`."""
    started: list[Foreign] = []

    async def start(kind: str, *flags: str, **options: Any) -> Foreign:
        program = go_program("halle-peer") if kind == "go" else node_js()
        command = [program, *flags] if kind == "go" else [program, JS / "peer.mjs", json.dumps(options)]
        peer = Foreign(tmp_path / f"{kind}{len(started)}", *command)
        started.append(peer)
        await (await peer.start()).ready()
        return peer

    yield start
    await asyncio.gather(*(peer.close() for peer in started if peer.process.returncode is None))


def b64(data: bytes) -> str:
    """What a foreign peer takes for bytes."""
    return base64.b64encode(data).decode()


def fresh_head(seq: int = 1) -> bytes:
    """A real announcement of now, signed by a store."""
    now = int(time.time())
    catalog = cid_of(DAG_CBOR, b"\xa0")
    head = sign_head(MERCHANT_KEY, MERCHANT, seq, catalog, issued=now, expires=now + DAY)
    return announce(head).encode()


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
