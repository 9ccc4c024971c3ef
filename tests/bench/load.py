"""A lean load generator in a process of its own: keep-alive connections on raw sockets, each asks as soon as it is
answered. `python tests/bench/load.py HOST PORT PATH CONNECTIONS SECONDS` prints one line of JSON.

`{n}` in the path becomes another number each time, so that no page can come from memory.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from itertools import count

NUMBER = "{n}"
WARM_UP_S = 0.5


@dataclass
class Line:
    """One connection and the answer it waits for."""

    socket: socket.socket
    begun: float = 0.0
    answer: bytearray = field(default_factory=bytearray)
    wanted: int = 0


class Load:
    """Asks `path` over `connections` lines and notes how long each answer took."""

    def __init__(self, host: str, port: int, path: str, connections: int) -> None:
        self._address = (host, port)
        self._path, self._numbers = path, count()
        self._request = self._written(path) if NUMBER not in path else b""
        self._selector = selectors.DefaultSelector()
        self.took: list[float] = []
        for _ in range(connections):
            line = Line(socket.create_connection(self._address))
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(line.socket, selectors.EVENT_READ, line)
            self._ask(line)

    def run(self, seconds: float) -> float:
        """Keep asking for so long; return the seconds it really was."""
        begun = now = time.perf_counter()
        while now - begun < seconds:
            for key, _ in self._selector.select(1):
                self._read(key.data)
            now = time.perf_counter()
        return now - begun

    def close(self) -> None:
        """Hang up."""
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()

    def _written(self, path: str) -> bytes:
        host, port = self._address
        return f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept-Encoding: gzip\r\n\r\n".encode()

    def _ask(self, line: Line) -> None:
        request = self._request or self._written(self._path.replace(NUMBER, str(next(self._numbers))))
        line.begun = time.perf_counter()
        line.socket.sendall(request)

    def _read(self, line: Line) -> None:
        data = line.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server hung up")
        line.answer += data
        if not line.wanted:
            line.wanted = length(line.answer)
        if line.wanted and len(line.answer) >= line.wanted:
            self.took.append(time.perf_counter() - line.begun)
            line.answer.clear()
            line.wanted = 0
            self._ask(line)


def length(answer: bytearray) -> int:
    """Return the length of the whole answer, 0 while its head is not complete."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return 0
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(bytes(answer[:200]).decode("latin-1"))
    at = answer.lower().index(b"content-length:", 0, end) + len(b"content-length:")
    return end + 4 + int(answer[at : answer.index(b"\r\n", at)])


def main() -> None:
    """Warm up, measure, print."""
    host, port, path, connections, seconds = sys.argv[1:]
    load = Load(host, int(port), path, int(connections))
    load.run(WARM_UP_S)
    load.took.clear()
    spent = load.run(float(seconds))
    load.close()
    print(json.dumps({"seconds": spent, "took": [round(one * 1e3, 3) for one in load.took]}))


if __name__ == "__main__":
    main()
