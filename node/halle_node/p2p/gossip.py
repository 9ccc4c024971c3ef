"""Topic /halle/heads/1 and its shards: heads spread by gossip, each frame judged and processed once.

The validator is synchronous and never raises: size, our own duplicate check, the node's verdict. Duplicates
are found by the frame's hash, because the same head may come from several publishers. Gossip is only the fast
path: what it drops, reconciliation brings.

Everybody always listens to the plain topic. From `shards_from` known heads on, a node also listens to the sixteen
shards; from twice as many on it speaks in the shard of its store only. Between the two, everybody who may
speak in a shard is heard by everybody who counts about the same.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from halle_node.p2p.types import Handlers, Verdict
from halle_node.p2p.wire import Wire
from halle_protocol.errors import HalleError, LocalProtocolError

log = logging.getLogger("halle_node.p2p")

TOPIC = "/halle/heads/1"
SHARDS = 16
SHARD_TOPICS = tuple(f"{TOPIC}/{number:02x}" for number in range(SHARDS))
TOPICS = frozenset((TOPIC, *SHARD_TOPICS))
SEEN_FRAMES = 65536
SEEN_S = 600.0
WORKERS = 8

URGENT_SHARE = 4

Process = Callable[[bytes, str], Awaitable[None]]


def topic_of(store: bytes, known_heads: int, shards_from: int) -> str:
    """Return where a store's head is published by a node that knows so many heads."""
    is_sharded = known_heads >= 2 * shards_from and store
    return SHARD_TOPICS[store[0] % SHARDS] if is_sharded else TOPIC


class SeenFrames:
    """The frames of the last ten minutes by hash, each with the peer that brought it first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: OrderedDict[bytes, tuple[float, str, bool]] = OrderedDict()

    def __contains__(self, frame: bytes) -> bool:
        entry = self._seen.get(_key(frame))
        return entry is not None and entry[0] > self._clock()

    def add(self, frame: bytes, peer: str, *, is_urgent: bool = False) -> None:
        self._seen[_key(frame)] = (self._clock() + SEEN_S, peer, is_urgent)
        self._seen.move_to_end(_key(frame))
        while len(self._seen) > SEEN_FRAMES:
            self._seen.popitem(last=False)

    def peer_of(self, frame: bytes, default: str) -> str:
        entry = self._seen.get(_key(frame))
        return entry[1] if entry is not None else default

    def is_urgent(self, frame: bytes) -> bool:
        entry = self._seen.get(_key(frame))
        return entry is not None and entry[2]

    def forget(self, frame: bytes) -> None:
        self._seen.pop(_key(frame), None)


def _key(frame: bytes) -> bytes:
    return hashlib.sha256(frame).digest()


class HeadGossip:
    """Judges, announces and hands on heads. `process(frame, peer)` runs the node's on_head to its end."""

    def __init__(self, wire: Wire, handlers: Handlers, process: Process, clock: Callable[[], float]) -> None:
        self._wire = wire
        self._handlers = handlers
        self._process = process
        self.seen = SeenFrames(clock)
        places = wire.config.max_inbox
        self._urgent_in, self._urgent = trio.open_memory_channel[tuple[bytes, str]](places // URGENT_SHARE)
        self._inbox_in, self._inbox = trio.open_memory_channel[tuple[bytes, str]](places)
        self._known = 0

    def queues(self) -> dict[str, int]:
        """How many heads wait to be processed."""
        return {
            "heads": self._inbox_in.statistics().current_buffer_used,
            "heads-first": self._urgent_in.statistics().current_buffer_used,
        }

    def attach(self, pubsub: Any) -> None:
        self._pubsub = pubsub
        for topic in TOPICS:
            pubsub.set_topic_validator(topic, self._is_valid, False)

    def admit(self, peer: str, size: int) -> bool:
        """Decide before the signature is checked whether a gossiped message is worth the work."""
        if self._wire.ledger.is_banned(peer):
            return False
        if size > self._wire.config.max_frame_bytes:
            self._drop("frame-too-large")
            self._wire.punish(peer)
            return False
        return True

    def pace(self, peer: str, amount: float) -> float:
        """Charge what a peer has gossiped; return the seconds to wait before reading on."""
        wait_s = self._wire.ledger.pace(peer, "heads", amount)
        if wait_s:
            self._drop("slowed-down")
        return wait_s

    def _drop(self, code: str) -> None:
        self._wire.traffic.drops[code] += 1

    def _is_valid(self, forwarder: Any, message: Any) -> bool:
        peer, frame = str(forwarder), bytes(message.data)
        if peer == self._wire.own_id:
            self.seen.add(frame, peer)
            return True
        if frame in self.seen:
            return False
        return self.judge(frame, peer)

    def judge(self, frame: bytes, peer: str) -> bool:
        """Ask the node's verdict; never raises. True to keep the frame."""
        try:
            verdict = self._handlers.validate(frame, peer)
        except Exception as exc:  # libp2p would end over it
            log.warning("the head validator failed", exc_info=exc)
            self._drop("validator-failed")
            return False
        self._wire.traffic.frames_in += 1
        self._wire.traffic.count(len(frame), 0)
        if verdict in (Verdict.ACCEPT, Verdict.ACCEPT_FIRST):
            self.seen.add(frame, peer, is_urgent=verdict is Verdict.ACCEPT_FIRST)
            self._wire.ledger.accepted(peer)
            self._wire.traffic.heads_in += 1
            return True
        self._drop(f"head-{verdict.value}")
        if verdict is Verdict.REJECT:
            self._wire.punish(peer)
        return False

    async def announce(self, frame: bytes, store: bytes = b"") -> None:
        """Publish a store's head to the mesh. Raises: LocalProtocolError "frame-too-large"."""
        if len(frame) > self._wire.config.max_frame_bytes:
            raise LocalProtocolError(
                f"A head of {len(frame)} bytes is over the limit of {self._wire.config.max_frame_bytes}.",
                code="frame-too-large",
            )
        await self._pubsub.publish(topic_of(store, self._known, self._wire.config.shards_from), frame)
        self._wire.traffic.frames_out += 1
        self._wire.traffic.count(0, len(frame))

    async def run(self, nursery: trio.Nursery) -> None:
        """Listen, and hand gossiped heads to the node, several at a time."""
        for _ in range(WORKERS):
            nursery.start_soon(self._work, self._inbox)
        nursery.start_soon(self._work, self._urgent)
        await self._listen(nursery, TOPIC)

    async def _listen(self, nursery: trio.Nursery, topic: str) -> None:
        nursery.start_soon(self._hear, await self._pubsub.subscribe(topic))

    async def note_known(self, nursery: trio.Nursery, heads: int) -> None:
        """Take note of how many heads are known here, and listen to the shards when they are many."""
        self._known = heads
        if heads >= self._wire.config.shards_from:
            for topic in SHARD_TOPICS:
                if topic not in self._pubsub.topic_ids:
                    await self._listen(nursery, topic)

    async def _hear(self, subscription: Any) -> None:
        async for message in subscription:
            self._accept(message)

    def _accept(self, message: Any) -> None:
        frame = bytes(message.data)
        peer = self.seen.peer_of(frame, self._wire.own_id)
        if peer == self._wire.own_id:
            return  # our own announcement
        inbox = self._urgent_in if self.seen.is_urgent(frame) else self._inbox_in
        try:
            inbox.send_nowait((frame, peer))
        except trio.WouldBlock:
            self._drop("inbox-full")
            self.seen.forget(frame)

    async def _work(self, inbox: trio.MemoryReceiveChannel[tuple[bytes, str]]) -> None:
        async for frame, peer in inbox:
            await self.hand_over(frame, peer)

    async def hand_over(self, frame: bytes, peer: str) -> bool:
        """Let the node process one head; a failure is counted, and the frame may come again."""
        try:
            await self._process(frame, peer)
        except HalleError as exc:
            self._drop(exc.code)
        except Exception as exc:  # a task's top: our own fault
            log.warning("a head from %s could not be processed", peer, exc_info=exc)
            self._drop("processing-failed")
        else:
            return True
        self.seen.forget(frame)
        return False
