"""Stock: promised once, sold once, never below zero, whatever the order of events."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import Connection, create_engine, insert, update
from sqlalchemy.exc import IntegrityError

from halle_node.catalog import VariantForm, stock
from halle_node.db import open_database
from halle_node.db.schema import catalog as tables
from halle_protocol.errors import LocalProtocolError, Refused
from node.catalog.shop import Shop, euros, shirt

SKU = "blue-shirt"


async def test_reserve_takes_what_is_left_and_no_more(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    await shop.db.write(lambda connection: stock.reserve(connection, SKU, SKU, 9))
    with pytest.raises(Refused) as refusal:
        await shop.db.write(lambda connection: stock.reserve(connection, SKU, SKU, 2))
    assert refusal.value.code == "out-of-stock"
    assert refusal.value.facts["free"] == 1
    await shop.db.write(lambda connection: stock.take(connection, SKU, SKU, 4))
    await shop.db.write(lambda connection: stock.free(connection, SKU, SKU, 5))
    (level,) = shop.catalog.stock(SKU)
    assert (level.on_hand, level.reserved, level.free) == (6, 0, 6)


async def test_last_item_is_promised_once_under_concurrency(shop: Shop) -> None:
    await shop.catalog.save_product(shirt(variants=(VariantForm(price=euros(1), on_hand=3),)))

    async def one() -> bool:
        try:
            await shop.db.write(lambda connection: stock.reserve(connection, SKU, SKU, 1))
        except Refused:
            return False
        return True

    assert sum(await asyncio.gather(*(one() for _ in range(20)))) == 3


async def test_take_refuses_what_was_not_reserved(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    for change in (stock.take, stock.free):
        with pytest.raises(LocalProtocolError) as failure:
            await shop.db.write(lambda connection, change=change: change(connection, SKU, SKU, 1))
        assert failure.value.code == "stock-not-reserved"


async def test_untracked_and_oversold_variants_are_always_to_be_had(shop: Shop) -> None:
    variants = (
        VariantForm(price=euros(1), sku="made", tracked=False),
        VariantForm(price=euros(1), sku="over", oversell=True, options={"Size": "M"}),
    )
    await shop.catalog.save_product(shirt(options=("Size",), variants=variants))
    for sku in ("made", "over", "unknown"):
        await shop.db.write(lambda connection, sku=sku: stock.reserve(connection, SKU, sku, 5))
        await shop.db.write(lambda connection, sku=sku: stock.take(connection, SKU, sku, 5))
    assert [(one.on_hand, one.reserved) for one in shop.catalog.stock(SKU)] == [(0, 0), (0, 0)]


async def test_set_stock_keeps_promises(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    await shop.db.write(lambda connection: stock.reserve(connection, SKU, SKU, 4))
    with pytest.raises(Refused) as refusal:
        await shop.catalog.set_stock(SKU, SKU, 3)
    assert refusal.value.code == "stock-below-promised"
    assert (await shop.catalog.set_stock(SKU, SKU, 4)).free == 0
    with pytest.raises(Refused):
        await shop.catalog.set_stock(SKU, "none", 1)
    with pytest.raises(Refused):
        await shop.catalog.set_stock(SKU, SKU, -1)


async def test_saving_a_product_keeps_what_is_promised(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    await shop.db.write(lambda connection: stock.reserve(connection, SKU, SKU, 4))
    other = (VariantForm(price=euros(1), sku="new", on_hand=1),)
    await shop.catalog.save_product(shirt(variants=other))
    assert {(one.sku, one.reserved) for one in shop.catalog.stock(SKU)} == {("blue-shirt", 4), ("new", 0)}
    await shop.catalog.save_product(shirt(variants=(VariantForm(price=euros(1), sku=SKU, on_hand=1),)))
    assert [(one.sku, one.on_hand, one.reserved) for one in shop.catalog.stock(SKU)] == [(SKU, 4, 4)]


async def test_low_stock_lists_what_runs_out(shop: Shop) -> None:
    await shop.catalog.save_product(shirt())
    assert shop.catalog.low_stock() == []
    await shop.catalog.set_stock(SKU, SKU, 3)
    assert [one.sku for one in shop.catalog.low_stock()] == [SKU]


@pytest.mark.parametrize("values", [{"on_hand": -1}, {"reserved": -1}, {"reserved": 11}])
async def test_table_refuses_impossible_stock(shop: Shop, values: dict[str, int]) -> None:
    await shop.catalog.save_product(shirt())
    with pytest.raises(IntegrityError):
        await shop.db.write(lambda connection: connection.execute(update(tables.stock).values(values)).rowcount)


class StockMachine(RuleBasedStateMachine):
    """Any sequence of orders against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = create_engine("sqlite://")
        self.connection: Connection = self.engine.connect()
        tables.metadata.create_all(self.connection)
        self.on_hand = self.reserved = 0

    @initialize(on_hand=st.integers(0, 5))
    def stand(self, on_hand: int) -> None:
        self.on_hand = on_hand
        values = {"handle": "h", "sku": "s", "on_hand": on_hand, "reserved": 0, "tracked": True, "oversell": False}
        self.connection.execute(insert(tables.stock).values(values))

    @rule(quantity=st.integers(1, 4))
    def reserve(self, quantity: int) -> None:
        fits = self.reserved + quantity <= self.on_hand
        try:
            stock.reserve(self.connection, "h", "s", quantity)
        except Refused:
            assert not fits
            return
        assert fits
        self.reserved += quantity

    @rule(quantity=st.integers(1, 4), sell=st.booleans())
    def settle(self, quantity: int, sell: bool) -> None:
        try:
            (stock.take if sell else stock.free)(self.connection, "h", "s", quantity)
        except LocalProtocolError:
            assert quantity > self.reserved
            return
        assert quantity <= self.reserved
        self.reserved -= quantity
        self.on_hand -= quantity if sell else 0

    @rule(count=st.integers(-1, 6))
    def count(self, count: int) -> None:
        try:
            stock.set_on_hand(self.connection, "h", "s", count)
        except Refused:
            assert count < self.reserved or count < 0
            return
        self.on_hand = count

    @invariant()
    def rows_agree(self) -> None:
        level = stock.level(self.connection, "h", "s")
        if level is not None:
            assert (level.on_hand, level.reserved) == (self.on_hand, self.reserved)
            assert 0 <= level.reserved <= level.on_hand

    def teardown(self) -> None:
        self.connection.close()
        self.engine.dispose()


StockMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
test_stock_agrees_with_its_model = StockMachine.TestCase


def test_stock_survives_closing(tmp_path: Path) -> None:
    db = open_database(tmp_path / "a.db")
    values = {"handle": "h", "sku": "s", "on_hand": 2, "reserved": 0, "tracked": True, "oversell": False}
    db.write_blocking(lambda connection: connection.execute(insert(tables.stock).values(values)).rowcount)
    db.write_blocking(lambda connection: stock.reserve(connection, "h", "s", 2))
    db.close()
    db = open_database(tmp_path / "a.db")
    level = db.read(lambda connection: stock.level(connection, "h", "s"))
    assert level is not None
    assert level.free == 0
    db.close()
