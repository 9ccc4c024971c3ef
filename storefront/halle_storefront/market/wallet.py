"""Wallet: the buyer's address and balances; play money on the embedded chain."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from halle_node.chain.dev import dev_faucet, dev_is_embedded
from halle_protocol.errors import HalleError
from halle_protocol.keys import to_checksum

from ..failures import describe
from ..forms import see_other
from ..i18n import language_of
from ..local_pages import here, market_page
from ..node_access import ServedNode, node_of

COIN_DECIMALS = 18
TOKEN_CONTRACT = "TestToken"  # noqa: S105  # its balanceOf is every ERC-20's


@dataclass(frozen=True)
class TokenBalance:
    """What the wallet holds of one token. Units: its smallest unit."""

    symbol: str
    amount: int
    decimals: int


async def show(request: web.Request) -> web.Response:
    node, problem = node_of(request), ""
    balances: list[TokenBalance] = []
    try:
        balances = await read_balances(node)
    except HalleError as error:
        problem = describe(error, language_of(request)).title
    return market_page(
        request,
        "market/wallet.html",
        address=to_checksum(node.keys.store_address),
        balances=balances,
        problem=problem,
        embedded=dev_is_embedded(node.chain.client),
        sheet=node.trade.balance_sheet(),
    )


async def read_balances(node: ServedNode) -> list[TokenBalance]:
    client, owner = node.chain.client, node.keys.store_address
    found = []
    for symbol, (address, decimals) in client.contracts.tokens.items():
        amount = await client.call(TOKEN_CONTRACT, "balanceOf", owner, at=address)
        found.append(TokenBalance(symbol, amount, decimals))
    found.append(TokenBalance("ETH", await client.balance(owner), COIN_DECIMALS))
    return found


async def test_money(request: web.Request) -> web.Response:
    node = node_of(request)
    await dev_faucet(node.chain.client, node.keys.store_address)
    return see_other(here(request, "/market/wallet?done=test-money"))
