"""What people say to each other about an order: signed, typed, idempotent on (sender, id), sealed on the way.

A message is sorted by nothing but its facts: state is a fold (order.py), so the order of arrival does not
matter.
Spec: docs/spec/08-messages.md
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from halle_protocol import dagcbor
from halle_protocol.documents.shape import Model
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.grant import Grant, authorise
from halle_protocol.message_bodies import BODIES as BODIES
from halle_protocol.message_bodies import (
    CaseEvidence,
    CaseNote,
    CaseRuling,
    ChatText,
    CheckpointNote,
    ClaimAnswer,
    ClaimOpen,
    Contact,
    CoverDecline,
    CoverOffer,
    CoverRequest,
    Deliverable,
    DeliverableRequest,
    DisputeEvidence,
    HistoryAnswer,
    HistoryRequest,
    OrderAccept,
    OrderCancel,
    OrderDecline,
    OrderQuote,
    OrderRequest,
    ParcelHandover,
    PostalAddress,
    Receipt,
    ReplyRoute,
    RequestedLine,
    ReturnAnswer,
    ReturnRequest,
    SealedFile,
    SettlementAccept,
    SettlementPropose,
    Shipment,
    ShippedLine,
    WarrantyIssued,
)
from halle_protocol.sealing import MAX_PLAINTEXT_BYTES
from halle_protocol.signing import HALLE_DOMAIN, recover, sign, struct_hash, typed_digest
from halle_protocol.wire import decode_map, expect_keys, take_bytes, take_int, take_text

TYPE = "halle/message/1"
MAX_BYTES = MAX_PLAINTEXT_BYTES
_KIND = "message"
_KEYS = frozenset(["id", "thread", "type", "sender", "to", "issued", "body", "sig"])
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*(?:/[a-z0-9-]+){0,4}\Z")


@dataclass(frozen=True)
class Message:
    """One statement of `sender` to `to` in a thread.

    `sender` is a store; its operator may sign with scope `message` when the grant travels along.
    Units: issued in unix seconds.
    """

    id: bytes
    thread: bytes
    type: str
    sender: bytes
    to: bytes
    issued: int
    body: dict[str, Any]
    sig: bytes = b""
    grant: Grant | None = field(default=None, compare=False)

    def digest(self) -> bytes:
        """Return the 32 bytes that are signed."""
        body_hash = hashlib.sha256(dagcbor.encode(self.body)).digest()
        who = (self.sender, self.to)
        hashed = struct_hash("Message", self.id, self.thread, self.type, *who, self.issued, body_hash)
        return typed_digest(HALLE_DOMAIN, hashed)

    def encode(self) -> bytes:
        """Return the canonical DAG-CBOR bytes, the plaintext of an envelope.

        Raises: LocalProtocolError `message-too-large`.
        """
        value: dict[str, Any] = {"id": self.id, "thread": self.thread, "type": self.type, "body": self.body}
        value |= {"sender": self.sender, "to": self.to, "issued": self.issued, "sig": self.sig}
        if self.grant is not None:
            value["grant"] = self.grant.encode()
        data = dagcbor.encode(value)
        if len(data) > MAX_BYTES:
            raise LocalProtocolError(
                f"A message may have {MAX_BYTES} bytes.", code="message-too-large", hint="Send less in one message."
            )
        return data

    @staticmethod
    def decode(data: bytes) -> Message:
        """Read a message; verify checks its signature, parse_message its body.

        Raises: RemoteProtocolError `message-shape`, `message-too-large`, `cbor-…`, Grant.decode's codes.
        """
        value = decode_map(data, kind=_KIND, max_bytes=MAX_BYTES)
        expect_keys(value, _KEYS, kind=_KIND, optional=frozenset(("grant",)))
        body, grant = value["body"], value.get("grant")
        name = take_text(value, "type", kind=_KIND, max_chars=80)
        if not isinstance(body, dict) or not _NAME.match(name) or ("grant" in value and type(grant) is not bytes):
            raise RemoteProtocolError(
                "A message has a type such as order/request.",
                code="message-shape",
                hint="The sender must follow docs/spec/08-messages.md.",
            )
        return Message(
            id=take_bytes(value, "id", 16, kind=_KIND),
            thread=take_bytes(value, "thread", 32, kind=_KIND),
            type=name,
            sender=take_bytes(value, "sender", 20, kind=_KIND),
            to=take_bytes(value, "to", 20, kind=_KIND),
            issued=take_int(value, "issued", kind=_KIND),
            body=body,
            sig=take_bytes(value, "sig", 65, kind=_KIND),
            grant=None if grant is None else Grant.decode(grant),
        )

    def verify(self, *, to: bytes | None = None, now: int | None = None, min_sequence: int = 0) -> None:
        """Check signature and authority; `to` is who reads, `now` checks the grant's validity.

        Raises: RemoteProtocolError `message-not-for-us`, `bad-signature`, `not-authorised`, `grant-…`.
        """
        if to is not None and self.to != to:
            raise RemoteProtocolError(
                "The message is addressed to someone else.",
                code="message-not-for-us",
                hint="Forward nothing; the sender has mixed up its recipients.",
            )
        authorise(self._signer, self.sender, self.grant, scope="message", at=now, min_sequence=min_sequence)

    def confirm_grant(self) -> Message:
        """Return the message with its grant as one that a chain has confirmed, or that was checked when it was kept."""
        return self if self.grant is None else replace(self, grant=self.grant.confirm())

    @cached_property
    def _signer(self) -> bytes:
        return recover(self.digest(), self.sig)


def sign_message(
    private: bytes,
    *,
    id: bytes,
    thread: bytes,
    type: str,
    sender: bytes,
    to: bytes,
    issued: int,
    body: Model | dict[str, Any],
    grant: Grant | None = None,
) -> Message:
    """Return a message signed by the sender's store key, or by an operator key whose grant goes along.

    Raises: LocalProtocolError `message-shape`, `message-too-large`, `body-invalid`.
    """
    plain = body.to_body() if isinstance(body, Model) else body
    message = Message(id, thread, type, sender, to, issued, plain, grant=grant)
    signed = replace(message, sig=sign(private, message.digest()))
    try:
        parse_message(message)
        return Message.decode(signed.encode())
    except RemoteProtocolError as exc:
        raise LocalProtocolError(exc.message, code=exc.code, hint=exc.hint) from exc


def parse_message(message: Message) -> Model | None:
    """Return the body as its model, or None for a type this version does not know (it is kept, not refused).

    Raises: RemoteProtocolError `body-invalid`.
    """
    model = BODIES.get(message.type)
    return None if model is None else model.from_body(message.body)


def thread_of(a: bytes, b: bytes, reference: bytes = b"") -> bytes:
    """Return the thread both sides derive alike; `reference` is the request id of an order."""
    low, high = sorted((a, b))
    return hashlib.sha256(b"halle/thread/1\x00" + low + high + reference).digest()


__all__ = [
    "BODIES",
    "MAX_BYTES",
    "TYPE",
    "CaseEvidence",
    "CaseNote",
    "CaseRuling",
    "ChatText",
    "CheckpointNote",
    "ClaimAnswer",
    "ClaimOpen",
    "Contact",
    "CoverDecline",
    "CoverOffer",
    "CoverRequest",
    "Deliverable",
    "DeliverableRequest",
    "DisputeEvidence",
    "HistoryAnswer",
    "HistoryRequest",
    "Message",
    "OrderAccept",
    "OrderCancel",
    "OrderDecline",
    "OrderQuote",
    "OrderRequest",
    "ParcelHandover",
    "PostalAddress",
    "Receipt",
    "ReplyRoute",
    "RequestedLine",
    "ReturnAnswer",
    "ReturnRequest",
    "SealedFile",
    "SettlementAccept",
    "SettlementPropose",
    "Shipment",
    "ShippedLine",
    "WarrantyIssued",
    "parse_message",
    "sign_message",
    "thread_of",
]
