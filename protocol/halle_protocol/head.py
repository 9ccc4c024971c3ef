"""A head is the signed pointer to a store's newest catalog; an announcement is a head with the grant it
needs.

The highest seq wins. Two different heads with one seq are proof of equivocation, kept and shown.
Spec: docs/spec/07-head.md
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from halle_protocol import dagcbor
from halle_protocol.cid import CID, DAG_CBOR, cid_of
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.grant import Grant, authorise
from halle_protocol.signing import HALLE_DOMAIN, recover, sign, struct_hash, typed_digest
from halle_protocol.wire import decode_map, expect_keys, take_bytes, take_int

TYPE = "halle/head/1"
MAX_BYTES = 512
MAX_FRAME_BYTES = 2048
MAX_LIFE_S = 90 * 86400
MAX_SKEW_S = 600
"""A head dated further in the future than this is refused: it would hide every later one."""

_KEYS = frozenset(["type", "store", "seq", "catalog", "site", "issued", "expires", "grant", "sig"])


@dataclass(frozen=True)
class Head:
    """The newest state of one store.

    Units: issued and expires in unix seconds.
    """

    store: bytes
    seq: int
    catalog: CID
    site: CID | None
    issued: int
    expires: int
    grant: CID | None
    sig: bytes = b""

    def digest(self) -> bytes:
        """Return the 32 bytes that are signed; an absent CID is hashed as no bytes."""
        links = (bytes(self.catalog), bytes(self.site or b""))
        times = (self.issued, self.expires)
        hashed = struct_hash("Head", self.store, self.seq, *links, *times, bytes(self.grant or b""))
        return typed_digest(HALLE_DOMAIN, hashed)

    def encode(self) -> bytes:
        """Return the canonical DAG-CBOR block."""
        return self._block

    @cached_property
    def _block(self) -> bytes:
        body = {"type": TYPE, "store": self.store, "seq": self.seq, "catalog": self.catalog, "sig": self.sig}
        body |= {"site": self.site, "issued": self.issued, "expires": self.expires, "grant": self.grant}
        return dagcbor.encode(body)

    @cached_property
    def cid(self) -> CID:
        """The identity of exactly this head."""
        return cid_of(DAG_CBOR, self._block)

    @staticmethod
    def decode(data: bytes) -> Head:
        """Read a head; the signature is checked by verify.

        Raises: RemoteProtocolError `head-shape`, `head-too-large`, `cbor-…`.
        """
        value = decode_map(data, kind="head", max_bytes=MAX_BYTES)
        expect_keys(value, _KEYS, kind="head")
        catalog = _link(value, "catalog")
        if value["type"] != TYPE or catalog is None:
            raise RemoteProtocolError(
                f"Not a {TYPE} with a catalog.", code="head-shape", hint="The store must publish a new head."
            )
        head = Head(
            store=take_bytes(value, "store", 20, kind="head"),
            seq=take_int(value, "seq", kind="head", low=1),
            catalog=catalog,
            site=_link(value, "site"),
            issued=take_int(value, "issued", kind="head"),
            expires=take_int(value, "expires", kind="head"),
            grant=_link(value, "grant"),
            sig=take_bytes(value, "sig", 65, kind="head"),
        )
        if not head.issued < head.expires <= head.issued + MAX_LIFE_S:
            raise RemoteProtocolError(
                "A head lives at most 90 days.", code="head-shape", hint="The store must publish a new head."
            )
        return head

    def signer(self) -> bytes:
        """Return the address that signed.

        Raises: RemoteProtocolError `bad-signature`.
        """
        return self._signer

    @cached_property
    def _signer(self) -> bytes:
        return recover(self.digest(), self.sig)

    def verify(self, grant: Grant | None = None, now: int | None = None, *, min_sequence: int = 0) -> None:
        """Check signature, authority and, with `now`, the clock.

        Raises: RemoteProtocolError `head-expired`, `head-from-future`, `head-grant-mismatch`,
        `bad-signature`, `not-authorised`, `grant-…`.
        """
        if (grant.cid if grant else None) != self.grant:
            raise RemoteProtocolError(
                "The head names another grant.", code="head-grant-mismatch", hint="Fetch the grant that the head names."
            )
        if now is not None and now > self.expires:
            raise RemoteProtocolError(
                f"The head expired at {self.expires}.",
                code="head-expired",
                hint="Ask other peers for a newer head of this store.",
            )
        if now is not None and self.issued > now + MAX_SKEW_S:
            raise RemoteProtocolError(
                f"The head is dated {self.issued}, after now.",
                code="head-from-future",
                hint="Check the clocks of both sides.",
            )
        authorise(self.signer(), self.store, grant, scope="publish", at=now, min_sequence=min_sequence)


def sign_head(
    private: bytes,
    store: bytes,
    seq: int,
    catalog: CID,
    *,
    issued: int,
    expires: int,
    site: CID | None = None,
    grant: CID | None = None,
) -> Head:
    """Return a head signed by the store key, or by an operator key whose grant is named.

    Raises: LocalProtocolError `head-shape`.
    """
    head = Head(store, seq, catalog, site, issued, expires, grant)
    signed = replace(head, sig=sign(private, head.digest()))
    try:
        return Head.decode(signed.encode())
    except RemoteProtocolError as exc:
        raise LocalProtocolError(exc.message, code=exc.code, hint=exc.hint) from exc


@dataclass(frozen=True)
class Announcement:
    """The gossip frame: everything a stranger needs to check a head, in ≤ 2 KiB."""

    head: bytes
    grant: bytes | None = None

    def encode(self) -> bytes:
        """Return the frame.

        Raises: LocalProtocolError `announcement-too-large`.
        """
        data = dagcbor.encode({"head": self.head, "grant": self.grant})
        if len(data) > MAX_FRAME_BYTES:
            raise LocalProtocolError(
                "An announcement may have 2048 bytes.", code="announcement-too-large", hint="Use a shorter grant."
            )
        return data

    @staticmethod
    def decode(frame: bytes) -> Announcement:
        """Read a frame.

        Raises: RemoteProtocolError `announcement-shape`, `announcement-too-large`, `cbor-…`.
        """
        kind = "announcement"
        value = decode_map(frame, kind=kind, max_bytes=MAX_FRAME_BYTES)
        expect_keys(value, frozenset(("head", "grant")), kind=kind)
        head, grant = value["head"], value["grant"]
        if type(head) is not bytes or not (grant is None or type(grant) is bytes):
            raise RemoteProtocolError(
                "head and grant must be bytes.",
                code="announcement-shape",
                hint="The sender must follow docs/spec/07-head.md.",
            )
        return Announcement(head, grant)

    def open(self) -> tuple[Head, Grant | None]:
        """Return the decoded head and grant; the grant's signature is checked if a key made it, the head's is not yet.

        Raises: RemoteProtocolError with the codes of Head.decode and Grant.decode.
        """
        return Head.decode(self.head), None if self.grant is None else Grant.decode(self.grant)

    def verify(self, now: int | None, *, min_sequence: int = 0) -> Head:
        """Return the head after every check.

        Raises: RemoteProtocolError with the codes of Head.decode, Grant.decode and Head.verify.
        """
        head, grant = self.open()
        head.verify(grant, now, min_sequence=min_sequence)
        return head


def announce(head: Head, grant: Grant | None = None) -> Announcement:
    """Return the frame for a head."""
    return Announcement(head.encode(), None if grant is None else grant.encode())


def newer(candidate: Head, known: Head | None) -> bool:
    """Say whether `candidate` replaces `known`: a higher seq of the same store."""
    return known is None or (candidate.store == known.store and candidate.seq > known.seq)


def equivocation(a: Head, b: Head) -> bool:
    """Say whether two heads prove that a store told two stories: same store and seq, other content.

    The signature bytes do not count, so that a re-signed copy is not called a lie.
    """
    return a.store == b.store and a.seq == b.seq and a.digest() != b.digest()


def _link(value: dict[str, Any], key: str) -> CID | None:
    item = value[key]
    if item is not None and not isinstance(item, CID):
        raise RemoteProtocolError(
            f"head.{key} must be a CID.", code="head-shape", hint="The store must publish a new head."
        )
    return item
