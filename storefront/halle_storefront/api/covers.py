"""The owner's API of insurance: cover asked of underwriters and of us, the offers, and our bond."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from halle_node.trade.covers import Role
from halle_protocol.keys import parse_address

from ..node_access import ServedNode
from . import forms

ROLES: dict[str, Role] = {"buyer": "buyer", "underwriter": "underwriter"}


async def list_covers(node: ServedNode, request: web.Request) -> Any:
    role = ROLES.get(request.query.get("role", ""))
    return {"covers": node.trade.covers(role, request.query.get("order", ""))}


async def show_cover(node: ServedNode, request: web.Request) -> Any:
    return node.trade.cover(request.match_info["key"])


async def list_choices(node: ServedNode, request: web.Request) -> Any:
    """Who may insure an order of ours, and for how much."""
    return {"choices": node.trade.insuring.choices(request.match_info["key"])}


async def ask_cover(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    key = await node.trade.insuring.ask(
        forms.text(form, "order"),
        forms.text(form, "underwriter"),
        line=forms.whole(form, "line", 0),
        cover=_maybe(form, "cover"),
        days=_maybe(form, "days"),
        note=forms.text(form, "note"),
    )
    return node.trade.cover(key)


async def buy_cover(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    await node.trade.insuring.buy(request.match_info["key"], forms.whole(form, "premium"))
    return node.trade.cover(request.match_info["key"])


async def offer_cover(node: ServedNode, request: web.Request) -> Any:
    form, key = await forms.body_of(request), request.match_info["key"]
    wanted = {name: _maybe(form, name) for name in ("premium", "cover", "days")}
    await node.trade.covering.offer(key, **wanted, note=forms.text(form, "note"))
    return node.trade.cover(key)


async def decline_cover(node: ServedNode, request: web.Request) -> Any:
    form, key = await forms.body_of(request), request.match_info["key"]
    await node.trade.covering.decline(key, forms.text(form, "note"))
    return node.trade.cover(key)


async def list_bonds(node: ServedNode, _: web.Request) -> Any:
    return {"bonds": await node.trade.bonding.bonds()}


async def add_bond(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    await node.trade.bonding.deposit(_token(node, form), forms.whole(form, "amount"))
    return {"bonds": await node.trade.bonding.bonds()}


async def withdraw_bond(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    return {"withdrawn": str(await node.trade.bonding.withdraw(_token(node, form), _maybe(form, "amount")))}


def _token(node: ServedNode, form: Mapping[str, Any]) -> bytes:
    token = forms.text(form, "token")
    found = node.chain.contracts.tokens.get(token)
    return found[0] if found else parse_address(token)


def _maybe(form: Mapping[str, Any], name: str) -> int | None:
    return None if form.get(name) in (None, "") else forms.whole(form, name)
