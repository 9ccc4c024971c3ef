"""The side paths of an order between homes on a real chain: dispute, return, parts, carrier, digital, warranty."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from halle_node.catalog.product import VariantForm
from halle_node.trade.rules import AcceptRules
from halle_node.trade.views import Balance
from halle_protocol.errors import Refused
from halle_protocol.money import Money
from node.trade.hall import Hall, Home, names, settle, shirt

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY_S = 86_400


@dataclass
class Market:
    """A shop, a buyer, and an arbiter, a backup arbiter and a carrier both of them know."""

    shop: Home
    buyer: Home
    arbiter: Home
    backup: Home
    carrier: Home

    @property
    def all(self) -> tuple[Home, ...]:
        return (self.shop, self.buyer, self.arbiter, self.backup, self.carrier)

    async def rest(self) -> None:
        await settle(*self.all)

    async def funded(self, handle: str = "shirt", quantity: int = 1) -> str:
        key = await self.buyer.buy(self.shop, handle, quantity)
        await settle(self.buyer, self.shop)
        await self.buyer.trade.approve(key)
        await settle(self.buyer, self.shop)
        assert self.shop.trade.order(key).status == "accepted"
        return key

    async def shipped(self, **parcel: Any) -> str:
        key = await self.funded()
        await self.shop.trade.act(key, "ship", carrier="La Poste", tracking="6A1", **parcel)
        await settle(self.shop, self.buyer)
        return key

    async def delivered(self) -> str:
        key = await self.shipped()
        await self.shop.trade.act(key, "hand_over", code=self.buyer.trade.order(key).delivery_code)
        await settle(self.shop, self.buyer)
        assert self.buyer.trade.order(key).status == "delivered"
        return key

    def case(self, home: Home, key: str) -> Any:
        """The order as its arbiter sees it."""
        return home.trade.order(self.buyer.trade.order(key).summary.order_id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hall(tmp_path_factory: pytest.TempPathFactory, trade_chain_url: str) -> AsyncIterator[Hall]:
    made = Hall(tmp_path_factory.mktemp("paths"), trade_chain_url)
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(hall: Hall) -> Market:
    """One market for all paths: orders do not know of each other, and the chain's clock only goes forward."""
    found = Market(*[await hall.home(name) for name in ("camille", "noe", "judith", "salomon", "marie")])
    for home in found.all:
        await home.fund_wallet()
    await found.arbiter.serve("arbiter", 300)
    await found.backup.serve("arbiter", 300)
    await found.carrier.serve("carrier", 0)
    parcel = shirt(title="Vase", handle="vase", delivery_proof="carrier")
    await found.shop.open_shop(shirt(on_hand=200), parcel)
    await found.shop.trade.services.choose(
        arbiter="0x" + found.arbiter.address.hex(),
        backup="0x" + found.backup.address.hex(),
        carrier="0x" + found.carrier.address.hex(),
    )
    await found.shop.publish()
    await settle(found.shop, found.buyer)
    return found


def records(market: Market) -> list[Any]:
    """What the chain says of both arbiters, as the shop sees it."""
    found = {each.name: each.record for each in market.shop.trade.services.offers("arbiter")}
    return [found["judith"], found["salomon"]]


def photo() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 40, 40)).save(out, "JPEG")
    return out.getvalue()


# --- dispute


async def test_dispute_is_ruled_on_the_evidence_of_both_sides(market: Market) -> None:
    key = await market.delivered()
    await market.buyer.trade.chat(key, "It is torn")
    await market.rest()
    await market.buyer.trade.act(key, "dispute", text="Torn at the sleeve", photos=[photo()])
    await market.rest()

    case = market.case(market.arbiter, key)
    assert {bundle.by for bundle in case.bundles} == {"buyer", "merchant"}
    first = next(bundle for bundle in case.bundles if bundle.by == "buyer")
    assert first.text == "Torn at the sleeve"
    assert all(first.findings.values()), first.findings
    assert case.lines[0].handle == "shirt"
    assert [line.text for line in case.chat] == ["It is torn"]
    _name, mime, data = await market.arbiter.trade.file(case.order_key, first.photos[0].file_id)
    assert mime == "image/webp"
    assert Image.open(io.BytesIO(data)).size == (64, 48)
    assert names(case) == {"rule", "ask_party"}

    await market.arbiter.trade.act(case.order_key, "ask_party", party="both", text="When did it arrive?")
    await market.rest()
    assert any(entry.key == "timeline.case-question" for entry in market.shop.trade.order(key).timeline)
    await market.shop.trade.act(key, "add_evidence", text="It left whole", photos=[photo()])
    await market.rest()
    assert len(market.case(market.arbiter, key).bundles) == 3

    await market.arbiter.trade.act(case.order_key, "rule", buyer_bps=4_000, text="Half is too much.")
    await market.rest()
    amount = market.buyer.trade.order(key).balance.total_in
    fee = amount * 300 // 10_000
    back = (amount - fee) * 4_000 // 10_000
    for home in (market.shop, market.buyer, market.arbiter):
        order = home.trade.order(key) if home is not market.arbiter else market.case(home, key)
        assert order.summary.outcome == "ruled"
        assert order.balance == Balance(amount, to_buyer=back, to_merchant=amount - fee - back, to_arbiter=fee)
    ruling = [entry for entry in market.buyer.trade.order(key).timeline if entry.key == "timeline.case-ruling"]
    assert ruling[0].params["text"] == "Half is too much."
    [judith, salomon] = records(market)
    assert (judith["disputes"], judith["ruled"], salomon.get("disputes")) == (1, 1, None)


async def test_silent_arbiter_is_replaced_and_two_silent_ones_end_in_the_agreed_share(market: Market) -> None:
    key = await market.funded()
    await market.shop.trade.act(key, "dispute", text="The buyer threatens us")
    await market.rest()
    assert names(market.case(market.arbiter, key)) >= {"rule"}
    await market.buyer.chain.dev_advance(15 * DAY_S)
    await market.rest()
    assert "close_by_default" not in names(market.buyer.trade.order(key))
    await market.buyer.trade.act(key, "escalate")
    await market.rest()
    assert "rule" not in names(market.case(market.arbiter, key))
    second = market.case(market.backup, key)
    assert "rule" in names(second)
    assert {bundle.by for bundle in second.bundles} == {"buyer", "merchant"}
    await market.buyer.chain.dev_advance(15 * DAY_S)
    await market.rest()
    await market.shop.trade.act(key, "close_by_default")
    await market.rest()
    order = market.buyer.trade.order(key)
    assert order.summary.outcome == "defaulted"
    assert order.balance.to_arbiter == 0
    assert order.balance.to_buyer == order.balance.total_in // 2
    [judith, salomon] = records(market)
    assert (judith["silent"], salomon["silent"]) == (1, 1)


async def test_backup_arbiter_rules_after_an_escalation(market: Market) -> None:
    key = await market.shipped()
    await market.buyer.trade.act(key, "dispute", text="Nothing comes")
    await market.rest()
    await market.buyer.chain.dev_advance(15 * DAY_S)
    await market.rest()
    await market.buyer.trade.act(key, "escalate")
    await market.rest()
    case = market.case(market.backup, key)
    await market.backup.trade.act(case.order_key, "rule", buyer_bps=10_000)
    await market.rest()
    order = market.shop.trade.order(key)
    assert (order.summary.outcome, order.summary.payment) == ("ruled", "refunded")


async def test_case_is_found_from_the_chain_alone_when_both_sides_are_silent(hall: Hall, market: Market) -> None:
    key = await market.funded()
    hall.away.add("judith")
    await market.buyer.trade.act(key, "dispute", text="x")
    await settle(market.buyer, market.shop)
    while await market.arbiter.chain.watcher.step():
        pass
    await market.arbiter.trade.work_once()
    case = market.case(market.arbiter, key)
    assert (case.bundles, case.summary.from_chain_only) == ((), True)
    hall.away.clear()
    await market.rest()
    assert len(market.case(market.arbiter, key).bundles) == 2


async def test_evidence_about_other_terms_or_from_a_stranger_is_refused(market: Market) -> None:
    key = await market.funded()
    await market.buyer.trade.act(key, "dispute", text="x")
    await market.rest()
    stranger = market.carrier
    from halle_node.trade import disputes, letters
    from halle_protocol.messages import thread_of

    [bundle] = list(market.buyer.db.read(lambda c: disputes.own_bundles(market.buyer.trade._room, c, _row(c, key))))
    thread = thread_of(stranger.address, market.arbiter.address, bundle.body["order_id"])
    forged = letters.compose(stranger.trade._room, market.arbiter.address, thread, "case/evidence", dict(bundle.body))
    from halle_protocol.sealing import seal_envelope

    sealed = seal_envelope(forged.encode(), market.arbiter.address, market.arbiter.keys.prekeys()[0])
    with pytest.raises(Refused) as refused:
        await market.arbiter.messages.receive(sealed.encode())
    assert refused.value.code == "not-a-party"
    with pytest.raises(Refused) as refused:
        await market.arbiter.trade.act(market.case(market.arbiter, key).order_key, "rule", buyer_bps=10_001)
    assert refused.value.code == "share-out-of-range"


def _row(conn: Any, key: str) -> Any:
    from halle_node.trade import book

    return book.find(conn, key)


async def test_shop_cannot_name_itself_as_arbiter(market: Market) -> None:
    for chosen, code in ((market.shop, "arbiter-is-us"), (market.backup, "arbiters-equal")):
        with pytest.raises(Refused) as refused:
            await market.shop.trade.services.choose(arbiter="0x" + chosen.address.hex())
        assert refused.value.code == code


# --- returns


async def test_return_is_asked_approved_sent_received_and_refunded(market: Market) -> None:
    key = await market.delivered()
    await market.buyer.trade.act(key, "request_return", reason="Too small", lines="S-1", photos=[photo()])
    await market.rest()
    asked = market.shop.trade.order(key)
    assert (asked.summary.returns, asked.returning.pieces) == ("requested", {"S-1": 1})
    assert key in {each.order_key for each in market.shop.trade.todo().returns}
    assert (await market.shop.trade.file(key, asked.returning.photos[0].file_id))[1] == "image/webp"
    with pytest.raises(Refused) as refused:
        await market.shop.trade.act(key, "approve_return", instructions=" ")
    assert refused.value.code == "instructions-missing"
    await market.shop.trade.act(key, "approve_return", instructions="12 rue des Lices, by letter post, you pay")
    await market.rest()
    assert market.buyer.trade.order(key).returning.instructions.startswith("12 rue")
    await market.shop.chain.dev_advance(8 * DAY_S)
    await market.rest()
    assert market.shop.trade.order(key).status == "delivered"  # a running return is not claimed over
    await market.buyer.trade.act(key, "send_return", carrier="La Poste", tracking="R9")
    await market.rest()
    assert market.shop.trade.order(key).returning.tracking == "La Poste R9"
    before = market.shop.catalog.stock("shirt")[0].on_hand
    await market.shop.trade.act(key, "receive_return", restock=True)
    await market.shop.trade.act(key, "refund")
    await market.rest()
    order = market.buyer.trade.order(key)
    assert (order.summary.returns, order.summary.payment) == ("closed", "refunded")
    assert market.shop.catalog.stock("shirt")[0].on_hand == before + 1


async def test_exchange_sends_other_pieces_in_the_place_of_those_returned(market: Market) -> None:
    key = await market.delivered()
    await market.buyer.trade.act(key, "request_return", reason="Wrong size", exchange="S-1:1")
    await market.rest()
    await market.shop.trade.act(key, "approve_return", instructions="Send it back")
    await market.rest()
    await market.buyer.trade.act(key, "send_return")
    await market.rest()
    await market.shop.trade.act(key, "receive_return")
    await market.rest()
    assert "send_again" in names(market.shop.trade.order(key))
    assert key not in {each.order_key for each in market.shop.trade.todo().refunds_due}
    await market.shop.trade.act(key, "send_again", carrier="La Poste", tracking="EX1")
    await market.rest()
    order = market.buyer.trade.order(key)
    assert [(each.tracking, each.replaces) for each in order.shipments] == [("6A1", False), ("EX1", True)]
    await market.shop.chain.dev_advance(8 * DAY_S)
    await market.rest()
    assert market.shop.trade.order(key).summary.outcome == "claimed"


async def test_return_is_declined_asked_again_and_called_off(market: Market) -> None:
    key = await market.delivered()
    await market.buyer.trade.act(key, "request_return", reason="I do not like it")
    await market.rest()
    await market.shop.trade.act(key, "decline_return", reason="It was made for you")
    await market.rest()
    assert market.buyer.trade.order(key).summary.returns == "declined"
    await market.buyer.trade.act(key, "request_return", reason="Please", withdrawal=True)
    await market.rest()
    await market.buyer.trade.act(key, "cancel_return")
    await market.rest()
    assert market.shop.trade.order(key).summary.returns == "canceled"


# --- parcels


async def test_order_goes_out_in_two_parcels_and_the_chain_hears_of_the_last(market: Market) -> None:
    key = await market.funded("shirt", 3)
    await market.shop.trade.act(key, "ship", tracking="P1", lines="S-1:1")
    await market.rest()
    order = market.buyer.trade.order(key)
    assert (order.status, order.summary.fulfilment) == ("accepted", "partially_fulfilled")
    assert market.shop.trade.order(key).unsent == {"S-1": 2}
    with pytest.raises(Refused) as refused:
        await market.shop.trade.act(key, "ship", lines="S-1:3")
    assert refused.value.code == "quantity-out-of-range"
    await market.shop.trade.act(key, "ship", tracking="P2")
    await market.rest()
    order = market.buyer.trade.order(key)
    assert (order.status, order.summary.fulfilment) == ("shipped", "fulfilled")
    assert [each.pieces for each in order.shipments] == [{"S-1": 1}, {"S-1": 2}]


async def test_missing_piece_is_refunded_and_the_rest_is_complete(market: Market) -> None:
    key = await market.funded(quantity=2)
    await market.shop.trade.act(key, "refund", amount=2_500 * 10**4)
    await market.rest()
    await market.shop.trade.act(key, "ship", tracking="P1", lines="S-1:1", complete=True)
    await market.rest()
    order = market.buyer.trade.order(key)
    assert (order.status, order.summary.payment) == ("shipped", "partially_refunded")


async def test_carrier_fails_tries_again_and_its_record_delivers(market: Market) -> None:
    key = await market.funded("vase")
    await market.shop.trade.act(key, "ship", carrier="Marie", tracking="M1")
    await market.rest()
    parcel = market.carrier.trade.carrying.parcels()[0]
    assert parcel.address is not None
    assert parcel.address.city == "Brest"
    assert "prove_delivery" not in names(market.shop.trade.order(key))
    await market.carrier.trade.carrying.attest(parcel.shipment_id, "failed-attempt", "Brest", "Nobody at home")
    await market.rest()
    [seen] = market.buyer.trade.order(key).checkpoints
    assert (seen.status, seen.place, seen.text) == ("failed-attempt", "Brest", "Nobody at home")
    await market.shop.trade.act(key, "send_again", carrier="Marie", tracking="M2")
    await market.shop.chain.dev_advance(60)
    await market.carrier.trade.carrying.attest(parcel.shipment_id, "delivered", "Brest", "")
    await market.rest()
    order = market.buyer.trade.order(key)
    assert order.status == "delivered"  # the shop's node showed the record to the chain by itself
    assert [each.status for each in order.checkpoints] == ["failed-attempt", "delivered"]
    records = {each.name: each.record for each in market.shop.trade.services.offers("carrier")}
    assert records["marie"] == {"parcels": 1, "delivered": 1}
    with pytest.raises(Refused):
        await market.carrier.trade.carrying.attest("ffff", "delivered", "", "")


async def test_required_proof_that_never_comes_gives_the_money_back(market: Market) -> None:
    key = await market.shipped()
    await market.buyer.chain.dev_advance(22 * DAY_S)
    await market.rest()
    assert "claim" not in names(market.shop.trade.order(key))
    await market.buyer.trade.act(key, "reclaim")
    await market.rest()
    assert market.shop.trade.order(key).summary.payment == "refunded"


# --- rules of the owner


async def test_rules_hold_an_order_back_until_the_owner_answers(market: Market) -> None:
    for rules, code in (
        (AcceptRules(enabled=False), "rule-off"),
        (AcceptRules(max_total_minor=100), "rule-value"),
        (AcceptRules(countries=("BE",)), "rule-country"),
        (AcceptRules(opens="00:00", closes="00:00", time_zone="UTC"), "rule-hours"),
    ):
        await market.shop.trade.set_accept_rules(rules)
        key = await market.buyer.buy(market.shop)
        await settle(market.buyer, market.shop)
        waiting = market.shop.trade.order(key)
        assert (waiting.status, waiting.problem) == ("requested", code)
        assert key in {each.order_key for each in market.shop.trade.todo().to_answer}
    await market.shop.trade.act(key, "accept")
    await settle(market.buyer, market.shop)
    assert market.buyer.trade.order(key).status == "quoted"
    with pytest.raises(Refused) as refused:
        await market.shop.trade.set_accept_rules(AcceptRules(opens="9 am", closes="17:00"))
    assert refused.value.code == "rules-invalid"
    await market.shop.trade.set_accept_rules(AcceptRules())


async def test_order_held_back_is_taken_when_the_rules_allow_it(market: Market) -> None:
    await market.shop.trade.set_accept_rules(AcceptRules(max_total_minor=100))
    key = await market.buyer.buy(market.shop)
    await settle(market.buyer, market.shop)
    await market.shop.trade.set_accept_rules(AcceptRules(max_total_minor=10_000, countries=("FR", "BE")))
    await settle(market.buyer, market.shop)
    assert market.buyer.trade.order(key).status == "quoted"
    await market.shop.trade.set_accept_rules(AcceptRules())


async def test_offer_above_the_limit_waits_and_is_declined_with_its_reason(hall: Hall, market: Market) -> None:
    await market.shop.trade.set_accept_rules(AcceptRules(max_total_minor=100))
    hall.away.add("camille")
    key = await market.buyer.buy(market.shop)
    await market.buyer.trade.approve(key)
    await settle(market.buyer)
    hall.away.clear()
    await settle(market.buyer, market.shop)
    held = market.shop.trade.order(market.buyer.trade.order(key).summary.order_id)
    assert held.problem == "rule-value"
    await market.shop.trade.act(held.order_key, "decline", reason="On holiday")
    await settle(market.buyer, market.shop)
    await market.shop.trade.set_accept_rules(AcceptRules())
    order = market.buyer.trade.order(key)
    assert (order.status, order.summary.payment) == ("closed", "refunded")
    assert any(entry.params.get("reason") == "On holiday" for entry in order.timeline)


# --- digital goods


async def test_licence_and_file_are_delivered_at_funding_and_again_as_often_as_promised(market: Market) -> None:
    variant = VariantForm(price=Money(900, "EUR"), sku="FONT", on_hand=100)
    font = shirt(title="Font", handle="font", kind="digital", variants=(variant,), delivery_proof="none", warranty=None)
    await market.shop.catalog.save_product(font)
    await market.shop.publish()
    digital = market.shop.trade.digital
    await digital.add_licences("font", "", ["AAA-1", "AAA-2"], 1)
    await digital.add_file("font", "", "font.otf", "font/otf", b"\0" * 300_000, 1)
    await settle(market.shop, market.buyer)
    key = await market.buyer.buy(market.shop, "font", address=None, rate_id="")
    await settle(market.buyer, market.shop)
    await market.buyer.trade.approve(key)
    await settle(market.buyer, market.shop)
    order = market.buyer.trade.order(key)
    assert (order.status, order.summary.fulfilment) == ("shipped", "fulfilled")
    by_kind = {each.kind: each for each in order.deliverables}
    assert by_kind["licence"].text == "AAA-1"
    name, _, data = await market.buyer.trade.file(key, by_kind["file"].file.file_id)
    assert (name, len(data)) == ("font.otf", 300_000)
    assert [good.left for good in digital.shelf("font") if good.kind == "licence"] == [1]

    await market.buyer.trade.act(key, "ask_deliverable")
    await settle(market.buyer, market.shop)
    again = market.buyer.trade.order(key)
    assert [each.left for each in again.deliverables] == [0, 0]
    assert "ask_deliverable" not in names(again)
    await market.shop.chain.dev_advance(40 * DAY_S)
    await settle(market.shop, market.buyer)
    assert market.shop.trade.order(key).summary.outcome == "claimed"


async def test_sold_out_licences_go_out_when_the_owner_adds_some(market: Market) -> None:
    variant = VariantForm(price=Money(900, "EUR"), sku="KEY", on_hand=100)
    form = shirt(title="Key", handle="key", kind="digital", variants=(variant,), delivery_proof="none", warranty=None)
    await market.shop.catalog.save_product(form)
    await market.shop.publish()
    await market.shop.trade.digital.add_licences("key", "KEY", ["ONE"], 0)
    await settle(market.shop, market.buyer)
    key = await market.buyer.buy(market.shop, "key", 2, address=None, rate_id="")
    await settle(market.buyer, market.shop)
    await market.buyer.trade.approve(key)
    await settle(market.buyer, market.shop)
    assert market.shop.trade.order(key).problem == "licences-sold-out"
    assert market.buyer.trade.order(key).deliverables == ()
    await market.shop.trade.digital.add_licences("key", "KEY", ["TWO"], 0)
    await settle(market.buyer, market.shop)
    assert [each.text for each in market.buyer.trade.order(key).deliverables] == ["ONE", "TWO"]
    assert market.shop.trade.order(key).problem == ""


async def test_course_is_paid_by_milestones(market: Market) -> None:
    key = await market.funded()
    amount = market.buyer.trade.order(key).balance.total_in
    await market.shop.trade.act(
        key, "send_deliverable", name="Lesson 1", text="Tuesday at six", kind="appointment", at=1
    )
    await market.rest()
    [lesson] = market.buyer.trade.order(key).deliverables
    assert (lesson.kind, lesson.appointment_at) == ("appointment", 1)
    await market.buyer.trade.act(key, "release", amount=amount // 3)
    await market.rest()
    assert market.shop.trade.order(key).summary.payment == "partially_paid"


# --- warranty


async def issued(market: Market) -> str:
    key = await market.delivered()
    await market.buyer.trade.act(key, "release")
    await market.rest()
    await market.shop.trade.act(key, "issue_warranty")
    await market.rest()
    return key


async def test_warranty_claim_is_answered_with_a_repair(market: Market) -> None:
    key = await issued(market)
    await market.buyer.trade.act(key, "open_warranty_claim", text="The seam is open")
    await market.rest()
    assert {"offer_repair", "contest_warranty_claim", "accept_warranty_claim"} <= names(market.shop.trade.order(key))
    await market.shop.trade.act(key, "offer_repair", text="Send it, we sew it")
    await market.rest()
    assert {"accept_repair", "contest_warranty_claim"} <= names(market.buyer.trade.order(key))
    await market.buyer.trade.act(key, "accept_repair")
    await market.rest()
    [certificate] = market.buyer.trade.order(key).certificates
    assert certificate.status == "active"
    assert "open_warranty_claim" in names(market.buyer.trade.order(key))


async def test_unanswered_warranty_claim_pays_its_holder(market: Market) -> None:
    key = await issued(market)
    await market.buyer.trade.act(key, "open_warranty_claim", text="Broken")
    await market.rest()
    assert "collect_warranty_claim" not in names(market.buyer.trade.order(key))
    await market.buyer.chain.dev_advance(15 * DAY_S)
    await market.rest()
    await market.buyer.trade.act(key, "collect_warranty_claim")
    await market.rest()
    [certificate] = market.buyer.trade.order(key).certificates
    assert (certificate.status, certificate.cover_token) == ("paid", 0)


async def test_contested_warranty_claim_is_ruled_by_the_arbiter(market: Market) -> None:
    key = await issued(market)
    await market.buyer.trade.act(key, "open_warranty_claim", text="Broken")
    await market.rest()
    await market.shop.trade.act(key, "contest_warranty_claim", text="It was washed too hot")
    await market.rest()
    case = market.case(market.arbiter, key)
    assert "rule_warranty_claim" in names(case)
    assert {bundle.by for bundle in case.bundles} == {"buyer", "merchant"}
    await market.arbiter.trade.act(case.order_key, "rule_warranty_claim", amount=1_000, text="A part of it")
    await market.rest()
    [certificate] = market.buyer.trade.order(key).certificates
    amount = market.buyer.trade.order(key).balance.total_in
    assert certificate.cover_token == amount - 1_000
    assert any(entry.key == "timeline.case-ruling" for entry in market.shop.trade.order(key).timeline)


async def test_certificate_goes_to_the_next_owner_who_claims_on_it(market: Market) -> None:
    key = await issued(market)
    next_owner = market.carrier
    await market.buyer.trade.act(key, "transfer_warranty", to="0x" + next_owner.address.hex())
    await market.rest()
    assert "open_warranty_claim" not in names(market.buyer.trade.order(key))
    [card] = next_owner.trade.certificates("holder")
    assert card.name not in {each.name for each in market.buyer.trade.certificates("holder")}
    await next_owner.trade.act(card.name, "open_warranty_claim", amount=500, text="A button is gone")
    await market.rest()
    claimed = market.shop.trade.certificate(card.name)
    assert [line.text for line in claimed.said] == ["A button is gone"]
    await market.shop.trade.act(claimed.name, "accept_warranty_claim")
    await market.rest()
    [card] = next_owner.trade.certificates("holder")
    assert (card.status, card.cover_token) == ("paid", claimed.cover_token - 500)
    with pytest.raises(Refused) as refused:
        await market.buyer.trade.act(card.name, "open_warranty_claim", text="mine")
    assert refused.value.code == "action-not-now"


async def test_bond_is_free_again_when_the_certificate_has_ended(market: Market) -> None:
    key = await issued(market)
    token = market.buyer.trade.order(key).quote
    assert token is not None
    address = market.shop.chain.contracts.tokens[token.token_symbol][0]
    await market.shop.chain.dev_advance(366 * DAY_S)
    await market.rest()
    [certificate] = market.buyer.trade.order(key).certificates
    assert certificate.status == "expired"
    assert await market.shop.trade.bonding.withdraw(address, None) >= market.buyer.trade.order(key).balance.total_in
    await market.rest()
    with pytest.raises(Refused) as refused:
        await market.shop.trade.bonding.withdraw(address, None)
    assert refused.value.code == "bond-too-small"
