"""Topic /halle/heads/1: heads spread by gossip, each frame judged and processed once.

The validator is synchronous and never raises: size, our own duplicate check, the node's verdict. Duplicates
are found by the frame's hash, because the same head may come from several publishers. Gossip is only the fast
path: what it drops, reconciliation brings.
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
SEEN_FRAMES = 65536
SEEN_S = 600.0
WORKERS = 8

Process = Callable[[bytes, str], Awaitable[None]]


class SeenFrames:
    """The frames of the last ten minutes by hash, each with the peer that brought it first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    def __contains__(self, frame: bytes) -> bool:
        entry = self._seen.get(_key(frame))
        return entry is not None and entry[0] > self._clock()

    def add(self, frame: bytes, peer: str) -> None:
        self._seen[_key(frame)] = (self._clock() + SEEN_S, peer)
        self._seen.move_to_end(_key(frame))
        while len(self._seen) > SEEN_FRAMES:
            self._seen.popitem(last=False)

    def peer_of(self, frame: bytes, default: str) -> str:
        entry = self._seen.get(_key(frame))
        return entry[1] if entry is not None else default

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
        self._inbox_in, self._inbox_out = trio.open_memory_channel[tuple[bytes, str]](wire.config.max_inbox)

    def attach(self, pubsub: Any) -> None:
        self._pubsub = pubsub
        pubsub.set_topic_validator(TOPIC, self._is_valid, False)

    def admit(self, peer: str, size: int) -> bool:
        """Decide before the signature is checked whether a gossiped message is worth the work."""
        if self._wire.ledger.is_banned(peer):
            return False
        if size > self._wire.config.max_frame_bytes:
            self._drop("frame-too-large")
            self._wire.punish(peer)
            return False
        if not self._wire.ledger.take(peer, "heads"):
            self._drop("rate-limited")
            return False
        return True

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
        if verdict is Verdict.ACCEPT:
            self.seen.add(frame, peer)
            self._wire.ledger.accepted(peer)
            self._wire.traffic.heads_in += 1
            return True
        self._drop(f"head-{verdict.value}")
        if verdict is Verdict.REJECT:
            self._wire.punish(peer)
        return False

    async def announce(self, frame: bytes) -> None:
        """Publish a head to the mesh. Raises: LocalProtocolError "frame-too-large"."""
        if len(frame) > self._wire.config.max_frame_bytes:
            raise LocalProtocolError(
                f"A head of {len(frame)} bytes is over the limit of {self._wire.config.max_frame_bytes}.",
                code="frame-too-large",
            )
        await self._pubsub.publish(TOPIC, frame)
        self._wire.traffic.frames_out += 1
        self._wire.traffic.count(0, len(frame))

    async def run(self, subscription: Any) -> None:
        """Hand gossiped heads to the node, several at a time, for ever."""
        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(self._work)
            async for message in subscription:
                self._accept(message)

    def _accept(self, message: Any) -> None:
        frame = bytes(message.data)
        peer = self.seen.peer_of(frame, self._wire.own_id)
        if peer == self._wire.own_id:
            return  # our own announcement
        try:
            self._inbox_in.send_nowait((frame, peer))
        except trio.WouldBlock:
            self._drop("inbox-full")
            self.seen.forget(frame)

    async def _work(self) -> None:
        async for frame, peer in self._inbox_out:
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
