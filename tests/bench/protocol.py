"""The protocol's own speed: one process, one core, no I/O."""

from __future__ import annotations

import time
from collections.abc import Iterator

from eth_account import Account
from eth_account.messages import encode_typed_data

from bench.figure import Figure, at_least, at_most, per_second
from halle_protocol import catalog, dagcbor
from halle_protocol.cid import CID, DAG_CBOR, cid_of
from halle_protocol.documents import LISTING, SignedDocument, decode_document, sign_document, verify_document
from halle_protocol.keys import address_of

STORE_KEY = bytes.fromhex("11" * 32)
LISTINGS = 10_000


def figures() -> Iterator[Figure]:
    """Yield every figure of the protocol."""
    doc = listing(0)
    data = doc.bytes
    yield Figure("listing document", len(data), "B")
    yield at_least("DAG-CBOR decode, strict", per_second(lambda: dagcbor.decode(data)), "/s", 15_000)
    yield Figure("sign a document", per_second(lambda: listing(1)), "/s")
    decode_s = 1 / per_second(lambda: decode_document(data))
    both_s = 1 / per_second(lambda: verify_document(decode_document(data), None))
    ours = 1 / (both_s - decode_s)
    yield Figure("decode a document from bytes", 1 / decode_s, "/s")
    yield at_least("verify a document", ours, "/s", 15_000)
    theirs = per_second(lambda: verify_with_eth_account(doc))
    yield at_least("verify, ours ÷ eth-account", ours / theirs, "×", 3)
    yield from catalog_figures()


def listing(number: int) -> SignedDocument:
    """Return a signed listing of ordinary size."""
    body = {
        "handle": f"product-{number}",
        "kind": "physical",
        "title": {"texts": {"en": f"Blue linen shirt number {number}"}, "fallback": "en"},
        "description": {"texts": {"en": "Washed linen, straight cut, corozo buttons. " * 20}, "fallback": "en"},
        "variants": [
            {"sku": f"SKU-{number}-{size}", "options": {"Size": size}, "price": {"amount": 8900, "currency": "EUR"}}
            for size in ("S", "M", "L")
        ],
        "options": ["Size"],
        "tags": ["shirt", "linen", "blue"],
    }
    return sign_document(STORE_KEY, LISTING, address_of(STORE_KEY), 1, 1_790_000_000, body)


def verify_with_eth_account(doc: SignedDocument) -> str:
    """Recover the signer the slow, general way, for the ratio."""
    types = [("type", "string"), ("store", "address"), ("seq", "uint64"), ("issued", "uint64"), ("body", "bytes32")]
    message = encode_typed_data(
        domain_data={"name": "Halle", "version": "1"},
        message_types={"Document": [{"name": name, "type": kind} for name, kind in types]},
        message_data={
            "type": doc.type,
            "store": "0x" + doc.store.hex(),
            "seq": doc.seq,
            "issued": doc.issued,
            "body": bytes(32),
        },
    )
    return str(Account.recover_message(message, signature=doc.sig))


def catalog_figures() -> Iterator[Figure]:
    """Yield what one changed listing of ten thousand costs to sync."""
    items = {f"listing/product-{number}": cid_of(DAG_CBOR, b"%d" % number) for number in range(LISTINGS)}
    tree = catalog.build(items)
    old = dict(tree.blocks)
    begun = time.perf_counter()
    new = catalog.update(tree.root, {"listing/product-5000": cid_of(DAG_CBOR, b"new")}, old.__getitem__)
    yield Figure(f"catalog of {LISTINGS:,}: update one", (time.perf_counter() - begun) * 1e3, "ms")
    fetched: list[CID] = []
    blocks = {**old, **new.blocks}

    def get(cid: CID) -> bytes:
        if cid not in old:
            fetched.append(cid)
        return blocks[cid]

    begun = time.perf_counter()
    found = catalog.diff(tree.root, new.root, get)
    yield Figure(f"catalog of {LISTINGS:,}: find the change", (time.perf_counter() - begun) * 1e3, "ms")
    assert list(found.changed) == ["listing/product-5000"]
    pages = sum(len(blocks[cid]) for cid in set(fetched))
    yield at_most(f"catalog of {LISTINGS:,}, 1 changed: pages transferred", pages / 1024, "KB", 20)
