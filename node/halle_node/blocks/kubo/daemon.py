"""A daemon as the publisher uses it. Rule: no name that it returns is taken over; each is compared with ours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from halle_node.blocks.kubo import failures
from halle_node.blocks.kubo.calls import Calls
from halle_protocol import car, unixfs
from halle_protocol.cid import CID
from halle_protocol.errors import ProtocolError, Refused, Unavailable

OLDEST = (0, 28)
ASKED_AT_ONCE = 8
# More than one chunk, so that the daemon and we must agree on the whole profile.
_PROBE = bytes(range(256)) * 4096 + b"!"


@dataclass(frozen=True)
class Greeting:
    """Who the daemon is."""

    version: str
    peer_id: str
    addrs: tuple[str, ...]


@dataclass(frozen=True)
class Pinned:
    name: str
    recursive: bool


class Daemon:
    """Raises everywhere: Unavailable "kubo-…", ConfigError "kubo-auth", RemoteProtocolError "kubo-wrong-cid"."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def close(self) -> None:
        await self._calls.close()

    async def greet(self) -> Greeting:
        """Return who answers, when it is a version we know and it names files as we do.

        Raises: Refused "kubo-version".
        """
        version = _text((await self._calls.version()).get("Version"), "version")
        numbers = re.match(r"(\d+)\.(\d+)", version)
        if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST:
            raise Refused(
                f"The IPFS daemon is version {version[:40]}; Halle needs Kubo {'.'.join(map(str, OLDEST))} or newer.",
                code="kubo-version",
                hint="Install a current Kubo.",
            )
        found = await self._calls.hash_file(_PROBE)
        _same("add", unixfs.build_file(_PROBE).root, found.get("Hash"))
        who = await self._calls.identity()
        addrs = who.get("Addresses") or ()
        return Greeting(version, _text(who.get("ID"), "id"), tuple(str(addr) for addr in addrs))

    async def check_room(self, size: int) -> None:
        """Return when so many bytes fit under the daemon's own limit: it would not say no, but collect our blocks
        before they are pinned.

        Raises: Unavailable "kubo-full".
        """
        found = await self._calls.repo_stat()
        used, limit = found.get("RepoSize"), found.get("StorageMax")
        if isinstance(used, int) and isinstance(limit, int) and limit > 0 and used + size > limit:
            raise failures.full(f"{used >> 20} MB are used of {limit >> 20} MB, and {(size >> 20) + 1} MB are to come")

    async def lacks(self, cids: Sequence[CID]) -> list[CID]:
        """List those that the daemon has not in its repository, in the order asked."""
        places = asyncio.Semaphore(ASKED_AT_ONCE)

        async def has(cid: CID) -> bool:
            async with places:
                try:
                    await self._calls.block_stat(cid)
                except Unavailable as exc:
                    if exc.code != "kubo-absent":
                        raise
                    return False
                return True

        held = await asyncio.gather(*map(has, cids))
        return [cid for cid, there in zip(cids, held, strict=True) if not there]

    async def send(self, blocks: Sequence[tuple[CID, bytes]]) -> None:
        """Have the daemon store some blocks; they are not pinned yet."""
        if len(blocks) == 1:
            cid, data = blocks[0]
            _same("block/put", cid, (await self._calls.block_put(cid, data)).get("Key"))
            return
        lines = await self._calls.dag_import(b"".join(car.write([blocks[0][0]], blocks)))
        stats = lines[-1].get("Stats") if lines else None
        if not isinstance(stats, dict) or stats.get("BlockCount") != len(blocks):
            raise failures.nonsense("dag/import", f"{stats} for {len(blocks)} blocks")

    async def pins(self, prefix: str) -> dict[CID, Pinned]:
        """Return the pins whose names begin with `prefix`."""
        found: dict[CID, Pinned] = {}
        for kind in ("direct", "recursive"):
            for text, pin in _keys("pin/ls", await self._calls.pin_list(kind, prefix)).items():
                name = pin.get("Name", "") if isinstance(pin, dict) else ""
                if isinstance(name, str) and name.startswith(prefix):
                    found[_cid("pin/ls", text)] = Pinned(name, kind == "recursive")
        return found

    async def is_pinned(self, cid: CID) -> bool:
        """True when somebody has pinned this recursively, under whatever name."""
        try:
            return str(cid) in _keys("pin/ls", await self._calls.pin_look(cid))
        except Unavailable as exc:
            if exc.code != "kubo-unpinned":
                raise
            return False

    async def pin(self, cid: CID, name: str, *, recursive: bool) -> None:
        pins = (await self._calls.pin_add(cid, recursive=recursive, name=name)).get("Pins")
        _same("pin/add", cid, pins[0] if isinstance(pins, list) and pins else None)

    async def unpin(self, cid: CID, *, recursive: bool) -> None:
        try:
            await self._calls.pin_remove(cid, recursive=recursive)
        except Unavailable as exc:
            if exc.code != "kubo-unpinned":  # somebody was quicker
                raise

    async def point(self, name: str, record: bytes) -> None:
        """Publish a signed IPNS record.

        Raises: Refused "kubo-name-behind" when the name leads further already.
        """
        theirs = (await self._calls.name_put(name, record)).get("Name", name)
        if theirs != name:
            raise failures.wrong_cid("name/put", name, theirs)

    async def provide(self, cid: CID) -> None:
        """Tell the network that the daemon has a root. Raises: HalleError when it has no peers to tell."""
        await self._calls.provide(cid)


def _keys(path: str, answer: dict[str, Any]) -> dict[str, Any]:
    keys = answer.get("Keys") or {}
    if not isinstance(keys, dict):
        raise failures.nonsense(path, "keys that are no map")
    return keys


def _cid(path: str, text: str) -> CID:
    try:
        return CID.parse(text)
    except ProtocolError as exc:
        raise failures.nonsense(path, f"the pin {text[:80]!r}") from exc


def _same(path: str, ours: CID, theirs: object) -> None:
    if theirs != str(ours):
        raise failures.wrong_cid(path, ours, theirs)


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise failures.nonsense(path, "no text")
    return value
