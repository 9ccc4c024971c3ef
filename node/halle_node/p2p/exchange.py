"""/halle/blocks/1: a want-list in, verified blocks out, with budgets on both sides; ask again for the rest.

Request: one DAG-CBOR frame `{"want": [CID, …]}`, at most 256 links. Answer: one frame of CID and bytes for
each block, then one DAG-CBOR frame `{"later": [CID, …], "missing": [CID, …]}`: `later` are here but over this
answer's budget. The two kinds cannot be confused: a CID begins with 0x01, a DAG-CBOR map with 0xa2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from halle_node.blocks import BlockStore
from halle_node.p2p.framing import Frames
from halle_node.p2p.wire import Wire
from halle_protocol import dagcbor
from halle_protocol.cid import CID, verify
from halle_protocol.errors import HalleError, RemoteProtocolError, Unavailable

PROTOCOL = "/halle/blocks/1"
CID_BYTES = 36
MAX_LIST_BYTES = 64 * 1024
_READ_AHEAD_BYTES = 2 * 1024 * 1024


@dataclass
class _Answer:
    blocks: dict[CID, bytes] = field(default_factory=dict)
    later: list[CID] = field(default_factory=list)
    missing: list[CID] = field(default_factory=list)


class BlockExchange:
    def __init__(self, wire: Wire, store: BlockStore) -> None:
        self._wire = wire
        self._config = wire.config
        self._store = store
        wire.serve(PROTOCOL, self._serve)

    # asking

    async def fetch(
        self, peer: str, addrs: Sequence[str], cids: Sequence[CID], partial: bool = False
    ) -> dict[CID, bytes]:
        """Return those of `cids` that the peer has, each checked against its CID.

        `partial` returns what had come when the peer goes away in the middle, instead of raising.
        Raises: Unavailable, RemoteProtocolError for an answer that breaks the rules.
        """
        found: dict[CID, bytes] = {}
        waiting, limit = list(dict.fromkeys(cids)), self._config.max_request_cids
        while waiting:
            asked, waiting = waiting[:limit], waiting[limit:]
            answer = _Answer()
            try:
                await self._ask(peer, addrs, asked, answer)
            except Unavailable:
                # Each block was verified as it came: a cut costs only what had not arrived.
                found.update(answer.blocks)
                if not found or not partial:
                    raise
                break
            found.update(answer.blocks)
            if answer.later and not answer.blocks:
                if found:
                    break
                raise Unavailable(
                    f"Peer {peer} has used up what it gives us for now.",
                    code="rate-limited",
                    hint="Retry in a minute or ask another peer.",
                )
            waiting = answer.later + waiting
        return found

    async def _ask(self, peer: str, addrs: Sequence[str], asked: list[CID], answer: _Answer | None = None) -> _Answer:
        answer = answer or _Answer()
        try:
            with trio.move_on_after(self._config.request_timeout_s):
                async with self._wire.opened(peer, addrs, PROTOCOL) as frames:
                    await frames.write(dagcbor.encode({"want": asked}))
                    await self._receive(frames, asked, answer)
                return answer
        except RemoteProtocolError as exc:
            if exc.code == "frame-truncated":  # a cut line is nobody's fault
                raise Unavailable(f"Peer {peer} went away.", code="peer-gone", hint="Retry later.") from exc
            self._wire.punish(peer)
            raise
        raise Unavailable(f"Peer {peer} was too slow.", code="peer-stalled", hint="Retry or ask another peer.")

    async def _receive(self, frames: Frames, asked: list[CID], answer: _Answer) -> None:
        wanted, received = set(asked), 0
        while True:
            frame = await frames.read(self._config.max_block_bytes + CID_BYTES)
            self._wire.traffic.frames_in += 1
            if not frame.startswith(b"\x01"):
                answer.later, answer.missing = _parse_trailer(frame, wanted - answer.blocks.keys())
                return
            cid, block = CID.from_bytes(frame[:CID_BYTES]), frame[CID_BYTES:]
            if cid not in wanted or cid in answer.blocks:
                raise RemoteProtocolError(f"Block {cid} was not asked for.", code="block-unasked")
            verify(cid, block)
            received += len(block)
            # One block may take the answer over the budget; the answering side follows the same rule.
            if received > self._config.max_response_bytes + self._config.max_block_bytes:
                raise RemoteProtocolError("The answer is over its budget.", code="answer-too-large")
            answer.blocks[cid] = block

    # answering

    async def _serve(self, frames: Frames, peer: str) -> None:
        wanted = _parse_request(await frames.read(MAX_LIST_BYTES), self._config.max_request_cids)
        later: list[CID] = []
        missing: list[CID] = []
        if self._wire.ledger.take(peer, "blocks"):
            await self._send_blocks(frames, peer, wanted, later, missing)
        else:
            self._wire.traffic.drops["rate-limited"] += 1
            later = wanted
        await frames.write(dagcbor.encode({"later": later, "missing": missing}))

    async def _send_blocks(
        self, frames: Frames, peer: str, wanted: list[CID], later: list[CID], missing: list[CID]
    ) -> None:
        sent, waiting = 0, wanted
        while waiting:
            batch, waiting = await trio.to_thread.run_sync(self._read_some, waiting)
            for cid, block in batch:
                if block is None:
                    missing.append(cid)
                elif sent >= self._config.max_response_bytes or not self._wire.may_send_block(peer, len(block)):
                    later.append(cid)
                else:
                    sent += len(block)
                    self._wire.traffic.frames_out += 1
                    await frames.write(bytes(cid) + block)
            if later:
                later.extend(waiting)
                return

    def _read_some(self, waiting: list[CID]) -> tuple[list[tuple[CID, bytes | None]], list[CID]]:
        """Read blocks in a worker thread until a few megabytes are in memory."""
        batch: list[tuple[CID, bytes | None]] = []
        size = 0
        for index, cid in enumerate(waiting):
            block = self._read(cid)
            batch.append((cid, block))
            size += len(block or b"")
            if size >= _READ_AHEAD_BYTES:
                return batch, waiting[index + 1 :]
        return batch, []

    def _read(self, cid: CID) -> bytes | None:
        try:
            block = self._store.get(cid)
        except HalleError:
            return None  # missing or damaged here: the asker can only look elsewhere
        return block if len(block) <= self._config.max_block_bytes else None


def _parse_request(frame: bytes, limit: int) -> list[CID]:
    value = dagcbor.decode(frame)
    if not isinstance(value, dict) or set(value) != {"want"}:
        raise RemoteProtocolError("A block request has one field, `want`.", code="blocks-shape")
    wanted = _links(value["want"])
    if len(wanted) > limit:
        raise RemoteProtocolError(f"{len(wanted)} blocks asked at once; {limit} may be.", code="blocks-too-many")
    return list(dict.fromkeys(wanted))


def _parse_trailer(frame: bytes, open_wants: set[CID]) -> tuple[list[CID], list[CID]]:
    value = dagcbor.decode(frame)
    if not isinstance(value, dict) or not {"later", "missing"} <= set(value):
        raise RemoteProtocolError("A block answer ends with `later` and `missing`.", code="blocks-shape")
    later, missing = _links(value["later"]), _links(value["missing"])
    if len(later) + len(missing) != len(open_wants) or open_wants != {*later, *missing}:
        raise RemoteProtocolError("A block answer accounts for other blocks.", code="blocks-shape")
    return later, missing


def _links(value: object) -> list[CID]:
    if not isinstance(value, list) or not all(isinstance(link, CID) for link in value):
        raise RemoteProtocolError("A block list holds links only.", code="blocks-shape")
    return value
