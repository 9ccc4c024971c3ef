"""The requirements of IPFS's trustless gateway and delegated routing, on content made here.

The requirements are those of the public specifications (path and trustless gateway, IPIP-402, 412, 523, 337, 484).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession
from aiohttp.test_utils import TestServer

from halle_node.blocks import BlockStore
from halle_node.blocks.offer import Offer
from halle_node.catalog.naming import Naming
from halle_node.config import Config
from halle_node.db import open_database
from halle_node.p2p.metering import UploadBudget
from halle_protocol import car, dagcbor, ipns, unixfs
from halle_protocol.cid import CID, DAG_CBOR, DAG_PB, RAW, cid_of
from halle_protocol.head import sign_head
from halle_protocol.unixfs import CHUNK_BYTES, Link, build_directory, build_file, encode_node
from halle_storefront.app import make_apps
from halle_storefront.gateway import budget

RAW_TYPE, CAR_TYPE = "application/vnd.ipld.raw", "application/vnd.ipld.car"
RECORD_TYPE = "application/vnd.ipfs.ipns-record"
PEER = "12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5"
NOW = 1_800_000_000
EMPTY = "bafkqaaa"
HELLO = "bafkqaddimvwgy3zao5xxe3debi"  # the words "hello world\n" inside the name itself


class Goods:
    """What this node offers, and one file it keeps to itself."""

    def __init__(self) -> None:
        self.text = build_file(b"hello gateway\n")
        self.long = build_file(b"".join(bytes([65 + n]) * CHUNK_BYTES for n in range(4)) + b"tail")
        self.inner = build_directory({"ascii.txt": self.text, "copy.txt": self.text, "long.bin": self.long})
        self.tree = build_directory({"hello.txt": self.text, "subdir": self.inner})
        self.document, block = _document({"files": [{"link": self.tree.root}], "title": "Bowl"})
        self.draft = build_file(b"nobody has published this")
        self.blocks = self.tree.blocks | self.draft.blocks | {self.document: block}
        self.leaves = unixfs.links(self.long.root, self.long.blocks[self.long.root])


def _document(value: object) -> tuple[CID, bytes]:
    block = dagcbor.encode(value)
    return cid_of(DAG_CBOR, block), block


@dataclass
class Gateway:
    """A served gateway and someone who asks it."""

    goods: Goods
    node: Any
    server: TestServer
    client: ClientSession
    pins: list[CID] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.port}{path}"

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, self.url(path), headers=named, skip_auto_headers=["Accept"]) as answer:
            return answer.status, dict(answer.headers), await answer.read()

    async def car(self, path: str, **headers: str) -> list[CID]:
        """The names of the blocks of a CAR, each verified."""
        status, _, body = await self.ask(path, **headers)
        assert status == 200, body
        return [cid for cid, _ in car.read(body, max_blocks=1_000, max_bytes=1 << 27).blocks]


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    goods, blocks, db = Goods(), BlockStore(tmp_path / "blocks"), open_database(tmp_path / "node.db")
    blocks.put_many(list(goods.blocks.items()))
    pins = [goods.document]
    node = SimpleNamespace(
        config=Config(home=tmp_path, shop_port=0),
        blocks=blocks,
        offer=Offer(blocks, lambda: pins, clock=lambda: float(len(pins))),
        naming=Naming(db, b"\x07" * 32, lambda: NOW),
        network=SimpleNamespace(peer_id=PEER, upload=UploadBudget(0), addrs=[f"/ip4/127.0.0.1/tcp/4480/p2p/{PEER}"]),
        clock=lambda: NOW,
    )
    _, shop = make_apps(node)
    async with TestServer(shop, host="127.0.0.1") as server, ClientSession(auto_decompress=False) as client:
        yield Gateway(goods, node, server, client, pins)
    blocks.close()
    db.close()


# --- blocks


async def test_block_comes_with_its_headers_by_parameter_and_by_accept(gateway: Gateway) -> None:
    cid = gateway.goods.text.root
    for path, headers in ((f"/ipfs/{cid}?format=raw", {}), (f"/ipfs/{cid}", {"Accept": RAW_TYPE})):
        status, got, body = await gateway.ask(path, **headers)
        assert (status, body) == (200, b"hello gateway\n")
        assert got["Content-Type"] == RAW_TYPE
        assert got["Content-Length"] == "14"
        assert got["Content-Disposition"] == f'attachment; filename="{cid}.bin"'
        assert got["X-Content-Type-Options"] == "nosniff"
        assert got["Etag"] == f'"{cid}.raw"'
        assert (got["X-Ipfs-Path"], got["X-Ipfs-Roots"]) == (f"/ipfs/{cid}", str(cid))
        assert {"public", "immutable"} <= set(got["Cache-Control"].split(", "))
        assert int(got["Cache-Control"].split("max-age=")[1].split(",")[0]) >= 29_030_400
        assert got["Access-Control-Allow-Origin"] == "*"
        assert got["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert got["Content-Location"] == f"/ipfs/{cid}?format=raw"
    status, head, body = await gateway.ask(f"/ipfs/{cid}?format=raw", "HEAD")
    assert (status, body, head["Content-Length"]) == (200, b"", "14")


async def test_block_is_known_again_by_its_tag(gateway: Gateway) -> None:
    path = f"/ipfs/{gateway.goods.text.root}?format=raw"
    _, headers, _ = await gateway.ask(path)
    for value in (headers["Etag"], f'"other", {headers["Etag"]}', f"W/{headers['Etag']}", "*"):
        assert (await gateway.ask(path, If_None_Match=value))[0] == 304
    assert (await gateway.ask(path, If_None_Match='"other"'))[0] == 200


@pytest.mark.parametrize(
    ("asked", "status", "body", "where"),
    [
        ("bytes=0-4", 206, b"hello", "bytes 0-4/14"),
        ("bytes=6-", 206, b"gateway\n", "bytes 6-13/14"),
        ("bytes=-8", 206, b"gateway\n", "bytes 6-13/14"),
        ("bytes=-500", 206, b"hello gateway\n", "bytes 0-13/14"),
        ("bytes=10-9999", 206, b"way\n", "bytes 10-13/14"),
        ("bytes=14-", 416, None, "bytes */14"),
        ("bytes=-0", 416, None, "bytes */14"),
        ("bytes=5-2", 200, b"hello gateway\n", None),
        ("bytes=0-1,3-4", 200, b"hello gateway\n", None),
        ("lines=0-1", 200, b"hello gateway\n", None),
        ("bytes=0-" + "9" * 400, 200, b"hello gateway\n", None),
    ],
)
async def test_block_by_range(gateway: Gateway, asked: str, status: int, body: bytes | None, where: str | None) -> None:
    got, headers, found = await gateway.ask(f"/ipfs/{gateway.goods.text.root}?format=raw", Range=asked)
    assert got == status
    assert headers.get("Content-Range") == where
    assert body is None or found == body


async def test_range_holds_only_for_the_block_it_was_begun_with(gateway: Gateway) -> None:
    path = f"/ipfs/{gateway.goods.text.root}?format=raw"
    assert (await gateway.ask(path, Range="bytes=0-1", If_Range='"other"'))[0] == 200
    assert (await gateway.ask(path, Range="bytes=0-1", If_Range=f'"{gateway.goods.text.root}.raw"'))[0] == 206


async def test_cid_is_read_in_every_usual_spelling(gateway: Gateway) -> None:
    cid = gateway.goods.text.root
    spellings = (str(cid), str(cid).upper(), "f" + cid.hex(), "u" + base64.urlsafe_b64encode(cid).decode().rstrip("="))
    for text in spellings:
        assert (await gateway.ask(f"/ipfs/{text}?format=raw"))[0] == 200, text


@pytest.mark.parametrize(
    "text",
    [
        "bafy",
        "x",
        "Qm" + "1" * 44,
        "bafkreih" + "7" * 300,
        "f01551220",
        "b" + "a" * 58,
        "%00",
        "zI0O",
        "f02551220" + "0" * 64,
    ],
)
async def test_what_is_no_cid_is_refused(gateway: Gateway, text: str) -> None:
    for path in (f"/ipfs/{text}?format=raw", f"/ipfs/{text}?format=car"):
        assert (await gateway.ask(path))[0] in (400, 404)
    assert (await gateway.ask(f"/routing/v1/providers/{text}"))[0] in (200, 422)


async def test_filename_is_kept_for_old_and_new_readers(gateway: Gateway) -> None:
    path = f"/ipfs/{gateway.goods.text.root}?format=raw&filename=%C3%A9tui%22%0D%0AX-Evil%3A1.bin"
    _, headers, _ = await gateway.ask(path)
    assert headers["Content-Disposition"].startswith('attachment; filename="_tui___X-Evil:1.bin"; filename*=UTF-8')
    assert "X-Evil" not in headers


# --- what is not given


async def test_only_what_is_published_is_given(gateway: Gateway) -> None:
    for form in ("raw", "car"):
        for method in ("GET", "HEAD"):
            path = f"/ipfs/{gateway.goods.draft.root}?format={form}"
            assert (await gateway.ask(path, method))[0] == 404
            assert (await gateway.ask(path, method, Cache_Control="only-if-cached"))[0] == 412
            held = f"/ipfs/{gateway.goods.text.root}?format={form}"
            assert (await gateway.ask(held, method, Cache_Control="only-if-cached"))[0] == 200
    gateway.pins.append(gateway.goods.draft.root)
    assert (await gateway.ask(f"/ipfs/{gateway.goods.draft.root}?format=raw"))[0] == 200


async def test_nothing_is_unpacked_for_a_browser(gateway: Gateway) -> None:
    cid = gateway.goods.text.root
    for accept in ("text/html,application/xhtml+xml", "application/json", "application/vnd.ipld.dag-cbor"):
        assert (await gateway.ask(f"/ipfs/{cid}", Accept=accept))[0] == 406
    for headers in ({}, {"Accept": "*/*"}):
        assert (await gateway.ask(f"/ipfs/{cid}", **headers))[0] == 400
    for form, status in (("dag-json", 406), ("tar", 406), ("nonsense", 400), ("ipns-record", 406)):
        assert (await gateway.ask(f"/ipfs/{cid}?format={form}"))[0] == status
    assert (await gateway.ask(f"/ipfs/{gateway.goods.tree.root}/hello.txt?format=raw"))[0] == 400


async def test_both_listeners_show_no_stranger_a_block_of_the_local_side(gateway: Gateway) -> None:
    local, _ = make_apps(gateway.node)
    paths = {resource.canonical for resource in local.router.resources()}
    assert not [path for path in paths if path.startswith(("/ipfs", "/ipns", "/routing"))]


async def test_any_page_may_ask_and_read(gateway: Gateway) -> None:
    for path in (f"/ipfs/{gateway.goods.text.root}", "/ipns/k51", "/routing/v1/providers/x"):
        status, headers, _ = await gateway.ask(
            path, "OPTIONS", Origin="https://elsewhere.example", Access_Control_Request_Method="GET"
        )
        assert status == 204
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "Range" in headers["Access-Control-Allow-Headers"]
    status, headers, _ = await gateway.ask("/ipfs/nonsense?format=raw", Origin="https://elsewhere.example")
    assert (status, headers["Access-Control-Allow-Origin"]) == (400, "*")
    assert headers["Content-Type"].startswith("text/plain")


async def test_probe_is_answered(gateway: Gateway) -> None:
    for method in ("GET", "HEAD"):
        assert (await gateway.ask(f"/ipfs/{EMPTY}?format=raw", method))[::2] == (200, b"")
    assert (await gateway.ask(f"/ipfs/{HELLO}?format=raw"))[2] == b"hello world\n"
    status, headers, body = await gateway.ask(f"/ipfs/{EMPTY}?format=car", Accept=f"{CAR_TYPE}; dups=y")
    assert (status, body) == (200, b"\x19" + b"\xa2\x65roots\x81\xd8\x2a\x45\0\x01\x55\0\0\x67version\x01")
    assert "dups=y" in headers["Content-Type"]


# --- CARs


async def test_car_comes_with_its_headers(gateway: Gateway) -> None:
    cid = gateway.goods.tree.root
    for path, headers in (
        (f"/ipfs/{cid}?format=car", {}),
        (f"/ipfs/{cid}", {"Accept": f"text/html;q=0.1, {CAR_TYPE}"}),
    ):
        status, got, body = await gateway.ask(path, **headers)
        assert status == 200
        assert got["Content-Type"] == f"{CAR_TYPE}; version=1; order=dfs; dups=n"
        assert got["Content-Disposition"] == f'attachment; filename="{cid}.car"'
        assert (got["Accept-Ranges"], got["X-Content-Type-Options"]) == ("none", "nosniff")
        assert "Content-Length" not in got
        assert car.read(body, max_blocks=100, max_bytes=1 << 27).roots == [cid]
    assert got["Content-Location"] == f"/ipfs/{cid}?format=car"
    assert (await gateway.ask(path, **headers, If_None_Match=got["Etag"]))[0] == 304
    status, head, body = await gateway.ask(f"/ipfs/{cid}?format=car", "HEAD")
    assert (status, body, head["Etag"]) == (200, b"", got["Etag"])


async def test_car_holds_the_way_and_then_the_end_depth_first(gateway: Gateway) -> None:
    goods = gateway.goods
    tree, inner, text = goods.tree.root, goods.inner.root, goods.text.root
    whole = [goods.long.root, *goods.leaves]
    way = [goods.document, tree, inner]
    start, end = f"/ipfs/{goods.document}/files/0/link", "?format=car"
    for path, scope, wanted in (
        ("/subdir/long.bin", "", [*way, *whole]),
        ("/subdir/long.bin", "&dag-scope=block", [*way, goods.long.root]),
        ("/subdir", "&dag-scope=block", way),
        ("/subdir", "&dag-scope=entity", way),
        ("/subdir/long.bin", "&dag-scope=entity", [*way, *whole]),
        ("/subdir", "&dag-scope=all", [*way, text, *whole]),
        ("", "", [goods.document, tree, text, inner, *whole]),
    ):
        assert await gateway.car(f"{start}{path}{end}{scope}") == wanted, (path, scope)
    inside = f"/ipfs/{goods.document}/title{end}"
    assert await gateway.car(f"{inside}&dag-scope=block") == [goods.document]
    assert await gateway.car(f"/ipfs/{goods.document}{end}&dag-scope=entity") == [goods.document]


@pytest.mark.parametrize(
    ("part", "leaves"),
    [
        ("0:0", [0]),
        ("0:*", [0, 1, 2, 3, 4]),
        ("1048575:1048576", [0, 1]),
        ("-4:*", [4]),
        ("-99999999:-5", [0, 1, 2, 3]),
        ("2097152:999999999999", [2, 3, 4]),
        ("999999999999:*", []),
        ("5:4", []),
    ],
)
async def test_car_of_a_range_holds_the_least(gateway: Gateway, part: str, leaves: list[int]) -> None:
    goods = gateway.goods
    path = f"/ipfs/{goods.long.root}?format=car&entity-bytes={part}"
    assert await gateway.car(path) == [goods.long.root, *(goods.leaves[n] for n in leaves)]
    folder = f"/ipfs/{goods.tree.root}?format=car&entity-bytes={part}"
    assert await gateway.car(folder) == [goods.tree.root]


async def test_car_with_and_without_repeated_blocks(gateway: Gateway) -> None:
    goods = gateway.goods
    text, whole = goods.text.root, [goods.long.root, *goods.leaves]
    path = f"/ipfs/{goods.inner.root}"
    assert await gateway.car(path, Accept=f"{CAR_TYPE}; dups=y") == [goods.inner.root, text, text, *whole]
    assert await gateway.car(path, Accept=f"{CAR_TYPE}; dups=n") == [goods.inner.root, text, *whole]
    assert len(await gateway.car(f"{path}?format=car&car-dups=y", Accept=f"{CAR_TYPE}; dups=n")) == 3 + len(whole)
    status, headers, _ = await gateway.ask(f"{path}?format=car&car-order=dfs", Accept=f"{CAR_TYPE};order=unk")
    assert (status, "order=dfs" in headers["Content-Type"]) == (200, True)


async def test_tags_differ_by_what_is_in_the_car(gateway: Gateway) -> None:
    base = f"/ipfs/{gateway.goods.tree.root}"
    paths = ["", "&dag-scope=entity", "&dag-scope=block", "&entity-bytes=0:1", "&entity-bytes=0:*", "&car-dups=y"]
    asked = [f"{base}?format=car{end}" for end in paths] + [f"{base}/subdir?format=car"]
    tags = [(await gateway.ask(path, "HEAD"))[1]["Etag"] for path in asked]
    assert len(set(tags)) == len(tags)
    assert all(tag.startswith('W/"') for tag in tags)


@pytest.mark.parametrize(
    "end",
    ["&dag-scope=half", "&entity-bytes=a:b", "&entity-bytes=1", "&car-version=2", "&car-order=bfs", "&car-dups=maybe"],
)
async def test_car_that_is_not_understood_is_refused(gateway: Gateway, end: str) -> None:
    assert (await gateway.ask(f"/ipfs/{gateway.goods.tree.root}?format=car{end}"))[0] == 400


@pytest.mark.parametrize("path", ["none", "subdir/none", "hello.txt/deeper", "subdir/%20", "/".join("x" * 100)])
async def test_path_to_nowhere_is_not_found(gateway: Gateway, path: str) -> None:
    assert (await gateway.ask(f"/ipfs/{gateway.goods.tree.root}/{path}?format=car"))[0] == 404


async def test_old_names_are_passed(gateway: Gateway) -> None:
    """Version 0 names are what Kubo makes by default; they come back as the graph spells them."""
    leaf = encode_node([], b"\x08\x02\x12\x03old\x18\x03")
    old = hashlib.sha256(leaf).digest()
    body = b"\x0a\x22\x12\x20" + old + b"\x12\x05a.txt\x18\x0b"
    folder = b"\x12" + bytes([len(body)]) + body + b"\x0a\x02\x08\x01"
    root = cid_of(DAG_PB, folder)
    gateway.node.blocks.put_many([(root, folder), (cid_of(DAG_PB, leaf), leaf)])
    gateway.pins.append(root)
    status, _, answer = await gateway.ask(f"/ipfs/{root}/a.txt?format=car")
    assert status == 200
    assert answer.endswith(bytes([34 + len(leaf)]) + b"\x12\x20" + old + leaf)


async def test_car_is_cut_when_a_block_is_lost_on_the_way(gateway: Gateway) -> None:
    """The connection breaks off: an answer that ends early must not look like a whole one."""
    missing = build_file(b"lost")
    block = encode_node([Link(gateway.goods.text.root, "a", 14), Link(missing.root, "b", 4)], b"\x08\x01")
    root = cid_of(DAG_PB, block)
    gateway.node.blocks.put(root, block)
    gateway.pins.append(root)
    with pytest.raises(ClientPayloadError):
        await gateway.ask(f"/ipfs/{root}?format=car")
    assert await gateway.car(f"/ipfs/{root}?format=car&dag-scope=entity") == [root]


async def test_endless_graph_ends_at_the_limit(gateway: Gateway) -> None:
    """Sixty documents that unfold to 2^60 blocks: few when sent once, cut when wanted each time."""
    cid, block = _document({"end": b"x" * 10_000})
    blocks = [(cid, block)]
    for _ in range(60):
        cid, block = _document([cid, cid])
        blocks.append((cid, block))
    gateway.node.blocks.put_many(blocks)
    gateway.pins.append(cid)
    assert len(await gateway.car(f"/ipfs/{cid}?format=car")) == 61
    reader = await asyncio.wait_for(_read_until_cut(gateway, f"/ipfs/{cid}?format=car&car-dups=y", 3_000_000), 60)
    assert reader >= 3_000_000


async def test_reader_that_takes_nothing_is_cut_off(gateway: Gateway) -> None:
    visitors = gateway.server.app[budget.VISITORS]
    visitors.stall_s = 0.3
    cid, block = _document({"end": b"x" * 60_000})
    blocks = [(cid, block)]
    for _ in range(12):
        cid, block = _document([cid, cid])
        blocks.append((cid, block))
    gateway.node.blocks.put_many(blocks)
    gateway.pins.append(cid)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.server.port, limit=1024)
    host = f"127.0.0.1:{gateway.server.port}"
    writer.write(f"GET /ipfs/{cid}?format=car&car-dups=y HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert visitors.under_way == 1
    async with asyncio.timeout(60):
        while visitors.under_way:
            await asyncio.sleep(0.02)
    writer.transport.abort()


async def _read_until_cut(gateway: Gateway, path: str, enough: int) -> int:
    """Read as much as a patient reader would, then hang up; the other side must bear that."""
    size = 0
    async with gateway.client.get(gateway.url(path)) as answer:
        async for piece in answer.content.iter_any():
            size += len(piece)
            if size >= enough:
                break
    return size


# --- names


async def named(gateway: Gateway) -> str:
    key = b"\x09" * 32
    head = sign_head(key, b"\x01" * 20, 5, cid_of(RAW, b""), issued=NOW, expires=NOW + 86_400, site=cid_of(RAW, b"s"))
    return (await gateway.node.naming.point_to(head)).name


async def test_record_is_given_by_name_in_every_spelling(gateway: Gateway) -> None:
    name = await named(gateway)
    key = b"\x08\x01\x12\x20" + ipns.parse_name(name)
    hexed = "f01720024" + key.hex()
    for text in (name, hexed, name.upper().replace("K", "K", 1)):
        for path, headers in (
            (f"/ipns/{text}?format=ipns-record", {}),
            (f"/ipns/{text}", {"Accept": RECORD_TYPE}),
            (f"/routing/v1/ipns/{text}", {"Accept": RECORD_TYPE}),
        ):
            status, got, body = await gateway.ask(path, **headers)
            assert status == 200, path
            found = ipns.verify(body, name, now=NOW)
            assert (found.sequence, found.value.endswith("/site")) == (5, True)
            assert got["Content-Type"] == RECORD_TYPE
            assert got["Cache-Control"].startswith("public, max-age=300")
            assert got["Content-Disposition"].startswith("attachment;")
            assert (await gateway.ask(path, **headers, If_None_Match=got["Etag"]))[0] == 304


async def test_record_that_is_not_ours_or_not_asked_for_as_one_is_refused(gateway: Gateway) -> None:
    other = ipns.name_of(b"\x05" * 32)
    assert (await gateway.ask(f"/ipns/{other}?format=ipns-record"))[0] == 404
    name = await named(gateway)
    for path, status in (
        (f"/ipns/{other}?format=ipns-record", 404),
        (f"/ipns/{name}?format=car", 406),
        (f"/ipns/{name}", 400),
        (f"/ipns/{name}/index.html?format=ipns-record", 400),
        ("/ipns/example.org?format=ipns-record", 400),
        (f"/ipns/{gateway.goods.text.root}?format=ipns-record", 400),
        (f"/routing/v1/ipns/{name}", 406),
    ):
        assert (await gateway.ask(path))[0] == status, path


# --- routing


async def test_router_names_this_node_for_what_it_offers_and_nobody_else(gateway: Gateway) -> None:
    http = f"/ip4/127.0.0.1/tcp/{gateway.server.port}/http"
    record = {
        "Schema": "peer",
        "ID": PEER,
        "Addrs": [http, "/ip4/127.0.0.1/tcp/4480"],
        "Protocols": ["transport-ipfs-gateway-http", "transport-bitswap"],
    }
    path = f"/routing/v1/providers/{gateway.goods.text.root}"
    status, headers, body = await gateway.ask(path)
    assert (status, json.loads(body)) == (200, {"Providers": [record]})
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Cache-Control"].startswith("public, max-age=300")
    status, headers, body = await gateway.ask(path, Accept="application/x-ndjson")
    assert (headers["Content-Type"], json.loads(body)) == ("application/x-ndjson", record)
    for cid in (gateway.goods.draft.root, EMPTY):
        status, headers, body = await gateway.ask(f"/routing/v1/providers/{cid}")
        assert (status, json.loads(body)) == (200, {"Providers": []})
        assert headers["Cache-Control"].startswith("public, max-age=15")
    assert (await gateway.ask("/routing/v1/providers/nonsense"))[0] == 422
    for text, found in ((PEER, [record]), ("12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d", [])):
        assert json.loads((await gateway.ask(f"/routing/v1/peers/{text}"))[2]) == {"Peers": found}
    assert (await gateway.ask("/routing/v1/peers/nonsense"))[0] == 422


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("filter-protocols=transport-bitswap", 2),
        ("filter-protocols=transport-graphsync", None),
        ("filter-addrs=http", 1),
        ("filter-addrs=!http", 1),
        ("filter-addrs=webtransport", None),
        ("filter-addrs=ip4,unknown", 2),
    ],
)
async def test_router_filters(gateway: Gateway, query: str, count: int | None) -> None:
    _, _, body = await gateway.ask(f"/routing/v1/providers/{gateway.goods.text.root}?{query}")
    found = json.loads(body)["Providers"]
    assert (len(found[0]["Addrs"]) if found else None) == count


async def test_router_is_told_nothing(gateway: Gateway) -> None:
    for method, path in (
        ("PUT", "/routing/v1/providers"),
        ("PUT", "/routing/v1/ipns/k51x"),
        ("GET", "/routing/v1/dht"),
    ):
        assert (await gateway.ask(path, method, Origin="https://elsewhere.example"))[0] in (404, 501)


# --- budgets


def visitor(remote: str, **headers: str) -> Any:
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(
        remote=remote, headers=SimpleNamespace(getall=lambda name, _: [found[name]] if name in found else [])
    )


def test_visitor_is_an_address_or_a_household() -> None:
    name = budget.visitor_of
    assert name(visitor("203.0.113.7", X_Forwarded_For="198.51.100.1")) == "203.0.113.7"
    assert name(visitor("127.0.0.1", X_Forwarded_For="10.0.0.1, 198.51.100.1")) == "198.51.100.1"
    assert name(visitor("2001:db8:1:2:3::4")) == name(visitor("2001:db8:1:2:9::9")) == "2001:db8:1:2::/64"
    assert name(visitor("::ffff:203.0.113.7")) == "203.0.113.7"
    assert name(visitor("127.0.0.1", X_Forwarded_For="nonsense")) == "unknown"
    assert name(visitor("127.0.0.1")) is None


def test_visitor_over_budget_waits_and_the_others_do_not() -> None:
    now = [0.0]
    visitors = budget.Visitors(clock=lambda: now[0])

    def enters(remote: str, spends: int = 0) -> bool:
        with visitors.entering(visitor(remote)) as visit:
            if visit is not None:
                visit.spend(spends)
            return visit is not None

    burst = budget.REQUESTS_PER_MINUTE * budget.BURST_S // 60
    assert all(enters("203.0.113.7") for _ in range(burst))
    assert not enters("203.0.113.7")
    assert enters("203.0.113.8", spends=budget.BYTES_PER_MINUTE)
    assert not enters("203.0.113.8")
    assert enters("203.0.113.9")
    now[0] += 61
    assert enters("203.0.113.7")
    assert enters("203.0.113.8")


def test_answers_under_way_are_limited_for_one_and_for_all() -> None:
    visitors, open_visits = budget.Visitors(clock=lambda: 0.0), []

    def enters(remote: str) -> bool:
        visit = visitors.entering(visitor(remote))
        open_visits.append(visit)
        return visit.__enter__() is not None

    assert [enters("203.0.113.7") for _ in range(17)] == [True] * 16 + [False]
    found = [enters(f"198.51.100.{n}") for n in range(150)]
    assert found == [True] * 112 + [False] * 38
    for visit in reversed(open_visits):
        visit.__exit__(None, None, None)
    assert enters("203.0.113.7")


async def test_over_budget_is_told_in_http(gateway: Gateway) -> None:
    path = f"/ipfs/{gateway.goods.text.root}?format=raw"
    spent = gateway.server.app[budget.VISITORS]._account("198.51.100.1")
    spent.requests = -1_000.0
    status, headers, _ = await gateway.ask(path, X_Forwarded_For="198.51.100.1")
    assert (status, headers["Retry-After"]) == (429, "10")
    assert (await gateway.ask(path, X_Forwarded_For="198.51.100.2"))[0] == 200
