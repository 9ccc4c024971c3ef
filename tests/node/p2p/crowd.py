"""A crowd of real nodes in a few processes, some of which can be killed: for the mesh, its soak and its benchmark."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("crowd_process.py")
ANSWER_S = 120.0
LOOK_AGAIN_S = 0.1


@dataclass
class Box:
    """One process with the nodes `first` to `first + count`."""

    folder: Path
    first: int
    count: int
    config: dict[str, Any]
    program: tuple[str, ...] = ()
    nodes: dict[int, dict[str, str]] = field(default_factory=dict)
    shouts: list[str] = field(default_factory=list)
    _answers: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _next: int = 0

    async def start(self) -> Box:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"stderr-{self.first}").open("ab") as stderr:
            ours = (sys.executable, str(SCRIPT), str(self.folder), str(self.first), str(self.count))
            self.process = await asyncio.create_subprocess_exec(
                *(self.program or (*ours, json.dumps(self.config))),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=2**26,
            )
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())
        await asyncio.wait_for(self._ready, ANSWER_S)
        return self

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self._take(json.loads(line))
        for future in (*self._answers.values(), self._ready):
            if not future.done():
                future.set_exception(ConnectionError(f"process of node {self.first} ended"))
                future.exception()  # seen: whoever asked may be gone too

    def _take(self, facts: dict[str, Any]) -> None:
        if "id" in facts:
            future = self._answers.pop(facts["id"])
            if future.done():
                return  # whoever asked waits no more
            if "error" in facts:
                future.set_exception(RuntimeError(f"{facts['error']}: {facts['text']}"))
            else:
                future.set_result(facts["result"])
        elif facts["event"] == "ready":
            self.nodes = {int(number): about for number, about in facts["nodes"].items()}
            self._ready.set_result(None)
        elif facts["event"] == "error-log":
            self.shouts.append(facts["text"])

    async def call(self, node: int, do: str, **args: Any) -> Any:
        self._next += 1
        future = self._answers[self._next] = asyncio.get_running_loop().create_future()
        assert self.process.stdin is not None
        request = {"id": self._next, "node": node, "do": do, "args": args}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        await self.process.stdin.drain()
        return await asyncio.wait_for(future, ANSWER_S)

    async def kill(self) -> None:
        with suppress(ProcessLookupError):  # it was killed before
            self.process.kill()
        await self.process.wait()
        await self._reader

    async def close(self) -> None:
        if self.process.returncode is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            try:
                await asyncio.wait_for(self.process.wait(), 20)
            except TimeoutError:
                await self.kill()
        await self._reader


class Crowd:
    """Nodes by number, wherever they live. Every new node dials some of those that are there."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.folder = folder
        self._config = {"reconnect_min_s": 0.2, "reconnect_max_s": 1.0, "syncs_per_minute": 600, **config}
        self.boxes: dict[int, Box] = {}
        self.past_shouts: list[str] = []

    async def start(self, first: int, count: int, known: Iterable[int] = ()) -> Box:
        """Start one process with so many nodes; they know the addresses of `known`."""
        bootstrap = [self.about(number)["addr"] for number in known]
        box = await Box(self.folder, first, count, {**self._config, "bootstrap": bootstrap}).start()
        for number in box.nodes:
            self.boxes[number] = box
        return box

    async def restart(self, number: int) -> None:
        """Kill the process of a node that lives alone, and start it again at its address with nothing in memory."""
        box = self.boxes[number]
        port = int(box.nodes[number]["addr"].split("/")[4])
        await box.kill()
        self.past_shouts += box.shouts
        again = await Box(self.folder, number, 1, {**box.config, "ports": {str(number): port}}).start()
        self.boxes[number] = again

    def about(self, number: int) -> dict[str, str]:
        return self.boxes[number].nodes[number]

    async def call(self, number: int, do: str, **args: Any) -> Any:
        return await self.boxes[number].call(number, do, **args)

    async def all(self, do: str, **args: Any) -> dict[int, Any]:
        numbers = sorted(self.boxes)
        answers = await asyncio.gather(*(self.call(number, do, **args) for number in numbers))
        return dict(zip(numbers, answers, strict=True))

    async def announce(self, number: int, *names: str, at: int = 1) -> None:
        await self.call(number, "announce", frames=[f"{at}:{name}".encode().hex() for name in names])

    async def agreed(self, patience_s: float, *, among: Iterable[int] | None = None, at_least: int = 0) -> float:
        """Return the seconds until all have the same heads. Raises: TimeoutError with who has how many."""
        begun = time.monotonic()
        while True:
            found = await self.all("digest")
            seen = {number: tuple(digest) for number, digest in found.items() if among is None or number in among}
            if len(set(seen.values())) == 1 and next(iter(seen.values()))[0] >= at_least:
                return time.monotonic() - begun
            if time.monotonic() - begun > patience_s:
                raise TimeoutError(f"heads by node after {patience_s:g} s: { {n: d[0] for n, d in seen.items()} }")
            await asyncio.sleep(LOOK_AGAIN_S)

    async def until(self, check: Callable[[], Awaitable[bool]], patience_s: float) -> None:
        async with asyncio.timeout(patience_s):
            while not await check():
                await asyncio.sleep(LOOK_AGAIN_S)

    async def usage(self, numbers: Iterable[int]) -> list[dict[str, Any]]:
        """What the processes of these nodes have used."""
        return [await self.call(number, "usage") for number in numbers]

    @property
    def shouts(self) -> list[str]:
        """Whatever was logged at level error, anywhere."""
        boxes = {id(box): box for box in self.boxes.values()}.values()
        return [*self.past_shouts, *(text for box in boxes for text in box.shouts)]

    async def close(self) -> None:
        boxes = {id(box): box for box in self.boxes.values()}.values()
        await asyncio.gather(*(box.close() for box in boxes))
