"""What may go wrong around an order: forged, doubled, shuffled, cut off, late. Nothing is lost, nothing is twice."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select, update

from halle_node.catalog import stock
from halle_node.db.schema.chain import chain_event, chain_tx
from halle_node.db.schema.trade import trade_order
from halle_node.trade import background, book, goods, letters, receiving
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError
from halle_protocol.messages import Message, sign_message
from halle_protocol.sealing import seal_envelope
from node.trade.hall import Hall, Home, names, settle, shirt, until

DAY_S = 86_400


@pytest.fixture
async def market(hall: Hall) -> tuple[Home, Home]:
    shop, buyer = await hall.home("camille"), await hall.home("noe")
    await shop.fund_wallet()
    await buyer.fund_wallet()
    await shop.open_shop(shirt())
    await settle(shop, buyer)
    return shop, buyer


def said(home: Home, key: str, kind: str) -> list[Message]:
    found = home.db.read(lambda conn: book.messages(conn, key))
    return [message for message in found if message.type == kind]


async def forge(shop: Home, buyer: Home, message: Message, **changes: Any) -> HalleError:
    """Deliver `message` with an altered body, properly signed by the shop; return the buyer's refusal."""
    altered = sign_message(
        shop.keys.operator_private,
        id=secrets.token_bytes(16),
        thread=message.thread,
        type=message.type,
        sender=message.sender,
        to=message.to,
        issued=message.issued,
        body=message.body | changes,
        grant=shop.keys.grant,
    )
    sealed = seal_envelope(altered.encode(), buyer.address, buyer.keys.prekeys()[0])
    with pytest.raises(HalleError) as refused:
        await buyer.messages.receive(sealed.encode())
    return refused.value


TAMPERED = {
    "amount": "1",
    "merchant": b"\x07" * 20,
    "inspect_within": 0,
    "arbiter": b"\x07" * 20,
    "deliver_within": 1,
    "delivery_code": b"\x01" * 32,
}


async def test_tampered_quote_is_refused_and_cannot_be_paid(market) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    [quote] = said(shop, key, "order/quote")
    for field, value in TAMPERED.items():
        error = await forge(shop, buyer, quote, terms=quote.body["terms"] | {field: value})
        assert (error.code, error.facts["changed"]) == ("quote-mismatch", (field,))
        order = buyer.trade.order(key)
        assert order.quote is not None
        assert order.quote.mismatch == (field,)
    with pytest.raises(Refused) as refused:
        await buyer.trade.approve(key)
    assert refused.value.code == "quote-mismatch"
    assert buyer.trade.order(key).transactions == ()


async def test_quote_signed_by_a_stranger_is_refused(market) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    [quote] = said(shop, key, "order/quote")
    [own] = said(buyer, key, "order/request")
    error = await forge(shop, buyer, quote, signature=own.sig)
    assert error.code in ("not-authorised", "bad-signature")


async def test_every_message_delivered_three_times_has_one_effect(hall: Hall, market) -> None:
    shop, buyer = market
    hall.copies = 3
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    await shop.trade.ship(key, "La Poste", "9C")
    await buyer.trade.chat(key, "Thank you")
    await settle(shop, buyer)
    assert len(shop.trade.orders()) == 1
    assert len(buyer.trade.order(key).shipments) == 1
    assert [line.text for line in shop.trade.order(key).chat] == ["Thank you"]
    assert shop.catalog.stock("shirt")[0].on_hand == 9
    for home in market:
        lines = [(entry.key, entry.at, entry.tx_hash) for entry in home.trade.order(key).timeline]
        assert len(lines) == len(set(lines))


@pytest.mark.parametrize("seed", range(2))
async def test_messages_in_any_order_make_the_same_order(hall: Hall, market, seed: int) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    for number in range(3):
        await buyer.trade.chat(key, f"line {number}")
    await buyer.trade.cancel(key)
    envelopes: list[bytes] = []

    class Catch:
        async def deliver(self, peer_id: str, addrs: Any, envelope: bytes) -> None:
            envelopes.append(envelope)

    buyer.messages._courier._network = Catch()
    await buyer.messages.deliver_due()
    Random(seed).shuffle(envelopes)
    for envelope in envelopes:
        await shop.messages.receive(envelope)
    order = shop.trade.order(key)
    assert order.status == "cancelled"
    assert sorted(line.text for line in order.chat) == ["line 0", "line 1", "line 2"]
    assert shop.messages.inbound_counts().parked == 0
    assert shop.catalog.stock("shirt")[0].reserved == 0


async def test_last_piece_is_promised_once_under_concurrent_requests(hall: Hall) -> None:
    shop = await hall.home("camille")
    buyers = [await hall.home(f"buyer{number}") for number in range(4)]
    await shop.fund_wallet()
    await shop.open_shop(shirt(on_hand=1))
    await settle(shop)
    keys = [await buyer.buy(shop) for buyer in buyers]
    await asyncio.gather(*(buyer.messages.deliver_due() for buyer in buyers))
    await settle(shop, *buyers)
    statuses = sorted(buyer.trade.order(key).status for buyer, key in zip(buyers, keys, strict=True))
    assert statuses == ["declined", "declined", "declined", "quoted"]
    [shelf] = shop.catalog.stock("shirt")
    assert (shelf.on_hand, shelf.reserved) == (1, 1)


async def test_stock_is_never_oversold_when_threads_race(market) -> None:
    shop, _ = market

    def grab() -> bool:
        try:
            shop.db.write_blocking(lambda conn: stock.reserve(conn, "shirt", "S-1", 3))
        except Refused:
            return False
        return True

    won = await asyncio.gather(*(asyncio.to_thread(grab) for _ in range(16)))
    assert sum(won) == 3
    assert shop.catalog.stock("shirt")[0].reserved == 9


async def test_ten_thousand_attempts_at_one_shelf_sell_what_is_there_and_never_less_than_nothing(market) -> None:
    """Reserve, take, free and put back from many threads at once; the shelf's own law is checked after every change."""
    shop, _ = market
    lines = shop.catalog.product("shirt").form.variants
    workers, attempts, pieces = 8, 1_250, 10
    assert workers * attempts == 10_000
    assert lines[0].on_hand == pieces
    counts = Counter[str]()
    lock = threading.Lock()

    def work(seed: int) -> None:
        chance = Random(seed)
        for _ in range(attempts):
            outcome = shop.db.write_blocking(lambda conn: _attempt(conn, chance))
            with lock:
                counts[outcome] += 1

    await asyncio.gather(*(asyncio.to_thread(work, seed) for seed in range(workers)))
    [shelf] = shop.catalog.stock("shirt")
    assert sum(counts.values()) == 10_000
    assert counts["sold-out"] > 0
    assert shelf.on_hand == pieces - counts["taken"]
    assert shelf.reserved == counts["kept"]
    assert 0 <= shelf.reserved <= shelf.on_hand


def _attempt(conn: Any, chance: Random) -> str:
    """One buyer's try: some pay, some walk away, some keep the promise open, some bring it back."""
    try:
        stock.reserve(conn, "shirt", "S-1", 1)
    except Refused:
        return "sold-out"
    found = stock.level(conn, "shirt", "S-1")
    assert found is not None
    assert 0 <= found.reserved <= found.on_hand
    draw = chance.random()
    if draw < 0.0005:
        return "kept"
    if draw < 0.3:
        stock.free(conn, "shirt", "S-1", 1)
        return "freed"
    stock.take(conn, "shirt", "S-1", 1)
    if draw < 0.999:
        stock.put_back(conn, "shirt", "S-1", 1)
        return "brought-back"
    return "taken"


async def test_loser_of_the_race_for_the_last_piece_is_told_and_may_ask_again_when_it_is_free(hall: Hall) -> None:
    shop = await hall.home("camille")
    first, second = await hall.home("noe"), await hall.home("lea")
    await shop.fund_wallet()
    await shop.open_shop(shirt(on_hand=1))
    await settle(shop)
    won, lost = await first.buy(shop), await second.buy(shop)
    await settle(first, shop)
    await settle(second, shop)
    assert (first.trade.order(won).status, second.trade.order(lost).status) == ("quoted", "declined")
    reason = [entry for entry in second.trade.order(lost).timeline if entry.key == "timeline.declined"]
    assert reason[0].params["reason"] == "Only 0 of S-1 are left."
    await first.trade.cancel(won)
    await settle(first, shop)
    assert shop.catalog.stock("shirt")[0].reserved == 0
    await shop.publish()
    again = await second.buy(shop)
    await settle(second, shop)
    assert second.trade.order(again).status == "quoted"


async def test_payment_is_made_once_when_killed_before_the_broadcast(market) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)  # committed: order, permit, transaction row; nothing broadcast
    await buyer.reopen()
    with pytest.raises(Refused) as refused:
        await buyer.trade.approve(key)
    assert refused.value.code == "already-sent"
    await settle(buyer, shop)
    count = buyer.db.read(
        lambda conn: conn.execute(
            select(func.count()).select_from(chain_tx).where(chain_tx.c.purpose == "fund")
        ).scalar()
    )
    assert count == 1
    assert buyer.trade.order(key).status == "accepted"
    assert shop.trade.order(key).status == "accepted"


async def test_shipment_message_and_transaction_survive_a_kill_together(market) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    await shop.trade.ship(key, "La Poste", "kill")
    await shop.reopen()
    await settle(shop, buyer)
    order = buyer.trade.order(key)
    assert (order.status, [each.tracking for each in order.shipments]) == ("shipped", ["kill"])


async def test_request_waits_when_the_merchant_destroyed_the_prekey_it_was_sealed_to(hall: Hall, market) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    destroyed = shop.keys.destroy_prekeys(2**40)
    assert destroyed
    await buyer.messages.deliver_due()
    [waiting] = buyer.messages.outgoing()
    assert (waiting.state, waiting.error_code) == ("queued", "prekey-unknown")
    assert shop.messages.quarantine()[0].error_code == "prekey-unknown"
    # The shop publishes its new prekey; the same message is sealed again.
    shop.keys.rotate_prekeys(shop.clock())
    await shop.publish()
    await settle(buyer, shop)
    assert buyer.trade.order(key).status == "quoted"


async def test_request_at_an_old_price_is_declined_with_the_reason(hall: Hall, market) -> None:
    shop, buyer = market
    hall.away.add("camille")
    key = await buyer.buy(shop)
    form = shirt()
    dearer = replace(form.variants[0], price=form.variants[0].price * 2)
    await shop.catalog.save_product(replace(form, variants=(dearer,)))
    await shop.publish()
    hall.away.clear()
    await settle(buyer, shop)
    order = buyer.trade.order(key)
    assert order.status == "declined"
    assert any(entry.key == "timeline.declined" for entry in order.timeline)
    assert shop.trade.order(key).problem == "listing-changed"


async def test_request_right_after_the_chains_clock_moved_is_quoted(market) -> None:
    """The shop last asked for the chain's time before it moved: it must not judge the buyer's by its own."""
    shop, buyer = market
    await buyer.chain.dev_advance(10 * DAY_S)
    key = await buyer.buy(shop)
    await buyer.messages.deliver_due()
    assert shop.trade.order(key).problem == "chain-time-old"

    async def is_quoted() -> bool:
        await settle(shop, buyer)  # the shop asks for the time once a round; the next second is a later one
        return buyer.trade.order(key).status == "quoted"

    await until(is_quoted)
    assert not shop.trade.order(key).problem


async def test_proposal_that_overtakes_the_payment_is_taken(hall: Hall, market) -> None:
    """The chain is slower at the shop than the buyer's message: the order must not be stuck between the two."""
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer)
    held = buyer.trade.order(key).balance.held
    await buyer.trade.propose_settlement(key, held // 2)
    await buyer.messages.deliver_due()
    assert shop.trade.order(key).balance.held == 0
    await settle(shop, buyer)
    await shop.trade.act(key, "accept_settlement")
    await settle(shop, buyer)
    assert buyer.trade.order(key).summary.outcome == "settled"


async def test_two_orders_paid_at_once_are_both_paid(market) -> None:
    shop, buyer = market
    keys = [await buyer.buy(shop), await buyer.buy(shop)]
    await settle(buyer, shop)
    await asyncio.gather(*(buyer.trade.approve(key) for key in keys))
    await settle(buyer, shop)
    for key in keys:
        order = buyer.trade.order(key)
        assert order.summary.payment == "escrowed", order.transactions


async def test_second_payout_is_not_offered_before_the_first_is_seen(market) -> None:
    """The refund is in a block, its event not read yet: a second click would pay twice."""
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    await shop.trade.refund(key, 100)
    while shop.trade.order(key).transactions[-1].state in ("queued", "signed", "sent"):
        await shop.chain.outbox.step()
    assert shop.trade.order(key).balance.to_buyer == 0
    assert not names(shop.trade.order(key)) & {"refund", "accept_settlement"}
    with pytest.raises(Refused, match="not possible now"):
        await shop.trade.refund(key, 100)
    await settle(shop, buyer)
    assert buyer.trade.order(key).balance.to_buyer == 100
    assert "refund" in names(shop.trade.order(key))


async def test_shop_that_was_cut_off_for_weeks_does_not_claim_what_is_over(market, monkeypatch) -> None:
    shop, buyer = market
    monkeypatch.setattr(background, "READ_UP_S", 0.2)
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    await shop.trade.ship(key, "La Poste", "6A1")
    await settle(shop, buyer)
    await buyer.trade.act(key, "hand_over", code=buyer.trade.order(key).delivery_code)
    await settle(buyer, shop)
    await buyer.trade.act(key, "release")
    await settle(buyer)
    await buyer.chain.dev_advance(60 * DAY_S)
    await shop.trade.work_once()  # it knows what time it is, and not yet what happened
    assert all(each.purpose != "claim" for each in shop.trade.order(key).transactions)
    await settle(shop, buyer)
    assert shop.trade.order(key).summary.outcome == "released"


async def test_offer_nobody_accepts_goes_back_to_the_buyer(hall: Hall, market) -> None:
    shop, buyer = market
    hall.away.add("camille")
    key = await buyer.buy(shop)
    await buyer.trade.approve(key)
    await settle(buyer)
    await buyer.chain.dev_advance(4 * DAY_S)
    await settle(buyer)
    await buyer.trade.act(key, "lapse")
    await settle(buyer)
    order = buyer.trade.order(key)
    assert (order.summary.outcome, order.summary.payment) == ("lapsed", "refunded")
    assert order.balance.to_buyer == order.balance.total_in


async def test_buyer_takes_money_back_from_a_late_merchant_and_stock_returns(market) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    assert shop.catalog.stock("shirt")[0].on_hand == 9
    await buyer.chain.dev_advance(6 * DAY_S)
    await settle(buyer, shop)
    await buyer.trade.act(key, "reclaim")
    await settle(buyer, shop)
    assert shop.trade.order(key).summary.outcome == "reclaimed"
    assert shop.catalog.stock("shirt")[0].on_hand == 10


async def test_unpaid_quote_frees_its_stock_after_a_while(market) -> None:
    shop, buyer = market
    await buyer.buy(shop, quantity=4)
    await settle(buyer, shop)
    assert shop.catalog.stock("shirt")[0].reserved == 4
    now = shop.clock()
    shop.clock = lambda: now + DAY_S
    await shop.reopen()
    await settle(shop)
    assert shop.catalog.stock("shirt")[0].reserved == 0


async def test_order_paid_after_its_stock_was_freed_still_takes_the_piece(hall: Hall, market) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    lines = shop.db.read(lambda conn: book.find(conn, key)).known_document().lines
    await shop.db.write(lambda conn: goods.release(conn, key, lines))
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    assert shop.catalog.stock("shirt")[0].on_hand == 9


async def test_token_of_eighteen_decimals_works_the_whole_way(hall: Hall, market) -> None:
    shop, buyer = market
    symbol = next(name for name, (_, decimals) in buyer.chain.contracts.tokens.items() if decimals == 18)
    key = await buyer.buy(shop, quantity=9, token_symbol=symbol)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    order = shop.trade.order(key)
    assert order.balance.total_in == (9 * 2_500 + 490) * 10**16
    await shop.trade.propose_settlement(key, order.balance.held // 2)
    await settle(shop, buyer)
    await buyer.trade.accept_settlement(key)
    await settle(buyer, shop)
    assert shop.trade.order(key).summary.outcome == "settled"


async def test_stranger_cannot_speak_in_an_order(hall: Hall, market) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    eve = await hall.home("eve")
    thread = said(buyer, key, "order/request")[0].thread
    message = sign_message(
        eve.keys.operator_private,
        id=b"e" * 16,
        thread=thread,
        type="order/cancel",
        sender=eve.address,
        to=shop.address,
        issued=shop.clock(),
        body={},
        grant=eve.keys.grant,
    )
    sealed = seal_envelope(message.encode(), shop.address, shop.keys.prekeys()[0])
    with pytest.raises(Refused) as refused:
        await shop.messages.receive(sealed.encode())
    assert refused.value.code == "not-a-party"
    assert shop.trade.order(key).status == "quoted"


IMPOSSIBLE: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("ship", {}, "action-not-now"),
    ("fly", {}, "action-unknown"),
    ("ship", {"wings": 2}, "form-invalid"),
    ("refund", {"amount": "much"}, "form-invalid"),
    ("hand_over", {"code": "zz"}, "delivery-code-wrong"),
    ("chat", {"text": ""}, "form-invalid"),
    ("chat", {"text": "x" * 5_000}, "form-invalid"),
)


async def test_impossible_move_is_refused_by_name(market) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    for action, form, code in IMPOSSIBLE:
        with pytest.raises(Refused) as refused:
            await shop.trade.act(key, action, **form)
        assert refused.value.code == code, action


async def test_nothing_a_buyer_does_logs_an_error(hall: Hall, market, caplog: pytest.LogCaptureFixture) -> None:
    shop, buyer = market
    with caplog.at_level(logging.INFO):
        key = await buyer.buy(shop)
        [request] = said(buyer, key, "order/request")
        for broken in ({"offer": None}, {"order_document": b"\xff"}, {"lines": []}):
            body = {name: value for name, value in (request.body | broken).items() if value is not None}
            try:
                message = letters.compose(buyer.trade._room, shop.address, request.thread, "order/request", body)
            except Refused:
                continue
            sealed = seal_envelope(message.encode(), shop.address, shop.keys.prekeys()[0])
            with pytest.raises((Refused, RemoteProtocolError)):
                await shop.messages.receive(sealed.encode())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert shop.db.read(lambda conn: conn.execute(select(func.count()).select_from(trade_order)).scalar()) == 0


async def test_buyer_who_never_pays_is_refused_and_told(hall: Hall, market, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, buyer = market
    monkeypatch.setattr(receiving, "MAX_OPEN_REQUESTS", 1)
    first, second = await buyer.buy(shop), await buyer.buy(shop)
    await settle(buyer, shop)
    problems = {buyer.trade.order(key).problem for key in (first, second)}
    assert problems == {"", "too-many-requests"}
    assert shop.catalog.stock("shirt")[0].reserved == 1


async def test_payment_not_safe_yet_is_not_shipped_unless_the_merchant_says_so(market) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    await shop.db.write(lambda conn: conn.execute(update(chain_event).values(finality="seen")))
    with pytest.raises(Refused) as refused:
        await shop.trade.act(key, "ship")
    assert refused.value.code == "payment-not-safe"
    await shop.trade.act(key, "ship", anyway=True)
    await settle(shop, buyer)
    assert buyer.trade.order(key).status == "shipped"


async def test_auto_accept_gives_up_after_the_same_failure_three_times(hall: Hall, market) -> None:
    shop, buyer = market
    hall.away.add("camille")
    key = await buyer.buy(shop)
    await buyer.trade.approve(key)
    await settle(buyer)
    await buyer.chain.dev_advance(4 * DAY_S)  # too late to accept; the shop's clock has not heard of it
    hall.away.clear()
    await settle(buyer, shop)
    order = shop.trade.order(shop.trade.orders()[0].order_key)
    assert order.status == "offered"
    assert len([each for each in order.transactions if each.purpose == "accept"]) <= 3
    assert "lapse" in names(order)


async def test_lists_views_and_search(market) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    trade = shop.trade
    assert [each.order_key for each in trade.orders("merchant", "to-pack")] == [key]
    assert [each.order_key for each in trade.orders(query="status:accepted customer:noé")] == [key]
    assert trade.orders("merchant", "closed") == trade.orders("buyer") == trade.orders(query="100%") == []
    assert trade.order("0x" + trade.order(key).summary.order_id[2:]).order_key == key
    with pytest.raises(Refused):
        trade.orders(view="upside-down")
    with pytest.raises(Refused):
        trade.order("nonsense")


async def test_background_work_stops_at_once_when_cancelled(market) -> None:
    shop, _ = market
    task = asyncio.create_task(shop.trade.run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
