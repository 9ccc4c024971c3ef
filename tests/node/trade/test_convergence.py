"""One order's real facts, taken in by another node of the same shop in any order: it shows the same in the end.

What the fold promises (tests/protocol/test_order_facts.py) must hold through the inbox, which parks what is early and
refuses what cannot be, and through the watcher, which may be behind or ahead of the messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from halle_node.chain import watcher_rows
from halle_node.db.schema.chain import chain_event
from halle_node.trade import book
from halle_node.trade.folding import refresh, state_of
from halle_node.trade.room import Rules
from halle_protocol.messages import Message
from halle_protocol.order import OrderState
from halle_protocol.sealing import seal_envelope
from node.trade.hall import Hall, Home, settle, shirt

SILENT = Rules(quote_by_itself=False, accept_offers_by_itself=False, claim_by_itself=False)
SEEDS = range(8)


@pytest.fixture
async def told(hall: Hall) -> tuple[Home, list[Message], list[Any], OrderState]:
    """A shop, the messages and the events of an order with nearly everything in it, and its state."""
    shop, buyer = await hall.home("camille"), await hall.home("noe")
    await shop.fund_wallet()
    await buyer.fund_wallet()
    await shop.open_shop(shirt())
    await settle(shop, buyer)
    key = await buyer.buy(shop, quantity=3)
    await buyer.trade.chat(key, "Is it blue?")
    await settle(buyer, shop)
    await buyer.trade.approve(key)
    await settle(buyer, shop)
    steps: Sequence[tuple[Home, str, dict[str, Any]]] = (
        (shop, "chat", {"text": "It is"}),
        (shop, "ship", {"lines": "S-1:1", "tracking": "P1"}),
        (buyer, "propose_settlement", {"buyer_share": 40}),
        (shop, "ship", {"tracking": "P2"}),
        (buyer, "confirm_receipt", {}),
        (buyer, "request_return", {"reason": "Too small", "lines": "S-1:1"}),
        (shop, "approve_return", {"instructions": "By post"}),
        (buyer, "send_return", {"tracking": "R1"}),
        (shop, "receive_return", {}),
        (shop, "refund", {"amount": 1_000}),
        (buyer, "propose_settlement", {"buyer_share": 500}),
        (shop, "propose_settlement", {"buyer_share": 200}),
        (buyer, "accept_settlement", {}),
    )
    for home, move, form in steps:
        await home.trade.act(key, move, **form)
        await settle(home, shop, buyer)
    assert buyer.trade.order(key).summary.outcome == "settled"
    order = shop.db.read(lambda conn: book.find(conn, key))
    mine, theirs = (home.db.read(lambda conn: state_of(conn, book.find(conn, key))) for home in (shop, buyer))
    assert mine == theirs
    messages = shop.db.read(lambda conn: book.messages(conn, key))
    rows = shop.db.read(
        lambda conn: conn.execute(select(chain_event).where(chain_event.c.subject == order.order_id)).all()
    )
    return shop, messages, list(rows), mine


async def twin_of(shop: Home, name: str) -> Home:
    """Another node of the same store, which knows nothing yet and decides nothing."""
    twin = Home(shop.hall, name, shop.keys, SILENT, shop.phrase)
    await twin.open()
    return twin


async def feed(twin: Home, fact: Any) -> bool:
    """Let a fact come in; False when it is one of our own messages whose order is not known yet."""
    if not isinstance(fact, Message):
        await twin.db.write(lambda conn: _watched(twin, conn, fact))
        return True
    if fact.sender == twin.address:
        return await twin.db.write(lambda conn: _said(twin, conn, fact))
    sealed = seal_envelope(fact.encode(), twin.address, twin.keys.prekeys()[0])
    await twin.messages.receive(sealed.encode())
    return True


def _watched(twin: Home, conn: Any, row: Any) -> None:
    known = conn.execute(select(chain_event.c.id).where(chain_event.c.id == row.id)).first()
    if known is None:
        conn.execute(chain_event.insert().values(**row._mapping))
        twin.trade._watching.on_events(conn, watcher_rows.events_by_id(conn, [row.id]))


def _said(twin: Home, conn: Any, message: Message) -> bool:
    """Add what our store has said from another of its nodes."""
    order = book.by_thread(conn, message.thread)
    if order is None:
        return False
    if all(each.id != message.id for each in book.messages(conn, order.key)):
        book.add_message(conn, order.key, message)
        refresh(conn, order.key, twin.clock())
    return True


async def test_facts_in_any_order_and_twice_make_the_same_order(
    told: tuple[Home, list[Message], list[Any], OrderState],
) -> None:
    shop, messages, events, expected = told
    for seed in SEEDS:
        rng, twin = Random(seed), await twin_of(shop, f"twin-{seed}")
        try:
            spoken = [*messages, *rng.sample(messages, len(messages) // 2)]
            rng.shuffle(spoken)
            # The chain tells in its own order; only how far it is when a message comes is open.
            facts: list[Any] = list(spoken)
            for place, event in zip(
                sorted(rng.sample(range(len(spoken) + len(events)), len(events))), events, strict=True
            ):
                facts.insert(place, event)
            waiting = [fact for fact in facts if not await feed(twin, fact)]
            for fact in waiting:
                assert await feed(twin, fact), seed
            order = twin.db.read(lambda conn: book.by_order_id(conn, expected.order_id))
            assert twin.db.read(partial(state_of, order=order)) == expected, seed
            assert twin.messages.inbound_counts().parked == 0, seed
            assert not twin.messages.quarantine(), seed
            shown, wanted = twin.trade.order(order.key), shop.trade.orders()[0]
            assert (shown.status, shown.summary.payment, shown.summary.returns) == (
                wanted.status,
                wanted.payment,
                wanted.returns,
            )
        finally:
            await twin.close()
