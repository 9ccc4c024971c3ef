"""docs/spec/11-network.md: its vectors hold on both sides of every protocol, and its numbers are those of the code."""

from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from halle_node.blocks import BlockStore
from halle_node.config import load, paths
from halle_node.db import open_database
from halle_node.index import IndexService
from halle_node.p2p import NetworkConfig, Verdict, limits, wire
from halle_node.p2p import direct as message_protocol
from halle_node.p2p import exchange as blocks_protocol
from halle_node.p2p import gossip as heads_topic
from halle_node.p2p import sync as sync_protocol
from halle_node.p2p.framing import Frames, ended, prefix
from halle_protocol.cid import CID
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError, Unavailable
from halle_protocol.head import Announcement
from halle_protocol.reconcile import Item, ItemSet

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests" / "vectors"
PAGE = (ROOT / "docs" / "spec" / "11-network.md").read_text(encoding="utf-8")
PEER = "12D3KooWGCyS8gmm9gYyy4D6ZHe6oVnV9w6GFdR2rfAKtv3aE3Cw"
Case = dict[str, Any]


def cases(name: str, *kinds: str) -> list[Any]:
    body = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["name"]) for case in body["cases"] if case["kind"] in kinds]


def data_of(value: Any) -> bytes:
    if isinstance(value, dict):
        return bytes.fromhex(value["begin"]) + bytes(value["zeros"])
    return bytes.fromhex(value)


def wire_of(payloads: Sequence[Any]) -> bytes:
    return b"".join(prefix(len(data)) + data for data in map(data_of, payloads))


class Script:
    """A stream on which the other side has already said everything; what we say is kept."""

    def __init__(self, said: bytes) -> None:
        self._said = said
        self.written = bytearray()
        self.fate = "open"

    async def read(self, size: int) -> bytes:
        if not self._said:
            raise EOFError
        # Frames must not depend on how the bytes arrive.
        piece, self._said = self._said[: min(size, 1000)], self._said[min(size, 1000) :]
        return piece

    async def write(self, data: bytes) -> None:
        self.written += data

    async def close(self) -> None:
        self.fate = "closed"

    async def reset(self) -> None:
        self.fate = "reset"


class Desk:
    """What the protocols need of the wire, over one scripted stream."""

    def __init__(self, said: bytes = b"", **settings: Any) -> None:
        self.config = NetworkConfig(**settings)
        rates = dict.fromkeys(("heads", "messages", "blocks", "block-bytes", "syncs"), 1e9)
        self.ledger = limits.PeerLedger(rates, lambda: 0.0)
        self.traffic = wire.Traffic()
        self.own_id = "own"
        self.punished: Counter[str] = Counter()
        self.stream = Script(said)

    def serve(self, protocol: str, server: wire.Server) -> None:
        self._server = server

    def may_send_block(self, peer: str, size: int) -> bool:
        return self.ledger.take(peer, "block-bytes", size)

    def punish(self, peer: str) -> None:
        self.punished[peer] += 1

    def frames(self) -> Frames:
        return Frames(self.stream, timeout_s=5, count=lambda bytes_in, bytes_out: None)

    @asynccontextmanager
    async def opened(self, peer: str, addrs: Sequence[str], protocol: str) -> AsyncIterator[Frames]:
        async with ended(self.stream):
            yield self.frames()

    async def answer(self) -> None:
        await self._server(self.frames(), PEER)


class AnyHead:
    """A node that likes every head and remembers what it processed."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def validate(self, frame: bytes, from_peer: str) -> Verdict:
        return Verdict.ACCEPT

    async def process(self, frame: bytes, from_peer: str) -> None:
        self.taken.append(frame)


def test_vectors_are_what_the_generator_writes() -> None:
    spec = importlib.util.spec_from_file_location("generate_network", VECTORS / "generate_network.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    for name in generator.FILES:
        assert (VECTORS / f"{name}.json").read_text(encoding="utf-8") == generator.text_of(name), name


# --- 2 frames


@pytest.mark.parametrize("case", cases("network_valid", "frame"))
def test_frame_is_written_and_read_as_in_the_vector(case: Case) -> None:
    desk = Desk(data_of(case["wire"]))

    async def both() -> bytes:
        await desk.frames().write(data_of(case["payload"]))
        return await desk.frames().read(case["limit"])

    assert trio.run(both) == data_of(case["payload"])
    assert desk.stream.written.hex() == case["wire"]


@pytest.mark.parametrize("case", cases("network_invalid", "frame"))
def test_frame_is_refused_as_in_the_vector(case: Case) -> None:
    frames = Desk(data_of(case["wire"])).frames()
    assert code_of(lambda: frames.read(case["limit"])) == case["error"]


def code_of(call: Callable[[], Awaitable[object]]) -> str:
    with pytest.raises(HalleError) as caught:
        trio.run(call)
    return caught.value.code


# --- 3 gossip


@pytest.mark.parametrize("case", cases("network_valid", "gossip"))
async def test_head_gets_the_verdict_of_the_vector(case: Case, tmp_path: Path) -> None:
    config = load(tmp_path, environ={})
    db = open_database(paths(config)["database"])
    blocks = BlockStore(paths(config)["blocks"])

    async def nobody(peer_id: str, addrs: list[str], cids: list[CID]) -> dict[CID, bytes]:
        raise Unavailable("Nobody is there.", code="peer-unreachable")

    index = IndexService(config, db, blocks, nobody, lambda: case["now"])
    try:
        for known in case["known"]:
            await index.on_head(data_of(known), PEER)
        assert index.validate(data_of(case["frame"]), PEER).value == case["verdict"]
    finally:
        await index.close()
        blocks.close()
        db.close()


# --- 4 reconciliation


def reconciler(desk: Desk, frames: Sequence[bytes]) -> tuple[sync_protocol.HeadSync, AnyHead]:
    by_id = {item_of(frame).id: frame for frame in frames}

    async def items() -> ItemSet:
        return ItemSet(item_of(frame) for frame in frames)

    async def frames_of(ids: Sequence[bytes]) -> list[bytes]:
        return [by_id[one] for one in ids if one in by_id]

    node = AnyHead()
    gossip = heads_topic.HeadGossip(desk, node, node.process, lambda: 0.0)  # type: ignore[arg-type]
    return sync_protocol.HeadSync(desk, gossip, items, frames_of), node  # type: ignore[arg-type]


def item_of(frame: bytes) -> Item:
    head = Announcement.decode(frame).verify(None)
    return Item(head.issued, head.cid.digest)


def sent_heads(payloads: Sequence[str]) -> list[bytes]:
    return sorted(data_of(each)[1:] for each in payloads if each.startswith("46"))


@pytest.mark.parametrize("case", cases("network_valid", "sync"))
def test_reconciliation_says_and_takes_what_the_vector_says(case: Case) -> None:
    for side, other in (("asker", "answerer"), ("answerer", "asker")):
        desk = Desk(wire_of(case[other]))
        sync, node = reconciler(desk, [data_of(case["heads"][n]) for n in case[f"{side}_has"]])
        trio.run(lambda side=side, sync=sync, desk=desk: sync.run(PEER) if side == "asker" else desk.answer())
        assert bytes(desk.stream.written) == wire_of(case[side]), side
        assert sorted(node.taken) == sent_heads(case[other])
        assert not desk.punished


@pytest.mark.parametrize("case", cases("network_invalid", "sync"))
def test_reconciliation_is_refused_as_in_the_vector(case: Case) -> None:
    desk = Desk(wire_of(case["payloads"]))
    sync, _ = reconciler(desk, [])
    asks = case["sent_by"] == "answerer"
    assert code_of((lambda: sync.run(PEER)) if asks else desk.answer) == case["error"]
    if asks:
        assert (desk.punished[PEER], desk.stream.fate) == (1, "reset")


# --- 5 blocks


@pytest.mark.parametrize("case", cases("network_valid", "blocks"))
def test_blocks_are_asked_for_and_answered_as_in_the_vector(case: Case, tmp_path: Path) -> None:
    want = [CID.parse(text) for text in case["want"]]
    settings = {name: case[name] for name in ("max_response_bytes",) if name in case}
    store = BlockStore(tmp_path / "blocks")
    store.put_many([(CID.parse(text), data_of(block)) for text, block in case["has"].items()])
    if "answerer" in case["sides"]:
        desk = Desk(wire_of(case["asker"]), **settings)
        blocks_protocol.BlockExchange(desk, store)  # type: ignore[arg-type]
        trio.run(desk.answer)
        assert bytes(desk.stream.written) == wire_of(case["answerer"])
    desk = Desk(wire_of(case["answerer"]), **settings)
    exchange = blocks_protocol.BlockExchange(desk, store)  # type: ignore[arg-type]

    async def ask() -> dict[CID, bytes]:
        answer = await exchange._ask(PEER, [], want)
        return answer.blocks

    sent = [data_of(each) for each in case["answerer"] if each.startswith("01")]
    assert trio.run(ask) == {CID.from_bytes(each[:36]): each[36:] for each in sent}
    assert bytes(desk.stream.written) == wire_of(case["asker"])
    store.close()


@pytest.mark.parametrize("case", cases("network_invalid", "blocks"))
def test_blocks_are_refused_as_in_the_vector(case: Case, tmp_path: Path) -> None:
    desk, store = Desk(wire_of(case["payloads"])), BlockStore(tmp_path / "blocks")
    exchange = blocks_protocol.BlockExchange(desk, store)  # type: ignore[arg-type]
    wanted = [CID.parse(text) for text in case.get("want", ())]
    asks = case["sent_by"] == "answerer"
    assert code_of((lambda: exchange.fetch(PEER, [], wanted)) if asks else desk.answer) == case["error"]
    if asks:
        assert desk.stream.fate == "reset"
        assert desk.punished[PEER] == (case["error"] != "peer-gone")
    store.close()


# --- 6 messages


@pytest.mark.parametrize("case", [*cases("network_valid", "message"), *cases("network_invalid", "message")])
def test_message_has_the_outcome_of_the_vector(case: Case) -> None:
    desk = Desk(wire_of(case["answerer"]))

    async def nothing(envelope: bytes, peer: str) -> None:
        return None

    direct = message_protocol.DirectMessages(desk, nothing)  # type: ignore[arg-type]
    call = lambda: direct.deliver(PEER, [], data_of(case["asker"][0]))  # noqa: E731
    if case["outcome"] == "delivered":
        trio.run(call)
    else:
        expected = Refused if case["outcome"] == "refused" else Unavailable
        with pytest.raises(expected) as caught:
            trio.run(call)
        assert caught.value.code == case["code"]
    assert bytes(desk.stream.written) == wire_of(case["asker"])


@pytest.mark.parametrize(
    ("trouble", "answer"),
    [
        (None, "processed"),
        (Refused("Sealed to a destroyed key.", code="prekey-unknown"), "refused for good"),
        (Unavailable("Too many.", code="rate-limited"), "to be sent again"),
    ],
)
def test_receiver_answers_as_in_the_vector(trouble: HalleError | None, answer: str) -> None:
    case = next(each.values[0] for each in cases("network_valid", "message") if each.id == answer)
    desk = Desk(wire_of(case["asker"]))

    async def process(envelope: bytes, peer: str) -> None:
        assert envelope == data_of(case["asker"][0])
        if trouble is not None:
            raise trouble

    message_protocol.DirectMessages(desk, process)  # type: ignore[arg-type]
    trio.run(desk.answer)
    assert bytes(desk.stream.written) == wire_of(case["answerer"])


def test_refused_message_does_not_cost_the_peer_that_brought_it() -> None:
    desk = Desk(wire_of([b"an envelope".hex()]))

    async def process(envelope: bytes, peer: str) -> None:
        raise RemoteProtocolError("Not signed.", code="bad-signature")

    message_protocol.DirectMessages(desk, process)  # type: ignore[arg-type]
    trio.run(desk.answer)
    assert not desk.punished


# --- the page


TABLE = re.compile(r"^\| ([a-z ,]+) \| (\d+) \|$", re.MULTILINE)
DEFAULTS = {
    "heads a minute": "heads_per_minute",
    "of these not shared with other peers": "heads_per_minute_reserve",
    "heads a minute, all peers together": "heads_per_minute_all",
    "messages a minute": "messages_per_minute",
    "block requests a minute": "block_requests_per_minute",
    "block bytes a minute": "response_bytes_per_minute",
    "reconciliations a minute": "syncs_per_minute",
    "streams open at a time": "max_streams_per_peer",
    "connections in all": "max_connections",
    "inbound connections of one address": "max_connections_per_ip",
    "reconciliations answered at a time": "max_syncs_served",
    "one frame, seconds": "read_timeout_s",
    "one whole request, seconds": "request_timeout_s",
    "one dial of one address, seconds": "dial_timeout_s",
    "all addresses of a peer, seconds": "connect_timeout_s",
    "between two pings, seconds": "health_check_interval_s",
    "between two reconciliations, seconds": "sync_interval_s",
    "first wait after a failed dial, seconds": "reconnect_min_s",
    "longest wait after failed dials, seconds": "reconnect_max_s",
    "peers sought": "target_peers",
}


def test_page_names_the_defaults_of_the_code() -> None:
    config = NetworkConfig()
    assert {name: float(value) for name, value in TABLE.findall(PAGE)} == {
        name: float(getattr(config, field)) for name, field in DEFAULTS.items()
    }


def test_page_names_the_limits_of_the_code() -> None:
    config = NetworkConfig()
    told = {
        "at most 2,048 bytes": config.max_frame_bytes,
        "last 65,536 are remembered": heads_topic.SEEN_FRAMES,
        "accepted in the last 600 seconds": int(heads_topic.SEEN_S),
        "at most 32 times": sync_protocol.MAX_ROUNDS,
        "32 bytes each, at most 4,096": sync_protocol.MAX_IDS,
        "| 262,144 bytes; spec 4": sync_protocol.MAX_FRAME_BYTES,
        "at most 256 | 65,536": config.max_request_cids,
        "| 2,097,188 bytes": config.max_block_bytes + blocks_protocol.CID_BYTES,
        "16 MiB are sent": config.max_response_bytes >> 20,
        "18 MiB of blocks": (config.max_response_bytes + config.max_block_bytes) >> 20,
        "an envelope (spec 8) | 262,144": config.max_envelope_bytes,
        "see below | 4,096": message_protocol.MAX_ANSWER_BYTES,
        "at most 500 characters": message_protocol.MAX_WORDS,
        "adds 1, up to 100": int(limits.MAX_SCORE),
        "takes 10": int(limits.REJECT_COST),
        "Below −40": -int(limits.MESH_BELOW),
        "half of itself in 600 seconds": int(limits.SCORE_HALF_LIFE_S),
        "at least 100,000 heads": config.shards_from,
        "Below −100": -int(limits.BAN_BELOW),
        "banned for 600": int(limits.BAN_S),
    }
    for words, number in told.items():
        assert words in PAGE, words
        assert str(number) in words.replace(",", ""), words


def test_page_names_every_protocol() -> None:
    for name in (heads_topic.TOPIC, sync_protocol.PROTOCOL, blocks_protocol.PROTOCOL, message_protocol.PROTOCOL):
        assert f"`{name}`" in PAGE
