"""Repairs of py-libp2p 0.8.1 and the settings that keep its defects harmless.

Every function names the defect it repairs; tests/node/p2p/test_hardening.py reproduces it against the
unpatched library, so that a new upstream version shows which repair may go. All were seen in 0.8.1, the
newest version when this was written.
"""

from __future__ import annotations

import contextvars
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import trio
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.peer.peerinfo import PeerInfo
from libp2p.peer.peerstore import PeerStoreError
from libp2p.pubsub import gossipsub as upstream_gossip
from libp2p.pubsub import pubsub as upstream_pubsub
from libp2p.pubsub import rpc_queue as upstream_queue
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux

from halle_node.p2p.addresses import ip_of
from halle_node.p2p.mesh import reset
from halle_node.p2p.types import Access

log = logging.getLogger("halle_node.p2p")

QUEUE_FRAMES = 4096
WRITE_LIMIT_S = 10.0
CLOSE_LIMIT_S = 1.5
UPGRADE_LIMIT_S = 5.0
OWN_RECORD_S = 30.0

Guard = Callable[[str], bool]


def guard_stream_handlers(host: Any, *, enter: Guard, leave: Callable[[str], object]) -> None:
    """Keep every exception of a stream handler inside its stream, and bound the streams a peer may hold open.

    Defect: any exception in any handler (100 garbage bytes on `/meshsub/*` are enough) leaves `trio.run`.
    """
    inner = host._swarm_stream_handler

    async def guarded(stream: Any) -> None:
        peer = str(stream.muxed_conn.peer_id)
        if not enter(peer):
            await reset(stream)
            return
        try:
            await inner(stream)
        except Exception as exc:  # the stream's task top
            log.info("stream of %s on %s ended: %r", peer, stream.get_protocol(), exc)
            await reset(stream)
        finally:
            leave(peer)

    host.get_network().set_stream_handler(guarded)


class _InboundEnded(Exception):
    pass


_from_listener: contextvars.ContextVar[bool] = contextvars.ContextVar("from_listener", default=False)


def release_inbound_slots(host: Any) -> None:
    """Give an inbound slot and its task back when the connection closes.

    Defect: both are held until the swarm stops, so after `max_connections - min_connections` inbound
    connections in the life of the process every further one is refused.
    """
    swarm = host.get_network()
    upgrade, handle = swarm.upgrade_inbound_raw_conn, swarm._do_handle_inbound_connection

    async def handle_marked(*args: Any, **kwargs: Any) -> None:
        _from_listener.set(True)
        await handle(*args, **kwargs)

    async def upgrade_and_wait(*args: Any, **kwargs: Any) -> Any:
        mine = _from_listener.get()
        _from_listener.set(False)  # tasks born during the upgrade must not inherit the mark
        connection = await upgrade(*args, **kwargs)
        if mine and connection is not None:
            await connection.event_closed.wait()
            raise _InboundEnded
        return connection

    swarm.upgrade_inbound_raw_conn = upgrade_and_wait
    swarm._do_handle_inbound_connection = handle_marked


class _Gate:
    """The library's connection gate, asking the operator's rules instead of lists that are read once."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def is_allowed(self, addr: Any) -> bool:
        return self._access.ip(ip_of(str(addr))) is not False

    def is_in_allow_list(self, addr: Any) -> bool:
        return self._access.ip(ip_of(str(addr))) is True


def guard_doors(host: Any, access: Access, max_per_ip: int, note: Callable[[str], object]) -> None:
    """Refuse blocked addresses both ways, and more than `max_per_ip` inbound connections from one address.

    `note(reason)` is told of each refusal. Defect: nothing bounds how many of the inbound places, half-open ones
    included, one address takes. Call it before `release_inbound_slots`, with which a place is given back when the
    connection ends.
    """
    swarm = host.get_network()
    swarm.connection_gate = _Gate(access)
    handle = swarm._do_handle_inbound_connection
    held: Counter[str] = Counter()

    async def handle_counted(closer: Any, *args: Any, **kwargs: Any) -> None:
        remote = closer.get_remote_address()
        ip = remote[0] if remote else ""
        if held[ip] >= max_per_ip and access.ip(ip) is not True:
            note("address-full")
            with suppress(Exception):  # it was gone already
                await closer.close()
            return
        held[ip] += 1
        try:
            await handle(closer, *args, **kwargs)
        finally:
            held[ip] -= 1
            if not held[ip]:
                del held[ip]

    swarm._do_handle_inbound_connection = handle_counted


def shield_yamux_writes(limit_s: float = WRITE_LIMIT_S) -> None:
    """Make a frame write uncancellable, bounded by `limit_s`; idempotent, for the whole process.

    Defect: cancelling a task inside a write leaves half a frame behind and desynchronises Noise, which kills
    the connection and everything on it.
    """
    if getattr(Yamux, "_halle_shielded", False):
        return
    write = Yamux._write_frame

    async def _write_frame(self: Any, data: bytes) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + limit_s) as scope:
            await write(self, data)
        if scope.cancelled_caught:
            await self.secured_conn.close()
            raise ConnectionClosedError("a frame write stalled")

    Yamux._write_frame = _write_frame
    Yamux._halle_shielded = True


async def close_sockets(host: Any) -> None:
    """Close the host's sockets even while everything is being cancelled.

    Defect: leaving `host.run()` leaves them open; the peer keeps a ghost connection for over a minute and a
    restart with the same key loses its messages.
    """
    with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_LIMIT_S):
        await host.close()


async def dial_each(host: Any, peer_id: Any, addrs: Sequence[Any], *, each_s: float) -> None:
    """Be connected to a peer by the first of its addresses that answers; the caller does the backing off.

    Defects: the swarm tries one address a transport, the oldest it knows, so a peer that moved is never
    found; and after one failed dial it refuses every further one for 60 s without trying.
    Raises: whatever the last attempt raised.
    """
    swarm, book = host.get_network(), host.get_peerstore()
    if swarm.connections.get(peer_id):
        await host.connect(PeerInfo(peer_id, []))
        return
    failure: Exception = ConnectionClosedError("no address is known")
    for addr in dict.fromkeys([*addrs, *_known_addrs(book, peer_id)]):
        book.clear_addrs(peer_id)
        swarm.unblock_peer(peer_id)
        with trio.move_on_after(each_s):
            try:
                await host.connect(PeerInfo(peer_id, [addr]))
            except Exception as exc:  # one fact, many library errors: nobody answered there
                failure = exc
            else:
                return
    raise failure


def _known_addrs(book: Any, peer_id: Any) -> list[Any]:
    try:
        return [addr for addr in book.addrs(peer_id) if "/p2p-circuit" not in str(addr)]
    except PeerStoreError:
        return []


def single_attempts(host: Any) -> None:
    """Dial an address once. Defect: the swarm repeats each failed dial three times before it says so."""
    host.get_network().retry_config = RetryConfig(max_retries=0)


def unique_sequence_numbers(pubsub: Any) -> None:
    """Start the message counter at the time in nanoseconds.

    Defect: it starts at the time in seconds, so a restart re-uses numbers and receivers drop the messages as
    duplicates.
    """
    pubsub.counter = time.time_ns()


def enlarge_queues() -> None:
    """Let bursts of heads wait instead of vanish; for the whole process, before subscribing.

    Defect: 32 places in the subscription channel and in each peer's outbound queue; what does not fit is
    dropped without a word to the publisher.
    """
    upstream_pubsub.SUBSCRIPTION_CHANNEL_SIZE = QUEUE_FRAMES
    upstream_queue.RpcQueue.__init__.__defaults__ = (QUEUE_FRAMES, upstream_queue.DefaultMaxMessageSize)


def noise_only(key_pair: Any, noise_private: Any) -> dict[Any, Any]:
    """Offer Noise and nothing else. Defect: the default also offers plaintext and SECIO."""
    return {NOISE: NoiseTransport(key_pair, noise_privkey=noise_private)}


def yamux_only() -> dict[Any, Any]:
    """Offer Yamux and nothing else. Defect: the default falls back to Mplex, six times slower."""
    return {YAMUX: Yamux}


def connection_settings(max_connections: int, health_check_interval_s: float) -> Any:
    """Detect dead peers by ping, and never dial on the library's own account.

    Defects: a frozen peer stays "connected"; the auto-connector dials anything in the peerstore up to 100
    connections.
    """
    return ConnectionConfig(
        max_connections=max_connections,
        high_watermark=max_connections,
        min_connections=0,
        low_watermark=0,
        enable_health_monitoring=True,
        abort_connection_on_ping_failure=True,
        health_initial_delay=min(5.0, health_check_interval_s),
        health_check_interval=health_check_interval_s,
        ping_timeout=min(5.0, health_check_interval_s),
        inbound_upgrade_timeout=UPGRADE_LIMIT_S,
        outbound_upgrade_timeout=UPGRADE_LIMIT_S,
    )


class _Demoted(logging.Handler):
    """Passes library records on under our own logger: its errors at INFO, the rest at DEBUG."""

    def emit(self, record: logging.LogRecord) -> None:
        level = logging.INFO if record.levelno >= logging.ERROR else logging.DEBUG
        if log.isEnabledFor(level):
            said = record.getMessage().partition("\n")[0]  # some of its messages hold a whole traceback
            log.log(level, "libp2p: %s", said)


def demote_library_logs() -> None:
    """Cap what the library logs at INFO, under the logger `halle_node.p2p`; idempotent.

    Defect: whatever a peer does wrong is logged at ERROR, one line a message, unformatted on stderr.
    """
    library = logging.getLogger("libp2p")
    library.propagate = False
    library.setLevel(logging.WARNING)
    library.handlers[:] = [_Demoted()]


def keep_own_record(seconds: float = OWN_RECORD_S) -> None:
    """Send the signed record of our addresses as it was made for a while; idempotent, for the whole process.

    Defect: for every message published or passed on, all own addresses are written, parsed and compared, a quarter of
    what a message costs.
    """
    if getattr(upstream_gossip.env_to_send_in_RPC, "kept", False):
        return
    make = upstream_gossip.env_to_send_in_RPC
    kept: WeakKeyDictionary[Any, tuple[float, Any]] = WeakKeyDictionary()

    def keeping(host: Any) -> Any:
        at, record = kept.get(host, (-seconds, None))
        if record is None or time.monotonic() - at > seconds:
            record = make(host)
            kept[host] = (time.monotonic(), record)
        return record

    keeping.kept = True  # type: ignore[attr-defined]
    upstream_gossip.env_to_send_in_RPC = keeping


def harden_process() -> None:
    """Apply the repairs that are properties of the library rather than of one host."""
    shield_yamux_writes()
    enlarge_queues()
    keep_own_record()
    demote_library_logs()
