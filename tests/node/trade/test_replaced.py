"""A machine whose store runs elsewhere now: every door that binds the store is closed, reading stays open."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from halle_protocol.errors import Refused
from node.trade.hall import Hall, settle, shirt

HARMLESS = {
    "TradeService": {"run", "work_once", "cart_add", "cart_set", "cart_clear", "erase_customer", "file"},
    "Talking": {"file", "mark_read", "note", "set_saved_answers", "run", "fetch_photos"},
    "Covering": {"answer_due"},
    "Bonding": {"bonds"},
}
"""They keep to this machine, or are the background's, which stops as a whole."""


def doors(owner: object) -> dict[str, Callable[..., Awaitable[Any]]]:
    """Return the public coroutine methods of an object that are not harmless."""
    harmless = HARMLESS.get(type(owner).__name__, set())
    found = inspect.getmembers(owner, inspect.iscoroutinefunction)
    return {name: each for name, each in found if not name.startswith("_") and name not in harmless}


async def test_every_door_that_binds_the_store_is_closed(hall: Hall) -> None:
    home = await hall.home("camille")
    home.is_replaced = True
    rooms = [home.trade, *(each for name, each in vars(home.trade).items() if not name.startswith("_"))]
    assert len(rooms) > 5
    for owner in rooms:
        found = doors(owner)
        assert found
        for name, door in found.items():
            with pytest.raises(Refused) as caught:
                await door()
            assert caught.value.code == "replaced-elsewhere", name


async def test_replaced_machine_promises_nothing_and_goes_on_when_it_is_the_store_again(hall: Hall) -> None:
    shop, buyer = await hall.home("camille"), await hall.home("noe")
    await shop.fund_wallet()
    await buyer.fund_wallet()
    await shop.open_shop(shirt())
    await settle(shop, buyer)
    shop.is_replaced = True
    key = await buyer.buy(shop)
    await settle(buyer, shop)
    assert buyer.trade.order(key).status == "requested"
    assert not [row for row in shop.messages.outgoing() if row.state == "queued"]
    with pytest.raises(Refused) as caught:
        await shop.trade.accept(key)
    assert caught.value.code == "replaced-elsewhere"
    with pytest.raises(Refused) as caught:
        await shop.trade.chat(key, "Soon")
    assert caught.value.code == "replaced-elsewhere"

    shop.is_replaced = False
    await shop.trade.accept(key)
    await settle(shop, buyer)
    assert buyer.trade.order(key).status == "quoted"
