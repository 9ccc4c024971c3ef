"""An order whose funding a real chain undoes: its state and the books go back, and forward again, on both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from halle_contracts import encode_call
from halle_node.trade.views import Balance
from node.chain.real import Anvil, anvil_market
from node.trade.hall import Hall, Home, shirt


@pytest.fixture(scope="module")
def anvil_chain() -> Iterator[Anvil]:
    with anvil_market(7_009) as found:
        yield found


@pytest.fixture
async def market(tmp_path: Path, anvil_chain: Anvil) -> AsyncIterator[tuple[Home, Home]]:
    hall = Hall(tmp_path, anvil_chain.url)
    shop, buyer = await hall.home("camille"), await hall.home("noe")
    token, _ = buyer.chain.contracts.tokens["tEUR"]
    call = encode_call("TestToken", "mint", buyer.address, 10**9)
    anvil_chain.ask(
        "eth_sendTransaction",
        {"from": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "to": "0x" + token.hex(), "data": "0x" + call.hex()},
    )
    for address in (shop.address, shop.keys.operator_address, buyer.address, buyer.keys.operator_address):
        anvil_chain.ask("anvil_setBalance", "0x" + address.hex(), hex(10**20))
    await shop.open_shop(shirt())
    yield shop, buyer
    await hall.close()


async def until_status(status: str, key: str, *homes: Home) -> None:
    """Let all homes work until each of them sees the status."""
    for _ in range(40):
        for home in homes:
            await home.work()
        if all(home.trade.order(key).status == status for home in homes):
            return
    raise AssertionError([home.trade.order(key).status for home in homes])


async def escrowed(home: Home) -> int:
    """Return what the escrow holds on the chain."""
    contracts = home.chain.contracts
    found: int = await home.chain.client.call(
        "TestToken", "balanceOf", contracts.escrow, at=contracts.tokens["tEUR"][0]
    )
    return found


async def follow(*homes: Home) -> None:
    """Read the chain, and send nothing."""
    for home in homes:
        while await home.chain.watcher.step():
            pass


@pytest.mark.parametrize("buried", [1, 50])
async def test_order_goes_back_with_its_funding_and_forward_with_it(
    anvil_chain: Anvil, market: tuple[Home, Home], buried: int
) -> None:
    shop, buyer = market
    key = await buyer.buy(shop, quantity=2)
    await until_status("quoted", key, shop, buyer)
    height, before = anvil_chain.height, await escrowed(buyer)
    await buyer.trade.approve(key)
    await until_status("accepted", key, shop, buyer)
    amount = buyer.trade.order(key).quote
    assert amount is not None
    held = Balance(total_in=amount.amount_token, held=amount.amount_token)
    assert [home.trade.order(key).balance for home in market] == [held, held]
    sent = [(each.purpose, each.tx_hash) for each in buyer.trade.order(key).transactions]
    anvil_chain.mine(buried)
    depth = anvil_chain.height - height
    assert depth <= 64
    anvil_chain.ask("anvil_reorg", depth, [])
    await follow(shop, buyer)
    for home in market:
        order = home.trade.order(key)
        assert order.status in ("quoted", "funding")
        assert order.summary.payment != "escrowed"
        assert order.balance == Balance()
    assert not shop.trade.todo().to_pack
    assert all(row.balance.balanced for home in market for row in home.trade.balance_sheet())

    await until_status("accepted", key, shop, buyer)
    assert [home.trade.order(key).balance for home in market] == [held, held]
    assert [(each.purpose, each.tx_hash) for each in buyer.trade.order(key).transactions] == sent
    assert (shop.catalog.stock("shirt")[0].on_hand, shop.catalog.stock("shirt")[0].reserved) == (8, 0)
    assert await escrowed(buyer) - before == amount.amount_token
