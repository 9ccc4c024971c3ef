"""A shop that came back from a back-up sells, sends and says nothing twice, and nobody learns what is not theirs."""

from __future__ import annotations

from typing import Any

from halle_node.catalog.product import VariantForm
from halle_node.trade import letters
from halle_protocol.messages import HistoryAnswer, HistoryRequest, thread_of
from halle_protocol.money import Money
from node.trade.hall import Hall, Home, names, settle, shirt

DIGITAL: dict[str, Any] = {"address": None, "rate_id": ""}


async def open_hall(hall: Hall) -> tuple[Home, Home, Home]:
    shop, buyer, other = await hall.home("camille"), await hall.home("noe"), await hall.home("lea")
    for home in (shop, buyer, other):
        await home.fund_wallet()
        await home.open_shop()
    await shop.open_shop(shirt())
    await settle(shop, buyer, other)  # the chain's clock may have been moved by other tests
    return shop, buyer, other


async def test_licence_key_handed_over_since_the_backup_is_not_sold_twice(hall: Hall) -> None:
    shop, buyer, other = await open_hall(hall)
    variant = VariantForm(price=Money(900, "EUR"), sku="FONT", on_hand=100)
    font = shirt(title="Font", handle="font", kind="digital", variants=(variant,), delivery_proof="none", warranty=None)
    await shop.catalog.save_product(font)
    await shop.publish()
    await shop.trade.digital.add_licences("font", "", ["AAA-1", "AAA-2"], 0)
    await settle(shop, buyer, other)
    first = await buyer.buy(shop, "font", **DIGITAL)
    await settle(buyer, shop)
    await shop.back_up()
    await buyer.trade.approve(first)
    await settle(buyer, shop)
    assert [each.text for each in buyer.trade.order(first).deliverables] == ["AAA-1"]

    hall.away.add("noe")
    await shop.come_back()
    await shop.publish()
    second = await other.buy(shop, "font", **DIGITAL)
    await settle(shop, other)
    await other.trade.approve(second)
    await settle(shop, other)
    assert shop.trade.order(second).problem == "history-awaited"
    assert other.trade.order(second).deliverables == ()
    assert "go_on" in names(shop.trade.order(first))

    hall.away.clear()
    await settle(shop, other, buyer)
    assert [each.text for each in other.trade.order(second).deliverables] == ["AAA-2"]
    assert [each.text for each in shop.trade.order(first).deliverables] == ["AAA-1"]
    assert [good.left for good in shop.trade.digital.shelf("font") if good.kind == "licence"] == [0]
    assert "go_on" not in names(shop.trade.order(first))


async def test_restored_shop_waits_to_ship_and_goes_on_at_its_owners_word(hall: Hall) -> None:
    shop, buyer, _ = await open_hall(hall)
    key = await buyer.buy(shop, quantity=2)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    await shop.back_up()
    hall.away.add("noe")
    await shop.come_back()
    order = shop.trade.order(key)
    assert names(order) == {"chat"}  # the chain was not read yet
    await settle(shop)
    order = shop.trade.order(key)
    assert "ship" not in names(order)
    assert {"go_on", "refund"} <= names(order)
    await shop.trade.act(key, "go_on")
    assert "ship" in names(shop.trade.order(key))
    assert shop.catalog.stock("shirt")[0].on_hand == 8


async def test_parcel_sent_since_the_backup_is_known_and_the_stock_counted_once(hall: Hall) -> None:
    shop, buyer, _ = await open_hall(hall)
    key = await buyer.buy(shop, quantity=2)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    await shop.back_up()
    await shop.trade.act(key, "ship", tracking="1A", lines="S-1:1", anyway=True)  # a part: only a message knows
    since = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(since)
    await settle(buyer, shop)
    spent = shop.trade.order(key).unsent

    await shop.come_back()
    await settle(shop, buyer)
    order = shop.trade.order(key)
    assert [parcel.tracking for parcel in order.shipments] == ["1A"]
    assert order.unsent == spent == {"S-1": 1}
    assert {"ship"} <= names(order)
    order_id = buyer.trade.order(since).summary.order_id
    assert shop.trade.order(order_id).address is not None
    assert shop.catalog.stock("shirt")[0].on_hand == 7


def ask(home: Home, to: Home, order_id: str) -> Any:
    """Return a question of one home to another."""
    from halle_node.trade.letters import reply_route

    room = home.trade._room
    body = HistoryRequest(orders=[bytes.fromhex(order_id[2:])], reply=reply_route(room, ""))
    return letters.compose(room, to.address, thread_of(home.address, to.address), "history/request", body)


async def tell(home: Home, to: Home, message: Any) -> None:
    where = letters.store_destination(home.trade._room, to.address)
    await home.db.write(lambda conn: home.messages.send(conn, message, where.prekey, where.route))
    await settle(home, to)


async def test_stranger_learns_nothing(hall: Hall) -> None:
    shop, buyer, other = await open_hall(hall)
    key = await buyer.buy(shop)
    await settle(shop, buyer, other)
    order_id = buyer.trade.order(key).summary.order_id
    await tell(other, shop, ask(other, shop, order_id))
    [row] = [row for row in other.messages.outgoing() if row.type == "history/request"]
    assert (row.state, row.error_code) == ("refused", "not-a-party")

    own = await other.buy(
        shop
    )  # now there are orders with them: of this one they still learn only that it is not theirs
    await settle(shop, buyer, other)
    await tell(other, shop, ask(other, shop, order_id))
    told = [row for row in shop.messages.outgoing() if row.type == "history/answer"]
    assert len(told) == 1
    refused = other.messages.quarantine()
    assert [(each.type, each.error_code) for each in refused] == [("history/answer", "not-a-party")]
    assert other.trade.order(own).status == "quoted"


async def test_answer_nobody_asked_for_is_refused(hall: Hall) -> None:
    shop, buyer, _ = await open_hall(hall)
    key = await buyer.buy(shop)
    await settle(shop, buyer)
    order_id = bytes.fromhex(buyer.trade.order(key).summary.order_id[2:])
    body = HistoryAnswer(order_id=order_id, total=0)
    thread = thread_of(buyer.address, shop.address)
    message = letters.compose(buyer.trade._room, shop.address, thread, "history/answer", body)
    await tell(buyer, shop, message)
    assert [each.error_code for each in shop.messages.quarantine()] == ["history-unasked"]
