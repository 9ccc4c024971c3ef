"""The owner's API under /api/v1: what `halle` and the owner's scripts call, with the secret of this start.

One row a route; each handler reads its input, makes one call on the node and answers in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from halle_node.process_use import process_use
from halle_node.reachability import judge
from halle_protocol.errors import Refused
from halle_protocol.keys import parse_address, to_checksum

from ..node_access import ServedNode, node_of
from . import covers, forms, roles, talks
from .wire import to_json

Call = Callable[[ServedNode, web.Request], Awaitable[Any]]
PREFIX = "/api/v1"


def routes() -> list[web.RouteDef]:
    """Return the owner's routes."""
    return [web.route(method, PREFIX + path, _answering(call)) for method, path, call in ROUTES]


def _answering(call: Call) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(request: web.Request) -> web.Response:
        value = to_json(await call(node_of(request), request))
        return web.Response(
            text=json.dumps(value, ensure_ascii=False),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    return handler


# --- the node itself


async def show_node(node: ServedNode, _: web.Request) -> Any:
    return {
        "store": to_checksum(node.keys.store_address),
        "operator": to_checksum(node.keys.operator_address),
        "locked": node.keys.locked,
        "peer_id": node.network.peer_id,
        "addrs": node.network.addrs,
        "head": node.catalog.current_head(),
        "chain": await node.chain.summary(),
        "chain_time": node.trade.chain_time(),
    }


async def doctor(node: ServedNode, _: web.Request) -> Any:
    return {"checks": await node.doctor()}


async def verify_blocks(node: ServedNode, _: web.Request) -> Any:
    return await node.verify_blocks()


async def pins(node: ServedNode, _: web.Request) -> Any:
    return {"pins": await node.pins(), "disk": node.blocks.stats()}


async def clean_up(node: ServedNode, request: web.Request) -> Any:
    return await node.clean_up(apply=(await forms.body_of(request)).get("apply") is True)


async def start_backup(node: ServedNode, request: web.Request) -> Any:
    return node.backup.start(Path(forms.text(await forms.body_of(request), "file")))


async def show_backup(node: ServedNode, _: web.Request) -> Any:
    return node.backup.state()


async def network(node: ServedNode, _: web.Request) -> Any:
    return {
        "peer_id": node.network.peer_id,
        "addrs": node.network.addrs,
        "peers": node.network.peers(),
        "stats": node.network.stats(),
        "syncs": [{"store": store, **to_json(one)} for store, one in node.index.progress().items()],
        "kubo": node.kubo.status(),
        "process": process_use(),
    }


async def reachability(node: ServedNode, _: web.Request) -> Any:
    return judge(await node.network.reachability())


async def connect(node: ServedNode, request: web.Request) -> Any:
    await node.network.connect(str((await forms.body_of(request)).get("addr", "")))
    return {"peers": node.network.peers()}


async def access_rules(node: ServedNode, request: web.Request) -> Any:
    return {"rules": node.access.listing(allows=request.match_info["list"] == "allow")}


async def add_access_rule(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    allows = request.match_info["list"] == "allow"
    return await node.access.add(str(form.get("subject", "")), allows=allows, note=str(form.get("note", "")))


async def remove_access_rule(node: ServedNode, request: web.Request) -> Any:
    return await node.access.remove(request.query.get("subject", ""), allows=request.match_info["list"] == "allow")


# --- mail while somebody is away


async def mailboxes(node: ServedNode, _: web.Request) -> Any:
    return {
        "keeps_mail_of": node.config.mailbox_for,
        "ours": node.messages.mailboxes(),
        "outgoing": node.messages.outgoing_counts(),
        "kept": node.mailbox.use(),
    }


async def add_mailbox(node: ServedNode, request: web.Request) -> Any:
    addr = forms.text(await forms.body_of(request), "addr")
    await node.catalog.save_mailboxes([*node.catalog.profile().mailboxes, addr])
    return await _mailboxes_changed(node, request)


async def remove_mailbox(node: ServedNode, request: web.Request) -> Any:
    addr, named = forms.text(await forms.body_of(request), "addr"), node.catalog.profile().mailboxes
    left = [mailbox for mailbox in named if mailbox != addr]
    if len(left) == len(named):
        raise Refused(f"{addr} is none of our mailboxes.", code="mailbox-unknown", hint="See: halle mailbox status")
    await node.catalog.save_mailboxes(left)
    return await _mailboxes_changed(node, request)


async def waiting(node: ServedNode, _: web.Request) -> Any:
    """What has not reached the other side or the chain yet, and what was set aside of what came."""
    return {
        "messages": node.messages.waiting(),
        "quarantine": node.messages.quarantine(),
        "received": node.messages.inbound_counts(),
        "transactions": node.chain.outbox.waiting(),
    }


async def retry_waiting(node: ServedNode, request: web.Request) -> Any:
    node.messages.hasten()
    node.chain.outbox.nudge()
    return await waiting(node, request)


async def retry_quarantined(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    await node.messages.retry_quarantined(forms.text(form, "sender"), forms.text(form, "message_id"))
    return await waiting(node, request)


async def _mailboxes_changed(node: ServedNode, request: web.Request) -> Any:
    """Whoever writes to us must know at once."""
    await node.catalog.publish(products=False)
    node.messages.visit_mailboxes()
    return await mailboxes(node, request)


async def collect_mail(node: ServedNode, _: web.Request) -> Any:
    return {"collected": await node.messages.collect(), "ours": node.messages.mailboxes()}


# --- what the store sells


async def list_products(node: ServedNode, request: web.Request) -> Any:
    query, page = request.query.get("query", ""), forms.whole(request.query, "page", 1)
    return {"products": node.catalog.products(query, page), "total": node.catalog.product_count(query)}


async def show_product(node: ServedNode, request: web.Request) -> Any:
    return node.catalog.product(request.match_info["handle"])


async def add_product(node: ServedNode, request: web.Request) -> Any:
    form = forms.product(await forms.body_of(request), node.config)
    return {"handle": await node.catalog.save_product(form)}


async def add_photo(node: ServedNode, request: web.Request) -> Any:
    name, alt = request.query.get("filename", "photo"), request.query.get("alt", "")
    return await node.catalog.add_photo(request.match_info["handle"], name, await request.read(), alt)


async def set_stock(node: ServedNode, request: web.Request) -> Any:
    handle, form = request.match_info["handle"], await forms.body_of(request)
    sku = str(form.get("sku") or "") or node.catalog.product(handle).form.variants[0].sku
    await node.catalog.set_stock(handle, sku, forms.whole(form, "on_hand"))
    return node.catalog.product(handle).stock


async def remove_product(node: ServedNode, request: web.Request) -> Any:
    await node.catalog.remove_product(request.match_info["handle"])
    return {}


async def restore_product(node: ServedNode, request: web.Request) -> Any:
    await node.catalog.restore(request.match_info["handle"])
    return {}


async def publish(node: ServedNode, request: web.Request) -> Any:
    return await node.catalog.publish(replace=(await forms.body_of(request)).get("replace") is True)


async def export_site(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    return await node.catalog.export_site(Path(str(form.get("folder", ""))), str(form.get("url") or ""))


async def show_site(node: ServedNode, _: web.Request) -> Any:
    head, name = node.catalog.current_head(), node.naming.current()
    return {
        "site": head.head.site if head else None,
        "name": node.naming.name,
        "value": name.value if name else None,
        "sequence": name.sequence if name else None,
    }


async def import_csv(node: ServedNode, request: web.Request) -> Any:
    folder = request.query.get("base_dir")
    return await node.catalog.import_csv(
        await request.read(),
        Path(folder) if folder else None,
        dry_run=request.query.get("dry_run") != "False",
    )


async def undo_import(node: ServedNode, request: web.Request) -> Any:
    return await node.catalog.undo_import(int(request.match_info["id"]))


# --- what others publish


async def search(node: ServedNode, request: web.Request) -> Any:
    query = request.query
    return node.index.search(
        query.get("q", ""),
        locale=query.get("locale", node.config.language),
        sort=query.get("sort", "relevance"),
        offset=forms.whole(query, "offset", 0),
        limit=forms.whole(query, "limit", 20),
    )


async def stores(node: ServedNode, _: web.Request) -> Any:
    return {"stores": node.index.stores()}


async def show_listing(node: ServedNode, request: web.Request) -> Any:
    store, handle = parse_address(request.match_info["store"]), request.match_info["handle"]
    found = node.index.listing(store, handle)
    if found is None:
        raise Refused(f"No listing {handle} of that store is known here.", code="listing-unknown")
    return found


# --- buying and orders


async def cart(node: ServedNode, _: web.Request) -> Any:
    return node.trade.cart()


async def add_to_cart(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    return await node.trade.cart_add(
        str(form.get("store", "")),
        str(form.get("handle", "")),
        str(form.get("sku", "")),
        forms.whole(form, "quantity", 1),
    )


async def clear_cart(node: ServedNode, _: web.Request) -> Any:
    return await node.trade.cart_clear()


async def checkout(node: ServedNode, request: web.Request) -> Any:
    return {"order_key": await node.trade.request_quote(forms.checkout(await forms.body_of(request)))}


async def list_orders(node: ServedNode, request: web.Request) -> Any:
    query = request.query
    return {"orders": node.trade.orders(query.get("role", ""), query.get("view", "all"), query.get("query", ""))}


async def show_order(node: ServedNode, request: web.Request) -> Any:
    return node.trade.order(request.match_info["key"])


async def act(node: ServedNode, request: web.Request) -> Any:
    key = request.match_info["key"]
    await node.trade.act(key, request.match_info["action"], **await forms.body_of(request))
    return node.trade.order(key)


async def todo(node: ServedNode, _: web.Request) -> Any:
    return node.trade.todo()


async def balances(node: ServedNode, _: web.Request) -> Any:
    """Where our orders' money is by our books, and what the escrow contract really has of each token."""
    escrow = await node.chain.wallet(node.chain.contracts.escrow)
    return {"balances": node.trade.balance_sheet(), "escrow": escrow.tokens}


async def erase_customer(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    erased = await node.trade.erase_customer(forms.text(form, "who"), apply=form.get("apply") is True)
    return {"erasure": erased, "last_backup": node.backup.last()}


# --- the wallet and the embedded chain


async def wallet(node: ServedNode, _: web.Request) -> Any:
    return await node.chain.wallet(node.keys.store_address)


async def get_test_money(node: ServedNode, _: web.Request) -> Any:
    await node.chain.dev_faucet(node.keys.store_address)
    return await node.chain.wallet(node.keys.store_address)


async def advance_clock(node: ServedNode, request: web.Request) -> Any:
    return {"time": await node.chain.dev_advance(forms.whole(await forms.body_of(request), "seconds"))}


ROUTES: tuple[tuple[str, str, Call], ...] = (
    ("GET", "/node", show_node),
    ("GET", "/doctor", doctor),
    ("GET", "/backup", show_backup),
    ("POST", "/backup", start_backup),
    ("GET", "/blocks/verify", verify_blocks),
    ("GET", "/pins", pins),
    ("POST", "/blocks/clean-up", clean_up),
    ("GET", "/network", network),
    ("GET", "/reachability", reachability),
    ("POST", "/peers", connect),
    ("GET", "/access/{list:block|allow}", access_rules),
    ("POST", "/access/{list:block|allow}", add_access_rule),
    ("DELETE", "/access/{list:block|allow}", remove_access_rule),
    ("GET", "/mailboxes", mailboxes),
    ("POST", "/mailboxes", add_mailbox),
    ("POST", "/mailboxes/remove", remove_mailbox),
    ("POST", "/mailboxes/collect", collect_mail),
    ("GET", "/waiting", waiting),
    ("POST", "/waiting/retry", retry_waiting),
    ("POST", "/waiting/quarantine", retry_quarantined),
    ("GET", "/products", list_products),
    ("POST", "/products", add_product),
    ("GET", "/products/{handle}", show_product),
    ("DELETE", "/products/{handle}", remove_product),
    ("POST", "/products/{handle}/restore", restore_product),
    ("POST", "/products/{handle}/photos", add_photo),
    ("POST", "/products/{handle}/stock", set_stock),
    ("POST", "/publish", publish),
    ("GET", "/site", show_site),
    ("POST", "/site/export", export_site),
    ("POST", "/imports", import_csv),
    ("POST", r"/imports/{id:\d{1,9}}/undo", undo_import),
    ("GET", "/search", search),
    ("GET", "/stores", stores),
    ("GET", "/listings/{store}/{handle}", show_listing),
    ("GET", "/cart", cart),
    ("POST", "/cart", add_to_cart),
    ("DELETE", "/cart", clear_cart),
    ("POST", "/checkout", checkout),
    ("GET", "/orders", list_orders),
    ("GET", "/orders/{key}", show_order),
    ("POST", "/orders/{key}/{action}", act),
    ("POST", "/customers/erase", erase_customer),
    ("GET", "/todo", todo),
    ("GET", "/balances", balances),
    ("GET", "/wallet", wallet),
    ("POST", "/wallet/test-money", get_test_money),
    ("POST", "/chain/advance", advance_clock),
    ("GET", "/orders/{key}/files/{file}", roles.order_file),
    ("GET", "/conversations", talks.list_conversations),
    ("POST", "/conversations", talks.ask_shop),
    ("GET", "/conversations/{key}", talks.show_conversation),
    ("POST", "/conversations/{key}", talks.say),
    ("POST", "/conversations/{key}/read", talks.mark_conversation_read),
    ("POST", "/conversations/{key}/note", talks.note_on_conversation),
    ("GET", "/conversations/{key}/files/{file}", talks.conversation_file),
    ("GET", "/saved-answers", talks.list_saved_answers),
    ("POST", "/saved-answers", talks.set_saved_answers),
    ("GET", "/notices", talks.list_notices),
    ("POST", "/notices/read", talks.mark_notices_read),
    ("GET", "/notify", talks.show_mail_settings),
    ("POST", "/notify", talks.set_mail_settings),
    ("POST", "/notify/test", talks.send_test_mail),
    ("GET", "/cases", roles.list_cases),
    ("GET", "/services/{role}", roles.list_services),
    ("POST", "/services/{role}", roles.offer_service),
    ("DELETE", "/services/{role}", roles.withdraw_service),
    ("POST", "/parties", roles.choose_parties),
    ("GET", "/accept-rules", roles.show_accept_rules),
    ("POST", "/accept-rules", roles.set_accept_rules),
    ("GET", "/parcels", roles.list_parcels),
    ("POST", "/parcels/{shipment}", roles.attest),
    ("GET", "/certificates", roles.list_certificates),
    ("POST", "/certificates/{name}/{action}", roles.act_on_certificate),
    ("GET", "/covers", covers.list_covers),
    ("POST", "/covers", covers.ask_cover),
    ("GET", "/covers/{key}", covers.show_cover),
    ("POST", "/covers/{key}/buy", covers.buy_cover),
    ("POST", "/covers/{key}/offer", covers.offer_cover),
    ("POST", "/covers/{key}/decline", covers.decline_cover),
    ("GET", "/orders/{key}/underwriters", covers.list_choices),
    ("GET", "/bond", covers.list_bonds),
    ("POST", "/bond", covers.add_bond),
    ("POST", "/bond/withdraw", covers.withdraw_bond),
    ("GET", "/products/{handle}/digital", roles.list_digital),
    ("POST", "/products/{handle}/digital", roles.add_digital),
    ("DELETE", r"/products/{handle}/digital/{id:\d{1,9}}", roles.remove_digital),
)
