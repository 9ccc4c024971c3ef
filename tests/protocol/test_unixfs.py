from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from halle_protocol import dagcbor, unixfs
from halle_protocol.cid import CID, DAG_CBOR, DAG_PB, RAW, cid_of
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError

MIB = 1 << 20


def content(size: int) -> bytes:
    return bytes(i * i % 251 for i in range(4099)) * (size // 4099) + b"x" * (size % 4099)


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 7])
def test_unixfs_reads_back_the_file_it_built(size: int) -> None:
    data = content(size)
    built = unixfs.build_file(data)
    assert unixfs.read_file(built.root, built.blocks.__getitem__, max_bytes=size) == data
    assert built.size == size
    assert all(cid_of(cid.codec, block) == cid for cid, block in built.blocks.items())


def test_unixfs_file_of_one_chunk_is_one_raw_block() -> None:
    built = unixfs.build_file(b"hello")
    assert built.root == cid_of(RAW, b"hello")
    assert built.tsize == 5
    assert unixfs.links(built.root, b"hello") == []


def test_unixfs_balances_more_than_1024_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unixfs, "CHUNK_BYTES", 4)
    data = content(4 * 1025)
    built = unixfs.build_file(data)
    first, second = unixfs.links(built.root, built.blocks[built.root])
    assert len(unixfs.links(first, built.blocks[first])) == 1024
    assert len(unixfs.links(second, built.blocks[second])) == 1  # wrapped, not promoted
    assert unixfs.read_file(built.root, built.blocks.__getitem__, max_bytes=len(data)) == data


def test_unixfs_resolves_a_path_through_directories() -> None:
    page = unixfs.build_file(b"<html>")
    shop = unixfs.build_directory({"index.html": page, "fr": unixfs.build_directory({"index.html": page})})
    get = shop.blocks.__getitem__
    assert unixfs.resolve_path(shop.root, "", get) == shop.root
    assert unixfs.resolve_path(shop.root, "/fr/index.html", get) == page.root
    assert unixfs.resolve_path(shop.root, "fr//index.html/", get) == page.root
    for path, code in (("en", "unixfs-not-found"), ("index.html/x", "unixfs-not-a-directory")):
        with pytest.raises(RemoteProtocolError) as caught:
            unixfs.resolve_path(shop.root, path, get)
        assert caught.value.code == code


def test_unixfs_directory_does_not_depend_on_the_order_of_names() -> None:
    page = unixfs.build_file(b"a")
    names = ["b", "a", "é", "Z", "aa"]
    roots = {unixfs.build_directory(dict.fromkeys(order, page)).root for order in (names, sorted(names))}
    assert len(roots) == 1


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0"])
def test_unixfs_refuses_an_unsafe_name(name: str) -> None:
    page = unixfs.build_file(b"a")
    with pytest.raises(LocalProtocolError) as caught:
        unixfs.build_directory({name: page})
    assert caught.value.code == "unixfs-name"
    block = unixfs.encode_node([unixfs.Link(page.root, name, 1)], b"\x08\x01")
    root = cid_of(DAG_PB, block)
    if name != "a\0":
        with pytest.raises(RemoteProtocolError) as refused:
            unixfs.read_directory(root, {root: block}.__getitem__)
        assert refused.value.code == "unixfs-name"


def test_unixfs_refuses_a_directory_over_256_kib() -> None:
    page = unixfs.build_file(b"a")
    with pytest.raises(LocalProtocolError) as caught:
        unixfs.build_directory({f"page-{i:05}": page for i in range(5000)})
    assert caught.value.code == "unixfs-directory-too-large"


def test_unixfs_refuses_a_sharded_directory() -> None:
    block = unixfs.encode_node([], b"\x08\x05")
    root = cid_of(DAG_PB, block)
    with pytest.raises(RemoteProtocolError) as caught:
        unixfs.read_directory(root, {root: block}.__getitem__)
    assert caught.value.code == "unixfs-hamt"


def test_unixfs_reads_a_file_with_wrapped_leaves_of_other_importers() -> None:
    leaf = unixfs.encode_node([], b"\x08\x02\x12\x05hello\x18\x05")
    cid = cid_of(DAG_PB, leaf)
    assert unixfs.read_file(cid, {cid: leaf}.__getitem__, max_bytes=5) == b"hello"


def test_unixfs_reads_at_most_the_bytes_asked_for() -> None:
    built = unixfs.build_file(content(2 * MIB))
    asked: list[CID] = []

    def get(cid: CID) -> bytes:
        asked.append(cid)
        return built.blocks[cid]

    with pytest.raises(RemoteProtocolError) as caught:
        unixfs.read_file(built.root, get, max_bytes=2 * MIB - 1)
    assert caught.value.code == "unixfs-too-large"
    assert len(asked) <= 2


def test_unixfs_refuses_a_tower_of_nodes() -> None:
    blocks: dict[CID, bytes] = {}
    cid = cid_of(RAW, b"a")
    blocks[cid] = b"a"
    for _ in range(100):
        block = unixfs.encode_node([unixfs.Link(cid, "", 1)], b"\x08\x02\x18\x01\x20\x01")
        cid = cid_of(DAG_PB, block)
        blocks[cid] = block
    with pytest.raises(RemoteProtocolError) as caught:
        unixfs.read_file(cid, blocks.__getitem__, max_bytes=10**9)
    assert caught.value.code == "unixfs-too-deep"


def test_links_finds_every_link_of_a_document() -> None:
    a, b, c = (cid_of(RAW, bytes((i,))) for i in range(3))
    block = dagcbor.encode({"a": a, "list": [b, {"deep": c}], "not a link": bytes(a)})
    assert unixfs.links(cid_of(DAG_CBOR, block), block) == [a, b, c]


@settings(max_examples=300)
@example(b"\x02\x01\x00", 0, 1)  # a field of number 0
@given(st.binary(max_size=80), st.integers(0, 200), st.integers(1, 255))
def test_dag_pb_reads_damaged_bytes_as_a_node_or_refuses_them(noise: bytes, at: int, flip: int) -> None:
    built = unixfs.build_directory({name: unixfs.build_file(name.encode()) for name in "ab"})
    good = bytearray(built.blocks[built.root])
    good[at % len(good)] ^= flip
    codes = set()
    for data in (noise, bytes(good), bytes(good) + noise):
        try:
            links, _ = unixfs.decode_node(data)
        except RemoteProtocolError as refusal:
            codes.add(refusal.code)
        else:
            assert all(len(link.cid) == 36 for link in links)
    assert codes <= {"dag-pb-malformed", "dag-pb-link"}
