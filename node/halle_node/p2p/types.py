"""What the network shows to the rest of the node: settings, callbacks, verdicts, peers. No libp2p type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from halle_protocol.reconcile import ItemSet


class Verdict(Enum):
    """What to do with a gossiped frame; `ACCEPT_FIRST` is for stores that have a lane of their own, `REJECT` also
    costs the forwarder.
    """

    ACCEPT = "accept"
    ACCEPT_FIRST = "accept-first"
    IGNORE = "ignore"
    REJECT = "reject"


class Handlers(Protocol):
    """What the network asks of the node.

    `validate` runs in the network thread: it must be quick, thread-safe and need no event loop. The others
    run on the asyncio loop that started the network.
    """

    def validate(self, frame: bytes, from_peer: str) -> Verdict: ...

    async def on_head(self, frame: bytes, from_peer: str) -> None: ...

    async def on_message(self, envelope: bytes, from_peer: str) -> None:
        """Return only when the message is committed and processed: the return is the acknowledgement.

        Raises: HalleError to refuse it with that code.
        """

    def head_items(self) -> ItemSet: ...

    def head_frames(self, ids: Sequence[bytes]) -> list[bytes]: ...


class Access(Protocol):
    """What the operator decided about peers and addresses. Asked in the network thread."""

    def is_blocked(self, peer: str) -> bool: ...

    def is_exempt(self, peer: str) -> bool:
        """True for a peer that is never banned and never short of a connection."""

    def ip(self, text: str) -> bool | None:
        """True when an address is allowed, False when it is blocked, None when nothing is said of it."""


class OpenDoor:
    """Nobody is blocked, nobody preferred."""

    def is_blocked(self, peer: str) -> bool:
        return False

    def is_exempt(self, peer: str) -> bool:
        return False

    def ip(self, text: str) -> bool | None:
        return None


@dataclass(frozen=True)
class Kept:
    """The state of one envelope at a mailbox: waiting `until` (unix seconds), or signed for by its recipient."""

    until: int
    acknowledgement: bytes = b""


@dataclass(frozen=True)
class NetworkConfig:
    """Settings of the peer-to-peer network.

    Units: `_s` seconds, `_bytes` bytes, `_per_minute` per peer.
    """

    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    bootstrap: tuple[str, ...] = ()
    remembered_path: Path | None = None
    sync_interval_s: float = 120.0
    reconnect_min_s: float = 2.0
    reconnect_max_s: float = 300.0
    target_peers: int = 8
    max_connections: int = 200
    max_streams_per_peer: int = 64
    max_frame_bytes: int = 2048
    max_envelope_bytes: int = 256 * 1024
    heads_per_minute: int = 12_000
    heads_per_minute_reserve: int = 600
    heads_per_minute_all: int = 12_000
    messages_per_minute: int = 300
    block_requests_per_minute: int = 600
    syncs_per_minute: int = 30
    max_request_cids: int = 256
    max_response_bytes: int = 16 * 1024 * 1024
    response_bytes_per_minute: int = 512 * 1024 * 1024
    max_block_bytes: int = 2 * 1024 * 1024
    read_timeout_s: float = 15.0
    request_timeout_s: float = 60.0
    connect_timeout_s: float = 12.0
    dial_timeout_s: float = 4.0
    health_check_interval_s: float = 10.0
    serve_bitswap: bool = True
    relays: tuple[str, ...] = ()
    learn_relays: bool = True
    relay_service: bool = False
    relay_reservations: int = 64
    relay_reservation_s: int = 3600
    relay_circuits: int = 128
    relay_circuits_per_peer: int = 32
    relay_circuit_mb: int = 64
    relay_circuit_s: int = 3600
    relay_requests_per_minute: int = 120
    dial_backs_per_minute: int = 30
    introductions_per_minute: int = 60
    peer_exchange: bool = True
    mdns: bool = False
    upnp: bool = False
    upload_kb_s: int = 0
    max_inbox: int = 4096
    max_connections_per_ip: int = 64
    max_syncs_served: int = 4
    shards_from: int = 100_000


@dataclass(frozen=True)
class PeerInfo:
    """One connected peer.

    Units: `since` unix seconds, `rtt` seconds, `score` rises with good and falls with refused frames; `bytes_…` are all
    that went over its connections.
    """

    peer_id: str
    addr: str
    direction: str
    since: int
    rtt: float | None
    score: float
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True)
class Reached:
    """What peers that dialled one of our addresses found. Units: `at` unix seconds of the newest verdict."""

    addr: str
    confirmed: int
    failed: int
    at: int


@dataclass(frozen=True)
class Reachability:
    """How this node can be reached.

    Shape: `relays` maps each relay asked to "" when it keeps a place for us, else to why not; `mapping` is the address
    that the router forwards here, empty without one; `serving` counts (reservations, circuits, bytes carried) as a
    relay for others, None when it is none.
    """

    listening: tuple[str, ...]
    announced: tuple[str, ...]
    verdicts: tuple[Reached, ...]
    relays: dict[str, str]
    mapping: str = ""
    serving: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class NetworkStats:
    """Counters since the network was made.

    Units: `last_sync` unix seconds, 0 when none succeeded; `heads_in` counts accepted heads only. `bytes_…` are our own
    protocols' payloads, `wire_…` all that went over connections, `rate_…` that in bytes a second now. `syncs_by_peer`
    says when each was last reconciled with.
    Shape: `queues` name → how much waits there now; each has an end (NetworkConfig).
    """

    running: bool
    restarts: int
    peers: int
    bytes_in: int
    bytes_out: int
    frames_in: int
    frames_out: int
    drops: dict[str, int]
    syncs: int
    last_sync: int
    heads_in: int = 0
    queues: dict[str, int] = field(default_factory=dict)
    banned: int = 0
    mesh_peers: int = 0
    wire_in: int = 0
    wire_out: int = 0
    rate_in: float = 0.0
    rate_out: float = 0.0
    syncs_by_peer: dict[str, int] = field(default_factory=dict)
