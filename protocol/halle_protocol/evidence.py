"""What one side puts before an arbiter: the agreement, what was said and signed, words and photos, in one document.

The sha2-256 of its bytes is what the chain committed to, so that nobody can add to a dispute unseen.
Spec: docs/spec/10-order.md §8
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from halle_protocol import dagcbor
from halle_protocol.documents.shape import Address, Hash32, Model, Positive, Signature, UnixTime
from halle_protocol.documents.text import Note
from halle_protocol.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from halle_protocol.message_bodies import OrderBytes, PhotoFiles, TermsField
from halle_protocol.messages import MAX_BYTES, Message, thread_of
from halle_protocol.terms import Terms, check_binding, order_hash
from halle_protocol.wire import decode_map

EVIDENCE_TYPE = "halle/evidence/1"
MAX_BUNDLE_BYTES = 192 * 1024
SignedMessage = Annotated[bytes, Field(strict=True, min_length=1, max_length=MAX_BYTES)]

STANDING: tuple[str, ...] = (
    "order/request",
    "order/quote",
    "order/decline",
    "order/cancel",
    "shipment",
    "checkpoint",
    "receipt",
    "return/request",
    "return/approve",
    "return/decline",
    "return/sent",
    "return/received",
    "return/cancel",
    "settlement/propose",
    "dispute/evidence",
    "claim/open",
    "claim/offer",
    "claim/contest",
    "warranty/issued",
)
"""Messages that always go along. Talk goes along as far as its owner chooses; goods themselves never do."""


class Evidence(Model):
    """One side's bundle."""

    type: Literal["halle/evidence/1"] = "halle/evidence/1"
    order_id: Hash32
    chain_id: Positive
    escrow: Address
    by: Address
    buyer: Address
    terms: TermsField
    order_document: OrderBytes | None = None
    merchant_signature: Signature | None = None
    messages: Annotated[tuple[SignedMessage, ...], Field(max_length=500)] = ()
    text: Note = ""
    photos: PhotoFiles = ()
    created: UnixTime

    def encode(self) -> bytes:
        """Return the canonical DAG-CBOR bytes.

        Raises: LocalProtocolError `evidence-too-large`.
        """
        data = dagcbor.encode(self.to_body() | {"type": EVIDENCE_TYPE})
        if len(data) > MAX_BUNDLE_BYTES:
            raise LocalProtocolError(
                f"An evidence bundle may have {MAX_BUNDLE_BYTES} bytes.",
                code="evidence-too-large",
                hint="Choose fewer messages.",
            )
        return data

    @staticmethod
    def decode(data: bytes) -> Evidence:
        """Read a bundle; `examine` says what of it holds.

        Raises: RemoteProtocolError `body-invalid`, `cbor-…`.
        """
        return Evidence.from_body(decode_map(data, kind="evidence", max_bytes=MAX_BUNDLE_BYTES))


@dataclass(frozen=True)
class Finding:
    """One check of a bundle: `name` says what was checked."""

    name: str
    good: bool


def digest_of(bundle: bytes) -> bytes:
    """Return what the chain commits to."""
    return hashlib.sha256(bundle).digest()


def bundle_of(evidence: Evidence, talk: Sequence[bytes]) -> bytes:
    """Return a bundle with as much of `talk` (oldest first) as fits; the oldest goes first when it does not.

    Raises: LocalProtocolError `evidence-too-large` when even without talk it does not fit.
    """
    kept = list(talk)
    while True:
        try:
            return evidence.model_copy(update={"messages": (*evidence.messages, *kept)}).encode()
        except LocalProtocolError:
            if not kept:
                raise
            del kept[: max(1, len(kept) // 8)]


def messages_of(evidence: Evidence) -> list[Message]:
    """Return the messages of this order that its two sides signed, oldest first; without its request none."""
    genuine = [each for data in evidence.messages if (each := _genuine(data, evidence.terms, evidence.buyer))]
    threads = {each.thread for each in genuine if _opened_with(each, evidence)}
    return sorted((each for each in genuine if each.thread in threads), key=lambda message: message.issued)


def _opened_with(message: Message, evidence: Evidence) -> bool:
    """Say whether this is the request that made the order: its document is the one the terms hash."""
    document = message.body.get("order_document")
    bound = isinstance(document, bytes) and order_hash(document) == evidence.terms.order_hash
    named = thread_of(evidence.terms.merchant, evidence.buyer, message.id) == message.thread
    return message.type == "order/request" and message.sender == evidence.buyer and bound and named


def examine(evidence: Evidence, committed: Sequence[bytes], bundle: bytes, terms: Terms) -> list[Finding]:
    """Return what holds of a bundle. `terms` are the chain's, `committed` the digests the chain knows of."""
    sides = (evidence.terms.merchant, evidence.buyer)
    order_id = evidence.terms.order_id(evidence.chain_id, evidence.escrow, evidence.buyer)
    return [
        Finding("terms", evidence.terms == terms and order_id == evidence.order_id),
        Finding("document", _is_bound(evidence)),
        Finding("sides", evidence.by in sides),
        Finding("messages", len(messages_of(evidence)) == len(evidence.messages)),
        Finding("committed", digest_of(bundle) in committed),
    ]


def _is_bound(evidence: Evidence) -> bool:
    if evidence.order_document is None:
        return False
    try:
        check_binding(evidence.terms, evidence.order_document)
    except RemoteProtocolError:
        return False
    return True


def _genuine(data: bytes, terms: Terms, buyer: bytes) -> Message | None:
    try:
        message = Message.decode(data)
        message.verify(now=message.issued)
    except ProtocolError:
        return None
    sides = {terms.merchant, buyer}
    return message if message.sender in sides and message.to in sides else None
