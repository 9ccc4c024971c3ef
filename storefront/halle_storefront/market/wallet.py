"""Wallet: the buyer's address and balances; play money on the embedded chain."""

from __future__ import annotations

from aiohttp import web

from halle_protocol.errors import HalleError
from halle_protocol.keys import to_checksum

from ..failures import describe
from ..forms import see_other
from ..i18n import language_of
from ..local_pages import here, market_page
from ..node_access import node_of

COIN_DECIMALS = 18


async def show(request: web.Request) -> web.Response:
    node, wallet, problem = node_of(request), None, ""
    try:
        wallet = await node.chain.wallet(node.keys.store_address)
    except HalleError as error:
        problem = describe(error, language_of(request)).title
    return market_page(
        request,
        "market/wallet.html",
        address=to_checksum(node.keys.store_address),
        wallet=wallet,
        coin_decimals=COIN_DECIMALS,
        trouble=problem,
        sheet=node.trade.balance_sheet(),
    )


async def test_money(request: web.Request) -> web.Response:
    node = node_of(request)
    await node.chain.dev_faucet(node.keys.store_address)
    return see_other(here(request, "/market/wallet?done=test-money"))
