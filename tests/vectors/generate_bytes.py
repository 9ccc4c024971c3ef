"""Write the test vectors of docs/spec/01 to 04: `python tests/vectors/generate_bytes.py`.

Every file is `{"spec": …, "cases": […]}`. Bytes are hex or `{"repeat": "<hex>", "length": n}` when they long;
CIDs are their text; errors are the code of the refusal. Values inside DAG-CBOR are DAG-JSON: a link is
`{"/": "bafy…"}`, bytes are `{"/": {"bytes": "<hex>"}}`. Nothing here is random, so two runs are equal.
The valid cases are computed with the library; the codes of the invalid ones are written by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from halle_protocol import car, catalog, dagcbor, ipns, money, reconcile, unixfs
from halle_protocol.cid import CID, DAG_CBOR, DAG_PB, RAW, cid_of

HERE = Path(__file__).parent
Case = dict[str, Any]


def document_cid(number: int) -> CID:
    return cid_of(DAG_CBOR, b"document %d" % number)


def dag_json(value: Any) -> Any:
    if isinstance(value, CID):
        return {"/": str(value)}
    if isinstance(value, bytes):
        return {"/": {"bytes": value.hex()}}
    if isinstance(value, list):
        return [dag_json(item) for item in value]
    if isinstance(value, dict):
        return {key: dag_json(item) for key, item in value.items()}
    return value


# --- 01 -----------------------------------------------------------------------------------------------


def money_valid() -> Iterator[Case]:
    for text, currency in (
        ("12.34", "EUR"),
        ("12,34", "EUR"),
        ("0.05", "USD"),
        ("-3.5", "CHF"),
        ("1500", "JPY"),
        ("1.234", "KWD"),
        ("7.00", "JPY"),
        ("92233720368547758.07", "EUR"),
        ("1.0000", "CLF"),
        ("007", "EUR"),
    ):
        parsed = money.parse_decimal(text, currency)
        decimals = max(6, money.exponent(currency))
        yield {
            "text": text,
            "currency": currency,
            "amount_minor": parsed.amount_minor,
            "english": parsed.text("en"),
            "french": parsed.text("fr"),
            "token_decimals": decimals,
            "token_amount": str(money.token_amount(parsed, decimals)),
        }


def money_invalid() -> Iterator[Case]:
    for text, currency, code in (
        ("12.345", "EUR", "amount-too-precise"),
        ("1.5", "JPY", "amount-too-precise"),
        ("1,234.50", "EUR", "amount-malformed"),
        ("1 234", "EUR", "amount-malformed"),
        ("", "EUR", "amount-malformed"),
        (".5", "EUR", "amount-malformed"),
        ("5.", "EUR", "amount-malformed"),
        ("1e3", "EUR", "amount-malformed"),
        ("+1", "EUR", "amount-malformed"),
        ("١٢", "EUR", "amount-malformed"),
        ("92233720368547758.08", "EUR", "amount-out-of-range"),
        ("1", "eur", "currency-unknown"),
        ("1", "XXX", "currency-unknown"),
        ("1", "DEM", "currency-unknown"),
    ):
        yield {"operation": "parse", "text": text, "currency": currency, "code": code}
    for amount, currency, decimals, code in (
        (12345, "KWD", 2, "inexact-amount"),
        (1, "EUR", 1, "inexact-amount"),
        (1, "EUR", 37, "token-decimals"),
    ):
        case = {"operation": "to-token", "amount_minor": amount, "currency": currency}
        yield {**case, "token_decimals": decimals, "code": code}


CBOR_VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "23": 23,
    "24": 24,
    "255": 255,
    "256": 256,
    "65535": 65535,
    "65536": 65536,
    "2^32-1": 2**32 - 1,
    "2^32": 2**32,
    "2^64-1": 2**64 - 1,
    "-1": -1,
    "-24": -24,
    "-25": -25,
    "-256": -256,
    "-257": -257,
    "-2^64": -(2**64),
    "empty text": "",
    "23 letters": "a" * 23,
    "24 letters": "a" * 24,
    "accents": "Écharpe bleue — 12 €",
    "outside the basic plane": "🧣",
    "empty bytes": b"",
    "a 65-byte signature": bytes(range(65)),
    "bytes that look like a CID": bytes(document_cid(0)),
    "empty list": [],
    "empty map": {},
    "nested": {"a": [1, [2, {"b": None}]]},
    "key order is length, then bytes": {"b": 1, "aa": 2, "c": 3, "a": 4, "é": 5, "": 6},
    "keys of 23 and 24 bytes": {"k" * 23: 1, "k" * 24: 2, "z": 3},
    "links": [cid_of(RAW, b""), cid_of(DAG_PB, b""), cid_of(DAG_CBOR, b"\xa0")],
    "300 numbers": list(range(300)),
}


def nested_lists(depth: int) -> bytes:
    return b"\x81" * (depth - 1) + b"\x80"


def dagcbor_valid() -> Iterator[Case]:
    for name, value in CBOR_VALUES.items():
        yield {"name": name, "bytes": dagcbor.encode(value).hex(), "value": dag_json(value)}
    deepest = nested_lists(32)
    yield {"name": "32 lists deep", "bytes": deepest.hex(), "value": dagcbor.decode(deepest)}


def dagcbor_invalid() -> Iterator[Case]:
    link = dagcbor.encode(document_cid(1)).hex()
    cid = link[10:]
    for name, data, code in (
        ("nothing at all", "", "cbor-truncated"),
        ("uint 0 in one more byte", "1800", "cbor-not-minimal"),
        ("uint 23 in one more byte", "1817", "cbor-not-minimal"),
        ("uint 255 in two bytes", "1900ff", "cbor-not-minimal"),
        ("uint 65535 in four bytes", "1a0000ffff", "cbor-not-minimal"),
        ("uint 2^32-1 in eight bytes", "1b00000000ffffffff", "cbor-not-minimal"),
        ("negative in one more byte", "3800", "cbor-not-minimal"),
        ("text length not minimal", "780161", "cbor-not-minimal"),
        ("bytes length not minimal", "580100", "cbor-not-minimal"),
        ("list length not minimal", "980100", "cbor-not-minimal"),
        ("map length not minimal", "b801616100", "cbor-not-minimal"),
        ("key length not minimal", "a178016100", "cbor-not-minimal"),
        ("indefinite bytes", "5f4100ff", "cbor-indefinite"),
        ("indefinite text", "7f6161ff", "cbor-indefinite"),
        ("indefinite list", "9f00ff", "cbor-indefinite"),
        ("indefinite map", "bf616100ff", "cbor-indefinite"),
        ("break alone", "ff", "cbor-indefinite"),
        ("reserved information 28", "1c", "cbor-reserved"),
        ("reserved information 30", "7e", "cbor-reserved"),
        ("half float", "f93c00", "cbor-float"),
        ("single float", "fa3f800000", "cbor-float"),
        ("double float", "fb3ff0000000000000", "cbor-float"),
        ("not a number", "fb7ff8000000000000", "cbor-float"),
        ("undefined", "f7", "cbor-simple"),
        ("simple 0", "e0", "cbor-simple"),
        ("simple 255", "f8ff", "cbor-simple"),
        ("tag 0", "c06161", "cbor-tag"),
        ("tag 2, a big number", "c24101", "cbor-tag"),
        ("tag 43", "d82b" + link[4:], "cbor-tag"),
        ("tag 42 in two bytes", "d9002a" + link[4:], "cbor-not-minimal"),
        ("tag 258", "d9010280", "cbor-tag"),
        ("tag 42 over text", "d82a7825" + "00" + cid, "cbor-link"),
        ("link without the zero byte", "d82a5824" + cid + "00", "cbor-link"),
        ("link with one byte more", "d82a582600" + cid + "00", "cbor-link"),
        ("link with multibase 1", "d82a582501" + cid, "cbor-link"),
        ("link of CID version 0", "d82a582300" + cid[4:], "cbor-link"),
        ("link of CID version 2", "d82a582500" + "02" + cid[2:], "cbor-link"),
        ("link with codec git", "d82a582500" + "0178" + cid[4:], "cbor-link"),
        ("link with codec dag-json", "d82a582500" + "0129" + cid[4:], "cbor-link"),
        ("link with sha2-512", "d82a582500" + "01711320" + cid[8:], "cbor-link"),
        ("link that ends early", link[:-2], "cbor-truncated"),
        ("bytes that end early", "4401", "cbor-truncated"),
        ("text that ends early", "6461", "cbor-truncated"),
        ("list that ends early", "8301", "cbor-truncated"),
        ("map without its value", "a16161", "cbor-truncated"),
        ("number that ends early", "1901", "cbor-truncated"),
        ("list of 2^63", "9b8000000000000000", "cbor-truncated"),
        ("bytes of 2^64-1", "5bffffffffffffffff", "cbor-truncated"),
        ("map of 2^32", "bb0000000100000000", "cbor-truncated"),
        ("one byte after", "0000", "cbor-trailing-bytes"),
        ("keys unsorted", "a2616200616100", "cbor-key-order"),
        ("keys sorted by bytes, not by length", "a262616100616200", "cbor-key-order"),
        ("key twice", "a2616100616101", "cbor-key-duplicate"),
        ("number as a key", "a10000", "cbor-key-type"),
        ("bytes as a key", "a1416100", "cbor-key-type"),
        ("null as a key", "a1f600", "cbor-key-type"),
        ("text with a byte of Latin-1", "61e9", "cbor-utf8"),
        ("text with a surrogate", "63eda080", "cbor-utf8"),
        ("text with an overlong slash", "62c0af", "cbor-utf8"),
        ("text over the last code point", "64f4908080", "cbor-utf8"),
        ("key that is not UTF-8", "a161ff00", "cbor-utf8"),
        ("33 lists deep", nested_lists(33).hex(), "cbor-too-deep"),
        ("33 maps deep", ("a16161" * 32 + "a0"), "cbor-too-deep"),
        ("5,000 lists deep", nested_lists(5000).hex(), "cbor-too-deep"),
        ("65,537 bytes", {"repeat": "00", "length": 65537}, "cbor-too-large"),
    ):
        yield {"name": name, "bytes": data, "code": code}


def cid_valid() -> Iterator[Case]:
    for name, codec, data in (
        ("empty raw block", RAW, b""),
        ("raw", RAW, b"hello"),
        ("dag-pb", DAG_PB, b"\n\x02\x08\x01"),
        ("dag-cbor", DAG_CBOR, b"\xa0"),
    ):
        cid = cid_of(codec, data)
        yield {"name": name, "codec": codec, "data": data.hex(), "bytes": cid.hex(), "text": str(cid)}


def cid_invalid() -> Iterator[Case]:
    good = document_cid(2)
    text, binary = str(good), good.hex()
    for name, wrong in (
        ("upper case", text.upper()),
        ("base58 multibase", "z" + text[1:]),
        ("one letter short", text[:-1]),
        ("one letter more", text + "a"),
        ("padding bits set", text[:-1] + chr(ord(text[-1]) + 1)),
        ("CID version 0", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"),
        ("as a path", "/ipfs/" + text),
        ("as a URL", "ipfs://" + text),
        ("space after", text + " "),
        ("nothing", ""),
        ("digit 1", text[:-2] + "1a"),
    ):
        yield {"name": name, "text": wrong, "code": "cid-malformed"}
    for name, wrong in (
        ("one byte short", binary[:-2]),
        ("one byte more", binary + "00"),
        ("version 2", "02" + binary[2:]),
        ("codec libp2p-key", "0172" + binary[4:]),
        ("sha2-512", binary[:4] + "1320" + binary[8:]),
        ("codec in two bytes", "01f100" + binary[4:]),
        ("identity hash", "0171000161"),
        ("nothing", ""),
    ):
        yield {"name": name, "bytes": wrong, "code": "cid-malformed"}
    yield {"name": "other data", "text": text, "data": b"document 3".hex(), "code": "cid-mismatch"}


def content(repeat: bytes, length: int) -> bytes:
    return (repeat * (length // len(repeat) + 1))[:length]


UNIXFS_FILES = {
    "empty": (b"\0", 0),
    "one byte": (b"a", 1),
    "one chunk": (b"halle", 1 << 20),
    "one chunk and one byte": (b"halle", (1 << 20) + 1),
    "three megabytes": (b"market day", 3_000_000),
    "five chunks": (bytes(range(251)), 5 << 20),
}


def unixfs_valid() -> Iterator[Case]:
    files = {}
    for name, (repeat, length) in UNIXFS_FILES.items():
        files[name] = built = unixfs.build_file(content(repeat, length))
        yield {
            "name": name,
            "file": {"repeat": repeat.hex(), "length": length},
            "root": str(built.root),
            "tsize": built.tsize,
            "blocks": len(built.blocks),
        }
    inner = unixfs.build_directory({"one byte": files["one byte"]})
    for name, entries in (
        ("empty directory", {}),
        ("two files", {"b": files["one byte"], "a": files["three megabytes"]}),
        ("nested, names in byte order", {"é": files["empty"], "z": inner, "B": files["one byte"]}),
    ):
        built = unixfs.build_directory(entries)
        yield {
            "name": name,
            "directory": {key: {"root": str(item.root), "tsize": item.tsize} for key, item in entries.items()},
            "root": str(built.root),
            "tsize": built.tsize,
            "block": built.blocks[built.root].hex(),
        }


def unixfs_invalid() -> Iterator[Case]:
    leaf = cid_of(RAW, b"leaf")
    link = unixfs.Link(leaf, "", 4)

    def case(name: str, root_block: bytes, code: str, max_bytes: int = 1000) -> Case:
        root = cid_of(DAG_PB, root_block)
        blocks = {str(root): root_block.hex(), str(leaf): b"leaf".hex()}
        return {"name": name, "root": str(root), "blocks": blocks, "max_bytes": max_bytes, "code": code}

    def file_data(size: int, *parts: int) -> bytes:
        return bytes((8, 2, 0x18, size)) + b"".join(bytes((0x20, part)) for part in parts)

    node = unixfs.encode_node
    good = node([link], file_data(4, 4))
    yield case("size of a part is a lie", node([link], file_data(5, 5)), "unixfs-sizes")
    yield case("total is a lie", node([link], file_data(9, 4)), "unixfs-sizes")
    yield case("a size is missing", node([link], file_data(4)), "unixfs-sizes")
    yield case("over the limit", good, "unixfs-too-large", 3)
    yield case("a part of no bytes", node([link], file_data(0, 0)), "unixfs-too-large")
    yield case("a directory", node([link._replace(name="a")], b"\x08\x01"), "unixfs-not-a-file")
    yield case("no UnixFS data", node([link], None), "unixfs-malformed")
    yield case("no type", node([link], b"\x18\x04\x20\x04"), "unixfs-malformed")
    yield case("unknown type", node([link], b"\x08\x09"), "unixfs-malformed")
    yield case("data before links", b"\n\x02\x08\x02" + node([link], None), "dag-pb-malformed")
    yield case("data twice", good + b"\n\x02\x08\x02", "dag-pb-malformed")
    yield case("unknown field", good + b"\x1a\x00", "dag-pb-malformed")
    yield case("field of number 0", b"\x02\x01\x00", "dag-pb-malformed")
    yield case("cut off", good[:-1], "dag-pb-malformed")
    yield case("length not minimal", b"\n\x82\x00\x08\x02", "dag-pb-malformed")
    yield case(
        "names unsorted",
        node([link._replace(name="b"), link._replace(name="a")], b"\x08\x01"),
        "dag-pb-malformed",
    )
    yield case("link without a CID", b"\x12\x02\x12\x00" + b"\n\x02\x08\x02", "dag-pb-link")
    yield case("link of CID version 0", node([link._replace(cid=CID(leaf[2:]))], file_data(4, 4)), "dag-pb-link")
    other = case("a block of other bytes", good, "cid-mismatch")
    other["blocks"][str(leaf)] = b"leaX".hex()
    yield other


def car_bytes(roots: list[CID], blocks: list[tuple[CID, bytes]]) -> bytes:
    return b"".join(car.write(roots, blocks))


def car_valid() -> Iterator[Case]:
    small = [(cid_of(RAW, b"hello"), b"hello"), (cid_of(DAG_CBOR, b"\xa0"), b"\xa0")]
    for name, roots, blocks in (
        ("no roots, no blocks", [], []),
        ("one root, two blocks", [small[1][0]], small),
        ("an empty block", [], [(cid_of(RAW, b""), b"")]),
        ("a block twice", [small[0][0]], [small[0], small[0]]),
    ):
        yield {
            "name": name,
            "bytes": car_bytes(roots, blocks).hex(),
            "roots": [str(root) for root in roots],
            "blocks": [[str(cid), data.hex()] for cid, data in blocks],
        }


def car_invalid() -> Iterator[Case]:
    hello = (cid_of(RAW, b"hello"), b"hello")
    good = car_bytes([hello[0]], [hello, hello])
    head = car_bytes([], [])

    def header(value: Any) -> bytes:
        data = dagcbor.encode(value)
        return bytes((len(data),)) + data

    for name, data, code in (
        ("nothing", b"", "car-truncated"),
        ("cut in the header", good[:5], "car-truncated"),
        ("cut in a block", good[:-1], "car-truncated"),
        ("wrong hash", car_bytes([], [(hello[0], b"hellO")]), "cid-mismatch"),
        ("section of length 0", good + b"\0", "car-malformed"),
        ("length not minimal", head + b"\xa9\x00" + hello[0] + b"hello", "car-malformed"),
        ("length without end", head + b"\xff" * 10, "car-malformed"),
        ("block of 2 MiB claimed", head + b"\x80\x80\x80\x01", "block-too-large"),
        ("CID version 0", head + b"\x22" + hello[0][2:], "car-cid"),
        ("version 2 header", header({"version": 2}), "car-header"),
        ("version 2 with roots", header({"roots": [], "version": 2}), "car-header"),
        ("version true", header({"roots": [], "version": True}), "car-header"),
        ("header with more fields", header({"roots": [], "version": 1, "x": 1}), "car-header"),
        ("root that is no link", header({"roots": ["a"], "version": 1}), "car-header"),
        ("header is a list", header([1]), "car-header"),
        ("header of 1 MiB claimed", b"\x80\x80\x40", "car-header"),
        ("header is not DAG-CBOR", b"\x01\xff", "cbor-indefinite"),
        ("three blocks, two allowed", good + car_bytes([], [hello])[len(head) :], "car-too-many-blocks"),
        ("201 bytes, 200 allowed", head + b"\0" * (201 - len(head)), "car-too-large"),
    ):
        yield {"name": name, "bytes": data.hex(), "max_blocks": 2, "max_bytes": 200, "code": code}


# --- 02 -----------------------------------------------------------------------------------------------

KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"halle ipns vector").digest())
NAME = ipns.name_of(KEY.public_key().public_bytes_raw())
VALUE = "/ipfs/" + str(document_cid(7))
EXPIRES_AT = 1_800_000_000


def ipns_valid() -> Iterator[Case]:
    for sequence, ttl_s, value in ((0, 300, VALUE), (7, 0, VALUE), (2**63, 3600, "/ipns/" + NAME)):
        yield {
            "private": KEY.private_bytes_raw().hex(),
            "name": NAME,
            "value": value,
            "sequence": str(sequence),
            "expires_at": EXPIRES_AT,
            "ttl_s": ttl_s,
            "record": ipns.create(KEY, value, sequence, EXPIRES_AT, ttl_s).hex(),
        }


def proto(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return bytes((number << 3, value))
    length = bytes((len(value),)) if len(value) < 128 else bytes((len(value) & 127 | 128, len(value) >> 7))
    return bytes((number << 3 | 2,)) + length + value


def signed_record(**changes: Any) -> bytes:
    """A V2-only record of any signed data, for cases that are signed well and yet wrong."""
    data: dict[str, Any] = {
        "Value": VALUE.encode(),
        "Validity": b"2027-01-15T08:00:00.000000000Z",
        "ValidityType": 0,
        "Sequence": 1,
        "TTL": 300 * 10**9,
        **changes,
    }
    encoded = dagcbor.encode({key: value for key, value in data.items() if value is not None})
    return proto(8, KEY.sign(b"ipns-signature:" + encoded)) + proto(9, encoded)


def ipns_invalid() -> Iterator[Case]:
    good = ipns.create(KEY, VALUE, 1, EXPIRES_AT)
    v2_only = signed_record()
    other = ipns.name_of(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw())
    flipped = bytearray(good)
    flipped[-1] ^= 1
    now = EXPIRES_AT - 1
    for name, record, key_name, at, code in (
        ("expired to the second", good, NAME, EXPIRES_AT, "ipns-expired"),
        ("last byte flipped", bytes(flipped), NAME, now, "ipns-signature"),
        ("another key's name", good, other, now, "ipns-signature"),
        (
            "unsigned value differs",
            good.replace(VALUE.encode(), b"X" * len(VALUE), 1),
            NAME,
            now,
            "ipns-mismatch",
        ),
        ("V1 only", good[: good.index(proto(8, b"")[:1] + b"\x40", 150)], NAME, now, "ipns-unsigned"),
        ("nothing", b"", NAME, now, "ipns-unsigned"),
        ("field twice", good + proto(5, 1), NAME, now, "ipns-malformed"),
        ("cut off", good[:-1], NAME, now, "ipns-malformed"),
        ("10,241 bytes", {"repeat": "00", "length": 10241}, NAME, now, "ipns-too-large"),
        ("other key inside", v2_only + proto(7, b"\x08\x01\x12\x20" + bytes(32)), NAME, now, "ipns-key"),
        ("signed without a value", signed_record(Value=None), NAME, now, "ipns-malformed"),
        ("signed sequence is text", signed_record(Sequence="1"), NAME, now, "ipns-malformed"),
        ("signed sequence is negative", signed_record(Sequence=-1), NAME, now, "ipns-malformed"),
        ("signed validity type 1", signed_record(ValidityType=1), NAME, now, "ipns-malformed"),
        ("signed validity is no time", signed_record(Validity=b"tomorrow"), NAME, now, "ipns-malformed"),
        (
            "signed validity without a zone",
            signed_record(Validity=b"2027-01-15T08:00:00"),
            NAME,
            now,
            "ipns-malformed",
        ),
        ("name in upper case", good, NAME.upper(), now, "ipns-name"),
        ("name is a CID", good, str(document_cid(7)), now, "ipns-name"),
    ):
        encoded = record if isinstance(record, dict) else record.hex()
        yield {"name": name, "record": encoded, "key_name": key_name, "now": at, "code": code}


# --- 03 -----------------------------------------------------------------------------------------------


def catalog_items(count: int) -> dict[str, CID]:
    return {f"listing/product-{i}": document_cid(i) for i in range(count)}


def key_of_level(level: int, start: int = 0) -> str:
    return next(f"listing/{i}" for i in range(start, 10**7) if catalog.key_level(f"listing/{i}") == level)


def texts(items: dict[str, CID | None]) -> dict[str, str | None]:
    return {key: None if value is None else str(value) for key, value in items.items()}


def catalog_valid() -> Iterator[Case]:
    mixed = {**catalog_items(6), "profile": document_cid(90), "listing/écharpe": document_cid(91)}
    for name, items in (
        ("empty", {}),
        ("one", {"profile": document_cid(90)}),
        ("mixed", mixed),
        ("40", catalog_items(40)),
        ("a high key alone above low ones", {**catalog_items(3), key_of_level(3): document_cid(92)}),
    ):
        tree = catalog.build(items)
        pages = {str(cid): block.hex() for cid, block in tree.blocks.items()}
        yield {"name": name, "entries": texts(dict(items)), "root": str(tree.root), "pages": pages}
    before = catalog_items(400)
    changes: dict[str, CID | None] = {
        "listing/product-17": None,
        "listing/product-200": document_cid(999),
        key_of_level(3): document_cid(998),
    }
    tree = catalog.build(before)
    after = catalog.update(tree.root, changes, tree.blocks.__getitem__)
    yield {
        "name": "400 documents, listing/product-<i> → sha2-256 of 'document <i>', three changes",
        "count": 400,
        "root": str(tree.root),
        "changes": texts(changes),
        "root_after": str(after.root),
        "new_pages": sorted(str(cid) for cid in after.blocks),
    }


def page(entries: list[Any], level: int = 0, left: CID | None = None, **more: Any) -> bytes:
    return dagcbor.encode({"entries": entries, "left": left, "level": level, "type": "halle/catalog/1", **more})


def catalog_invalid() -> Iterator[Case]:
    value = document_cid(1)
    low = sorted(f"listing/{i}" for i in range(40) if catalog.key_level(f"listing/{i}") == 0)[:3]
    first, second, third = (key.encode() for key in low)
    high = key_of_level(1).encode()

    def shared(a: bytes, b: bytes) -> int:
        return next(i for i in range(len(a) + 1) if a[: i + 1] != b[: i + 1])

    p = shared(first, second)

    def case(name: str, code: str, *pages: bytes) -> Case:
        blocks = {str(cid_of(DAG_CBOR, block)): block.hex() for block in pages}
        return {"name": name, "root": str(cid_of(DAG_CBOR, pages[-1])), "pages": blocks, "code": code}

    one, two = [0, first, value, None], [p, second[p:], value, None]
    yield case("keys out of order", "catalog-order", page([[0, second, value, None], [p, first[p:], value, None]]))
    yield case("key twice", "catalog-order", page([one, [len(first), b"", value, None]]))
    yield case("prefix shorter than shared", "catalog-prefix", page([one, [0, second, value, None]]))
    yield case("prefix longer than the key before", "catalog-prefix", page([one, [99, b"x", value, None]]))
    yield case("key of level 0 on level 1", "catalog-level", page([one], 1))
    yield case("key of level 1 on level 0", "catalog-level", page([[0, high, value, None]]))
    yield case("root without entries on level 1", "catalog-empty-page", page([], 1))
    empty, child = page([]), page([one, two])
    yield case("root without entries over a page", "catalog-empty-page", child, page([], 1, cid_of(DAG_CBOR, child)))
    yield case(
        "empty page linked",
        "catalog-empty-page",
        empty,
        page([[0, high, value, None]], 1, cid_of(DAG_CBOR, empty)),
    )
    yield case(
        "page below level 0",
        "catalog-level",
        child,
        page([[0, third, value, None]], 0, cid_of(DAG_CBOR, child)),
    )
    after_high = high < first
    side = cid_of(DAG_CBOR, child)
    wrong = page([[0, high, value, None if after_high else side]], 1, side if after_high else None)
    yield case("page on the wrong side of a key", "catalog-range", child, wrong)
    same = page([[0, high, value, None]], 1)
    yield case(
        "page as high as its parent",
        "catalog-level",
        same,
        page([[0, key_of_level(1, 30000).encode(), value, cid_of(DAG_CBOR, same)]], 1),
    )
    yield case("one field more", "catalog-page", page([], 0, None, x=1))
    yield case(
        "another type",
        "catalog-page",
        dagcbor.encode({"entries": [], "left": None, "level": 0, "type": "halle/catalog/2"}),
    )
    yield case("level is true", "catalog-page", page([], True))
    yield case("level 65", "catalog-page", page([one], 65))
    yield case("entry of three", "catalog-page", page([[0, first, value]]))
    yield case("value is text", "catalog-page", page([[0, first, "x", None]]))
    yield case("suffix is text", "catalog-page", page([[0, first.decode(), value, None]]))
    yield case("child is raw", "catalog-page", page([one], 0, cid_of(RAW, b"")))
    yield case("not a map", "catalog-page", dagcbor.encode([]))
    latin = next(bytes((c, 0xE9)) for c in range(97, 123) if catalog._level_of(bytes((c, 0xE9))) == 0)
    yield case("key that is not UTF-8", "catalog-key", page([[0, latin, value, None]]))
    control = next(f"{c}\n" for c in "abcdefgh" if catalog.key_level(f"{c}\n") == 0).encode()
    yield case("key with a line break", "catalog-key", page([[0, control, value, None]]))
    broken = case("page of other bytes", "cid-mismatch", page([one]))
    broken["pages"] = {broken["root"]: page([two[:0] + one, two]).hex()}
    yield broken


# --- 04 -----------------------------------------------------------------------------------------------


def sync_items(start: int, end: int) -> list[reconcile.Item]:
    return [reconcile.Item(1_700_000_000 + i // 3, hashlib.sha256(b"item %d" % i).digest()) for i in range(start, end)]


def reconcile_valid() -> Iterator[Case]:
    full = reconcile.MAX_MESSAGE_BYTES
    for name, mine, theirs, limit in (
        ("both empty", (0, 0), (0, 0), full),
        ("we have none", (0, 0), (0, 40), full),
        ("they have none", (0, 40), (0, 0), full),
        ("equal", (0, 500), (0, 500), full),
        ("newest differ", (0, 480), (0, 500), full),
        ("overlap", (0, 300), (40, 330), full),
        ("nothing in common, messages of 4,096 bytes at most", (0, 160), (160, 320), reconcile.MIN_MESSAGE_BYTES),
        ("they have more than one message holds", (0, 0), (0, 160), reconcile.MIN_MESSAGE_BYTES),
    ):
        a, b = reconcile.ItemSet(sync_items(*mine)), reconcile.ItemSet(sync_items(*theirs))
        messages: list[str] = []
        have: set[bytes] = set()
        need: set[bytes] = set()
        message: bytes | None = reconcile.initiate(a, max_message_bytes=limit)
        while message is not None:
            answer = reconcile.respond(b, message, max_message_bytes=limit)
            messages += [message.hex(), answer.hex()]
            message, more_have, more_need = reconcile.absorb(a, answer, max_message_bytes=limit)
            have.update(more_have)
            need.update(more_need)
        yield {
            "name": name,
            "items": "i-th: timestamp 1700000000 + floor(i/3), id sha2-256 of 'item <i>'",
            "ours": list(mine),
            "theirs": list(theirs),
            "max_message_bytes": limit,
            "fingerprint": a.fingerprint().hex(),
            "messages": messages,
            "have": sorted(item.hex() for item in have),
            "need": sorted(item.hex() for item in need),
        }


def reconcile_invalid() -> Iterator[Case]:
    for name, message, code in (
        ("nothing", "", "sync-version"),
        ("version 2", "62", "sync-version"),
        ("cut after a bound", "610000", "sync-malformed"),
        ("unknown mode", "61000003", "sync-malformed"),
        ("fingerprint cut", "61000001" + "00" * 15, "sync-malformed"),
        ("ids cut", "6100000201" + "00" * 31, "sync-malformed"),
        ("2^40 ids", "61000002a08080808000", "sync-malformed"),
        ("range after infinity", "610000000000" + "00", "sync-malformed"),
        ("prefix of 33", "610121" + "00" * 34, "sync-malformed"),
        ("prefix on infinity", "61000100" + "00", "sync-malformed"),
        ("number not minimal", "6180010000", "sync-malformed"),
        ("number over 64 bits", "61" + "ff" * 10 + "7f0000", "sync-malformed"),
        ("timestamp over 64 bits", "6181ffffffffffffffff7f0000" + "0200" + "00", "sync-malformed"),
        ("ids going back", "610201ff0001010000", "sync-malformed"),
        ("65,537 bytes", {"repeat": "61", "length": 65537}, "sync-too-large"),
    ):
        yield {"name": name, "message": message, "code": code}


TOPICS = {
    "money": ("docs/spec/01-bytes.md", money_valid, money_invalid),
    "cid": ("docs/spec/01-bytes.md", cid_valid, cid_invalid),
    "dagcbor": ("docs/spec/01-bytes.md", dagcbor_valid, dagcbor_invalid),
    "unixfs": ("docs/spec/01-bytes.md", unixfs_valid, unixfs_invalid),
    "car": ("docs/spec/01-bytes.md", car_valid, car_invalid),
    "ipns": ("docs/spec/02-ipns.md", ipns_valid, ipns_invalid),
    "catalog": ("docs/spec/03-catalog.md", catalog_valid, catalog_invalid),
    "reconcile": ("docs/spec/04-reconciliation.md", reconcile_valid, reconcile_invalid),
}


def documents() -> Iterator[tuple[str, str]]:
    """Yield every file name and its text."""
    for topic, (spec, valid, invalid) in TOPICS.items():
        for kind, cases in (("valid", valid), ("invalid", invalid)):
            body = {"spec": spec, "cases": list(cases())}
            yield f"{topic}_{kind}.json", json.dumps(body, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file_name, text in documents():
        (HERE / file_name).write_text(text, encoding="utf-8")
