"""What the faces show of the daemon: what it keeps for the store, since when, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from halle_protocol.cid import CID

State = Literal["off", "waiting", "working", "ok", "failed"]


@dataclass(frozen=True)
class KeptPin:
    """One pin of ours at the daemon; `kind` is catalog, site, head, grant or a part of the first two."""

    kind: str
    cid: CID
    recursive: bool


@dataclass(frozen=True)
class Trouble:
    """Why something did not work, last; `passes` when it may work later as it stands. Units: `at` in unix seconds."""

    code: str
    message: str
    hint: str
    at: int
    passes: bool = True


@dataclass(frozen=True)
class KuboStatus:
    """`off` is not set up; `waiting` has nothing to publish yet. A daemon that keeps the shop but could not tell the
    network (`provide_trouble`, `name_trouble`) is ok.

    Units: times in unix seconds, 0 for never; `sent_*` count this run of the node.
    """

    state: State
    address: str = ""
    client: str = ""
    is_private: bool = True
    version: str = ""
    peer_id: str = ""
    addrs: tuple[str, ...] = ()
    seq: int = 0
    pins: tuple[KeptPin, ...] = ()
    kept_at: int = 0
    sent_blocks: int = 0
    sent_bytes: int = 0
    name: str = ""
    name_sequence: int = 0
    named_at: int = 0
    name_trouble: Trouble | None = None
    provided_at: int = 0
    provide_trouble: Trouble | None = None
    trouble: Trouble | None = None
    next_try_at: int = 0
