"""Real peers in processes of their own, driven over pipes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("peer_process.py")


class FarError(Exception):
    def __init__(self, code: str, kind: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.kind = kind


class Peer:
    """One peer process; `call` runs a command there, `event` waits for something it reports."""

    def __init__(self, directory: Path, seed: str, config: dict[str, Any]) -> None:
        self.directory, self.seed, self.config = directory, seed, config
        self.events: list[dict[str, Any]] = []
        self._changed = asyncio.Condition()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._next = 0

    async def start(self) -> Peer:
        self.directory.mkdir(exist_ok=True)
        with (self.directory / "stderr").open("ab") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(SCRIPT),
                str(self.directory),
                self.seed,
                json.dumps(self.config),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=2**24,
            )
        self._reader = asyncio.create_task(self._read())
        return self

    async def ready(self) -> Peer:
        facts = await self.event("ready", "failed")
        assert facts["event"] == "ready", facts
        self.peer_id, self.addrs = facts["peer_id"], facts["addrs"]
        return self

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            facts = json.loads(line)
            if "id" in facts:
                self._settle(facts)
                continue
            async with self._changed:
                self.events.append(facts)
                self._changed.notify_all()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(FarError("process-ended", "Unavailable", "the process ended"))
        async with self._changed:
            self.events.append({"event": "ended"})
            self._changed.notify_all()

    def _settle(self, facts: dict[str, Any]) -> None:
        future = self._answers.pop(facts["id"])
        if "error" in facts:
            future.set_exception(FarError(facts["error"], facts["kind"], facts["text"]))
        else:
            future.set_result(facts["result"])

    async def call(self, do: str, /, **args: Any) -> Any:
        self._next += 1
        future = self._answers[self._next] = asyncio.get_running_loop().create_future()
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": self._next, "do": do, "args": args}).encode() + b"\n")
        await self.process.stdin.drain()
        return await asyncio.wait_for(future, 60)

    async def event(self, *names: str, **facts: Any) -> dict[str, Any]:
        """Wait for an event with one of these names and all of these facts."""

        def find() -> dict[str, Any] | None:
            for event in self.events:
                if event["event"] in names and facts.items() <= event.items():
                    return event
            return None

        async with self._changed, asyncio.timeout(40):
            await self._changed.wait_for(lambda: find() is not None)
        found = find()
        assert found is not None
        return found

    async def count(self, name: str, at_least: int) -> int:
        def total() -> int:
            return sum(event["event"] == name for event in self.events)

        async with self._changed, asyncio.timeout(40):
            await self._changed.wait_for(lambda: total() >= at_least)
        return total()

    async def until(self, check: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
        """Poll a remote condition: the far process has no event for it."""
        async with asyncio.timeout(seconds):
            while not await check():
                await asyncio.sleep(0.05)

    async def connected_to(self, other: Peer) -> None:
        async def check() -> bool:
            return any(info["peer_id"] == other.peer_id for info in await self.call("peers"))

        await self.until(check)

    async def kill9(self) -> None:
        self.process.kill()
        await self.process.wait()
        await self._reader

    async def close(self) -> float:
        """End it in order and return how long the network took to close."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        seconds = (await self.event("closed"))["seconds"]
        await asyncio.wait_for(self.process.wait(), 10)
        await self._reader
        return float(seconds)

    def error_logs(self) -> list[str]:
        return [event["text"] for event in self.events if event["event"] == "error-log"]


class Peers:
    def __init__(self, root: Path) -> None:
        self._root = root
        self.all: list[Peer] = []

    async def start(self, name: str, *, again: bool = False, **config: Any) -> Peer:
        """Start a peer; `again` uses the directory and key of the earlier one."""
        settings = {"sync_interval_s": 3600.0, "reconnect_min_s": 0.2, **config}
        peer = Peer(self._root / name, name.encode().hex().ljust(64, "0"), settings)
        self.all.append(peer)
        return await (await peer.start()).ready()

    async def start_many(self, *names: str, **config: Any) -> list[Peer]:
        return list(await asyncio.gather(*(self.start(name, **config) for name in names)))


@pytest.fixture
async def peers(tmp_path: Path) -> AsyncIterator[Peers]:
    group = Peers(tmp_path)
    yield group
    closing = [peer.close() for peer in group.all if peer.process.returncode is None]
    slowest = max(await asyncio.gather(*closing), default=0.0)
    assert slowest < 3.0
    assert [line for peer in group.all for line in peer.error_logs()] == []
