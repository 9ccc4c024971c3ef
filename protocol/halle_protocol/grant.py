"""An operator grant: the store key says which hot key may act for it, where, for what and until when.

A grant is revoked by any grant of the same store with a higher sequence; readers keep the highest they
have seen. A store that is a contract (ERC-1271) signs with bytes that only its chain can judge: such a grant gives
nothing until whoever asked the chain says so with `confirm`.
Spec: docs/spec/05-identity.md §3
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from halle_protocol import dagcbor
from halle_protocol.cid import CID, cid_of
from halle_protocol.cid import DAG_CBOR as _DAG_CBOR
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.keys import ZERO_ADDRESS, address_of
from halle_protocol.signing import (
    HALLE_DOMAIN,
    MAX_ACCOUNT_SIGNATURE_BYTES,
    ChainCheck,
    chain_check,
    recover,
    sign,
    struct_hash,
    typed_digest,
)
from halle_protocol.wire import decode_map, expect_keys, take_bytes, take_int, take_signature, take_text

TYPE = "halle/grant/1"
SCOPES = ("publish", "quote", "message", "ship", "settle")
MAX_BYTES = 1400
_KEYS = frozenset(["type", "store", "operator", "peer_id", "scopes", "not_before", "not_after", "sequence", "sig"])


@dataclass(frozen=True)
class Grant:
    """Authority of `operator` to act for `store`.

    Units: not_before, not_after in unix seconds, both included.
    """

    store: bytes
    operator: bytes
    peer_id: str
    scopes: tuple[str, ...]
    not_before: int
    not_after: int
    sequence: int
    sig: bytes = b""
    confirmed: bool = field(default=False, compare=False)
    """A chain said that the contract account signed; not part of the grant's bytes."""

    def digest(self) -> bytes:
        """Return the 32 bytes the store key signs."""
        hashed = struct_hash(
            "OperatorGrant",
            *(self.store, self.operator, self.peer_id, self.scopes),
            *(self.not_before, self.not_after, self.sequence),
        )
        return typed_digest(HALLE_DOMAIN, hashed)

    def encode(self) -> bytes:
        """Return the canonical DAG-CBOR block."""
        return self._block

    @cached_property
    def _block(self) -> bytes:
        body: dict[str, object] = {"type": TYPE, "store": self.store, "operator": self.operator}
        body |= {"peer_id": self.peer_id}
        body |= {"not_before": self.not_before, "not_after": self.not_after, "sequence": self.sequence}
        return dagcbor.encode(body | {"scopes": list(self.scopes), "sig": self.sig})

    @cached_property
    def cid(self) -> CID:
        """The identity of exactly this grant."""
        return cid_of(_DAG_CBOR, self._block)

    @staticmethod
    def decode(data: bytes) -> Grant:
        """Read a grant and check its store's signature; one of a contract account is left to `chain_check`.

        Raises: RemoteProtocolError `grant-shape`, `grant-too-large`, `grant-wrong-signer`,
        `bad-signature`, `cbor-…`.
        """
        grant = _read(decode_map(data, kind="grant", max_bytes=MAX_BYTES))
        if grant.chain_check is None:
            grant.verify()
        return grant

    @cached_property
    def chain_check(self) -> ChainCheck | None:
        """What a chain must be asked before this grant gives anything; None when a key signed."""
        return chain_check(self.store, self.digest(), self.sig)

    def confirm(self) -> Grant:
        """Return the grant as one whose signature a chain has confirmed."""
        return replace(self, confirmed=True)

    def verify(self) -> None:
        """Check that the store signed.

        Raises: RemoteProtocolError `bad-signature`, `grant-wrong-signer`, `needs-chain`.
        """
        if self.chain_check is not None:
            if not self.confirmed:
                raise RemoteProtocolError(
                    "The store is a contract account; only its chain can say whether it signed.",
                    code="needs-chain",
                    hint="Connect the node to the chain of the store, then try again.",
                )
            return
        if self._signer != self.store:
            raise RemoteProtocolError(
                "The grant is not signed by its store.",
                code="grant-wrong-signer",
                hint="The store must sign a new grant.",
            )

    @cached_property
    def _signer(self) -> bytes:
        return recover(self.digest(), self.sig)

    def active(self, at: int) -> bool:
        """Say whether `at` lies in the grant's validity."""
        return self.not_before <= at <= self.not_after


def sign_grant(
    store_private: bytes,
    operator: bytes,
    peer_id: str,
    *,
    not_before: int,
    not_after: int,
    sequence: int,
    scopes: Iterable[str] = SCOPES,
) -> Grant:
    """Return a grant signed by the store key. No scopes = revocation of everything before it.

    Raises: LocalProtocolError `grant-shape`.
    """
    unique = tuple(sorted(set(scopes)))
    grant = Grant(address_of(store_private), operator, peer_id, unique, not_before, not_after, sequence)
    signed = replace(grant, sig=sign(store_private, grant.digest()))
    try:
        return Grant.decode(signed.encode())
    except RemoteProtocolError as exc:
        raise LocalProtocolError(exc.message, code=exc.code, hint=exc.hint) from exc


def authorise(
    signer: bytes, store: bytes, grant: Grant | None, *, scope: str, at: int | None, min_sequence: int = 0
) -> None:
    """Check that `signer` may do `scope` for `store`: it is the store, or the operator of a good grant.

    `at` None skips the clock (something fresher, such as a head, vouches for the time); `min_sequence` is the
    highest grant sequence seen for the store.
    Raises: RemoteProtocolError `not-authorised`, `grant-wrong-store`, `grant-scope`, `grant-revoked`,
    `grant-not-yet`, `grant-expired`, `bad-signature`, `grant-wrong-signer`, `needs-chain`.
    """
    if signer == store:
        return
    if grant is None or grant.operator != signer:
        raise RemoteProtocolError(
            f"0x{signer.hex()} may not act for store 0x{store.hex()}.",
            code="not-authorised",
            hint="Ask the store for a grant to this key.",
        )
    if grant.store != store:
        raise RemoteProtocolError(
            "The grant is of another store.", code="grant-wrong-store", hint="Fetch the grant that the head names."
        )
    _check_reach(grant, scope, at, min_sequence)


def _check_reach(grant: Grant, scope: str, at: int | None, min_sequence: int) -> None:
    grant.verify()
    if scope not in grant.scopes:
        raise RemoteProtocolError(
            f"The grant does not include {scope!r}.",
            code="grant-scope",
            hint="Ask the store for a grant with this scope.",
        )
    if grant.sequence < min_sequence:
        raise RemoteProtocolError(
            "A later grant has revoked this one.", code="grant-revoked", hint="Fetch the store's newest head and grant."
        )
    _check_time(grant, at)


def _check_time(grant: Grant, at: int | None) -> None:
    if at is None or grant.active(at):
        return
    code = "grant-not-yet" if at < grant.not_before else "grant-expired"
    raise RemoteProtocolError(
        f"The grant is valid from {grant.not_before} to {grant.not_after}, not at {at}.",
        code=code,
        hint="Fetch the store's newest head and grant; check the clock.",
    )


def _read(value: dict[str, object]) -> Grant:
    kind = "grant"
    expect_keys(value, _KEYS, kind=kind)
    if value["type"] != TYPE:
        raise RemoteProtocolError(f"Not a {TYPE}.", code="grant-shape", hint="The store must sign a new grant.")
    grant = Grant(
        store=take_bytes(value, "store", 20, kind=kind),
        operator=take_bytes(value, "operator", 20, kind=kind),
        peer_id=take_text(value, "peer_id", kind=kind, max_chars=80),
        scopes=_read_scopes(value["scopes"]),
        not_before=take_int(value, "not_before", kind=kind),
        not_after=take_int(value, "not_after", kind=kind),
        sequence=take_int(value, "sequence", kind=kind),
        sig=take_signature(value, kind=kind, most=MAX_ACCOUNT_SIGNATURE_BYTES),
    )
    if ZERO_ADDRESS in (grant.store, grant.operator):
        raise RemoteProtocolError(
            "The zero address has no key.", code="grant-shape", hint="The store must sign a new grant."
        )
    return grant


def _read_scopes(value: object) -> tuple[str, ...]:
    """Carry scopes of the future; short, sorted and unique, so that one set has one encoding."""
    texts = isinstance(value, list) and all(isinstance(s, str) and 0 < len(s) <= 24 for s in value)
    if not isinstance(value, list) or not texts or len(value) > 12 or value != sorted(set(value)):
        raise RemoteProtocolError(
            "scopes must be a sorted list of distinct words.",
            code="grant-shape",
            hint="The store must sign a new grant.",
        )
    return tuple(value)
