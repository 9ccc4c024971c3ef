"""GossipSub 1.1 with every setting explicit, our own scores live, and a reader that nobody can hurry.

The library's settings and scores are not those of the specification (heartbeat of 120 s, all weights 0, penalties
that raise the score, scores forgotten at disconnection), so its scorer is replaced by the node's one ledger: what a
peer did wrong in any protocol counts here, and what it does wrong here counts everywhere.
Spec: docs/spec/11-network.md, section 3.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import trio
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import PROTOCOL_ID, PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.score import PeerScorer, ScoreParams
from libp2p.pubsub.utils import maybe_consume_signed_record

from halle_node.p2p.framing import Frames
from halle_node.p2p.limits import MESH_BELOW, PeerLedger
from halle_protocol.errors import HalleError, RemoteProtocolError

log = logging.getLogger("halle_node.p2p")

ROUTER: dict[str, Any] = {
    "degree": 6,
    "degree_low": 4,
    "degree_high": 12,
    "heartbeat_interval": 1,
    "heartbeat_initial_delay": 0.1,
    "gossip_window": 3,
    "gossip_history": 5,
    "prune_back_off": 60,
    "unsubscribe_back_off": 10,
    "do_px": False,
    "max_idontwant_messages": 10,
    "adaptive_gossip_enabled": False,
    "spam_protection_enabled": False,
    "eclipse_protection_enabled": False,
    "max_pending_messages_per_peer": 100,
}
"""What GossipSub is made with. A setting that is not here is not used by 1.1 with these."""

AFTERWARDS: dict[str, Any] = {
    "gossip_factor": 0.25,
    "max_ihave_messages_per_second": 1e3,
    "max_iwant_requests_per_second": 1e3,
    "graft_flood_threshold": 1.0,
}
"""What can only be set on the finished router."""

PUBSUB: dict[str, Any] = {
    "strict_signing": True,
    "seen_ttl": 120,
    "max_inbound_rpc_size": 1 << 20,
    "max_subscriptions_per_rpc": 64,
    "max_subscriptions_per_peer": 64,
}
PROTOCOLS = (PROTOCOL_ID_V11, PROTOCOL_ID)
MERGED_BYTES = 32 * 1024
RPC_CHARGE_BYTES = 1024


class LedgerScorer(PeerScorer):  # type: ignore[misc]
    """The node's ledger, as the router asks for scores. Good is high here, as in the specification."""

    def __init__(self, ledger: PeerLedger, punish: Callable[[str], object]) -> None:
        super().__init__(ScoreParams(graylist_threshold=MESH_BELOW, gossip_threshold=MESH_BELOW))
        self._ledger = ledger
        self._punish = punish

    def score(self, peer: Any, topics: list[str]) -> float:
        return -math.inf if self._ledger.is_banned(str(peer)) else self._ledger.score(str(peer))

    def is_graylisted(self, peer: Any, topics: list[str]) -> bool:
        return self.score(peer, topics) < MESH_BELOW

    def allow_publish(self, peer: Any, topics: list[str]) -> bool:
        return not self._ledger.is_banned(str(peer))

    def allow_gossip(self, peer: Any, topics: list[str]) -> bool:
        return not self.is_graylisted(peer, topics)

    def allow_px_from(self, peer: Any, topics: list[str]) -> bool:
        return False

    def penalize_behavior(self, peer: Any, amount: float = 1.0) -> None:
        self._punish(str(peer))

    penalize_graft_flood = penalize_iwant_spam = penalize_ihave_spam = penalize_equivocation = penalize_behavior

    # The verdict on each frame reaches the ledger by itself, and the ledger lets scores fade.
    def on_first_delivery(self, peer: Any, topic: str) -> None: ...

    def on_mesh_delivery(self, peer: Any, topic: str) -> None: ...

    def on_invalid_message(self, peer: Any, topic: str) -> None: ...

    def on_heartbeat(self, dt_seconds: float = 1.0) -> None: ...

    def remove_peer(self, peer: Any) -> None: ...


class Mesh(GossipSub):  # type: ignore[misc]
    """The router. Defect repaired: a peer whose score falls stays in the mesh until it leaves by itself."""

    def __init__(self, ledger: PeerLedger, punish: Callable[[str], object]) -> None:
        super().__init__(list(PROTOCOLS), **ROUTER)
        for name, value in AFTERWARDS.items():
            setattr(self, name, value)
        self.scorer = LedgerScorer(ledger, punish)

    def mesh_heartbeat(self) -> tuple[Any, Any]:
        fallen = [
            (topic, peer)
            for topic, peers in self.mesh.items()
            for peer in peers
            if self.scorer.is_graylisted(peer, [topic])
        ]
        for topic, peer in fallen:
            self.mesh[topic].discard(peer)
            self._add_back_off(peer, topic, False)
        grafts, prunes = super().mesh_heartbeat()
        for topic, peer in fallen:
            prunes[peer].append(topic)
        return grafts, prunes


class HardenedPubsub(Pubsub):  # type: ignore[misc]
    """Pubsub that no message can end and no peer can fill.

    Defects: a raising sync validator, a junk signing key or an unparsable RPC end the host; every inbound message
    starts a task and costs two signature checks for the sender's record, whatever its size and rate; the length
    before each RPC is read byte by byte, a window update each; RPCs that wait for a slow peer are sent one by one.
    Here a stream's RPCs are worked on in turn, and the next one is read only when `pace` has let the peer go on:
    who sends too much is slowed down at the source and loses nothing.
    """

    def __init__(
        self,
        *args: Any,
        admit: Callable[[str, int], bool],
        pace: Callable[[str, float], float] = lambda peer, amount: 0.0,
        refused: Callable[[str, HalleError], object] = lambda peer, error: None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **{**PUBSUB, **kwargs})
        self._admit = admit
        self._pace = pace
        self._refused = refused
        self._records: dict[Any, bytes] = {}
        # One message at a time, whoever sent it, and everything else gets its turn after each.
        self._turn = trio.Lock()

    async def push_msg(self, msg_forwarder: Any, msg: Any) -> None:
        if msg_forwarder != self.my_id and not self._admit(str(msg_forwarder), len(msg.data)):
            return
        try:
            await super().push_msg(msg_forwarder, msg)
        except Exception as exc:  # a task's top
            log.info("gossip frame from %s dropped: %r", msg_forwarder, exc)

    async def continuously_read_stream(self, stream: Any) -> None:
        peer = stream.muxed_conn.peer_id
        frames = Frames(stream, timeout_s=math.inf, count=lambda bytes_in, bytes_out: None)
        try:
            while (data := await frames.read_or_end(self.max_inbound_rpc_size)) is not None:
                amount = await self._take(peer, data)
                await trio.sleep(self._pace(str(peer), max(amount, len(data) / RPC_CHARGE_BYTES)))
        except RemoteProtocolError as exc:
            self._refused(str(peer), exc)
            await reset(stream)
            self._handle_dead_peer(peer)
        except Exception as exc:  # a task's top
            log.debug("gossip stream of %s ended: %r", peer, exc)
            await reset(stream)
            self._handle_dead_peer(peer)
        finally:
            self._records.pop(peer, None)

    async def _take(self, peer: Any, data: bytes) -> int:
        """Work on one RPC; return how many messages it brought."""
        rpc = rpc_pb2.RPC()
        try:
            rpc.ParseFromString(data)
        except Exception as exc:  # protobuf's own errors have no common public name
            raise RemoteProtocolError("A gossip RPC is not protobuf.", code="gossip-shape") from exc
        if not self._record_is_good(rpc, peer):
            return 1
        for message in rpc.publish:
            if self._is_subscribed_to_msg(message):
                async with self._turn:
                    await self.push_msg(peer, message)
                    await trio.lowlevel.checkpoint()
        if len(rpc.subscriptions) <= self.max_subscriptions_per_rpc:
            for subscription in rpc.subscriptions:
                self.handle_subscription(peer, subscription)
        if rpc.HasField("control"):
            await self.router.handle_rpc(rpc, peer)
        return len(rpc.publish)

    def _record_is_good(self, rpc: Any, peer: Any) -> bool:
        """Check the sender's signed record when it is another one than last time."""
        if rpc.HasField("senderRecord"):
            record = rpc.senderRecord
            if record != self._records.get(peer):
                if not maybe_consume_signed_record(rpc, self.host, peer):
                    return False
                self._records[peer] = record
            rpc.ClearField("senderRecord")  # the router would check it again
        return True

    async def handle_sending_messages(self, peer_id: Any, stream: Any, queue: Any) -> None:
        """Send what waits for a peer, several messages in one RPC."""
        try:
            while (rpc := await queue.pop()) is not None:
                _merge_waiting(rpc, queue._queue)
                if not await self.write_msg(stream, rpc):
                    return
        except Exception as exc:  # a task's top
            log.debug("sending to %s ended: %r", peer_id, exc)
            self._handle_dead_peer(peer_id)


def _merge_waiting(rpc: Any, waiting: Any) -> None:
    """Add the messages that wait behind an RPC to it, while it is small. `control` and subscriptions go alone."""
    size = rpc.ByteSize()
    while waiting._non_priority and not rpc.HasField("control") and not rpc.subscriptions:
        following = waiting._non_priority[0]
        size += following.ByteSize()
        if size > MERGED_BYTES or following.HasField("control") or following.subscriptions:
            return
        rpc.publish.extend(waiting._non_priority.popleft().publish)


async def reset(stream: Any) -> None:
    """Reset a stream, which may be dead already."""
    with trio.CancelScope(shield=True), trio.move_on_after(2):
        try:
            await stream.reset()
        except Exception as exc:  # the connection died first
            log.debug("reset failed: %r", exc)


def mesh_of(router: Any, topic: str) -> frozenset[str]:
    """The peers in our mesh of a topic."""
    return frozenset(str(peer) for peer in router.mesh.get(topic, ()))


def has_topic(pubsub: Any, peer: str, topic: str) -> bool:
    """True when a peer told us that it listens to a topic."""
    return ID.from_base58(peer) in pubsub.peer_topics.get(topic, ())
