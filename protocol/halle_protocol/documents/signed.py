"""A signed document: one canonical DAG-CBOR block; its CID is the identity of exactly these bytes.

`sig` is EIP-712 over Document(type, store, seq, issued, sha2-256 of the canonical body).
Spec: docs/spec/06-documents.md §1
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from halle_protocol import dagcbor
from halle_protocol.cid import CID, DAG_CBOR, cid_of
from halle_protocol.documents.shape import Model
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.grant import Grant, authorise
from halle_protocol.signing import HALLE_DOMAIN, recover, sign, struct_hash, typed_digest
from halle_protocol.wire import MAX_INT, decode_map, expect_keys, take_bytes, take_int

MAX_BYTES = 64 * 1024
_KEYS = frozenset(("type", "store", "seq", "issued", "body", "sig"))
_TYPE = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,62})/[a-z0-9][a-z0-9/-]{0,40}/[1-9][0-9]{0,4}\Z")
_Bytes = bytes  # the class below has a property of that name


@dataclass(frozen=True)
class SignedDocument:
    """What a store says about one thing.

    Units: issued in unix seconds; seq grows with each edition of the same key.
    """

    type: str
    store: _Bytes
    seq: int
    issued: int
    body: dict[str, Any]
    sig: _Bytes
    block: _Bytes = field(repr=False, compare=False)
    body_hash: _Bytes = field(repr=False)

    @property
    def bytes(self) -> _Bytes:
        """The canonical block, as it was read or made."""
        return self.block

    @cached_property
    def cid(self) -> CID:
        """The identity of exactly these bytes."""
        return cid_of(DAG_CBOR, self.block)

    def signer(self) -> _Bytes:
        """Return the address that signed.

        Raises: RemoteProtocolError `bad-signature`.
        """
        # Not a cached_property: before Python 3.12 one lock for all documents would let one thread at a time verify.
        found: _Bytes | None = self.__dict__.get("_signer")
        if found is None:
            digest = _digest(self.type, self.store, self.seq, self.issued, self.body_hash)
            found = self.__dict__["_signer"] = recover(digest, self.sig)
        return found


def sign_document(
    private: bytes, type: str, store: bytes, seq: int, issued: int, body: Model | dict[str, Any]
) -> SignedDocument:
    """Return a document signed by the store key or an operator key.

    Raises: LocalProtocolError `document-too-large`, `document-shape`, dagcbor's codes.
    """
    plain = body.to_body() if isinstance(body, Model) else body
    body_hash = hashlib.sha256(dagcbor.encode(plain)).digest()
    sig = sign(private, _digest(type, store, seq, issued, body_hash))
    value = {"type": type, "store": store, "seq": seq, "issued": issued, "body": plain, "sig": sig}
    try:
        return decode_document(dagcbor.encode(value))
    except RemoteProtocolError as exc:
        raise LocalProtocolError(exc.message, code=exc.code, hint=exc.hint) from exc


def decode_document(data: bytes) -> SignedDocument:
    """Read a block: strict, canonical, ≤ 64 KiB, exactly the six fields. The signature is checked by
    verify_document.

    Raises: RemoteProtocolError `document-too-large`, `document-shape`, `cbor-…`.
    """
    kind = "document"
    value = decode_map(data, kind=kind, max_bytes=MAX_BYTES)
    expect_keys(value, _KEYS, kind=kind)
    type_name, body = value["type"], value["body"]
    if not isinstance(type_name, str) or not _TYPE.match(type_name) or not isinstance(body, dict):
        raise RemoteProtocolError(
            "A document has a type such as halle/listing/1 and a map as body.",
            code="document-shape",
            hint="Its store must follow docs/spec/06-documents.md.",
        )
    store = take_bytes(value, "store", 20, kind=kind)
    seq = take_int(value, "seq", kind=kind, low=1, high=MAX_INT)
    issued = take_int(value, "issued", kind=kind, high=MAX_INT)
    sig = take_bytes(value, "sig", 65, kind=kind)
    body_hash = hashlib.sha256(_body_slice(data, type_name, seq, issued)).digest()
    return SignedDocument(type_name, store, seq, issued, body, sig, bytes(data), body_hash)


def verify_document(
    doc: SignedDocument, grant: Grant | None = None, at: int | None = None, *, min_sequence: int = 0
) -> None:
    """Check that the store, or an operator it granted `publish` to, signed.

    `at` None leaves the clock to whatever vouches for the document (the head it is reachable from).
    Raises: RemoteProtocolError `bad-signature`, `not-authorised`, `grant-…`.
    """
    authorise(doc.signer(), doc.store, grant, scope="publish", at=at, min_sequence=min_sequence)


def _digest(type_name: str, store: bytes, seq: int, issued: int, body_hash: bytes) -> bytes:
    return typed_digest(HALLE_DOMAIN, struct_hash("Document", type_name, store, seq, issued, body_hash))


def _body_slice(data: bytes, type_name: str, seq: int, issued: int) -> bytes:
    """Cut the body's canonical bytes out of a canonical block instead of encoding it again.

    DAG-CBOR orders keys by length, then bytes: seq, sig, body, type, store, issued. So what stands before
    and after the body has a length that follows from the values.
    """
    head = 1 + (4 + _uint_size(seq)) + (4 + 67) + 5
    tail = (5 + _uint_size(len(type_name)) + len(type_name)) + (6 + 21) + (7 + _uint_size(issued))
    return data[head : len(data) - tail]


def _uint_size(value: int) -> int:
    if value < 24:
        return 1
    return 2 if value < 2**8 else 3 if value < 2**16 else 5 if value < 2**32 else 9
