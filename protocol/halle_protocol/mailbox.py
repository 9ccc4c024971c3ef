"""What is signed around a mailbox: the right to collect, and a recipient's word about an envelope it has taken.

Both are made by the store or by its operator (scope `message`), so that a mailbox and everybody between can withhold
an envelope but can neither open it, nor take it for another, nor claim that it was processed.
Spec: docs/spec/15-mailbox.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from halle_protocol import dagcbor
from halle_protocol.errors import RemoteProtocolError
from halle_protocol.grant import Grant, authorise
from halle_protocol.signing import HALLE_DOMAIN, recover, sign, struct_hash, typed_digest
from halle_protocol.wire import decode_map, expect_keys, take_bytes, take_text

NONCE_BYTES = 32
DIGEST_BYTES = 32
MAX_BYTES = 2048
PROCESSED = "ok"
ACKNOWLEDGEMENT_TYPE = "halle/acknowledgement/1"
COLLECT_TYPE = "halle/collect/1"
SCOPE = "message"
_CODE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*\Z")


@dataclass(frozen=True)
class Acknowledgement:
    """The recipient's signed word about one envelope: `outcome` is `ok`, or the code of a final refusal.

    `envelope` is the sha2-256 of the envelope's bytes.
    """

    store: bytes
    envelope: bytes
    outcome: str
    sig: bytes
    grant: Grant | None = None

    @property
    def processed(self) -> bool:
        """True when the message is committed and has had its effect."""
        return self.outcome == PROCESSED

    def encode(self) -> bytes:
        """Return the canonical DAG-CBOR bytes."""
        value = {"type": ACKNOWLEDGEMENT_TYPE, "store": self.store, "envelope": self.envelope}
        return dagcbor.encode(value | {"outcome": self.outcome} | _signature(self.sig, self.grant))

    @staticmethod
    def decode(data: bytes) -> Acknowledgement:
        """Read an acknowledgement; `verify` checks it.

        Raises: RemoteProtocolError `acknowledgement-shape`, `acknowledgement-too-large`, `cbor-…`, `grant-…`.
        """
        kind = "acknowledgement"
        value = decode_map(data, kind=kind, max_bytes=MAX_BYTES)
        keys = frozenset(("type", "store", "envelope", "outcome", "sig"))
        expect_keys(value, keys, kind=kind, optional=frozenset(("grant",)))
        outcome = take_text(value, "outcome", kind=kind, max_chars=64)
        if value["type"] != ACKNOWLEDGEMENT_TYPE or not _CODE.match(outcome):
            raise RemoteProtocolError(
                f"Not a {ACKNOWLEDGEMENT_TYPE}.",
                code="acknowledgement-shape",
                hint="The recipient must follow docs/spec/15-mailbox.md.",
            )
        store, envelope = (
            take_bytes(value, "store", 20, kind=kind),
            take_bytes(value, "envelope", DIGEST_BYTES, kind=kind),
        )
        return Acknowledgement(store, envelope, outcome, take_bytes(value, "sig", 65, kind=kind), _grant(value, kind))

    def verify(self, *, store: bytes, envelope: bytes, now: int, min_sequence: int = 0) -> None:
        """Check that `store` says this about `envelope`.

        Raises: RemoteProtocolError `acknowledgement-other`, `bad-signature`, `not-authorised`, `grant-…`.
        """
        if (self.store, self.envelope) != (store, envelope):
            raise RemoteProtocolError(
                "The acknowledgement is about another envelope or by another store.",
                code="acknowledgement-other",
                hint="Send the message again by another way.",
            )
        signer = recover(_acknowledgement_digest(store, envelope, self.outcome), self.sig)
        authorise(signer, store, self.grant, scope=SCOPE, at=now, min_sequence=min_sequence)


def acknowledge(
    private: bytes, *, store: bytes, envelope: bytes, outcome: str = PROCESSED, grant: Grant | None = None
) -> Acknowledgement:
    """Return the word of `store` about the envelope with this sha2-256."""
    return Acknowledgement(
        store, envelope, outcome, sign(private, _acknowledgement_digest(store, envelope, outcome)), grant
    )


def prove_collector(
    private: bytes, *, store: bytes, mailbox: str, collector: str, nonce: bytes, grant: Grant | None = None
) -> bytes:
    """Return the answer to a mailbox's challenge: `collector` (a peer id) may collect what `mailbox` keeps for `store`.

    Both peer ids are signed, so that a mailbox cannot use the answer at another mailbox.
    """
    signature = sign(private, _collect_digest(store, mailbox, collector, nonce))
    return dagcbor.encode({"type": COLLECT_TYPE} | _signature(signature, grant))


def check_collector(
    proof: bytes, *, store: bytes, mailbox: str, collector: str, nonce: bytes, now: int, min_sequence: int = 0
) -> None:
    """Check the answer to a challenge.

    Raises: RemoteProtocolError `collect-shape`, `collect-too-large`, `bad-signature`, `not-authorised`, `grant-…`.
    """
    kind = "collect"
    value = decode_map(proof, kind=kind, max_bytes=MAX_BYTES)
    expect_keys(value, frozenset(("type", "sig")), kind=kind, optional=frozenset(("grant",)))
    if value["type"] != COLLECT_TYPE:
        raise RemoteProtocolError(
            f"Not a {COLLECT_TYPE}.", code="collect-shape", hint="The collector must follow docs/spec/15-mailbox.md."
        )
    signer = recover(_collect_digest(store, mailbox, collector, nonce), take_bytes(value, "sig", 65, kind=kind))
    authorise(signer, store, _grant(value, kind), scope=SCOPE, at=now, min_sequence=min_sequence)


def _acknowledgement_digest(store: bytes, envelope: bytes, outcome: str) -> bytes:
    return typed_digest(HALLE_DOMAIN, struct_hash("Acknowledgement", store, envelope, outcome))


def _collect_digest(store: bytes, mailbox: str, collector: str, nonce: bytes) -> bytes:
    return typed_digest(HALLE_DOMAIN, struct_hash("Collect", store, mailbox, collector, nonce))


def _signature(sig: bytes, grant: Grant | None) -> dict[str, object]:
    return {"sig": sig} if grant is None else {"sig": sig, "grant": grant.encode()}


def _grant(value: dict[str, object], kind: str) -> Grant | None:
    grant = value.get("grant")
    if grant is None and "grant" not in value:
        return None
    if type(grant) is not bytes:
        raise RemoteProtocolError(f"{kind}.grant must be bytes.", code=f"{kind}-shape", hint="Follow docs/spec/15.")
    return Grant.decode(grant)
