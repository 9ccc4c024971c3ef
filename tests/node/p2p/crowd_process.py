"""Several real nodes' networks in one process: commands and answers as JSON lines on stdin and stdout.

python crowd_process.py DIRECTORY FIRST COUNT CONFIG_JSON

Node n has the key and the folder n. Each has its own libp2p host, thread, ports and set of heads; with
`"index": true` in the config it also has a real index that judges and stores signed heads.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from halle_node.blocks import BlockStore
from halle_node.config import load, paths
from halle_node.db import open_database
from halle_node.index import IndexService
from halle_node.p2p import Network, NetworkConfig, Verdict
from halle_protocol import unixfs
from halle_protocol.cid import CID
from halle_protocol.errors import HalleError, Unavailable
from halle_protocol.reconcile import Item, ItemSet

NOW = 1_800_000_100


class Rules:
    """An operator's list that a test changes: nodes cut off from each other by what a node really does."""

    def __init__(self) -> None:
        self.blocked: frozenset[str] = frozenset()

    def is_blocked(self, peer: str) -> bool:
        return peer in self.blocked

    def is_exempt(self, peer: str) -> bool:
        return False

    def ip(self, text: str) -> bool | None:
        return None


class PlainEars:
    """Takes frames `<unix time>:<name>` for heads; keeps them in memory and notes when they came."""

    def __init__(self) -> None:
        self.frames: dict[bytes, bytes] = {}
        self.came: dict[bytes, float] = {}
        self.items = ItemSet()
        self.messages = 0

    def validate(self, frame: bytes, from_peer: str) -> Verdict:
        if not frame[:1].isdigit():
            return Verdict.REJECT
        return Verdict.IGNORE if hashlib.sha256(frame).digest() in self.frames else Verdict.ACCEPT

    def keep(self, frame: bytes) -> None:
        identity = hashlib.sha256(frame).digest()
        if identity not in self.frames:
            self.frames[identity] = frame
            self.came[frame] = time.time()
            self.items.add(Item(int(frame.split(b":")[0]), identity))

    async def on_head(self, frame: bytes, from_peer: str) -> None:
        self.keep(frame)

    async def on_message(self, envelope: bytes, from_peer: str) -> None:
        self.messages += 1

    def head_items(self) -> ItemSet:
        return self.items.copy()

    def head_frames(self, ids: Sequence[bytes]) -> list[bytes]:
        return [self.frames[one] for one in ids if one in self.frames]


class IndexEars(PlainEars):
    """A real index behind the network: signed heads are judged, stored and offered."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        config = load(home, {"index_heap_mb": 15}, {})
        where = paths(config)
        self.db, self.blocks = open_database(where["database"]), BlockStore(where["blocks"])
        self.index = IndexService(config, self.db, self.blocks, self._fetch, lambda: NOW)

    async def _fetch(self, peer: str, addrs: list[str], cids: list[CID]) -> dict[CID, bytes]:
        raise Unavailable("These heads have no catalogs.", code="peer-unreachable")

    def validate(self, frame: bytes, from_peer: str) -> Verdict:
        return self.index.validate(frame, from_peer)

    async def on_head(self, frame: bytes, from_peer: str) -> None:
        await self.index.on_head(frame, from_peer)
        self.came[frame] = time.time()

    def keep(self, frame: bytes) -> None:
        self.came[frame] = time.time()

    def head_items(self) -> ItemSet:
        return self.index.head_items()

    def head_frames(self, ids: Sequence[bytes]) -> list[bytes]:
        return self.index.head_frames(ids)

    async def close(self) -> None:
        await self.index.close()
        self.blocks.close()
        self.db.close()


class Node:
    """One node of the crowd, and what may be asked of it."""

    def __init__(self, folder: Path, number: int, config: dict[str, Any], *, with_index: bool) -> None:
        self.store = BlockStore(folder / "served")
        self.ears = IndexEars(folder) if with_index else PlainEars()
        self.rules = Rules()
        settings = NetworkConfig(**{**config, "bootstrap": tuple(config.get("bootstrap", ()))})
        seed = hashlib.sha256(b"crowd %d" % number).digest()
        self.network = Network(settings, seed, self.store, self.ears, self.rules)

    async def close(self) -> None:
        await self.network.close()
        if isinstance(self.ears, IndexEars):
            await self.ears.close()
        self.store.close()

    async def connect(self, addr: str) -> str:
        return await self.network.connect(addr)

    async def announce(self, frames: list[str], pause_s: float = 0.0, store: str = "") -> float:
        """Publish frames one after another; return when the first left."""
        begun = time.time()
        for number, frame in enumerate(frames):
            data = bytes.fromhex(frame)
            self.ears.keep(data)
            await self.network.announce(data, bytes.fromhex(store))
            await asyncio.sleep(max(begun + (number + 1) * pause_s - time.time(), 0))
        return begun

    async def keep(self, frames: list[str]) -> None:
        for frame in frames:
            self.ears.keep(bytes.fromhex(frame))

    async def block(self, peers: list[str]) -> None:
        self.rules.blocked = frozenset(peers)
        self.network.apply_access()

    async def digest(self) -> list[Any]:
        """How many heads are here, and a hash of all of them."""
        items = self.ears.head_items()
        return [len(items), items.fingerprint().hex()]

    async def came(self) -> dict[str, float]:
        return {frame.hex(): at for frame, at in self.ears.came.items()}

    async def forget(self) -> None:
        self.ears.came.clear()

    async def mesh(self) -> int:
        return self.network.stats().mesh_peers

    async def deliver(self, peer: str, addrs: list[str], size: int = 2000) -> float:
        begun = time.perf_counter()
        await self.network.deliver(peer, addrs, bytes(size))
        return time.perf_counter() - begun

    async def serve(self, size: int) -> list[str]:
        """Have a file to give away; return the CIDs of its blocks."""
        built = unixfs.build_file(hashlib.shake_256(b"a file").digest(size))
        self.store.put_many(list(built.blocks.items()))
        return [str(cid) for cid in built.blocks]

    async def fetch(self, peer: str, addrs: list[str], cids: list[str]) -> float:
        """Fetch blocks; return the seconds it took. They must all come."""
        begun = time.perf_counter()
        found = await self.network.fetch(peer, addrs, [CID.parse(cid) for cid in cids])
        if len(found) != len(cids):
            raise RuntimeError(f"{len(found)} of {len(cids)} blocks came")
        return time.perf_counter() - begun

    async def peers(self) -> list[str]:
        return [info.peer_id for info in self.network.peers()]

    async def stats(self) -> dict[str, Any]:
        return vars(self.network.stats())


def usage() -> dict[str, Any]:
    """What the process has used so far. Units: megabytes, seconds."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    spent = resource.getrusage(resource.RUSAGE_SELF)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    return {"rss_mb": rss / 1024, "cpu_s": spent.ru_utime + spent.ru_stime, "fds": open_files}


def say(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


class TellErrors(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(event="error-log", text=f"{record.name}: {record.getMessage()}")


async def answer(nodes: dict[int, Node], request: dict[str, Any]) -> None:
    try:
        if request["do"] == "usage":
            result: Any = usage()
        else:
            result = await getattr(nodes[request["node"]], request["do"])(**request["args"])
    except HalleError as exc:
        say(id=request["id"], error=exc.code, kind=type(exc).__name__, text=str(exc))
    except Exception as exc:
        say(id=request["id"], error=repr(exc), kind="bug", text=repr(exc))
    else:
        say(id=request["id"], result=result)


async def main(folder: Path, first: int, count: int, config: dict[str, Any]) -> None:
    logging.getLogger().addHandler(TellErrors(level=logging.ERROR))
    with_index = config.pop("index", False)
    ports = config.pop("ports", {})
    nodes: dict[int, Node] = {}
    for number in range(first, first + count):
        own = {**config, "listen_port": ports.get(str(number), 0)}
        nodes[number] = Node(folder / str(number), number, own, with_index=with_index)
    await asyncio.gather(*(node.network.start() for node in nodes.values()))
    about = {n: {"peer_id": node.network.peer_id, "addr": node.network.addrs[0]} for n, node in nodes.items()}
    say(event="ready", nodes=about)
    reader = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with asyncio.TaskGroup() as tasks:
        while line := await reader.readline():
            tasks.create_task(answer(nodes, json.loads(line)))
    begun = time.perf_counter()
    await asyncio.gather(*(node.close() for node in nodes.values()))
    say(event="closed", seconds=time.perf_counter() - begun)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])))
