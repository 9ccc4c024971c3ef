"""The committed vectors of docs/spec/01 to 04 hold, and are what their generator writes."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from halle_protocol import car, catalog, cid, dagcbor, ipns, money, reconcile, unixfs
from halle_protocol.cid import CID
from halle_protocol.errors import HalleError, LocalProtocolError, RemoteProtocolError

VECTORS = Path(__file__).parents[1] / "vectors"
Case = dict[str, Any]


def cases(name: str) -> list[Any]:
    body = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case.get("name") or f"case {i}") for i, case in enumerate(body["cases"])]


def data_of(value: Any) -> bytes:
    if isinstance(value, dict):
        part = bytes.fromhex(value["repeat"])
        return (part * (value["length"] // len(part) + 1))[: value["length"]]
    return bytes.fromhex(value)


def from_dag_json(value: Any) -> Any:
    if isinstance(value, list):
        return [from_dag_json(item) for item in value]
    if isinstance(value, dict):
        inner = value.get("/")
        if isinstance(inner, str):
            return CID.parse(inner)
        if isinstance(inner, dict):
            return bytes.fromhex(inner["bytes"])
        return {key: from_dag_json(item) for key, item in value.items()}
    return value


def store(pages: dict[str, str]) -> dict[CID, bytes]:
    return {CID.parse(name): bytes.fromhex(block) for name, block in pages.items()}


def assert_refused(code: str, call: Callable[[], object], kind: type[HalleError] = RemoteProtocolError) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.code == code
    assert caught.value.hint


def test_vectors_are_what_the_generator_writes() -> None:
    spec = importlib.util.spec_from_file_location("generate_bytes", VECTORS / "generate_bytes.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    for name, text in generator.documents():
        assert (VECTORS / name).read_text(encoding="utf-8") == text, name


@pytest.mark.parametrize("case", cases("money_valid"))
def test_money_reads_a_valid_vector(case: Case) -> None:
    amount = money.parse_decimal(case["text"], case["currency"])
    assert amount.amount_minor == case["amount_minor"]
    assert (amount.text("en"), amount.text("fr")) == (case["english"], case["french"])
    tokens = money.token_amount(amount, case["token_decimals"])
    assert str(tokens) == case["token_amount"]
    assert money.money_from_token(tokens, case["token_decimals"], case["currency"]) == amount


@pytest.mark.parametrize("case", cases("money_invalid"))
def test_money_refuses_an_invalid_vector(case: Case) -> None:
    def call() -> object:
        if case["operation"] == "parse":
            return money.parse_decimal(case["text"], case["currency"])
        return money.token_amount(money.Money(case["amount_minor"], case["currency"]), case["token_decimals"])

    assert_refused(case["code"], call, LocalProtocolError)


@pytest.mark.parametrize("case", cases("cid_valid"))
def test_cid_reads_a_valid_vector(case: Case) -> None:
    made = cid.cid_of(case["codec"], data_of(case["data"]))
    assert made == CID.parse(case["text"]) == CID.from_bytes(data_of(case["bytes"]))
    assert (str(made), made.codec) == (case["text"], case["codec"])
    cid.verify(made, data_of(case["data"]))


@pytest.mark.parametrize("case", cases("cid_invalid"))
def test_cid_refuses_an_invalid_vector(case: Case) -> None:
    def call() -> object:
        if "data" in case:
            return cid.verify(CID.parse(case["text"]), data_of(case["data"]))
        return CID.parse(case["text"]) if "text" in case else CID.from_bytes(data_of(case["bytes"]))

    assert_refused(case["code"], call)


@pytest.mark.parametrize("case", cases("dagcbor_valid"))
def test_dagcbor_reads_and_writes_a_valid_vector(case: Case) -> None:
    value = from_dag_json(case["value"])
    assert dagcbor.decode(data_of(case["bytes"])) == value
    assert dagcbor.encode(value) == data_of(case["bytes"])


@pytest.mark.parametrize("case", cases("dagcbor_invalid"))
def test_dagcbor_refuses_an_invalid_vector(case: Case) -> None:
    assert_refused(case["code"], lambda: dagcbor.decode(data_of(case["bytes"])))


@pytest.mark.parametrize("case", cases("unixfs_valid"))
def test_unixfs_builds_a_valid_vector(case: Case) -> None:
    if "file" in case:
        content = data_of(case["file"])
        built = unixfs.build_file(content)
        assert unixfs.read_file(built.root, built.blocks.__getitem__, max_bytes=len(content)) == content
        assert (len(built.blocks), built.size) == (case["blocks"], len(content))
    else:
        names = {name: (CID.parse(e["root"]), e["tsize"]) for name, e in case["directory"].items()}
        built = unixfs.build_directory(names)
        assert built.blocks[built.root].hex() == case["block"]
        assert set(unixfs.read_directory(built.root, built.blocks.__getitem__)) == set(names)
    assert (str(built.root), built.tsize) == (case["root"], case["tsize"])


@pytest.mark.parametrize("case", cases("unixfs_invalid"))
def test_unixfs_refuses_an_invalid_vector(case: Case) -> None:
    get = store(case["blocks"]).__getitem__
    root = CID.parse(case["root"])
    assert_refused(case["code"], lambda: unixfs.read_file(root, get, max_bytes=case["max_bytes"]))


@pytest.mark.parametrize("case", cases("car_valid"))
def test_car_reads_and_writes_a_valid_vector(case: Case) -> None:
    roots = [CID.parse(root) for root in case["roots"]]
    blocks = [(CID.parse(name), bytes.fromhex(block)) for name, block in case["blocks"]]
    assert b"".join(car.write(roots, blocks)) == data_of(case["bytes"])
    read = car.read(data_of(case["bytes"]), max_blocks=10, max_bytes=1000)
    assert (read.roots, list(read.blocks)) == (roots, blocks)


@pytest.mark.parametrize("case", cases("car_invalid"))
def test_car_refuses_an_invalid_vector(case: Case) -> None:
    limits = {"max_blocks": case["max_blocks"], "max_bytes": case["max_bytes"]}
    assert_refused(case["code"], lambda: list(car.read(data_of(case["bytes"]), **limits).blocks))


@pytest.mark.parametrize("case", cases("ipns_valid"))
def test_ipns_makes_and_reads_a_valid_vector(case: Case) -> None:
    record = data_of(case["record"])
    sequence = int(case["sequence"])
    private = data_of(case["private"])
    assert ipns.create(private, case["value"], sequence, case["expires_at"], case["ttl_s"]) == record
    expected = ipns.Record(case["value"], sequence, case["expires_at"], case["ttl_s"])
    assert ipns.verify(record, case["name"], now=case["expires_at"] - 1) == expected


@pytest.mark.parametrize("case", cases("ipns_invalid"))
def test_ipns_refuses_an_invalid_vector(case: Case) -> None:
    record = data_of(case["record"])
    assert_refused(case["code"], lambda: ipns.verify(record, case["key_name"], now=case["now"]))


@pytest.mark.parametrize("case", cases("catalog_valid"))
def test_catalog_builds_a_valid_vector(case: Case) -> None:
    if "count" in case:
        items = {f"listing/product-{i}": cid.cid_of(cid.DAG_CBOR, b"document %d" % i) for i in range(case["count"])}
        tree = catalog.build(items)
        changes = {key: value and CID.parse(value) for key, value in case["changes"].items()}
        after = catalog.update(tree.root, changes, tree.blocks.__getitem__)
        assert str(after.root) == case["root_after"]
        assert sorted(str(page) for page in after.blocks) == case["new_pages"]
    else:
        items = {key: CID.parse(value) for key, value in case["entries"].items()}
        tree = catalog.build(items)
        assert tree.blocks == store(case["pages"])
        assert list(catalog.entries(tree.root, tree.blocks.__getitem__)) == sorted(items.items())
    assert str(tree.root) == case["root"]


@pytest.mark.parametrize("case", cases("catalog_invalid"))
def test_catalog_refuses_an_invalid_vector(case: Case) -> None:
    get = store(case["pages"]).__getitem__
    root = CID.parse(case["root"])
    assert_refused(case["code"], lambda: list(catalog.entries(root, get)))
    assert_refused(case["code"], lambda: catalog.diff(None, root, get))


def sync_items(start: int, end: int) -> reconcile.ItemSet:
    return reconcile.ItemSet(
        reconcile.Item(1_700_000_000 + i // 3, cid.cid_of(cid.RAW, b"item %d" % i).digest) for i in range(start, end)
    )


@pytest.mark.parametrize("case", cases("reconcile_valid"))
def test_reconcile_exchanges_the_messages_of_a_valid_vector(case: Case) -> None:
    ours, theirs = sync_items(*case["ours"]), sync_items(*case["theirs"])
    assert ours.fingerprint().hex() == case["fingerprint"]
    messages, have, need = [], set(), set()
    limit = {"max_message_bytes": case["max_message_bytes"]}
    message: bytes | None = reconcile.initiate(ours, **limit)
    while message is not None:
        answer = reconcile.respond(theirs, message, **limit)
        messages += [message.hex(), answer.hex()]
        message, more_have, more_need = reconcile.absorb(ours, answer, **limit)
        have.update(item.hex() for item in more_have)
        need.update(item.hex() for item in more_need)
    assert messages == case["messages"]
    assert (sorted(have), sorted(need)) == (case["have"], case["need"])


@pytest.mark.parametrize("case", cases("reconcile_invalid"))
def test_reconcile_refuses_an_invalid_vector(case: Case) -> None:
    items = sync_items(0, 100)
    assert_refused(case["code"], lambda: reconcile.respond(items, data_of(case["message"])))
    assert_refused(case["code"], lambda: reconcile.absorb(items, data_of(case["message"])))
