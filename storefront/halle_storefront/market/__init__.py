"""The buyer's local client: search the whole hall, one cart over many shops, orders, wallet."""

from __future__ import annotations

from aiohttp import web

from ..i18n import LANGUAGE_PATTERN
from . import cart, certificates, covers, messages, orders, search, wallet


def routes() -> list[web.AbstractRouteDef]:
    base = f"/{LANGUAGE_PATTERN}/market"
    return [
        web.get(f"{base}/", search.home),
        web.get(base + "/p/{store}/{handle}", search.product),
        web.post(base + "/p/{store}/{handle}/ask", messages.ask),
        web.post(base + "/s/{store}/ask", messages.ask),
        web.get(f"{base}/messages", messages.inbox),
        web.get(base + "/messages/{key}", messages.talk),
        web.post(base + "/messages/{key}", messages.say),
        web.get(base + "/messages/{key}/file/{file}", messages.photo),
        web.get(f"{base}/stores", search.stores),
        web.get(base + "/s/{store}", search.store),
        web.post(base + "/s/{store}/follow", search.follow),
        web.get(f"{base}/cart", cart.show),
        web.post(f"{base}/cart/add", cart.add),
        web.post(f"{base}/cart/set", cart.change),
        web.get(base + "/checkout/{store}", cart.checkout),
        web.post(base + "/checkout/{store}", cart.ask_quote),
        web.get(f"{base}/orders", orders.listing),
        web.get(base + "/orders/{key}", orders.order),
        web.post(base + "/orders/{key}/act/{action}", orders.act),
        web.get(base + "/orders/{key}/file/{file}", orders.file),
        web.post(base + "/orders/{key}/cover", covers.ask),
        web.post(base + "/covers/{key}/buy", covers.buy),
        web.get(f"{base}/certificates", certificates.listing),
        web.post(base + "/certificates/{name}/act/{action}", certificates.act),
        web.get(f"{base}/wallet", wallet.show),
        web.post(f"{base}/wallet/test-money", wallet.test_money),
    ]
