"""Conversations between two homes: before an order, in it, with photos, within limits; and what owners hear of them."""

from __future__ import annotations

import io
import secrets
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from halle_node.db.schema.trade import trade_talk_line
from halle_node.notify import notices
from halle_node.trade import answering, news, talks
from halle_node.trade.folding import refresh
from halle_protocol.errors import HalleError, Refused
from halle_protocol.messages import Message, sign_message, thread_of
from halle_protocol.sealing import seal_envelope
from node.trade.hall import Hall, Home, settle, shirt

DAY_S = 86_400


def photo(colour: str = "red", exif: bool = True) -> bytes:
    """A JPEG that says where and with which camera it was taken."""
    image = Image.new("RGB", (640, 480), colour)
    notes = Image.Exif()
    if exif:
        notes[0x010F] = "SecretCamera"
    out = io.BytesIO()
    image.save(out, "JPEG", exif=notes)
    return out.getvalue()


@pytest.fixture
async def market(hall: Hall) -> tuple[Home, Home]:
    shop, buyer = await hall.home("camille"), await hall.home("noe")
    await shop.open_shop(shirt())
    await settle(shop, buyer)  # the chain is read, whose clock other tests have moved
    return shop, buyer


async def ask(shop: Home, buyer: Home, text: str = "Does it shrink?", **more: Any) -> str:
    key = await buyer.trade.talks.ask(shop.address, text, handle="shirt", **more)
    await settle(buyer, shop)
    return key


def kinds(home: Home, unread_only: bool = False) -> list[str]:
    return [each.kind for each in home.db.read(lambda c: notices.listing(c, unread_only=unread_only, limit=50))]


async def test_question_with_photo_is_answered_before_any_order(market) -> None:
    shop, buyer = market
    key = await ask(shop, buyer, name="Noé", photos=[photo()])
    [summary] = shop.trade.talks.listing("merchant")
    assert (summary.talk_key, summary.name, summary.handle, summary.unread) == (key, "Noé", "shirt", 1)
    assert (shop.trade.talks.unread().merchant, buyer.trade.talks.unread().buyer) == (1, 0)
    assert kinds(shop) == ["question"]

    shown = shop.trade.talks.show(key)
    [line] = shown.lines
    assert (line.text, line.by, line.unread) == ("Does it shrink?", "buyer", True)
    name, mime, data = await shop.trade.talks.file(key, line.photos[0].file_id)
    assert (name, mime) == ("photo 1", "image/webp")
    assert b"SecretCamera" not in data
    assert not Image.open(io.BytesIO(data)).getexif()

    await shop.trade.talks.mark_read(key)
    assert shop.trade.talks.unread().merchant == 0
    assert kinds(shop, unread_only=True) == []
    await shop.trade.talks.say(key, "No, it is washed.", photos=[photo("blue")])
    await settle(buyer, shop)
    asked, answer = buyer.trade.talks.show(key).lines
    assert (asked.delivered, answer.by, answer.text, answer.unread) == (True, "merchant", "No, it is washed.", True)
    assert kinds(buyer) == ["answer"]
    # The photo came along by itself, and is seen when its sender is off.
    await buyer.trade.talks.fetch_photos()
    buyer.hall.homes.pop(shop.keys.grant.peer_id)
    assert (await buyer.trade.talks.file(key, answer.photos[0].file_id))[1] == "image/webp"
    buyer.hall.homes[shop.keys.grant.peer_id] = shop


async def test_order_made_later_stands_in_the_same_conversation(market) -> None:
    shop, buyer = market
    await shop.fund_wallet()
    await buyer.fund_wallet()
    key = await ask(shop, buyer)
    order = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(order)
    await settle(buyer, shop)
    await buyer.trade.act(order, "chat", text="Blue paper please", photos=[photo()])
    await settle(buyer, shop)
    detail = shop.trade.order(order)
    assert (detail.talk_key, detail.said_elsewhere, [line.text for line in detail.chat]) == (
        key,
        1,
        ["Blue paper please"],
    )
    assert detail.chat[0].photos
    assert (await shop.trade.file(order, detail.chat[0].photos[0].file_id))[1] == "image/webp"

    shown = shop.trade.talks.show(key)
    assert [(line.text, line.order_key) for line in shown.lines] == [
        ("Does it shrink?", ""),
        ("Blue paper please", order),
    ]
    assert (shown.other.order_count, shown.other.paid_count) == (1, 1)
    assert [str(each) for each in shown.other.sums] == [str(detail.total)]
    assert shown.about_order == order
    assert shown.summary.name == "Noé Blanc"
    # An answer in the inbox goes into the order, where evidence would look for it.
    await shop.trade.talks.say(key, "Gladly", order_key=shown.about_order)
    await settle(buyer, shop)
    assert [line.text for line in buyer.trade.order(order).chat] == ["Blue paper please", "Gladly"]
    assert buyer.trade.talks.unread().buyer == 1
    assert "order-to-pack" in kinds(shop)


async def test_private_note_never_leaves(market) -> None:
    shop, buyer = market
    key = await ask(shop, buyer)
    await shop.trade.talks.note(key, "Pays late\u202e")
    await shop.trade.talks.say(key, "Yes")
    await settle(buyer, shop)
    assert shop.trade.talks.show(key).note == "Pays late"
    assert buyer.trade.talks.show(key).note == ""
    assert b"Pays late" not in b"".join(row.content for row in rows(buyer))


def rows(home: Home) -> list[Any]:
    return home.db.read(lambda conn: conn.execute(select(trade_talk_line)).all())


async def test_stranger_waits_for_an_answer_after_five_lines(market) -> None:
    shop, buyer = market
    key = await ask(shop, buyer)
    for number in range(4):
        await buyer.trade.talks.say(key, f"And {number}?")
    with pytest.raises(Refused) as refused:
        await buyer.trade.talks.say(key, "Hello?")
    assert refused.value.code == "wait-for-answer"
    assert buyer.trade.talks.show(key).must_wait
    await settle(buyer, shop)
    # One notice for five lines, and the shop's own node counts too.
    assert kinds(shop) == ["question"]
    assert (await forced(shop, buyer, {"text": "sixth"})).code == "wait-for-answer"
    await shop.trade.talks.say(key, "Yes to all")
    await settle(buyer, shop)
    await buyer.trade.talks.say(key, "Thanks")
    await settle(buyer, shop)
    assert [line.text for line in shop.trade.talks.show(key).lines][-1] == "Thanks"


async def forced(shop: Home, writer: Home, body: dict[str, Any], thread: bytes | None = None) -> HalleError:
    """Deliver a line that the writer's own node would not send; return how the shop's node refuses it."""
    message = signed(shop, writer, body, thread)
    sealed = seal_envelope(message.encode(), shop.address, shop.keys.prekeys()[0])
    with pytest.raises(HalleError) as refused:
        await shop.messages.receive(sealed.encode())
    return refused.value


def signed(shop: Home, writer: Home, body: dict[str, Any], thread: bytes | None = None) -> Message:
    return sign_message(
        writer.keys.operator_private,
        id=secrets.token_bytes(16),
        thread=thread or thread_of(shop.address, writer.address, shop.address),
        type="chat",
        sender=writer.address,
        to=shop.address,
        issued=writer.clock(),
        body=body,
        grant=writer.keys.grant,
    )


async def test_hostile_lines_are_refused_and_leave_nothing(market) -> None:
    shop, buyer = market
    card = {"name": "x", "mime": "image/webp", "key": bytes(32), "blocks": (buyer_block(buyer),) * 3}
    attempts = {
        "photos-too-many": {"text": "a", "photos": [card | {"size_bytes": 9}] * 4},
        "file-too-large": {"text": "a", "photos": [card | {"size_bytes": 1 << 40}]},
    }
    found = {code: (await forced(shop, buyer, body)).code for code, body in attempts.items()}
    assert found == {code: code for code in attempts}
    # Nobody begins as the shop: the buyer's node hears no advertisement.
    advert = thread_of(shop.address, buyer.address, buyer.address)
    assert (await forced(shop, buyer, {"text": "Buy my pills"}, advert)).code == "not-asked"
    assert rows(shop) == []
    assert shop.trade.talks.listing() == []


def buyer_block(home: Home) -> Any:
    from halle_protocol.cid import RAW, cid_of

    return cid_of(RAW, b"nothing")


async def test_html_and_giant_names_are_data(market) -> None:
    shop, buyer = market
    text = "<script>alert(1)</script> " + "é" * 3_900
    key = await ask(shop, buyer, text, name="N" * 120)
    [line] = shop.trade.talks.show(key).lines
    assert line.text == text
    with pytest.raises(Refused) as refused:
        await buyer.trade.talks.say(key, "x" * 4_001)
    assert refused.value.code == "form-invalid"


async def test_conversations_of_strangers_are_bounded_in_an_hour(market, monkeypatch) -> None:
    shop, buyer = market
    monkeypatch.setattr(talks, "MAX_NEW_TALKS", 1)
    third = await shop.hall.home("third")
    await shop.publish()
    await ask(shop, buyer)
    await third.trade.talks.ask(shop.address, "Me too?")
    await settle(shop, buyer, third)
    assert len(shop.trade.talks.listing()) == 1
    [line] = third.trade.talks.show(third.trade.talks.listing()[0].talk_key).lines
    assert (line.delivered, line.refused) == (False, "")
    monkeypatch.setattr(talks, "MAX_NEW_TALKS", 60)
    await settle(shop, buyer, third)
    assert len(shop.trade.talks.listing()) == 2


async def test_question_reaches_a_shop_that_was_away(market) -> None:
    shop, buyer = market
    shop.hall.away.add("camille")
    key = await ask(shop, buyer)
    assert not buyer.trade.talks.show(key).lines[0].delivered
    await shop.reopen()
    shop.hall.away.clear()
    await settle(shop, buyer)
    assert shop.trade.talks.show(key).lines[0].text == "Does it shrink?"
    assert buyer.trade.talks.show(key).lines[0].delivered


async def test_own_shop_and_unknown_product_are_refused(market) -> None:
    shop, buyer = market
    for home, handle, code in ((shop, "shirt", "own-listing"), (buyer, "nothing", "listing-unknown")):
        with pytest.raises(Refused) as refused:
            await home.trade.talks.ask(shop.address, "?", handle=handle)
        assert refused.value.code == code
    for bad in ("", "zz", "abcd"):
        with pytest.raises(Refused) as refused:
            shop.trade.talks.show(bad)
        assert refused.value.code == "talk-unknown"


async def test_stranger_who_only_asked_can_be_erased(market) -> None:
    shop, buyer = market
    key = await ask(shop, buyer, name="Zéphyrine", photos=[photo()])
    await shop.trade.talks.file(key, shop.trade.talks.show(key).lines[0].photos[0].file_id)
    planned = await shop.trade.erase_customer("zéphyrine", apply=False)
    assert (planned.orders, planned.messages, planned.files, planned.applied) == (0, 1, 1, False)
    await shop.trade.erase_customer("zéphyrine", apply=True)
    assert shop.trade.talks.listing() == []
    assert rows(shop) == []
    assert kinds(shop) == []
    for path in shop.config.home.rglob("*"):
        if path.is_file():
            assert "Zéphyrine".encode() not in path.read_bytes(), path
            assert b"Does it shrink?" not in path.read_bytes(), path


async def test_the_owner_of_each_side_hears_of_an_order(market) -> None:
    shop, buyer = market
    await shop.fund_wallet()
    await buyer.fund_wallet()
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    await shop.trade.ship(key, "La Poste", "6A", anyway=True)
    await settle(buyer, shop)
    await buyer.trade.act(key, "request_return", reason="Too small")
    await settle(buyer, shop)
    await shop.trade.act(key, "approve_return", instructions="To Brest")
    await settle(buyer, shop)
    await shop.trade.refund(key, 1_000)
    await settle(buyer, shop)
    assert list(reversed(kinds(shop))) == ["order-to-pack", "return-asked"]
    assert list(reversed(kinds(buyer))) == ["quote-ready", "order-shipped", "return-answered", "refund"]
    # What is folded again, or reminded of again, is no news.
    for home in (shop, buyer):
        told = len(kinds(home))
        await home.db.write(lambda conn, home=home: refresh(conn, key, home.clock()))
        assert len(kinds(home)) == told


async def test_deadlines_and_shelves_are_told_when_they_come_near(market) -> None:
    shop, buyer = market
    await shop.fund_wallet()
    await buyer.fund_wallet()
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    until = shop.trade.order(key).summary.deadline_at

    async def remind(at: int) -> list[str]:
        await shop.db.write(lambda conn: news.remind(conn, at, at, 3))
        return [kind for kind in kinds(shop) if kind != "order-to-pack"]

    assert await remind(until - 2 * DAY_S) == []
    assert await remind(until - DAY_S) == ["sale-deadline"]
    await shop.catalog.set_stock("shirt", "S-1", 2)
    assert await remind(until - 60) == ["low-stock", "sale-deadline"]
    await shop.catalog.set_stock("shirt", "S-1", 9)
    assert len(await remind(until - 50)) == 2
    await shop.catalog.set_stock("shirt", "S-1", 2)
    assert await remind(until - 40) == ["low-stock", "low-stock", "sale-deadline"]


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        ([], []),
        ([(5, True)], []),
        ([(5, False), (9, False)], []),
        ([(10, True), (20, True), (70, False), (80, False)], [60]),
        ([(10, True), (70, False), (100, True), (130, False), (200, True)], [60, 30]),
        ([(100, True), (40, False)], [0]),
    ],
)
def test_a_question_waits_from_its_first_line_to_the_next_answer(said, waits) -> None:
    assert answering.waits(said) == waits


@pytest.mark.parametrize(
    ("seconds", "told"), [(1, 3600), (3600, 3600), (3601, 10_800), (8 * DAY_S, 0), (7 * DAY_S, 7 * DAY_S)]
)
def test_answer_time_is_rounded_up(seconds, told) -> None:
    assert answering.rounded_up(seconds) == told


async def test_answer_time_is_told_after_three_answers_and_seen_by_who_asked(market) -> None:
    shop, buyer = market
    start = shop.clock()
    now = [start]
    shop.trade._room.__dict__["clock"] = buyer.trade._room.__dict__["clock"] = lambda: now[0]
    key = await ask(shop, buyer)
    for wait in (600, 7_200, 1_200):
        now[0] += wait
        await shop.trade.talks.say(key, "Yes")
        await settle(shop, buyer)
        assert shop.trade.talks.answer_time() == (0 if wait != 1_200 else 3_600)
        await buyer.trade.talks.say(key, "And?")
        await settle(shop, buyer)
    assert buyer.trade.talks.seen_answer_time(shop.address) == 3_600
    now[0] += 91 * DAY_S
    assert (shop.trade.talks.answer_time(), buyer.trade.talks.seen_answer_time(shop.address)) == (0, 0)


async def test_saved_answers_are_kept(market) -> None:
    shop, _ = market
    await shop.trade.talks.set_saved_answers(["  Yes\u202e ", "", "No"])
    assert shop.trade.talks.saved_answers() == ("Yes", "No")
    with pytest.raises(Refused):
        await shop.trade.talks.set_saved_answers(["x" * 4_001])
