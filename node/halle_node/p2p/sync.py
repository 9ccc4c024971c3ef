"""/halle/sync/1: two nodes find out which heads the other lacks, and send each other exactly those.

The asker sends `R` + reconciliation message and gets `R` + answer, until it knows both differences. Then it
sends `W` + the wanted ids and reads `F` + frame for each, closed by `E`; then it sends its own `F` frames and
`E`, and the answering side closes with `E`. Everything is bounded; what does not fit comes with the next run.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence

import trio

from halle_node.p2p.framing import Frames
from halle_node.p2p.gossip import HeadGossip
from halle_node.p2p.wire import Wire
from halle_protocol import reconcile
from halle_protocol.errors import Refused, RemoteProtocolError, Unavailable
from halle_protocol.reconcile import ItemSet

PROTOCOL = "/halle/sync/1"
MAX_ROUNDS = 32
MAX_IDS = 4096
ID_BYTES = 32
MAX_FRAME_BYTES = 256 * 1024
_FRAMES_PER_READ = 256
_WORKERS = 8

Items = Callable[[], Awaitable[ItemSet]]
FramesOf = Callable[[Sequence[bytes]], Awaitable[list[bytes]]]


class HeadSync:
    """`items()` and `frames_of(ids)` ask the node for its heads."""

    def __init__(self, wire: Wire, gossip: HeadGossip, items: Items, frames_of: FramesOf) -> None:
        self._wire = wire
        self._gossip = gossip
        self._items = items
        self._frames_of = frames_of
        self._busy: set[str] = set()
        self._serving = trio.CapacityLimiter(wire.config.max_syncs_served)
        self.tell_news: Callable[[str], object] = lambda peer: None
        wire.serve(PROTOCOL, self._serve)

    async def run(self, peer: str, addrs: Sequence[str] = ()) -> int:
        """Reconcile heads with a peer and return how many new ones the node processed.

        Raises: Unavailable, RemoteProtocolError, Refused "sync-running".
        """
        if peer in self._busy:
            raise Refused(f"A reconciliation with {peer} is running.", code="sync-running")
        self._busy.add(peer)
        try:
            with trio.move_on_after(self._wire.config.request_timeout_s):
                return await self._run(peer, addrs)
        except RemoteProtocolError:
            self._wire.punish(peer)
            raise
        finally:
            self._busy.discard(peer)
        raise Unavailable(f"Peer {peer} was too slow to reconcile.", code="peer-stalled", hint="Retry later.")

    async def _run(self, peer: str, addrs: Sequence[str]) -> int:
        async with self._wire.opened(peer, addrs, PROTOCOL) as frames:
            have, need = await self._compare(frames)
            async with _Intake(self._gossip, peer) as intake:
                wanted, offered = _some(need), _some(have)
                await frames.write(b"W" + b"".join(wanted))
                await self._receive(frames, intake, len(wanted))
                await self._send(frames, offered)
                if await frames.read(MAX_FRAME_BYTES) != b"E":
                    raise _out_of_turn()
        self._wire.traffic.synced(peer, int(time.time()))
        return intake.kept

    async def _compare(self, frames: Frames) -> tuple[list[bytes], list[bytes]]:
        items = await self._items()
        have: list[bytes] = []
        need: list[bytes] = []
        message: bytes | None = await trio.to_thread.run_sync(reconcile.initiate, items)
        for _ in range(MAX_ROUNDS):
            if message is None:
                break
            await frames.write(b"R" + message)
            reply = await frames.read(MAX_FRAME_BYTES)
            if not reply.startswith(b"R"):
                raise _out_of_turn()
            message, more_have, more_need = await trio.to_thread.run_sync(reconcile.absorb, items, reply[1:])
            have += more_have
            need += more_need
        return list(dict.fromkeys(have)), list(dict.fromkeys(need))

    async def _serve(self, frames: Frames, peer: str) -> None:
        if not self._wire.ledger.take(peer, "syncs"):
            raise Refused(f"Peer {peer} reconciles too often.", code="rate-limited")
        async with self._serving:
            await self._serve_one(frames, peer)

    async def _serve_one(self, frames: Frames, peer: str) -> None:
        items = await self._items()
        request = await frames.read(MAX_FRAME_BYTES)
        for _ in range(MAX_ROUNDS):
            if not request.startswith(b"R"):
                break
            answer = await trio.to_thread.run_sync(reconcile.respond, items, request[1:])
            await frames.write(b"R" + answer)
            request = await frames.read(MAX_FRAME_BYTES)
        await self._send(frames, _ids(request))
        async with _Intake(self._gossip, peer) as intake:
            await self._receive(frames, intake, MAX_IDS)
        if intake.kept:
            self.tell_news(peer)
        await frames.write(b"E")

    async def _send(self, frames: Frames, ids: list[bytes]) -> None:
        for start in range(0, len(ids), _FRAMES_PER_READ):
            batch = await self._frames_of(ids[start : start + _FRAMES_PER_READ])
            self._wire.traffic.frames_out += len(batch)
            await frames.write(*[b"F" + frame for frame in batch])
        await frames.write(b"E")

    async def _receive(self, frames: Frames, intake: _Intake, limit: int) -> None:
        for _ in range(limit + 1):
            frame = await frames.read(self._wire.config.max_frame_bytes + 1)
            if frame == b"E":
                return
            if not frame.startswith(b"F"):
                raise _out_of_turn()
            await intake.put(frame[1:])
        raise RemoteProtocolError("More heads were sent than asked for.", code="sync-too-many")


class _Intake:
    """Judges and processes received heads while more of them arrive; leaves when all are processed."""

    def __init__(self, gossip: HeadGossip, peer: str) -> None:
        self._gossip = gossip
        self._peer = peer
        self._slots = trio.Semaphore(_WORKERS)
        self._nurseries = trio.open_nursery()
        self.kept = 0

    async def __aenter__(self) -> _Intake:
        self._nursery = await self._nurseries.__aenter__()
        return self

    async def __aexit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if exc is not None:
            self._nursery.cancel_scope.cancel()
        await self._nurseries.__aexit__(None, None, None)

    async def put(self, frame: bytes) -> None:
        if not self._gossip.judge(frame, self._peer):
            return
        await self._slots.acquire()
        self._nursery.start_soon(self._process, frame)

    async def _process(self, frame: bytes) -> None:
        try:
            self.kept += await self._gossip.hand_over(frame, self._peer)
        finally:
            self._slots.release()


def _some(ids: list[bytes]) -> list[bytes]:
    """As many as fit in one run: others each time, lest those that are refused again and again block the rest."""
    return ids if len(ids) <= MAX_IDS else random.sample(ids, MAX_IDS)


def _ids(request: bytes) -> list[bytes]:
    body = request[1:]
    if not request.startswith(b"W"):
        raise _out_of_turn()
    if len(body) % ID_BYTES or len(body) > MAX_IDS * ID_BYTES:
        raise RemoteProtocolError("A list of wanted heads is malformed or too long.", code="sync-shape")
    return [body[start : start + ID_BYTES] for start in range(0, len(body), ID_BYTES)]


def _out_of_turn() -> RemoteProtocolError:
    return RemoteProtocolError("A reconciliation frame came out of turn.", code="sync-shape")
