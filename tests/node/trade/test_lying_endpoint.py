"""A buyer one of whose chain endpoints lies: it is told, and nothing is paid, until the lie ends."""

from __future__ import annotations

import pytest

import halle_contracts
from halle_protocol.errors import Unavailable
from node.chain.proxy import Proxy
from node.trade.hall import Hall, settle, shirt


def false_answer(params: list[dict[str, str]], found: str) -> str:
    """Return another account's riches as the token's `balanceOf`, and the truth of all else."""
    call = halle_contracts.encode_call("TestToken", "balanceOf", bytes(20))[:4].hex()
    return "0x" + f"{10**30:064x}" if params[0]["data"].startswith(f"0x{call}") else found


@pytest.mark.parametrize("place", [0, 1])
async def test_nothing_is_paid_while_endpoints_contradict_each_other(
    hall: Hall, trade_chain_url: str, place: int
) -> None:
    shop = await hall.home("camille")
    async with Proxy(trade_chain_url) as first, Proxy(trade_chain_url) as second:
        hall.rpc_urls = [first.url, second.url]
        buyer = await hall.home("noe")
        await shop.fund_wallet()
        await buyer.fund_wallet()
        await shop.open_shop(shirt())
        await settle(shop, buyer)
        key = await buyer.buy(shop)
        await settle(buyer, shop)
        assert buyer.trade.order(key).status == "quoted"

        liar = (first, second)[place]
        liar.twists["eth_call"] = false_answer
        with pytest.raises(Unavailable) as caught:
            await buyer.trade.approve(key)
        assert caught.value.code == "rpc-disagree"
        with pytest.raises(Unavailable):
            await buyer.chain.wallet(buyer.address)
        await settle(buyer, shop)
        assert buyer.trade.order(key).status == "quoted"
        assert first.asked["eth_sendRawTransaction"] + second.asked["eth_sendRawTransaction"] == 0

        liar.twists.clear()
        await buyer.trade.approve(key)
        await settle(buyer, shop)
        assert buyer.trade.order(key).status == "accepted"
