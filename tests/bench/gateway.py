"""Megabytes a second from the trustless gateway, beside Kubo's own gateway with the same file in the same run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from bench.figure import Figure
from halle_protocol import unixfs
from halle_protocol.unixfs import Built, build_file
from interop.engines import TOOLS
from interop.kubo_daemon import KuboDaemon

FILE_MB = 50
RUNS = 5


def figures() -> Iterator[Figure]:
    """Yield every figure of the gateway."""
    with tempfile.TemporaryDirectory(prefix="halle-bench-") as name:
        folder = Path(name)
        data = os.urandom(FILE_MB << 20)
        (folder / "file").write_bytes(data)
        built = build_file(data)
        with halle(folder, built) as url:
            ours = {what: speed(lambda run=run: run(url, built)) for what, run in WAYS.items()}  # type: ignore[misc]
        theirs: dict[str, float] = {}
        if (TOOLS / "ipfs").is_file():
            with kubo(folder, data, built) as url:
                theirs = {what: speed(lambda run=run: run(url, built)) for what, run in WAYS.items()}  # type: ignore[misc]
        for what, value in ours.items():
            yield Figure(f"gateway, {what} of {FILE_MB} MB, best of {RUNS}", value, "MB/s")
            if what in theirs:
                yield Figure("  Kubo's gateway, the same file", theirs[what], "MB/s")


@contextmanager
def halle(folder: Path, built: Built) -> Iterator[str]:
    """A gateway of ours in a process of its own."""
    script = Path(__file__).with_name("gateway_process.py")
    command = [sys.executable, str(script), str(folder / "home"), str(folder / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url, root = process.stdout.readline().split()
        assert root == str(built.root)
        yield url
        process.stdin.close()


@contextmanager
def kubo(folder: Path, data: bytes, built: Built) -> Iterator[str]:
    """A Kubo daemon with the file."""
    daemon = KuboDaemon(folder / "kubo").start()
    try:
        assert daemon.add(data) == str(built.root)
        yield daemon.gateway
    finally:
        daemon.stop()


def speed(work: Callable[[], int]) -> float:
    """Return megabytes (10^6 bytes) a second of the fastest of some runs: the machine's noise only ever slows down."""
    best = 0.0
    for _ in range(RUNS):
        begun = time.perf_counter()
        size = work()
        best = max(best, size / 1e6 / (time.perf_counter() - begun))
    return best


def as_car(url: str, built: Built) -> int:
    """Fetch the file in one answer; return how many bytes came."""
    connection = HTTPConnection(urlsplit(url).netloc)
    size = _fetch(connection, f"/ipfs/{built.root}?format=car")
    connection.close()
    assert size > FILE_MB << 20
    return size


def as_blocks(url: str, built: Built) -> int:
    """Fetch the file block by block over one connection."""
    connection = HTTPConnection(urlsplit(url).netloc)
    leaves = unixfs.links(built.root, built.blocks[built.root])
    size = sum(_fetch(connection, f"/ipfs/{cid}?format=raw") for cid in leaves)
    connection.close()
    assert size == FILE_MB << 20
    return size


def _fetch(connection: HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    size = 0
    while piece := answer.read(1 << 20):
        size += len(piece)
    return size


WAYS = {"CAR": as_car, "raw blocks": as_blocks}
