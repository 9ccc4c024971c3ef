"""Write the test vectors of docs/spec/05 to 10: `python tests/vectors/generate_people.py`.

Every file is `{"spec": …, "cases": […]}`. Bytes are hex or `{"repeat": "00", "length": n}`; CIDs are their
text; errors are the code of the refusal.
Values inside DAG-CBOR are DAG-JSON: a link is `{"/": "bafy…"}`, bytes are `{"/": {"bytes": "<hex>"}}`.
Valid cases are computed with the library; the codes of the invalid ones are written by hand. HPKE draws an ephemeral
key, so sealed bytes are kept from the last run as long as they still open.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import samples_people as s
from halle_protocol import dagcbor
from halle_protocol.cid import CID, DAG_CBOR, cid_of
from halle_protocol.cover import sign_offer, warranty_domain
from halle_protocol.documents import LISTING, SHIPPING, sign_document
from halle_protocol.errors import RemoteProtocolError
from halle_protocol.head import Head, announce, sign_head
from halle_protocol.history import answers
from halle_protocol.messages import (
    ChatText,
    CoverDecline,
    CoverOffer,
    CoverRequest,
    HistoryAnswer,
    HistoryRequest,
    Message,
    Shipment,
    parse_message,
)
from halle_protocol.order import ChainFact, Fact, MessageFact, fold, next_actions
from halle_protocol.order_table import Role
from halle_protocol.sealing import BUCKETS, SUITES, X25519, make_prekey, seal, unseal
from halle_protocol.signing import TYPES, escrow_domain, sign, struct_hash, typed_digest
from halle_protocol.terms import explain, shipment_commitment, sign_terms

HERE = Path(__file__).parent
Case = dict[str, Any]
CATALOG = cid_of(DAG_CBOR, b"\xa0")
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def dag_json(value: Any) -> Any:
    if isinstance(value, CID):
        return {"/": str(value)}
    if isinstance(value, bytes):
        return {"/": {"bytes": value.hex()}}
    if isinstance(value, list | tuple):
        return [dag_json(item) for item in value]
    if isinstance(value, dict):
        return {key: dag_json(item) for key, item in value.items()}
    return value


def _hex(data: bytes) -> Any:
    """Return hex, or a short form for long runs of nothing."""
    return data.hex() if any(data) or len(data) < 100 else {"repeat": "00", "length": len(data)}


def changed(block: bytes, **fields: Any) -> bytes:
    """Return a canonical block with other fields, its signature left as it was."""
    return dagcbor.encode(dagcbor.decode(block) | fields)


# --- 05 signing and grants ----------------------------------------------------------------------------------

_SAMPLES: dict[str, tuple[Any, ...]] = {
    "OperatorGrant": (s.MERCHANT, s.OPERATOR, s.PEER_ID, ("publish", "quote"), 1, 2, 3),
    "Document": ("halle/listing/1", s.MERCHANT, 1, s.NOW, bytes(range(32))),
    "Head": (s.MERCHANT, 7, bytes(CATALOG), b"", s.NOW, s.NOW + s.DAY, b""),
    "Message": (bytes(range(16)), bytes(range(32)), "chat", s.BUYER, s.MERCHANT, s.NOW, bytes(32)),
    "Collect": (s.MERCHANT, s.PEER_ID, s.PEER_ID, bytes(range(32))),
    "Acknowledgement": (s.MERCHANT, bytes(range(32)), "ok"),
    "Terms": s.terms().as_tuple(),
    "Settlement": (bytes(range(32)), 2**128 - 1, 5),
    "Release": (bytes(range(32)), 1, 0, s.NOW),
    "SetOperator": (s.MERCHANT, s.OPERATOR, s.NOW, 0, s.NOW),
    "CertificateOffer": (2**256 - 1, s.NOW),
}


def signing_valid() -> Iterator[Case]:
    for name, values in _SAMPLES.items():
        chained = name in ("Terms", "Settlement", "Release", "SetOperator")
        domain = escrow_domain(s.CHAIN_ID, s.ESCROW) if chained else _halle_domain()
        if name == "CertificateOffer":
            domain = warranty_domain(s.CHAIN_ID, s.WARRANTY)
        hashed = struct_hash(name, *values)
        digest = typed_digest(domain, hashed)
        yield {
            "name": name,
            "type": TYPES[name],
            "values": [v.hex() if isinstance(v, bytes) else dag_json(v) for v in values],
            "domain": domain.hex(),
            "struct_hash": hashed.hex(),
            "digest": digest.hex(),
            "private": s.MERCHANT_KEY.hex(),
            "signature": sign(s.MERCHANT_KEY, digest).hex(),
            "signer": s.MERCHANT.hex(),
        }


def _halle_domain() -> bytes:
    from halle_protocol.signing import HALLE_DOMAIN

    return HALLE_DOMAIN


def signing_invalid() -> Iterator[Case]:
    digest = bytes(range(32))
    good = sign(s.MERCHANT_KEY, digest)
    high = (_ORDER - int.from_bytes(good[32:64], "big")).to_bytes(32, "big")
    spoiled = {
        "short": good[:64],
        "long": good + b"\x00",
        "v is 0": good[:64] + b"\x00",
        "r and s are 0": bytes(64) + b"\x1b",
        "s in the upper half": good[:32] + high + bytes([55 - good[64]]),
    }
    for name, signature in spoiled.items():
        yield {"name": name, "digest": digest.hex(), "signature": signature.hex(), "error": "bad-signature"}


def grant_valid() -> Iterator[Case]:
    for name, given in {"all scopes": s.grant(), "revocation": s.grant(sequence=2, scopes=[])}.items():
        block = given.encode()
        value = {key: item for key, item in dagcbor.decode(block).items() if key != "sig"}
        yield {"name": name, "block": block.hex(), "cid": str(given.cid), "value": dag_json(value)}


def grant_invalid() -> Iterator[Case]:
    block = s.grant().encode()
    for name, data, code in (
        ("another operator", changed(block, operator=s.STRANGER), "grant-wrong-signer"),
        ("scopes not sorted", changed(block, scopes=["ship", "publish"]), "grant-shape"),
        ("unknown field", changed(block, more=1), "grant-shape"),
        ("too large", bytes(1401), "grant-too-large"),
        ("no room for a key", changed(block, sig=bytes(64)), "grant-shape"),
        ("longer than an account may sign", changed(block, sig=bytes(1025)), "grant-shape"),
    ):
        yield {"name": name, "block": _hex(data), "error": code}
    by_contract = changed(block, sig=bytes(66))
    for name, used, scope, at, least, code in (
        ("expired", block, "publish", s.NOW + 31 * s.DAY, 0, "grant-expired"),
        ("not yet", block, "publish", s.NOW - 2 * s.DAY, 0, "grant-not-yet"),
        ("revoked by a higher sequence", block, "publish", s.NOW, 2, "grant-revoked"),
        ("scope not given", block, "rule", s.NOW, 0, "grant-scope"),
        ("signed by a contract account, no chain at hand", by_contract, "publish", s.NOW, 0, "needs-chain"),
    ):
        yield {
            "name": name,
            "block": used.hex(),
            "scope": scope,
            "at": at,
            "min_sequence": least,
            "error": code,
        }


# --- 06 documents -------------------------------------------------------------------------------------------


def document_valid() -> Iterator[Case]:
    body = s.listing().to_body()
    for name, key, kind, content in (
        ("listing by the store", s.MERCHANT_KEY, LISTING, body),
        ("listing by the operator", s.OPERATOR_KEY, LISTING, body),
        ("unknown fields are kept", s.MERCHANT_KEY, LISTING, body | {"x-future": [1, None]}),
        ("HTML is data", s.MERCHANT_KEY, LISTING, body | {"vendor": "<script>alert(1)</script>"}),
        ("shipping", s.MERCHANT_KEY, SHIPPING, s.shipping().to_body()),
        ("unknown type is carried", s.MERCHANT_KEY, "example.org/rental/1", {"days": 3}),
    ):
        made = sign_document(key, kind, s.MERCHANT, 300, s.NOW, content)
        yield {
            "name": name,
            "block": made.bytes.hex(),
            "cid": str(made.cid),
            "type": kind,
            "store": s.MERCHANT.hex(),
            "seq": 300,
            "issued": s.NOW,
            "body": dag_json(content),
            "body_hash": made.body_hash.hex(),
            "signer": made.signer().hex(),
            "grant": s.grant().encode().hex(),
        }


def document_invalid() -> Iterator[Case]:
    block = sign_document(s.MERCHANT_KEY, LISTING, s.MERCHANT, 1, s.NOW, s.listing()).bytes
    stranger = sign_document(s.STRANGER_KEY, LISTING, s.MERCHANT, 1, s.NOW, s.listing()).bytes
    body = s.listing().to_body()
    bidi = {"title": {"texts": {"en": "a\u202eb"}, "fallback": "en"}}
    dear = {"variants": [{"sku": "A", "price": {"amount": 2**53, "currency": "EUR"}}]}
    for name, data, code in (
        ("seq 0", changed(block, seq=0), "document-shape"),
        ("type without a number", changed(block, type="halle/listing"), "document-shape"),
        ("unknown field beside the body", changed(block, note=1), "document-shape"),
        ("too large", bytes(65_537), "document-too-large"),
        ("seq not in its shortest form", block[:5] + b"\x18\x01" + block[6:], "cbor-not-minimal"),
        ("signed by a stranger", stranger, "not-authorised"),
        ("body changed after signing", changed(block, body=body | {"vendor": "x"}), "not-authorised"),
        ("bidi override in a title", _listing_with(bidi), "body-invalid"),
        ("amount beyond 2^53-1", _listing_with(dear), "body-invalid"),
        ("link as bytes", _listing_with({"media": [{"cid": bytes(36)}]}), "body-invalid"),
        ("script URL", _listing_with({"url": "javascript:alert(1)"}), "body-invalid"),
    ):
        yield {"name": name, "block": _hex(data), "error": code}


def _listing_with(fields: dict[str, Any]) -> bytes:
    body = s.listing().to_body() | fields
    return sign_document(s.MERCHANT_KEY, LISTING, s.MERCHANT, 1, s.NOW, body).bytes


# --- 07 heads -----------------------------------------------------------------------------------------------


def _head(key: bytes = s.MERCHANT_KEY, **changes: Any) -> Head:
    fields: dict[str, Any] = {"issued": s.NOW, "expires": s.NOW + s.DAY}
    return sign_head(key, s.MERCHANT, 7, CATALOG, **(fields | changes))


def head_valid() -> Iterator[Case]:
    given = s.grant()
    by_operator = announce(_head(s.OPERATOR_KEY, grant=given.cid), given)
    for name, frame in (("by the store", announce(_head())), ("by the operator", by_operator)):
        head, _ = frame.open()
        yield {
            "name": name,
            "frame": frame.encode().hex(),
            "now": s.NOW,
            "cid": str(head.cid),
            "store": head.store.hex(),
            "seq": head.seq,
            "catalog": str(head.catalog),
        }


def head_invalid() -> Iterator[Case]:
    given = s.grant()
    plain, by_operator = announce(_head()), announce(_head(s.OPERATOR_KEY, grant=given.cid), given)
    tampered = replace(plain, head=changed(plain.head, seq=8))
    for name, frame, now, code in (
        ("expired", plain, s.NOW + s.DAY + 1, "head-expired"),
        ("from the future", plain, s.NOW - 601, "head-from-future"),
        ("seq changed after signing", tampered, s.NOW, "not-authorised"),
        ("grant left out", replace(by_operator, grant=None), s.NOW, "head-grant-mismatch"),
        ("another grant", replace(by_operator, grant=s.grant(sequence=2).encode()), s.NOW, "head-grant-mismatch"),
        ("signed by a stranger", announce(_head(s.STRANGER_KEY)), s.NOW, "not-authorised"),
        ("no catalog", replace(plain, head=changed(plain.head, catalog=None)), s.NOW, "head-shape"),
    ):
        yield {"name": name, "frame": frame.encode().hex(), "now": now, "error": code}
    yield {"name": "too large", "frame": _hex(bytes(2049)), "now": s.NOW, "error": "announcement-too-large"}


# --- 08 sealing and messages --------------------------------------------------------------------------------

_INFO = b"halle/envelope/1\x00vector"
_TEXT = "Bonjour Léa".encode()


def sealing_valid() -> Iterator[Case]:
    kept = {case["suite"]: case["sealed"] for case in _kept("sealing_valid")}
    for number, suite in enumerate(SUITES):
        private, prekey = make_prekey(bytes([number]) * 32, s.NOW, suite)
        sealed = bytes.fromhex(kept.get(suite, ""))
        if not _opens(sealed, private, suite):
            sealed = seal(_TEXT, prekey, _INFO)
        yield {
            "name": suite,
            "suite": suite,
            "seed": private.hex(),
            "public": prekey.public.hex(),
            "id": prekey.id,
            "info": _INFO.hex(),
            "plaintext": _TEXT.hex(),
            "sealed": sealed.hex(),
            "sealed_lengths": {str(size): len(sealed) - BUCKETS[0] + _class_of(size) for size in _SIZES},
        }


_SIZES = (0, BUCKETS[0] - 4, *(size for bucket in BUCKETS[:-1] for size in (bucket - 3, bucket)), BUCKETS[-1] - 4)


def _class_of(size: int) -> int:
    return next(bucket for bucket in BUCKETS if size + 4 <= bucket)


def _kept(name: str) -> list[Case]:
    path = HERE / f"{name}.json"
    return json.loads(path.read_text())["cases"] if path.exists() else []  # type: ignore[no-any-return]


def _opens(sealed: bytes, private: bytes, suite: str) -> bool:
    try:
        return unseal(sealed, private, suite, _INFO) == _TEXT
    except RemoteProtocolError:
        return False


def sealing_invalid() -> Iterator[Case]:
    for good in sealing_valid() if not _kept("sealing_valid") else _kept("sealing_valid"):
        sealed = bytes.fromhex(good["sealed"])
        spoiled = sealed[:-1] + bytes([sealed[-1] ^ 1])
        for name, data, seed, info in (
            ("last byte flipped", spoiled, good["seed"], good["info"]),
            ("wrong info", sealed, good["seed"], "00"),
            ("wrong or destroyed private key", sealed, "ff" * 32, good["info"]),
            ("cut", sealed[:40], good["seed"], good["info"]),
        ):
            yield {
                "name": f"{good['suite']}: {name}",
                "suite": good["suite"],
                "seed": seed,
                "info": info,
                "sealed": data.hex(),
                "error": "unseal-failed",
            }


def message_valid() -> Iterator[Case]:
    prekey = make_prekey(bytes(32), s.NOW + s.DAY, X25519)[1]
    request = s.request_body(reply={"peer_id": s.PEER_ID, "prekey": prekey})
    for name, key, kind, body in (
        ("chat", s.BUYER_KEY, "chat", ChatText(text="Bonjour")),
        ("question about a product, with a photo", s.BUYER_KEY, "chat", _question(prekey)),
        ("order/request", s.BUYER_KEY, "order/request", request),
        ("order/quote", s.MERCHANT_KEY, "order/quote", s.quote_body()),
        ("shipment", s.MERCHANT_KEY, "shipment", _shipment()),
        ("cover/request", s.BUYER_KEY, "cover/request", _cover_request(prekey)),
        ("cover/offer", s.MERCHANT_KEY, "cover/offer", _cover_offer()),
        ("cover/decline", s.MERCHANT_KEY, "cover/decline", CoverDecline(request_id=bytes(16), code="no-arbiter")),
        ("history/request", s.MERCHANT_KEY, "history/request", _history_request(prekey)),
        ("history/answer", s.BUYER_KEY, "history/answer", _history_answer(request)),
        ("unknown type is carried", s.BUYER_KEY, "rental/extend", {"days": 3}),
    ):
        made = s.message(key, kind, body, number=1)
        yield _message_case(name, made)
    yield _message_case("by the operator", _by_operator(s.grant()))


def _question(prekey: Any) -> ChatText:
    photo = {"name": "photo 1", "mime": "image/webp", "size_bytes": 9, "key": bytes(range(32)), "blocks": [s.PICTURE]}
    reply = {"peer_id": s.PEER_ID, "prekey": prekey, "name": "Noé"}
    return ChatText(text="Does it shrink?", photos=[photo], handle="blue-shirt", listing=s.listing_cid(), reply=reply)


def _shipment() -> Shipment:
    salt, url = bytes([7]) * 32, "https://example.org/8R123"
    hashed = shipment_commitment("La Poste", "8R123", salt, url)
    return Shipment(carrier="La Poste", tracking="8R123", url=url, salt=salt, commitment=hashed)


def _cover_request(prekey: Any) -> CoverRequest:
    return CoverRequest(
        terms=s.terms(),
        order_document=s.order_document().encode(),
        line=0,
        cover=90_000_000,
        days=365,
        policy=s.listing_cid(),
        fee_bps=400,
        respond_within=7 * s.DAY,
        reply={"peer_id": s.PEER_ID, "prekey": prekey},
    )


def _cover_offer() -> CoverOffer:
    paper, deadline = s.certificate(), s.NOW + s.DAY
    return CoverOffer(
        request_id=bytes(16),
        certificate=paper,
        chain_id=s.CHAIN_ID,
        contract=s.WARRANTY,
        deadline=deadline,
        signature=sign_offer(s.MERCHANT_KEY, paper, deadline, s.CHAIN_ID, s.WARRANTY),
    )


def cover_valid() -> Iterator[Case]:
    for name, paper in (
        ("of a line of an order", s.certificate()),
        ("largest cover, with a serial number", s.certificate(cover=2**128 - 1, serial_hash=bytes(range(32)))),
        ("nobody decides, in the chain's coin", s.certificate(arbiter=bytes(20), arbiter_within=0, token=bytes(20))),
    ):
        yield {
            "name": name,
            "certificate": dag_json(paper.to_body()),
            "chain_id": s.CHAIN_ID,
            "contract": s.WARRANTY.hex(),
            "deadline": s.NOW + s.DAY,
            "id": str(paper.id(s.CHAIN_ID, s.WARRANTY)),
            "digest": paper.offer_digest(s.NOW + s.DAY, s.CHAIN_ID, s.WARRANTY).hex(),
            "private": s.MERCHANT_KEY.hex(),
            "signature": sign_offer(s.MERCHANT_KEY, paper, s.NOW + s.DAY, s.CHAIN_ID, s.WARRANTY).hex(),
        }


def cover_invalid() -> Iterator[Case]:
    body = s.certificate().to_body()
    for name, fields in (
        ("no holder", {key: value for key, value in body.items() if key != "holder"}),
        ("a cover above 2^128-1", body | {"cover": str(2**128)}),
        ("a premium with a fraction", body | {"premium": "1.5"}),
        ("a negative premium", body | {"premium": "-1"}),
        ("an address of 19 bytes", body | {"underwriter": bytes(19)}),
        ("an end beyond 40 bits", body | {"ends_at": 2**40}),
        ("a window of years", body | {"respond_within": 2**26}),
        ("a hash of 31 bytes", body | {"item_hash": bytes(31)}),
    ):
        yield {"name": name, "certificate": dag_json(fields), "error": "body-invalid"}


def _history_request(prekey: Any) -> HistoryRequest:
    return HistoryRequest(orders=[s.order_id()], reply={"peer_id": s.PEER_ID, "prekey": prekey})


def _history_answer(request: Any) -> HistoryAnswer:
    said = [
        s.message(s.BUYER_KEY, "order/request", request, number=1, at=s.NOW - 100),
        s.message(s.MERCHANT_KEY, "order/quote", s.quote_body(), number=2, at=s.NOW - 50),
    ]
    [answer] = answers(s.order_id(), said, s.BUYER, s.MERCHANT)
    return answer


def _by_operator(given: Any) -> Message:
    changes: dict[str, Any] = {"sender": s.MERCHANT, "to": s.BUYER, "grant": given}
    return s.message(s.OPERATOR_KEY, "chat", ChatText(text="Bonjour"), **changes)


def _message_case(name: str, made: Message) -> Case:
    return {
        "name": name,
        "bytes": made.encode().hex(),
        "type": made.type,
        "sender": made.sender.hex(),
        "to": made.to.hex(),
        "digest": made.digest().hex(),
        "body": dag_json(made.body),
    }


def message_invalid() -> Iterator[Case]:
    data = s.message(s.BUYER_KEY, "chat", ChatText(text="Bonjour")).encode()
    for name, block, code in (
        ("body changed after signing", changed(data, body={"text": "Bonsoir"}), "not-authorised"),
        ("recipient changed after signing", changed(data, to=s.STRANGER), "not-authorised"),
        ("operator without a grant", _by_operator(None).encode(), "not-authorised"),
        ("grant without the scope", _by_operator(s.grant(scopes=["ship"])).encode(), "grant-scope"),
        ("type in capitals", changed(data, type="Chat"), "message-shape"),
        ("unknown field", changed(data, more=1), "message-shape"),
        ("empty chat", changed(data, body={"text": ""}), "body-invalid"),
        ("chat of spaces without a photo", changed(data, body={"text": " ", "photos": []}), "body-invalid"),
        ("nine photos", changed(data, body={"text": "a", "photos": [{}] * 9}), "body-invalid"),
        ("bidi override in a chat", changed(data, body={"text": "\u202e"}), "body-invalid"),
    ):
        yield {"name": name, "bytes": block.hex(), "now": s.NOW, "error": code}


# --- 09 terms -----------------------------------------------------------------------------------------------


def terms_valid() -> Iterator[Case]:
    document = s.order_document().encode()
    for name, agreed in (
        ("with code and arbiter", s.terms()),
        ("proof by a carrier", s.terms(carrier=s.CARRIER, delivery_code=bytes(32), proof_required=True)),
        ("open to any buyer, largest amount", s.terms(buyer=bytes(20), amount=2**128 - 1)),
        ("no arbiter", s.terms(arbiter=bytes(20), arbiter_fee_bps=0)),
    ):
        yield {
            "name": name,
            "terms": dag_json(agreed.to_body()),
            "chain_id": s.CHAIN_ID,
            "escrow": s.ESCROW.hex(),
            "buyer": s.BUYER.hex(),
            "struct_hash": agreed.struct_hash().hex(),
            "digest": agreed.digest(s.CHAIN_ID, s.ESCROW).hex(),
            "order_id": agreed.order_id(s.CHAIN_ID, s.ESCROW, s.BUYER).hex(),
            "private": s.MERCHANT_KEY.hex(),
            "signature": sign_terms(s.MERCHANT_KEY, agreed, s.CHAIN_ID, s.ESCROW).hex(),
            "order_document": document.hex(),
            "words": {locale: explain(agreed, locale, symbol="EURT", decimals=6) for locale in ("en", "fr")},
        }


def terms_invalid() -> Iterator[Case]:
    body = s.terms().to_body()
    for name, change, code in (
        ("amount 0", {"amount": "0"}, "terms-invalid"),
        ("amount beyond 2^128-1", {"amount": str(2**128)}, "terms-invalid"),
        ("amount with a leading zero", {"amount": "01"}, "terms-invalid"),
        ("amount as integer", {"amount": 1}, "terms-invalid"),
        ("merchant is zero", {"merchant": bytes(20)}, "terms-invalid"),
        ("buyer is the merchant", {"buyer": s.MERCHANT}, "terms-invalid"),
        ("arbiter is the merchant", {"arbiter": s.MERCHANT}, "terms-invalid"),
        ("arbiter fee over 10 %", {"arbiter_fee_bps": 1001}, "terms-invalid"),
        ("proof required but none possible", {"proof_required": True, "delivery_code": bytes(32)}, "terms-invalid"),
        ("unknown field", {"gift": True}, "terms-shape"),
    ):
        yield {"name": name, "terms": dag_json(body | change), "error": code}


# --- 10 the order -------------------------------------------------------------------------------------------

_ROLES: tuple[Role, ...] = ("buyer", "merchant", "arbiter", "anyone")


def _story() -> list[Fact]:
    amount = s.terms().amount
    deadline = s.NOW + 5 * s.DAY
    request = s.request_body()
    return [
        MessageFact(s.message(s.BUYER_KEY, "order/request", request, number=1, at=s.NOW - 100)),
        MessageFact(s.message(s.MERCHANT_KEY, "order/quote", s.quote_body(), number=2, at=s.NOW - 50)),
        s.funded(1),
        s.event("Shipped", 2, shipmentHash=bytes(32), deadline=deadline),
        s.event("Delivered", 3, deadline=deadline, byCarrier=False),
        s.event("Paid", 4, toBuyer=0, toMerchant=amount, toArbiter=0),
        s.event("Closed", 5, how=2),
    ]


def order_valid() -> Iterator[Case]:
    story = _story()
    for count in range(1, len(story) + 1):
        yield _order_case(f"the first {count} facts", story[:count])
    yield _order_case("backwards and twice", [*reversed(story), *story])
    disputed = s.event("Disputed", 4, by=s.BUYER, evidence=bytes(32), deadline=s.NOW + s.DAY)
    yield _order_case("disputed", [*story[:5], disputed])
    yield _order_case("offer", [story[0], story[1], s.funded(1, accepted=False)])
    yield _order_case("partly refunded", [*story[:3], s.event("Paid", 2, toBuyer=5, toMerchant=0, toArbiter=0)])


def order_invalid() -> Iterator[Case]:
    """Facts that leave gaps: the state follows the chain and names what does not fit."""
    story = _story()
    yield _order_case("the funding was not seen", story[3:5])
    yield _order_case("shipped after the end", [*story, s.event("Shipped", 9, shipmentHash=bytes(32), deadline=1)])


def _order_case(name: str, facts: list[Fact]) -> Case:
    state = fold(facts)
    late = s.NOW + 30 * s.DAY
    return {
        "name": name,
        "facts": [_fact(fact) for fact in facts],
        "state": {
            "status": state.status.name,
            "deadline": state.deadline,
            "payment": state.payment,
            "fulfilment": state.fulfilment,
            "return": state.return_,
            "how": state.how,
            "amounts": {key: str(value) for key, value in state.amounts.items()},
            "gaps": list(state.gaps),
        },
        "actions": {
            str(now): {role: [action.name for action in next_actions(state, role, now)] for role in _ROLES}
            for now in (s.NOW + 10, late)
        },
    }


def _fact(fact: Fact) -> Case:
    if isinstance(fact, ChainFact):
        args = {key: str(value) if type(value) is int else dag_json(value) for key, value in sorted(fact.args.items())}
        return {"event": fact.name, "args": args, "at": fact.at, "finality": fact.finality, "position": fact.position}
    assert parse_message(fact.message) is not None
    return {"message": fact.message.encode().hex()}


FILES: dict[str, tuple[str, Callable[[], Iterator[Case]]]] = {
    "signing_valid": ("docs/spec/05-identity.md", signing_valid),
    "signing_invalid": ("docs/spec/05-identity.md", signing_invalid),
    "grant_valid": ("docs/spec/05-identity.md", grant_valid),
    "grant_invalid": ("docs/spec/05-identity.md", grant_invalid),
    "document_valid": ("docs/spec/06-documents.md", document_valid),
    "document_invalid": ("docs/spec/06-documents.md", document_invalid),
    "head_valid": ("docs/spec/07-head.md", head_valid),
    "head_invalid": ("docs/spec/07-head.md", head_invalid),
    "sealing_valid": ("docs/spec/08-messages.md", sealing_valid),
    "sealing_invalid": ("docs/spec/08-messages.md", sealing_invalid),
    "message_valid": ("docs/spec/08-messages.md", message_valid),
    "cover_valid": ("docs/spec/08-messages.md", cover_valid),
    "cover_invalid": ("docs/spec/08-messages.md", cover_invalid),
    "message_invalid": ("docs/spec/08-messages.md", message_invalid),
    "terms_valid": ("docs/spec/09-terms.md", terms_valid),
    "terms_invalid": ("docs/spec/09-terms.md", terms_invalid),
    "order_valid": ("docs/spec/10-order.md", order_valid),
    "order_invalid": ("docs/spec/10-order.md", order_invalid),
}


def text_of(name: str) -> str:
    """Return the JSON text of one file."""
    spec, cases = FILES[name]
    value = {"spec": spec, "cases": list(cases())}
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    for name in FILES:
        (HERE / f"{name}.json").write_text(text_of(name), encoding="utf-8")


if __name__ == "__main__":
    main()
