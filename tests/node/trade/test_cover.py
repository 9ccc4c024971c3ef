"""Cover bought of an underwriter who is no party to the order: asked, offered, paid, claimed; and the lies."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio

from halle_node.catalog.profile import EscrowForm, LimitForm
from halle_node.notify import notices
from halle_node.trade import book, covers, letters
from halle_node.trade.covers import Cover
from halle_protocol.cover import Certificate, premium_of, sign_offer
from halle_protocol.errors import HalleError, Refused
from halle_protocol.messages import Message, thread_of
from halle_protocol.sealing import seal_envelope
from node.trade.hall import Hall, Home, settle, shirt

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY_S = 86_400
EURO = 10**6
BOND = 500 * EURO
FEE_BPS = 400


@dataclass
class Scene:
    """A shop, its buyer, an arbiter, an underwriter who backs what shops sell, and a stranger."""

    shop: Home
    buyer: Home
    arbiter: Home
    insurer: Home
    eve: Home

    async def rest(self) -> None:
        await settle(self.shop, self.buyer, self.arbiter, self.insurer, self.eve)

    async def bought(self) -> str:
        key = await self.buyer.buy(self.shop)
        await settle(self.buyer, self.shop)
        await self.buyer.trade.approve(key)
        await self.rest()
        assert self.buyer.trade.order(key).status == "accepted"
        return key

    async def offered(self, key: str, **asked: Any) -> str:
        cover = await self.buyer.trade.insuring.ask(key, address(self.insurer), **asked)
        await self.rest()
        card = self.buyer.trade.cover(cover)
        assert (card.status, card.code) == ("offered", "")
        return cover

    async def insured(self, key: str) -> str:
        """Buy cover; return the certificate's name."""
        cover = await self.offered(key)
        await self.buyer.trade.insuring.buy(cover, self.buyer.trade.cover(cover).premium_token)
        await self.rest()
        card = self.buyer.trade.cover(cover)
        assert card.status == "bought"
        return card.certificate

    def row(self, home: Home, key: str) -> Cover:
        return home.db.read(lambda conn: covers.find(conn, key))

    def balance(self, home: Home, token: bytes) -> Any:
        return home.chain.client.call("TestToken", "balanceOf", home.address, at=token)


def address(home: Home) -> str:
    return "0x" + home.address.hex()


def kinds(home: Home) -> list[str]:
    found = home.db.read(lambda conn: notices.listing(conn, unread_only=False, limit=100))
    return [each.kind for each in found]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hall(tmp_path_factory: pytest.TempPathFactory, trade_chain_url: str) -> AsyncIterator[Hall]:
    made = Hall(tmp_path_factory.mktemp("cover"), trade_chain_url)
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(hall: Hall) -> Scene:
    found = Scene(*[await hall.home(name) for name in ("camille", "noe", "judith", "ursula", "eve")])
    for home in (found.shop, found.buyer, found.arbiter, found.insurer, found.eve):
        await home.fund_wallet()
    await found.arbiter.serve("arbiter", 300)
    await found.shop.open_shop(shirt(on_hand=200), terms=EscrowForm(arbiter=found.arbiter.address))
    token, _ = found.insurer.chain.contracts.tokens["tEUR"]
    limit = LimitForm(found.insurer.chain.client.chain_id, token, 100 * EURO)
    await found.insurer.serve("underwriter", FEE_BPS, limits=(limit,), max_days=400)
    await found.insurer.trade.bonding.deposit(token, BOND)
    await found.rest()
    return found


async def test_cover_is_bought_and_a_claim_is_paid(scene: Scene) -> None:
    key = await scene.bought()
    [choice] = [each for each in scene.buyer.trade.insuring.choices(key) if each.name == "ursula"]
    assert [price.cover_token for price in choice.prices] == [25 * EURO]
    assert choice.prices[0].premium_token == premium_of(25 * EURO, FEE_BPS) == EURO
    token = order_token(scene, key)
    before = int(await scene.balance(scene.buyer, token))

    name = await scene.insured(key)

    assert int(await scene.balance(scene.buyer, token)) == before - EURO
    [paper] = scene.buyer.trade.order(key).certificates
    assert (paper.name, paper.status, paper.cover_token) == (name, "active", 25 * EURO)
    assert not scene.shop.trade.order(key).certificates
    [backed] = [each for each in scene.insurer.trade.certificates("underwriter") if each.name == name]
    assert (backed.title, backed.token_symbol, backed.token_decimals) == ("Shirt", "tEUR", 6)
    assert scene.insurer.trade.services.offers("underwriter")[0].record["certificates"] >= 1
    assert "cover-answered" in kinds(scene.buyer)

    said = len(scene.shop.trade.order(key).timeline)
    await scene.buyer.trade.open_warranty_claim(key, 10 * EURO, "The seam is open")
    await scene.rest()
    assert len(scene.shop.trade.order(key).timeline) == said  # no business of the shop
    card = scene.insurer.trade.certificate(name)
    assert (card.status, card.claimed_token) == ("claimed", 10 * EURO)
    assert [line.text for line in card.said] == ["The seam is open"]
    assert "warranty-claim" in kinds(scene.insurer)

    await scene.insurer.trade.act(name, "accept_warranty_claim")
    await scene.rest()
    assert int(await scene.balance(scene.buyer, token)) == before - EURO + 10 * EURO
    assert scene.buyer.trade.certificate(name).cover_token == 15 * EURO
    assert "claim-answered" in kinds(scene.buyer)


def order_token(scene: Scene, key: str) -> bytes:
    return scene.buyer.db.read(lambda conn: book.find(conn, key)).known_terms().token


async def test_contested_claim_is_ruled_by_the_arbiter_of_the_order(scene: Scene) -> None:
    key = await scene.bought()
    name = await scene.insured(key)
    await scene.buyer.trade.act(name, "open_warranty_claim", text="It shrank")
    await scene.rest()
    await scene.insurer.trade.act(name, "contest_warranty_claim", text="Washed too hot")
    await scene.rest()
    assert "Washed too hot" in [line.text for line in scene.buyer.trade.certificate(name).said]

    case = scene.arbiter.trade.order(scene.buyer.trade.order(key).summary.order_id)
    assert "rule_warranty_claim" in {move.name for move in case.next_actions}
    assert [bundle.text for bundle in case.bundles] == ["It shrank"]
    assert [line.text for line in case.certificates[0].said] == ["Washed too hot"]
    await scene.arbiter.trade.act(case.order_key, "rule_warranty_claim", amount=5 * EURO, text="A fifth")
    await scene.rest()

    assert scene.buyer.trade.certificate(name).cover_token == 20 * EURO
    assert ("arbiter", "A fifth") in [(line.by, line.text) for line in scene.insurer.trade.certificate(name).said]


async def test_repair_is_offered_and_taken(scene: Scene) -> None:
    name = await scene.insured(await scene.bought())
    await scene.buyer.trade.act(name, "open_warranty_claim", text="A button is off")
    await scene.rest()
    await scene.insurer.trade.act(name, "offer_repair", text="Send it to us")
    await scene.rest()
    assert "Send it to us" in [line.text for line in scene.buyer.trade.certificate(name).said]
    await scene.buyer.trade.act(name, "accept_repair")
    await scene.rest()
    assert scene.insurer.trade.certificate(name).status == "active"


async def test_underwriter_answers_by_hand_what_the_published_terms_do_not_decide(scene: Scene) -> None:
    key = await scene.bought()
    token, _ = scene.insurer.chain.contracts.tokens["tEUR"]
    free = next(bond.free for bond in await scene.insurer.trade.bonding.bonds() if bond.token_symbol == "tEUR")
    await scene.insurer.trade.bonding.withdraw(token, free)
    await scene.rest()
    cover = await scene.buyer.trade.insuring.ask(key, address(scene.insurer), note="It is a present")
    await scene.rest()
    waiting = scene.insurer.trade.cover(cover)
    assert (waiting.status, waiting.code, waiting.asked_note) == ("asked", "bond-too-small", "It is a present")
    assert waiting.next_actions == ("offer", "decline")
    assert "cover-asked" in kinds(scene.insurer)
    with pytest.raises(Refused) as small:
        await scene.insurer.trade.covering.offer(cover)
    assert small.value.code == "bond-too-small"

    await scene.insurer.trade.covering.decline(cover, "No money now")
    await scene.rest()
    card = scene.buyer.trade.cover(cover)
    assert (card.status, card.code, card.note) == ("declined", "declined", "No money now")

    await scene.insurer.trade.bonding.deposit(token, BOND)
    await scene.rest()
    await scene.insurer.trade.covering.offer(cover, premium=EURO // 2, cover=20 * EURO, days=30, note="For less")
    await scene.rest()
    card = scene.buyer.trade.cover(cover)
    assert (card.status, card.premium_token, card.cover_token, card.days) == ("offered", EURO // 2, 20 * EURO, 30)
    for changed in ({"premium": 2 * EURO}, {"cover": 26 * EURO}, {"days": 4_000}):
        with pytest.raises(Refused):
            await scene.insurer.trade.covering.offer(cover, **changed)


async def test_offers_count_against_the_bond_until_they_end(scene: Scene) -> None:
    token, _ = scene.insurer.chain.contracts.tokens["tEUR"]
    key = await scene.bought()
    await scene.offered(key)
    open_now = scene.insurer.db.read(lambda conn: covers.open_offers(conn, token, scene.insurer.trade.chain_time()))
    free = next(bond.free for bond in await scene.insurer.trade.bonding.bonds() if bond.token_symbol == "tEUR")
    await scene.insurer.trade.bonding.withdraw(token, free - open_now)
    await scene.rest()
    other = await scene.bought()
    cover = await scene.buyer.trade.insuring.ask(other, address(scene.insurer))
    await scene.rest()
    assert scene.insurer.trade.cover(cover).code == "bond-too-small"
    await scene.insurer.trade.bonding.deposit(token, BOND)
    await scene.rest()


async def test_bond_that_is_gone_takes_no_premium(scene: Scene) -> None:
    key = await scene.bought()
    cover = await scene.offered(key)
    token, _ = scene.insurer.chain.contracts.tokens["tEUR"]
    free = next(bond.free for bond in await scene.insurer.trade.bonding.bonds() if bond.token_symbol == "tEUR")
    await scene.insurer.trade.bonding.withdraw(token, free)
    await scene.rest()
    with pytest.raises(Refused) as gone:
        await scene.buyer.trade.insuring.buy(cover, EURO)
    assert gone.value.code == "bond-too-small"
    await scene.insurer.trade.bonding.deposit(token, BOND)
    await scene.rest()
    with pytest.raises(Refused) as dearer:
        await scene.buyer.trade.insuring.buy(cover, EURO - 1)
    assert dearer.value.code == "offer-changed"
    await scene.buyer.trade.insuring.buy(cover, EURO)
    with pytest.raises(Refused) as twice:
        await scene.buyer.trade.insuring.buy(cover, EURO)
    assert twice.value.code == "already-sent"
    await scene.rest()
    with pytest.raises(Refused) as full:
        await scene.buyer.trade.insuring.ask(key, address(scene.insurer), cover=10 * EURO)
    assert full.value.code == "already-covered"


# --- lies

Lie = tuple[str, Callable[[Certificate], dict[str, Any]], dict[str, Any], str]
LIES: tuple[Lie, ...] = (
    ("a premium above the published price", lambda c: {"premium": int(c.premium) + 1}, {}, "offer-mismatch"),
    ("no premium", lambda c: {"premium": 0}, {}, "offer-mismatch"),
    ("more cover than was asked for", lambda c: {"cover": int(c.cover) + 1, "premium": 1}, {}, "offer-mismatch"),
    ("another holder", lambda c: {"holder": bytes(19) + b"\1"}, {}, "offer-mismatch"),
    ("another order", lambda c: {"order_id": bytes(32)}, {}, "offer-mismatch"),
    ("another thing", lambda c: {"item_hash": bytes(32)}, {}, "offer-mismatch"),
    ("another token", lambda c: {"token": bytes(20)}, {}, "offer-mismatch"),
    ("an arbiter of their own", lambda c: {"arbiter": bytes(19) + b"\2"}, {}, "offer-mismatch"),
    ("other terms", lambda c: {"terms_hash": bytes(32)}, {}, "offer-mismatch"),
    ("years to answer", lambda c: {"respond_within": 700 * DAY_S}, {}, "offer-mismatch"),
    ("a term that begins after it", lambda c: {"starts_at": c.ends_at - 1}, {}, "offer-mismatch"),
    ("somebody else as underwriter", lambda c: {"underwriter": bytes(19) + b"\3"}, {}, "offer-mismatch"),
    ("another chain", lambda c: {}, {"chain_id": 1}, "wrong-chain"),
    ("another contract", lambda c: {}, {"contract": bytes(20)}, "wrong-chain"),
    (
        "an offer of yesterday",
        lambda c: {"starts_at": c.starts_at - 2 * DAY_S, "ends_at": c.ends_at - 2 * DAY_S},
        {"deadline": -2 * DAY_S},
        "offer-expired",
    ),
    ("signed by an operator", lambda c: {}, {"key": "operator"}, "offer-signature"),
    ("signed for another deadline", lambda c: {}, {"signed_deadline": 1}, "offer-signature"),
    ("a signature of zeros", lambda c: {}, {"signature": bytes(65)}, "bad-signature"),
    ("a request nobody made", lambda c: {}, {"request_id": bytes(16)}, "cover-unasked"),
)


async def test_lies_in_an_offer_are_refused(scene: Scene) -> None:
    key = await scene.bought()
    cover = await scene.offered(key)
    row, insurer = scene.row(scene.buyer, cover), scene.insurer
    offer = row.known_offer()
    for name, changes, body_changes, code in LIES:
        body = _lie(insurer, offer.to_body(), offer.certificate, changes, dict(body_changes))
        assert await _told(insurer, scene.buyer, row.message.thread, "cover/offer", body) == code, name
        assert scene.buyer.trade.cover(cover).premium_token == EURO, name
    truth = offer.to_body()
    assert await _told(scene.eve, scene.buyer, row.message.thread, "cover/offer", truth) == "cover-unasked"
    assert await _told(insurer, scene.buyer, secrets.token_bytes(32), "cover/offer", truth) == "cover-unasked"
    assert await _received(Message.decode(row.row.answer), scene.buyer) == ""  # a replay says nothing
    assert scene.buyer.trade.cover(cover).status == "offered"


async def test_lies_in_a_request_are_refused(scene: Scene) -> None:
    key = await scene.bought()
    cover = await scene.offered(key)
    row = scene.row(scene.buyer, cover)
    truth, thread, insurer = row.request.to_body(), row.message.thread, scene.insurer
    terms = row.request.terms
    unpaid = await scene.buyer.buy(scene.shop)
    await scene.rest()
    other = scene.buyer.db.read(lambda conn: book.find(conn, unpaid))
    unseen = {"terms": other.known_terms(), "order_document": other.known_document().encode()}
    at_other = thread_of(scene.buyer.address, insurer.address, other.order_id)
    lies: tuple[tuple[str, Home, dict[str, Any], bytes, str], ...] = (
        ("somebody else's order", scene.eve, {}, thread, "not-a-party"),
        ("an order nobody paid", scene.buyer, unseen, at_other, "order-unseen"),
        ("terms of their own", scene.buyer, {"terms": replace(terms, amount=10**12)}, thread, "request-mismatch"),
        ("another document", scene.buyer, {"order_document": unseen["order_document"]}, thread, "order-hash-mismatch"),
        ("more than was paid", scene.buyer, {"cover": 26 * EURO}, thread, "cover-out-of-range"),
        ("a line that is not there", scene.buyer, {"line": 7}, thread, "line-unknown"),
        ("another thread", scene.buyer, {}, bytes(32), "request-mismatch"),
    )
    for name, by, changes, where, code in lies:
        assert await _told(by, insurer, where, "cover/request", truth | changes) == code, name
    assert await _told(scene.buyer, scene.shop, thread, "cover/request", truth) == "not-an-underwriter"
    assert await _received(row.message, insurer) == ""  # a replay says nothing
    assert len([each for each in insurer.trade.covers("underwriter") if each.order_id == row_id(row)]) == 1


async def test_terms_that_changed_meanwhile_are_declined(scene: Scene) -> None:
    key = await scene.bought()
    cover = await scene.offered(key)
    row = scene.row(scene.buyer, cover)
    dear = row.request.to_body() | {"fee_bps": 1, "cover": EURO}
    assert await _told(scene.buyer, scene.insurer, row.message.thread, "cover/request", dear) == ""
    await scene.rest()
    codes = {each.code for each in scene.insurer.trade.covers("underwriter") if each.order_id == row_id(row)}
    assert codes == {"", "terms-changed"}


def row_id(row: Cover) -> str:
    return "0x" + row.order_id.hex()


def _lie(insurer: Home, body: dict[str, Any], paper: Certificate, changes: Any, wrong: dict[str, Any]) -> Any:
    keys, chain_id = insurer.keys, insurer.chain.client.chain_id
    fields = paper.to_body() | changes(paper)
    made = Certificate.from_body({k: str(v) if k in ("cover", "premium") else v for k, v in fields.items()})
    wrong |= {"deadline": body["deadline"] + wrong.get("deadline", 0)}
    body = body | {"certificate": made} | {k: v for k, v in wrong.items() if k in body}
    signed = wrong.get("signed_deadline", body["deadline"])
    key = keys.operator_private if wrong.get("key") else keys.store_private
    signature = sign_offer(key, made, signed, chain_id, insurer.chain.contracts.warranty)
    return body | {"signature": wrong.get("signature", signature)}


def _seal(message: Message, to: Home) -> bytes:
    return seal_envelope(message.encode(), to.address, to.keys.prekeys()[0]).encode()


async def _told(by: Home, to: Home, thread: bytes, kind: str, body: dict[str, Any]) -> str:
    """Return the code with which one node refuses what another says."""
    message = letters.compose(by.trade._room, to.address, thread, kind, body)
    return await _received(message, to)


async def _received(message: Message, to: Home) -> str:
    try:
        await to.messages.receive(_seal(message, to), "a peer")
    except HalleError as error:
        return error.code
    found = to.messages.quarantine(limit=1)
    return found[0].error_code if found and found[0].message_id == message.id.hex() else ""
