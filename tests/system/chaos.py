"""A user-space TCP proxy that behaves like a bad network: slow, jerky, resetting, half-open, cut and healed.

A link is one listening port that carries connections to one target. TCP hides loss from programs, so what they see of
it is what is made here: chunks that come late, connections that end at once, and connections that stay open and never
say another word. Every choice comes from the link's own seeded source.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

CHUNK_BYTES = 16_384
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Weather:
    """What happens to each chunk of bytes.

    Units: seconds, bytes a second (0: as fast as it goes); `stall`, `reset`, `silence` are chances between 0 and 1 for
    a chunk to be held `stall_s`, to end its connection, or to be the last its connection ever carries.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    stall: float = 0.0
    stall_s: float = 0.0
    reset: float = 0.0
    silence: float = 0.0
    bytes_s: int = 0


CALM = Weather()
STORM = Weather(latency_s=0.005, jitter_s=0.02, stall=0.02, stall_s=0.5, reset=0.004, silence=0.001, bytes_s=2_000_000)


class Link:
    """One way through the proxy. `did` counts connections, bytes, resets, silences and stalls."""

    def __init__(self, target: tuple[str, int], source: str, rng: random.Random) -> None:
        self.weather = CALM
        self.did: Counter[str] = Counter()
        self.port = 0
        self._target = target
        self._source = source
        self._rng = rng
        self._passable = asyncio.Event()
        self._passable.set()
        self._server: asyncio.Server | None = None
        self._carried: set[asyncio.Task[None]] = set()

    async def open(self, host: str) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end what is carried."""
        assert self._server is not None
        self._server.close()
        for task in list(self._carried):
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)

    async def cut(self) -> None:
        """Carry nothing any more: connections stay open and silent, new ones are accepted and never answered."""
        self._passable.clear()

    async def heal(self) -> None:
        """Go on where it was cut."""
        self._passable.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carried.add(task)
        self.did["connections"] += 1
        try:
            with contextlib.suppress(OSError):
                await self._carry(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy closes; the stream server would call that an unhandled error
        finally:
            self._carried.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passable.wait()
        far_reader, far_writer = await asyncio.open_connection(*self._target, local_addr=(self._source, 0))
        for each in (writer, far_writer):
            each.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        silent = asyncio.Event()
        pipes = [
            asyncio.create_task(self._pipe(reader, far_writer, silent)),
            asyncio.create_task(self._pipe(far_reader, writer, silent)),
        ]
        try:
            await asyncio.gather(*pipes)
        finally:
            for pipe in pipes:
                pipe.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)
            far_writer.transport.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silent: asyncio.Event) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._hold(len(data), silent)
            if silent.is_set():
                continue  # swallowed: half of the connection believes in the other
            writer.write(data)
            await writer.drain()
            self.did["bytes"] += len(data)
        await self._passable.wait()
        if not silent.is_set():
            writer.write_eof()

    async def _hold(self, size: int, silent: asyncio.Event) -> None:
        weather, chance = self.weather, self._rng.random()
        wait_s = weather.latency_s + self._rng.random() * weather.jitter_s
        if weather.bytes_s:
            wait_s += size / weather.bytes_s
        if chance < weather.reset:
            self.did["resets"] += 1
            raise ConnectionResetError
        if chance < weather.reset + weather.silence:
            self.did["silences"] += 1
            silent.set()
        elif chance < weather.reset + weather.silence + weather.stall:
            self.did["stalls"] += 1
            wait_s += weather.stall_s
        if wait_s:
            await asyncio.sleep(wait_s)
        await self._passable.wait()


class ChaosProxy:
    """The links of one test, carried by an event loop in a thread of its own."""

    def __init__(self, seed: int) -> None:
        self.links: dict[str, Link] = {}
        self._seed = seed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos", daemon=True)
        self._thread.start()

    def link(self, name: str, port: int, *, host: str = "127.0.0.1") -> Link:
        """Open a way to a port of 127.0.0.1; listen on `host`, which is also where its connections come from."""
        made = Link(("127.0.0.1", port), host, random.Random(f"{self._seed} {name}"))
        self._do(made.open(host))
        self.links[name] = made
        return made

    def weather(self, weather: Weather) -> None:
        """Let the same weather be on every link."""
        for link in self.links.values():
            link.weather = weather

    def cut(self, *names: str) -> None:
        """Cut the named links."""
        for name in names:
            self._do(self.links[name].cut())

    def heal(self, *names: str) -> None:
        """Mend the named links, or all."""
        for name in names or self.links:
            self._do(self.links[name].heal())

    def did(self) -> Counter[str]:
        """Sum what all links did."""
        return sum((link.did for link in self.links.values()), Counter())

    def close(self) -> None:
        """End every link and the thread."""
        for link in self.links.values():
            self._do(link.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        done.result(10)
