"""A real peer over a directory: commands and answers as JSON lines on stdin and stdout.

python peer_process.py DIRECTORY SEED_HEX CONFIG_JSON
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from halle_node.access import AccessList
from halle_node.blocks import BlockStore
from halle_node.db import open_database
from halle_node.messages import Mailbox, Quotas
from halle_node.p2p import Network, NetworkConfig, Verdict
from halle_protocol import unixfs
from halle_protocol.cid import CID, RAW, cid_of
from halle_protocol.errors import ConfigError, HalleError, Refused, RemoteProtocolError, Unavailable
from halle_protocol.head import Announcement
from halle_protocol.mailbox import acknowledge, prove_collector
from halle_protocol.reconcile import Item, ItemSet


def say(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


class TellErrors(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(event="error-log", text=f"{record.name}: {record.getMessage()}")


class Heads:
    """Frames are b"head:<time>:<name>"; b"bad…" breaks the rules; the rest is ignored."""

    def __init__(self, directory: Path) -> None:
        self.frames: dict[bytes, bytes] = {}
        self.items = ItemSet()
        self.log = directory / "messages.log"
        self.on_message_do = "keep"
        self.network: Network

    def keep(self, frame: bytes) -> None:
        identity = hashlib.sha256(frame).digest()
        self.frames[identity] = frame
        self.items.add(Item(int(frame.split(b":")[1]), identity))

    def validate(self, frame: bytes, from_peer: str) -> Verdict:
        if frame.startswith(b"crash"):
            raise RuntimeError("a bug in the node's own validator")
        if frame.startswith(b"bad"):
            return Verdict.REJECT
        return Verdict.ACCEPT if frame.startswith(b"head:") else Verdict.IGNORE

    async def on_head(self, frame: bytes, from_peer: str) -> None:
        self.keep(frame)
        say(event="head", frame=frame.decode(errors="replace"), hex=frame.hex(), peer=from_peer)

    async def on_message(self, envelope: bytes, from_peer: str) -> None:
        if self.on_message_do == "crash":
            say(event="crashing")
            os._exit(9)
        if self.on_message_do == "refuse":
            raise Refused("This stall is closed.", code="stall-closed")
        if self.on_message_do == "fail":
            raise RuntimeError("a bug in the node's own handler")
        if self.on_message_do == "hang":
            say(event="hanging")
            await asyncio.Event().wait()
        identity = hashlib.sha256(envelope).hexdigest()
        if identity not in self.processed():
            with self.log.open("a") as file:
                file.write(identity + "\n")
        say(event="message", hex=envelope[:4096].hex(), sha256=identity, size=len(envelope), peer=from_peer)

    def processed(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def head_items(self) -> ItemSet:
        return self.items.copy()

    def head_frames(self, ids: Sequence[bytes]) -> list[bytes]:
        return [self.frames[i] for i in ids if i in self.frames]


class SignedHeads(Heads):
    """Frames are announcements of spec 7, judged as a node judges them."""

    def keep(self, frame: bytes) -> None:
        head, _ = Announcement.decode(frame).open()
        identity = head.cid.digest
        self.frames[identity] = frame
        self.items.add(Item(head.issued, identity))

    def validate(self, frame: bytes, from_peer: str) -> Verdict:
        try:
            Announcement.decode(frame).verify(int(time.time()))
        except HalleError:
            return Verdict.REJECT
        return Verdict.ACCEPT


class Commands:
    def __init__(self, network: Network, store: BlockStore, heads: Heads, access: AccessList) -> None:
        self.network, self.store, self.heads, self.access = network, store, heads, access
        access.subscribe(network.apply_access)

    async def connect(self, addr: str) -> str:
        return await self.network.connect(addr)

    async def announce(self, frame: str, store: str = "") -> None:
        self.heads.keep(frame.encode())
        await self.network.announce(frame.encode(), bytes.fromhex(store))

    async def announce_hex(self, frame: str) -> None:
        self.heads.keep(bytes.fromhex(frame))
        await self.network.announce(bytes.fromhex(frame))

    async def keep_hex(self, frame: str) -> None:
        self.heads.keep(bytes.fromhex(frame))

    async def gossip_only(self, frame: str) -> None:
        await self.network.announce(frame.encode())

    async def keep(self, frames: list[str]) -> None:
        for frame in frames:
            self.heads.keep(frame.encode())

    async def add_file(self, size: int) -> dict[str, Any]:
        data = hashlib.shake_256(b"file").digest(size)
        built = unixfs.build_file(data)
        self.store.put_many(list(built.blocks.items()))
        return {"root": str(built.root), "sha256": hashlib.sha256(data).hexdigest()}

    async def fetch_file(self, peer: str, addrs: list[str], root: str) -> str:
        """Fetch level by level, store, and return the hash of the whole file."""
        cid = CID.parse(root)
        waiting = [cid]
        while waiting:
            blocks = await self.network.fetch(peer, addrs, waiting)
            self.store.put_many(list(blocks.items()))
            waiting = self.store.missing(link for c, b in blocks.items() for link in unixfs.links(c, b))
        data = unixfs.read_file(cid, self.store.get, max_bytes=64 * 1024 * 1024)
        return hashlib.sha256(data).hexdigest()

    async def fetch_while(self, peer: str, addrs: list[str], root: str, pid: int) -> dict[str, int]:
        """Fetch a file's leaves in one go and kill the giver once some bytes have come; keep what did."""
        top = CID.parse(root)
        self.store.put_many(list((await self.network.fetch(peer, addrs, [top])).items()))
        leaves = list(dict.fromkeys(unixfs.links(top, self.store.get(top))))
        before = self.network.stats().bytes_in
        fetching = asyncio.create_task(self.network.fetch(peer, addrs, leaves))
        while self.network.stats().bytes_in - before < 8_000_000:
            await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        found = await fetching
        self.store.put_many(list(found.items()))
        return {"first": len(found), "all": len(leaves)}

    async def fetch_rest(self, peer: str, addrs: list[str], root: str) -> dict[str, Any]:
        top = CID.parse(root)
        missing = self.store.missing(unixfs.links(top, self.store.get(top)))
        found = await self.network.fetch(peer, addrs, missing)
        self.store.put_many(list(found.items()))
        data = unixfs.read_file(top, self.store.get, max_bytes=64 * 1024 * 1024)
        return {"fetched": len(found), "sha256": hashlib.sha256(data).hexdigest()}

    async def fetch(self, peer: str, addrs: list[str], cids: list[str]) -> list[str]:
        found = await self.network.fetch(peer, addrs, [CID.parse(c) for c in cids])
        return [str(c) for c in found]

    async def leaves(self, peer: str, root: str) -> dict[str, float]:
        """Ask for all leaves of a file, and say how much came and how long it took."""
        cid, began = CID.parse(root), time.monotonic()
        block = (await self.network.fetch(peer, [], [cid])).get(cid)
        wanted = list(unixfs.links(cid, block)) if block else []
        found = await self.network.fetch(peer, [], wanted)
        size = sum(len(data) for data in found.values())
        return {"bytes": size, "missing": len(wanted) - len(found), "seconds": time.monotonic() - began}

    async def lie(self) -> None:
        """Serve wrong bytes from now on."""
        self.store.get = lambda cid: b"a lie"  # type: ignore[method-assign]

    async def fetch_any(self, cids: list[str]) -> list[str]:
        return [str(c) for c in await self.network.fetch_any([CID.parse(c) for c in cids])]

    async def deliver(self, peer: str, addrs: list[str], text: str, pad: int = 0) -> None:
        await self.network.deliver(peer, addrs, text.encode() + bytes(pad))

    async def on_message(self, do: str) -> None:
        self.heads.on_message_do = do

    async def processed(self) -> list[str]:
        return self.heads.processed()

    async def leave(self, mailbox: str, envelope: str) -> int:
        return (await self.network.leave(mailbox, bytes.fromhex(envelope))).until

    async def look(self, mailbox: str, digest: str) -> str:
        return (await self.network.look(mailbox, bytes.fromhex(digest))).acknowledgement.hex()

    async def collect(self, mailbox: str, key: str, store: str) -> list[Any]:
        """Collect, process and sign for everything; with the key of somebody else it is not ours to take."""
        private = bytes.fromhex(key)
        taken: list[str] = []

        def prove(nonce: bytes, box: str, collector: str) -> bytes:
            given = {"mailbox": box, "collector": collector, "nonce": nonce}
            return prove_collector(private, store=bytes.fromhex(store), **given)

        async def take(envelope: bytes, _: str) -> bytes:
            taken.append(envelope.hex())
            digest = hashlib.sha256(envelope).digest()
            return acknowledge(private, store=bytes.fromhex(store), envelope=digest).encode()

        result = await self.network.collect(mailbox, bytes.fromhex(store), prove, take)
        return [*result, taken]

    async def sync(self, peer: str) -> int:
        return await self.network.sync_with(peer)

    async def heads_kept(self) -> list[str]:
        return sorted(frame.decode() for frame in self.heads.frames.values())

    async def peers(self) -> list[dict[str, Any]]:
        return [vars(info) for info in self.network.peers()]

    async def stats(self) -> dict[str, Any]:
        return vars(self.network.stats())

    async def reachability(self) -> dict[str, Any]:
        facts = await self.network.reachability()
        return {**vars(facts), "verdicts": [vars(verdict) for verdict in facts.verdicts]}

    async def put_hex(self, blocks: list[str]) -> list[str]:
        made = [(cid_of(RAW, bytes.fromhex(block)), bytes.fromhex(block)) for block in blocks]
        self.store.put_many(made)
        return [str(cid) for cid, _ in made]

    async def deliver_hex(self, peer: str, addrs: list[str], envelope: str) -> None:
        await self.network.deliver(peer, addrs, bytes.fromhex(envelope))

    async def about(self) -> dict[str, Any]:
        return {"peer_id": self.network.peer_id, "addrs": self.network.addrs}

    async def rule(self, subject: str, allows: bool = False, back: bool = False) -> None:
        """Block or allow as the operator does, or take it back."""
        if back:
            await self.access.remove(subject, allows=allows)
        else:
            await self.access.add(subject, allows=allows)

    async def break_network(self) -> None:
        """Make the network thread die as a defect of libp2p would."""
        bridge, session = self.network._running()

        async def explode() -> None:
            async def boom() -> None:
                raise RuntimeError("made to fail")

            session.nursery.start_soon(boom)

        await bridge.call(explode)


def kind_of(exc: HalleError) -> str:
    kinds = (RemoteProtocolError, Unavailable, Refused, ConfigError)
    return next(kind.__name__ for kind in kinds if isinstance(exc, kind))


async def answer(commands: Commands, request: dict[str, Any]) -> None:
    try:
        result = await getattr(commands, request.pop("do"))(**request.pop("args"))
    except HalleError as exc:
        say(id=request["id"], error=exc.code, kind=kind_of(exc), text=str(exc))
    except Exception as exc:
        say(id=request["id"], error=repr(exc), kind="bug", text=repr(exc))
    else:
        say(id=request["id"], result=result)


def mailbox_at(directory: Path, **quotas: int) -> Mailbox:
    db = open_database(directory / "halle.db")
    return Mailbox(db, lambda: int(time.time()), lambda store: store != bytes(20), Quotas(**quotas))


async def main(directory: Path, seed: str, config: dict[str, Any]) -> None:
    root = logging.getLogger()
    root.addHandler(logging.StreamHandler())
    tell = TellErrors(level=logging.ERROR)
    root.addHandler(tell)
    if config.pop("debug", False):
        root.setLevel(logging.DEBUG)
    quotas = config.pop("mailbox", None)
    store = BlockStore(directory / "blocks")
    heads = SignedHeads(directory) if config.pop("signed", False) else Heads(directory)
    lists = {name: tuple(config.get(name, ())) for name in ("bootstrap", "relays")}
    settings = NetworkConfig(**{**config, **lists})
    if "remembered_path" in config:
        settings = NetworkConfig(**{**vars(settings), "remembered_path": directory / "peers.json"})
    db = open_database(directory / "rules.db")
    access = AccessList(db, lambda: int(time.time()))
    desk = mailbox_at(directory, **quotas) if quotas is not None else None
    network = heads.network = Network(settings, bytes.fromhex(seed), store, heads, access, desk=desk)
    try:
        await network.start()
    except HalleError as exc:
        say(event="failed", code=exc.code)
        return
    say(event="ready", peer_id=network.peer_id, addrs=network.addrs)
    commands = Commands(network, store, heads, access)
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with asyncio.TaskGroup() as tasks:
        while line := await reader.readline():
            tasks.create_task(answer(commands, json.loads(line)))
    began = asyncio.get_running_loop().time()
    await network.close()
    store.close()
    db.close()
    say(event="closed", seconds=asyncio.get_running_loop().time() - began)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
