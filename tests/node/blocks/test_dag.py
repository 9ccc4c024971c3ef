"""Walking graphs: what a path proves, what a range needs, and graphs that were made to be endless."""

from __future__ import annotations

from itertools import islice

import mmh3
import pytest

from halle_node.blocks import dag
from halle_node.blocks.dag import ByteRange, Place
from halle_protocol import dagcbor, unixfs
from halle_protocol.cid import CID, DAG_CBOR, DAG_PB, RAW, cid_of
from halle_protocol.errors import HalleError, Refused, Unavailable
from halle_protocol.unixfs import CHUNK_BYTES, Link, build_directory, build_file, encode_node


class Pile(dict[CID, bytes]):
    """Blocks in memory, with a note of each that was read."""

    def __init__(self, *built: unixfs.Built) -> None:
        super().__init__()
        self.read: list[CID] = []
        for one in built:
            self.update(one.blocks)

    def get_block(self, cid: CID) -> bytes:
        self.read.append(cid)
        if cid not in self:
            raise Unavailable("not here", code="block-missing")
        return self[cid]

    def document(self, value: object) -> CID:
        block = dagcbor.encode(value)
        cid = cid_of(DAG_CBOR, block)
        self[cid] = block
        return cid


def cids(blocks: object) -> list[CID]:
    return [cid for cid, _ in blocks]  # type: ignore[attr-defined]


def test_path_through_directories_and_documents_is_proved_by_its_blocks() -> None:
    picture, words = build_file(b"\xff\xd8\xff picture"), build_file(b"words")
    inner = build_directory({"a.jpg": picture, "b.txt": words})
    outer = build_directory({"shop": inner})
    pile = Pile(outer)
    listing = pile.document({"images": [{"file": outer.root}], "title": "Bowl"})
    place = dag.resolve(listing, ["images", "0", "file", "shop", "a.jpg"], pile.get_block)
    assert cids(place.way) == [listing, outer.root, inner.root]
    assert place.roots == (listing, outer.root, inner.root, picture.root)
    assert cids(dag.walk(place, pile.get_block)) == [listing, outer.root, inner.root, picture.root]
    inside = dag.resolve(listing, ["images", "0"], pile.get_block)
    assert (inside.way, inside.cid) == ((), listing)


@pytest.mark.parametrize("path", [["shop", "none"], ["shop", "a.txt", "deeper"], ["x"] * 65])
def test_path_that_leads_nowhere_is_refused(path: list[str]) -> None:
    outer = build_directory({"shop": build_directory({"a.txt": build_file(b"a")})})
    with pytest.raises(Refused) as caught:
        dag.resolve(outer.root, path, Pile(outer).get_block)
    assert caught.value.code == "path-not-found"


def test_range_takes_only_the_blocks_that_hold_it() -> None:
    data = b"".join(bytes([n]) * CHUNK_BYTES for n in range(4)) + b"end"
    built = build_file(data)
    leaves = unixfs.links(built.root, built.blocks[built.root])
    place = Place((), built.root, (built.root,))
    for part, wanted in (
        (ByteRange(0, 0), leaves[:1]),
        (ByteRange(CHUNK_BYTES - 1, CHUNK_BYTES), leaves[:2]),
        (ByteRange(-3, None), leaves[4:]),
        (ByteRange(-1_000_000_000, -len(data)), leaves[:1]),
        (ByteRange(2 * CHUNK_BYTES, 10**15), leaves[2:]),
        (ByteRange(10**15, None), []),
        (ByteRange(5, 4), []),
        (None, leaves),
    ):
        pile = Pile(built)
        assert cids(dag.walk(place, pile.get_block, "entity", part)) == [built.root, *wanted]
        assert len(pile.read) == 1 + len(wanted)


def test_sharded_directory_is_passed_by_the_hash_of_the_name() -> None:
    """Two levels of fanout 256, built here the way Kubo builds them."""
    file = build_file(b"deep")
    name = "mug.html"
    key = mmh3.hash64(name.encode(), x64arch=True, signed=False)[0]
    first, second = f"{key >> 56:02X}", f"{key >> 48 & 255:02X}"
    shard = b"\x08\x05\x28\x22\x30\x80\x02"
    pile = Pile(file)
    lower = encode_node([Link(file.root, second + name, 4)], shard)
    pile[lower_cid := cid_of(DAG_PB, lower)] = lower
    other = f"{(key >> 56) ^ 1:02X}"
    pairs = sorted([(first, lower_cid), (other + "else", file.root)])
    upper = encode_node([Link(cid, text, 4) for text, cid in pairs], shard)
    pile[upper_cid := cid_of(DAG_PB, upper)] = upper
    place = dag.resolve(upper_cid, [name], pile.get_block)
    assert cids(place.way) == [upper_cid, lower_cid]
    assert place.cid == file.root
    whole = Place((), upper_cid, (upper_cid,))
    assert cids(dag.walk(whole, pile.get_block, "entity")) == [upper_cid, lower_cid]
    with pytest.raises(Refused):
        dag.resolve(upper_cid, ["absent"], pile.get_block)


def test_repeated_blocks_come_once_or_as_often_as_they_occur() -> None:
    one = build_file(b"same")
    tree = build_directory({"a": one, "b": build_directory({"c": one}), "d": one})
    pile, place = Pile(tree), Place((), tree.root, (tree.root,))
    assert len(cids(dag.walk(place, pile.get_block))) == 3
    assert len(cids(dag.walk(place, pile.get_block, repeats=True))) == 5


def test_graph_that_unfolds_without_end_costs_only_what_is_taken() -> None:
    pile = Pile()
    cid = cid_of(RAW, b"leaf")
    pile[cid] = b"leaf"
    for _ in range(60):  # 2^60 blocks when unfolded, 61 when not
        cid = pile.document([cid, cid])
    place = Place((), cid, (cid,))
    assert len(cids(dag.walk(place, pile.get_block))) == 61
    pile.read.clear()
    assert len(list(islice(dag.walk(place, pile.get_block, repeats=True), 1_000))) == 1_000
    assert len(pile.read) <= 1_001


def test_chain_deeper_than_any_recursion_is_walked() -> None:
    pile = Pile()
    cid = pile.document({})
    for _ in range(3_000):
        cid = pile.document({"next": cid})
    assert len(cids(dag.walk(Place((), cid, (cid,)), pile.get_block))) == 3_001


def test_node_that_widens_without_end_is_refused() -> None:
    pile = Pile()
    cid = cid_of(RAW, b"")
    pile[cid] = b""
    for n in range(12):
        cid = pile.document([cid] * 20_000 + [n])
    with pytest.raises(HalleError) as caught:
        for _ in dag.walk(Place((), cid, (cid,)), pile.get_block, repeats=True):
            pass
    assert caught.value.code == "dag-too-wide"
