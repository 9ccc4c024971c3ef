"""A machine whose store runs elsewhere now: every door that binds the store is closed, reading stays open."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from halle_node.trade.service import TradeService
from halle_node.trade.services import Services
from halle_node.trade.talking import Talking
from halle_protocol.errors import Refused
from node.trade.hall import Hall, settle, shirt

HARMLESS = {
    TradeService: {"run", "work_once", "cart_add", "cart_set", "cart_clear", "erase_customer", "file", "chat"},
    Talking: {"file", "mark_read", "note", "set_saved_answers", "run", "fetch_photos"},
    Services: set[str](),
}
"""They keep to this machine; `chat` passes on to the door of that name."""


def doors(kind: type) -> dict[str, Callable[..., Awaitable[Any]]]:
    """Return the public coroutine methods of a class that are not harmless."""
    found = inspect.getmembers(kind, inspect.iscoroutinefunction)
    return {name: each for name, each in found if not name.startswith("_") and name not in HARMLESS[kind]}


async def test_every_door_that_binds_the_store_is_closed(hall: Hall) -> None:
    home = await hall.home("camille")
    home.is_replaced = True
    for owner in (home.trade, home.trade.talks, home.trade.services):
        found = doors(type(owner))
        assert len(found) >= 3
        for name, door in found.items():
            with pytest.raises(Refused) as caught:
                await door(owner)
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
