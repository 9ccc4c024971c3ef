"""A counterparty who lies: every attempt with its outcome in one table, printed by the test.

Each attempt is a real envelope, sealed and signed as well as a liar can, handed to a node that has one paid and one
quoted order. It must be refused by name, or say nothing: afterwards both orders, the shelf and the outboxes stand as
they stood.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from halle_node.trade import book, receiving
from halle_node.trade.folding import state_of
from halle_node.trade.parcels import parcel_body
from halle_protocol import dagcbor
from halle_protocol.errors import HalleError
from halle_protocol.grant import sign_grant
from halle_protocol.messages import MAX_BYTES, Message, thread_of
from halle_protocol.sealing import MAX_ENVELOPE_BYTES, seal_envelope
from halle_protocol.signing import sign
from halle_protocol.terms import Terms, settlement_digest, sign_terms
from node.trade.hall import Hall, Home, names, settle, shirt

DAY_S = 86_400
SAYS_NOTHING = "taken, says nothing"


@dataclass
class Scene:
    """A shop, a buyer with a paid order and a quoted one, and a stranger."""

    shop: Home
    buyer: Home
    eve: Home
    paid: str
    quoted: str

    def said(self, key: str, kind: str) -> Message:
        """Return the order's first message of a type."""
        found = self.buyer.db.read(lambda conn: book.messages(conn, key))
        return next(message for message in found if message.type == kind)

    def terms(self, key: str) -> Terms:
        """Return an order's terms."""
        return self.buyer.db.read(lambda conn: book.find(conn, key)).known_terms()

    def order_id(self, key: str) -> bytes:
        """Return an order's id."""
        return self.buyer.db.read(lambda conn: book.find(conn, key)).order_id

    def say(
        self, by: Home, kind: str, body: dict[str, Any], key: str = "", *, private: bytes = b"", **changes: Any
    ) -> bytes:
        """Return an envelope from one side of an order to the other; `changes` alter the message before signing."""
        to = self.buyer if by is self.shop else self.shop
        thread = self.said(key or self.paid, "order/request").thread
        fields = {"sender": by.address, "to": to.address, "thread": thread, "issued": by.clock()} | changes
        grant = fields.pop("grant", by.keys.grant)
        message = Message(fields.pop("id", secrets.token_bytes(16)), fields.pop("thread"), kind, body=body, **fields)
        signed = replace(message, sig=sign(private or by.keys.operator_private, message.digest()), grant=grant)
        return self.seal(_plain(signed), to)

    def seal(self, plain: bytes, to: Home) -> bytes:
        """Seal any bytes to a home."""
        return seal_envelope(plain, to.address, to.keys.prekeys()[0]).encode()

    def quote(self, key: str = "", *, terms: Terms | None = None, **changes: Any) -> bytes:
        """Return the shop's quote of the quoted order with something altered, its own signature made good again."""
        body = dict(self.said(key or self.quoted, "order/quote").body)
        if terms is not None:
            contracts, chain_id = self.shop.chain.contracts, self.shop.chain.client.chain_id
            body["signature"] = sign_terms(self.shop.keys.operator_private, terms, chain_id, contracts.escrow)
            body["terms"] = terms_body(terms)
        return self.say(self.shop, "order/quote", body | changes, self.quoted)

    def split(
        self, by: Home, share: int, *, of: str = "", chain: int = 0, private: bytes = b"", paid_out: int = 0
    ) -> bytes:
        """Return a settlement proposal in the paid order, signed for `of` (else the paid order) on `chain`."""
        escrow, chain_id = self.shop.chain.contracts.escrow, self.shop.chain.client.chain_id
        digest = settlement_digest(self.order_id(of or self.paid), share, paid_out, chain or chain_id, escrow)
        key = private or (self.buyer.keys.store_private if by is self.buyer else by.keys.operator_private)
        body = {"buyer_share": str(share), "paid_out": str(paid_out), "sig": sign(key, digest)}
        return self.say(by, "settlement/propose", body)


def terms_body(terms: Terms) -> dict[str, Any]:
    """Return terms as a message carries them."""
    from halle_protocol.message_bodies import OrderQuote

    blank = OrderQuote(terms=terms, signature=bytes(65), chain_id=1, escrow=bytes(20), order_document=b"\xa0")
    found: dict[str, Any] = blank.to_body()["terms"]
    return found


def _plain(message: Message) -> bytes:
    """Encode without the sender's own checks, as a liar does."""
    value: dict[str, Any] = {"id": message.id, "thread": message.thread, "type": message.type, "body": message.body}
    value |= {"sender": message.sender, "to": message.to, "issued": message.issued, "sig": message.sig}
    return dagcbor.encode(value | ({"grant": message.grant.encode()} if message.grant else {}))


Attempt = tuple[str, str, Callable[[Scene], tuple[Home, bytes]], str]


def _grant(scene: Scene, **changes: Any) -> Any:
    keys, now = scene.shop.keys, scene.shop.clock()
    fields: dict[str, Any] = {"not_before": now - DAY_S, "not_after": now + DAY_S, "sequence": 1} | changes
    store = fields.pop("store", keys.store_private)
    return sign_grant(store, keys.operator_address, keys.grant.peer_id, **fields)


def _parcel(**lies: str) -> dict[str, object]:
    return parcel_body("La Poste", "8R123", "", {}) | lies


def _to(who: str, made: Callable[[Scene], bytes]) -> Callable[[Scene], tuple[Home, bytes]]:
    return lambda scene: (getattr(scene, who), made(scene))


def _envelopes() -> Iterable[Attempt]:
    yield "envelope", "garbage", _to("shop", lambda s: b"\xff" * 40), "cbor"
    yield "envelope", "larger than allowed", _to("shop", lambda s: bytes(MAX_ENVELOPE_BYTES + 1)), "envelope-too-large"
    yield "envelope", "cut off", _to("shop", lambda s: s.say(s.buyer, "chat", {"text": "x"})[:-9]), "cbor"
    yield "envelope", "for another store", _to("shop", lambda s: s.seal(b"\xa0", s.eve)), "envelope-misaddressed"
    yield (
        "envelope",
        "one bit flipped",
        _to("shop", lambda s: _flip(s.say(s.buyer, "chat", {"text": "x"}))),
        "unseal-failed",
    )
    yield "envelope", "sealed nonsense", _to("shop", lambda s: s.seal(b"nonsense", s.shop)), "cbor"
    yield "envelope", "sealed, too deep", _to("shop", lambda s: s.seal(b"\x81" * 5_000 + b"\x80", s.shop)), "cbor"


def _flip(envelope: bytes) -> bytes:
    return envelope[:-5] + bytes([envelope[-5] ^ 1]) + envelope[-4:]


def _forgeries() -> Iterable[Attempt]:
    chat = {"text": "x"}

    def by_key(private: bytes) -> Callable[[Scene], bytes]:
        return lambda s: s.say(s.buyer, "order/cancel", {}, private=private)

    yield "forged", "signed by a key of nobody", _to("shop", by_key(b"\x07" * 32)), "not-authorised"
    yield (
        "forged",
        "stranger under the buyer's name",
        _to(
            "shop",
            lambda s: s.say(s.buyer, "order/cancel", {}, private=s.eve.keys.operator_private, grant=s.eve.keys.grant),
        ),
        "not-authorised|grant-wrong-store",
    )
    yield (
        "forged",
        "stranger under their own name",
        _to("shop", lambda s: s.say(s.eve, "order/cancel", {})),
        "not-a-party",
    )
    yield (
        "forged",
        "signature of zeros",
        _to("shop", lambda s: s.seal(_plain(replace(_opened(s), sig=bytes(65))), s.shop)),
        "bad-signature",
    )
    yield (
        "forged",
        "words changed after signing",
        _to("shop", lambda s: s.seal(_plain(replace(_opened(s), body={"text": "Pay Eve"})), s.shop)),
        "not-authorised|bad-signature",
    )
    yield (
        "forged",
        "addressed to the stranger, passed on",
        _to("shop", lambda s: s.say(s.buyer, "chat", chat, to=s.eve.address)),
        "message-not-for-us",
    )
    yield (
        "stale",
        "operator whose grant has ended",
        _to(
            "buyer",
            lambda s: s.say(s.shop, "chat", chat, grant=_grant(s, not_after=s.shop.clock() - 1)),
        ),
        "grant-expired",
    )
    yield (
        "stale",
        "operator whose grant begins tomorrow",
        _to("buyer", lambda s: s.say(s.shop, "chat", chat, grant=_grant(s, not_before=s.shop.clock() + DAY_S))),
        "grant-not-yet|grant-shape",
    )
    yield (
        "forged",
        "operator without the right to speak",
        _to("buyer", lambda s: s.say(s.shop, "chat", chat, grant=_grant(s, scopes=("publish",)))),
        "grant-scope",
    )
    yield (
        "forged",
        "operator of another store",
        _to("buyer", lambda s: s.say(s.shop, "chat", chat, grant=_grant(s, store=s.eve.keys.store_private))),
        "grant-wrong-store",
    )


def _opened(scene: Scene) -> Message:
    """Return something the buyer really said."""
    return scene.said(scene.paid, "order/request")


def _replays() -> Iterable[Attempt]:
    def again(scene: Scene) -> bytes:
        return scene.seal(_opened(scene).encode(), scene.shop)

    yield "replayed", "the request once more", _to("shop", again), SAYS_NOTHING
    yield (
        "replayed",
        "the quote once more",
        _to("buyer", lambda s: s.seal(s.said(s.quoted, "order/quote").encode(), s.buyer)),
        SAYS_NOTHING,
    )
    yield (
        "replayed",
        "its id for other words",
        _to("shop", lambda s: s.say(s.buyer, "order/cancel", {}, id=_opened(s).id)),
        "message-id-reused",
    )
    yield (
        "replayed",
        "the request under a new id",
        _to("shop", lambda s: s.say(s.buyer, "order/request", _opened(s).body)),
        "request-mismatch|order-exists",
    )
    yield (
        "cross-order",
        "the other order's quote",
        _to("buyer", lambda s: s.say(s.shop, "order/quote", s.said(s.paid, "order/quote").body, s.quoted)),
        "quote-mismatch",
    )
    yield (
        "cross-order",
        "the other order's split",
        _to("shop", lambda s: s.split(s.buyer, 5, of=s.quoted)),
        "settlement-signature",
    )
    yield (
        "cross-chain",
        "a split signed for another chain",
        _to("shop", lambda s: s.split(s.buyer, 5, chain=1)),
        "settlement-signature",
    )
    yield "cross-chain", "a quote for another chain", _to("buyer", lambda s: s.quote(chain_id=1)), "quote-mismatch"
    yield (
        "cross-chain",
        "a quote for another escrow",
        _to("buyer", lambda s: s.quote(escrow=b"\x07" * 20)),
        "quote-mismatch",
    )


CHANGED: dict[str, Any] = {
    "merchant": b"\x07" * 20,
    "buyer": b"\x07" * 20,
    "token": b"\x07" * 20,
    "amount": 1,
    "arbiter": b"\x07" * 20,
    "backup_arbiter": b"\x07" * 20,
    "arbiter_fee_bps": 900,
    "default_buyer_bps": 0,
    "valid_until": 2_000_000_000,
    "accept_within": 1,
    "ship_within": 1,
    "deliver_within": 1,
    "inspect_within": 1,
    "arbiter_within": 1,
    "carrier": b"\x07" * 20,
    "delivery_code": b"\x07" * 32,
    "proof_required": False,
    "order_hash": b"\x07" * 32,
}
SUMS = ("currency", "subtotal", "shipping", "tax", "total")


def _quotes() -> Iterable[Attempt]:
    for name, value in CHANGED.items():
        yield (
            "tampered quote",
            name,
            _to("buyer", lambda s, name=name, value=value: s.quote(terms=replace(s.terms(s.quoted), **{name: value}))),
            "quote-mismatch",
        )
    for name in SUMS:
        value: Any = "USD" if name == "currency" else 1
        yield (
            "tampered quote",
            f"shown {name}",
            _to("buyer", lambda s, name=name, value=value: s.quote(**{name: value})),
            "quote-mismatch",
        )
    yield (
        "tampered quote",
        "another order's content",
        _to("buyer", lambda s: s.quote(order_document=s.said(s.paid, "order/quote").body["order_document"])),
        "quote-mismatch",
    )
    yield (
        "tampered quote",
        "signed by the stranger",
        _to("buyer", lambda s: s.quote(signature=sign(s.eve.keys.store_private, bytes(32)))),
        "not-authorised|bad-signature",
    )
    yield "tampered quote", "signature of zeros", _to("buyer", lambda s: s.quote(signature=bytes(65))), "bad-signature"
    yield (
        "wrong side",
        "the buyer quotes",
        _to("shop", lambda s: s.say(s.buyer, "order/quote", s.said(s.quoted, "order/quote").body, s.quoted)),
        "not-a-party",
    )


def _splits() -> Iterable[Attempt]:
    yield "split", "more than the order holds", _to("shop", lambda s: s.split(s.buyer, 10**30)), "settlement-amount"
    yield (
        "split",
        "signed by a stranger",
        _to("shop", lambda s: s.split(s.buyer, 5, private=s.eve.keys.store_private)),
        "settlement-signature",
    )
    yield (
        "split",
        "the shop's, signed by a stranger",
        _to("buyer", lambda s: s.split(s.shop, 5, private=s.eve.keys.store_private)),
        "not-authorised",
    )
    yield (
        "split",
        "no number",
        _to(
            "shop",
            lambda s: s.say(s.buyer, "settlement/propose", {"buyer_share": "-5", "paid_out": "0", "sig": bytes(65)}),
        ),
        "body-invalid",
    )


def _bodies() -> Iterable[Attempt]:
    yield (
        "oversized",
        "chat of 64,000 letters",
        _to("shop", lambda s: s.say(s.buyer, "chat", {"text": "x" * 64_000})),
        "body-invalid|message-too-large",
    )
    yield (
        "oversized",
        "request stuffed to the limit",
        _to("shop", lambda s: s.say(s.buyer, "order/request", _opened(s).body | {"note": "x" * (MAX_BYTES - 8_000)})),
        "body-invalid",
    )
    yield (
        "malformed",
        "shipment without its seal",
        _to("buyer", lambda s: s.say(s.shop, "shipment", {"carrier": "x"})),
        "body-invalid",
    )
    yield (
        "malformed",
        "request without terms",
        _to(
            "shop",
            lambda s: s.say(s.buyer, "order/request", {k: v for k, v in _opened(s).body.items() if k != "offer"}),
        ),
        "request-incomplete",
    )
    yield (
        "malformed",
        "request of nothing",
        _to("shop", lambda s: s.say(s.buyer, "order/request", _opened(s).body | {"lines": []})),
        "body-invalid",
    )
    yield (
        "malformed",
        "request with another's code",
        _to("shop", lambda s: s.say(s.buyer, "order/request", _opened(s).body | {"delivery_code_hash": b"\x07" * 32})),
        "request-mismatch",
    )
    yield (
        "contradictory",
        "a parcel whose hash is another's",
        _to("buyer", lambda s: s.say(s.shop, "shipment", _parcel(tracking="other"))),
        "shipment-mismatch",
    )
    yield (
        "contradictory",
        "a parcel with no salt to check",
        _to("buyer", lambda s: s.say(s.shop, "shipment", {"commitment": bytes(32)})),
        "shipment-mismatch",
    )
    yield (
        "wrong side",
        "the buyer announces a parcel",
        _to("shop", lambda s: s.say(s.buyer, "shipment", _parcel())),
        SAYS_NOTHING,
    )
    yield (
        "wrong side",
        "the buyer declines",
        _to("shop", lambda s: s.say(s.buyer, "order/decline", {"reason": "x"}, s.quoted)),
        SAYS_NOTHING,
    )
    yield (
        "wrong side",
        "the buyer issues a certificate",
        _to(
            "shop",
            lambda s: s.say(
                s.buyer, "warranty/issued", {"certificate_id": "7", "contract": bytes(20), "chain_id": 1, "ends_at": 1}
            ),
        ),
        SAYS_NOTHING,
    )
    yield (
        "wrong side",
        "the shop cancels",
        _to("buyer", lambda s: s.say(s.shop, "order/cancel", {}, s.quoted)),
        SAYS_NOTHING,
    )
    yield (
        "wrong side",
        "the shop confirms receipt",
        _to("buyer", lambda s: s.say(s.shop, "receipt", {"received_at": 1})),
        SAYS_NOTHING,
    )
    yield (
        "wrong side",
        "the shop asks for a return",
        _to("buyer", lambda s: s.say(s.shop, "return/request", {})),
        SAYS_NOTHING,
    )
    yield (
        "contradictory",
        "return approved that nobody asked for",
        _to("buyer", lambda s: s.say(s.shop, "return/approve", {"note": "x"})),
        SAYS_NOTHING,
    )
    yield (
        "contradictory",
        "return received that was never sent",
        _to("buyer", lambda s: s.say(s.shop, "return/received", {})),
        SAYS_NOTHING,
    )
    yield (
        "contradictory",
        "decline of a paid order",
        _to("buyer", lambda s: s.say(s.shop, "order/decline", {"reason": "x"})),
        SAYS_NOTHING,
    )
    yield (
        "stranger",
        "checkpoint of a parcel",
        _to(
            "shop",
            lambda s: s.say(
                s.eve,
                "parcel/checkpoint",
                {"shipment_id": bytes(32), "order_id": s.order_id(s.paid), "status": 6, "at": 1},
            ),
        ),
        "not-a-party",
    )
    yield (
        "stranger",
        "claim on a certificate",
        _to("shop", lambda s: s.say(s.eve, "claim/open", {"certificate_id": "7", "amount": "1"}, thread=bytes(32))),
        "certificate-unseen",
    )


def _two_stories() -> Iterable[Attempt]:
    """A merchant who signs two things that cannot both be true."""
    yield (
        "two stories",
        "a second quote, dearer by one cent",
        _to("buyer", lambda s: s.quote(terms=replace(s.terms(s.quoted), amount=s.terms(s.quoted).amount + 10**4))),
        "quote-mismatch",
    )
    yield (
        "two stories",
        "another quote for the paid order",
        _to(
            "buyer",
            lambda s: s.say(s.shop, "order/quote", s.said(s.paid, "order/quote").body | {"total": 1}, s.paid),
        ),
        "quote-mismatch",
    )
    yield (
        "two stories",
        "other words under the quote's id",
        _to(
            "buyer",
            lambda s: s.say(s.shop, "order/decline", {"reason": "x"}, s.quoted, id=s.said(s.quoted, "order/quote").id),
        ),
        "message-id-reused",
    )


ATTEMPTS: tuple[Attempt, ...] = (
    *_envelopes(),
    *_forgeries(),
    *_replays(),
    *_quotes(),
    *_splits(),
    *_bodies(),
    *_two_stories(),
)


@pytest.fixture
async def scene(hall: Hall) -> Scene:
    shop, buyer, eve = await hall.home("camille"), await hall.home("noe"), await hall.home("eve")
    for home in (shop, buyer):
        await home.fund_wallet()
    await shop.open_shop(shirt())
    await settle(shop, buyer)
    paid, quoted = await buyer.buy(shop), await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(paid)
    await settle(buyer, shop)
    assert (buyer.trade.order(paid).status, buyer.trade.order(quoted).status) == ("accepted", "quoted")
    return Scene(shop, buyer, eve, paid, quoted)


def standing(scene: Scene) -> Any:
    """Return all that a lie could change; what was merely said is in the history."""
    found: list[Any] = []
    for home in (scene.shop, scene.buyer):
        for key in (scene.paid, scene.quoted):
            state = home.db.read(lambda conn, key=key: state_of(conn, book.find(conn, key)))
            found.append(replace(state, history=(), decline=None if state.funded_at else state.decline))
        found += [len(home.trade.orders()), len(home.messages.outgoing()), home.messages.inbound_counts().parked]
        found += [home.trade.order(key).transactions for key in (scene.paid, scene.quoted)]
    return [*found, scene.shop.catalog.stock("shirt")]


async def outcome_of(home: Home, envelope: bytes) -> str:
    """Return the code of the refusal."""
    try:
        await home.messages.receive(envelope, "liar")
    except HalleError as error:
        return error.code
    return SAYS_NOTHING


async def test_no_lie_gets_through(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    before, rows, wrong = standing(scene), [], []
    for kind, what, make, expected in ATTEMPTS:
        home, envelope = make(scene)
        outcome = await outcome_of(home, envelope)
        fits = any(outcome == each or outcome.startswith(f"{each}-") for each in expected.split("|"))
        unmoved = standing(scene) == before
        rows.append(f"{kind:<15} {what:<38} → {home.name:<8} {outcome}{'' if unmoved else '  MOVED'}")
        if not fits or not unmoved:
            wrong.append(rows[-1] + f"   (expected {expected})")
    with capsys.disabled():
        print(f"\n{len(rows)} attempts of a lying counterparty:", *rows, sep="\n  ")
    assert not wrong, "\n".join(wrong)


async def test_order_goes_on_after_all_lies(scene: Scene) -> None:
    """A tampered quote stops the payment until the shop sends the true one; everything else hinders nobody."""
    shop, buyer = scene.shop, scene.buyer
    for _, _, make, _ in ATTEMPTS:
        home, envelope = make(scene)
        await outcome_of(home, envelope)
    assert "approve" not in names(buyer.trade.order(scene.quoted))
    with pytest.raises(HalleError) as refused:
        await buyer.trade.approve(scene.quoted)
    assert refused.value.code == "quote-mismatch"
    await buyer.messages.receive(scene.quote())
    await buyer.trade.approve(scene.quoted)
    await settle(buyer, shop)
    for key in (scene.paid, scene.quoted):
        await shop.trade.ship(key, "La Poste", "6A1")
        await settle(shop, buyer)
        await buyer.trade.act(key, "release")
        await settle(buyer, shop)
        assert shop.trade.order(key).summary.outcome == "released"


async def test_conversation_and_parking_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "MAX_MESSAGES", 6)
    outcomes = [await outcome_of(scene.shop, scene.say(scene.buyer, "chat", {"text": str(n)})) for n in range(8)]
    assert outcomes[-1] == "conversation-full"
    early = thread_of(scene.shop.address, scene.eve.address, b"e" * 16)
    parked = [
        await outcome_of(scene.shop, scene.say(scene.eve, "chat", {"text": "x"}, thread=early)) for _ in range(66)
    ]
    assert parked[-1] == "parked-full"
    assert scene.shop.messages.inbound_counts().parked == 64
