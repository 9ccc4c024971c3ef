"""The calls of Kubo's RPC that Halle makes, as both adapters offer them. Answers are JSON that nobody has checked."""

from __future__ import annotations

from typing import Any, Protocol

from halle_protocol import cid as cids
from halle_protocol.cid import CID

Json = dict[str, Any]

CODEC_NAMES = {cids.RAW: "raw", cids.DAG_PB: "dag-pb", cids.DAG_CBOR: "dag-cbor"}
CHUNKER = "size-1048576"


class Calls(Protocol):
    """Every call raises Unavailable "kubo-…", ConfigError "kubo-auth", Refused "kubo-call-gone" and nothing else."""

    async def version(self) -> Json: ...

    async def identity(self) -> Json: ...

    async def repo_stat(self) -> Json: ...

    async def hash_file(self, data: bytes) -> Json:
        """Have the daemon name a file by profile unixfs-v1-2025 without keeping it."""

    async def block_stat(self, cid: CID) -> Json:
        """Look for a block in the daemon's own repository only."""

    async def block_put(self, cid: CID, data: bytes) -> Json: ...

    async def dag_import(self, car: bytes) -> list[Json]: ...

    async def pin_list(self, kind: str, name: str) -> Json:
        """List pins of one kind whose names contain `name`."""

    async def pin_look(self, cid: CID) -> Json:
        """Show one recursive pin. Raises: Unavailable "kubo-unpinned"."""

    async def pin_add(self, cid: CID, *, recursive: bool, name: str) -> Json: ...

    async def pin_remove(self, cid: CID, *, recursive: bool) -> Json: ...

    async def name_put(self, name: str, record: bytes) -> Json: ...

    async def provide(self, cid: CID) -> None: ...

    async def close(self) -> None: ...
