"""An order from cart to review, and the ways it can go differently, on a real chain."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from halle_node.db.schema.trade import trade_order
from halle_node.trade import background, book
from halle_node.trade.views import Balance
from node.trade.hall import Hall, Home, names, settle, shirt

DAY_S = 86_400


@pytest.fixture
async def market(hall: Hall) -> tuple[Home, Home]:
    shop, buyer = await hall.home("camille"), await hall.home("noe")
    await shop.fund_wallet()
    await buyer.fund_wallet()
    await shop.open_shop(shirt())
    await settle(shop, buyer)
    return shop, buyer


async def test_order_goes_from_cart_to_review_and_warranty(market: tuple[Home, Home]) -> None:
    shop, buyer = market
    key = await buyer.buy(shop, quantity=2)
    assert buyer.trade.order(key).status == "requested"
    assert buyer.trade.cart().count == 0
    await settle(buyer, shop)
    quoted = buyer.trade.order(key)
    assert quoted.status == "quoted"
    assert quoted.problem == ""
    assert quoted.quote is not None
    assert quoted.quote.signed
    assert quoted.total.amount_minor == 2 * 2_500 + 490
    assert any("54.90" in word for word in quoted.terms_words)
    assert shop.catalog.stock("shirt")[0].reserved == 2

    await buyer.trade.approve(key)
    await settle(buyer, shop)
    assert buyer.trade.order(key).status == "accepted"
    sold = shop.trade.order(key)
    assert sold.status == "accepted"
    assert sold.address is not None
    assert sold.address.city == "Brest"
    assert [each.order_key for each in shop.trade.todo().to_pack] == [key]
    assert (shop.catalog.stock("shirt")[0].on_hand, shop.catalog.stock("shirt")[0].reserved) == (8, 0)

    await shop.trade.act(key, "ship", carrier="La Poste", tracking="6A123")
    await settle(shop, buyer)
    assert buyer.trade.order(key).shipments[0].tracking == "6A123"
    await shop.trade.act(key, "hand_over", code=buyer.trade.order(key).delivery_code)
    await settle(shop, buyer)
    assert buyer.trade.order(key).status == "delivered"

    await shop.chain.dev_advance(8 * DAY_S)
    await settle(shop, buyer)
    amount = quoted.quote.amount_token
    for home in market:
        closed = home.trade.order(key)
        assert (closed.status, closed.summary.outcome, closed.summary.payment) == ("closed", "claimed", "released")
        assert closed.balance == Balance(total_in=amount, to_merchant=amount)

    await buyer.trade.act(key, "review", rating=5, text="Lovely")
    assert buyer.catalog.announcement() is not None
    await shop.index.ingest_head(buyer.catalog.announcement(), buyer.keys.grant.peer_id)
    await shop.index.verify_reviews()
    [review] = shop.index.reviews(shop.address, "shirt")
    assert (review.rating, review.verified) == (5, True)

    await shop.trade.act(key, "issue_warranty")
    await settle(shop, buyer)
    [certificate] = buyer.trade.order(key).certificates
    assert (certificate.status, certificate.cover_token) == ("active", amount)
    await buyer.trade.act(key, "open_warranty_claim", amount=amount // 2, text="A button is lost")
    await settle(buyer, shop)
    assert shop.trade.todo().warranty_claims
    await shop.trade.act(key, "accept_warranty_claim")
    await settle(shop, buyer)
    [certificate] = buyer.trade.order(key).certificates
    assert (certificate.status, certificate.cover_token) == ("paid", amount - amount // 2)
    assert all(row.balance.balanced for home in market for row in home.trade.balance_sheet())
    assert not [entry for entry in buyer.trade.order(key).timeline if entry.finality in ("failed", "pending")]


async def test_offer_to_absent_merchant_is_found_on_chain_accepted_and_shipped(hall: Hall, market) -> None:
    shop, buyer = market
    hall.away.add("camille")
    key = await buyer.buy(shop)
    await settle(buyer)
    assert "make_offer" in names(buyer.trade.order(key))
    await buyer.trade.approve(key)
    await settle(buyer)
    assert buyer.trade.order(key).status == "offered"

    # The chain is heard before the message: money is in escrow and somebody here knows.
    await shop.reopen()
    while await shop.chain.watcher.step():
        pass
    await shop.trade.work_once()
    [found] = shop.trade.orders("merchant")
    assert (found.status, found.from_chain_only, found.problem) == ("offered", True, "order-message-missing")
    assert shop.trade.order(found.order_key).quote is not None  # the terms came from the funding transaction

    hall.away.clear()
    await settle(buyer, shop)
    joined = shop.trade.order(key if shop.trade.orders("merchant")[0].order_key == key else found.order_key)
    assert (joined.status, joined.problem) == ("accepted", "")
    assert joined.lines[0].handle == "shirt"
    assert shop.catalog.stock("shirt")[0].on_hand == 9
    await shop.trade.ship(joined.order_key, "La Poste", "7B")
    await settle(shop, buyer)
    assert buyer.trade.order(key).status == "shipped"


async def test_payment_that_shows_no_terms_keeps_no_other_order_from_its_own(hall: Hall, market) -> None:
    shop, buyer = market
    hall.away.add("camille")
    key = await buyer.buy(shop)
    await settle(buyer)
    await buyer.trade.approve(key)
    await settle(buyer)
    # Somebody has paid through a contract of their own: its transaction is none of the escrow's.
    strange = {"order_key": "0" * 32, "role": "merchant", "order_id": bytes(32), "funded_tx": bytes(32)}
    sides = {"merchant": shop.address, "buyer": bytes(20), "created_at": 1, "updated_at": 1}
    await shop.db.write(lambda conn: book.add(conn, **strange, **sides))
    await shop.reopen()
    while await shop.chain.watcher.step():
        pass
    await shop.trade.work_once()
    [found] = [each.order_key for each in shop.trade.orders("merchant") if each.order_key != strange["order_key"]]
    assert shop.trade.order(found).quote is not None


async def test_order_is_shared_out_by_mutual_settlement(market: tuple[Home, Home]) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    amount = buyer.trade.order(key).balance.total_in
    await buyer.trade.act(key, "propose_settlement", buyer_share=amount // 4, note="It is late")
    await settle(buyer, shop)
    assert "accept_settlement" in names(shop.trade.order(key))
    assert shop.trade.order(key).settlements[0].live
    await shop.trade.act(key, "accept_settlement")
    await settle(shop, buyer)
    expected = Balance(total_in=amount, to_buyer=amount // 4, to_merchant=amount - amount // 4)
    for home in market:
        assert home.trade.order(key).balance == expected
        assert home.trade.order(key).summary.outcome == "settled"
    assert shop.catalog.stock("shirt")[0].on_hand == 10  # it never left the shelf


async def test_partial_refund_then_release_adds_up(market: tuple[Home, Home]) -> None:
    shop, buyer = market
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    amount = buyer.trade.order(key).balance.total_in
    await shop.trade.act(key, "refund", amount=1_000)
    await settle(shop, buyer)
    assert buyer.trade.order(key).balance == Balance(amount, to_buyer=1_000, held=amount - 1_000)
    await buyer.trade.act(key, "release")
    await settle(shop, buyer)
    assert shop.trade.balance(key) == Balance(amount, to_buyer=1_000, to_merchant=amount - 1_000)


async def test_orders_that_wait_for_long_keep_none_from_its_turn(
    market: tuple[Home, Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, buyer = market
    keys = {await buyer.buy(shop) for _ in range(3)}
    monkeypatch.setattr(background, "BATCH", 2)
    rounds, query = buyer.trade._background, select(trade_order.c.order_key)
    first, then, again = (rounds._next_of("test", query) for _ in range(3))
    assert (len(first), len(then)) == (2, 1)
    assert {*first, *then} == keys
    assert again == first
