"""The owner's API of roles: services offered and chosen, cases, parcels, certificates, rules, digital goods, files."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from halle_node.catalog.profile import ServiceForm
from halle_node.trade.rules import AcceptRules
from halle_protocol.errors import Refused

from ..node_access import ServedNode
from . import forms

RULE_TEXTS = ("opens", "closes", "time_zone")


async def list_services(node: ServedNode, request: web.Request) -> Any:
    return {"services": node.trade.services.offers(request.match_info["role"])}


async def offer_service(node: ServedNode, request: web.Request) -> Any:
    form, profile = await forms.body_of(request), node.catalog.profile()
    about = forms.text(form, "about")
    wanted = ServiceForm(
        about={profile.language: about} if about else {},
        fee_bps=forms.whole(form, "fee_bps", 0),
        respond_within_s=forms.whole(form, "respond_within_s", 7 * 86_400),
        languages=tuple(dict.fromkeys((profile.language, *profile.languages))),
        countries=forms.names(form, "countries"),
        limits=node.trade.services.limits_of({name: int(most) for name, most in _amounts(form).items()}),
        max_days=forms.whole(form, "max_days", 0),
    )
    await node.trade.services.offer(request.match_info["role"], wanted, forms.text(form, "terms"))
    return {}


def _amounts(form: Mapping[str, Any]) -> dict[str, str]:
    """Return amounts by token symbol, as digits. Raises: Refused "form-invalid"."""
    amounts = forms.words(form, "limits")
    if not all(value.isascii() and value.isdigit() for value in amounts.values()):
        raise forms.refuse("limits", "is not an object of amounts in smallest units")
    return amounts


async def withdraw_service(node: ServedNode, request: web.Request) -> Any:
    await node.trade.services.withdraw(request.match_info["role"])
    return {}


async def choose_parties(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    named = {name: forms.text(form, name) for name in ("arbiter", "backup", "carrier") if name in form}
    await node.trade.services.choose(**named)
    return {"terms": node.catalog.profile().terms}


async def list_cases(node: ServedNode, _: web.Request) -> Any:
    return {"cases": node.trade.orders(role="arbiter")}


async def list_parcels(node: ServedNode, _: web.Request) -> Any:
    return {"parcels": node.trade.carrying.parcels()}


async def attest(node: ServedNode, request: web.Request) -> Any:
    form = await forms.body_of(request)
    words = {name: forms.text(form, name) for name in ("status", "place", "text")}
    await node.trade.carrying.attest(request.match_info["shipment"], **words)
    return {}


async def list_certificates(node: ServedNode, request: web.Request) -> Any:
    return {"certificates": node.trade.certificates(request.query.get("role", ""))}


async def act_on_certificate(node: ServedNode, request: web.Request) -> Any:
    name = request.match_info["name"]
    await node.trade.act(name, request.match_info["action"], **await forms.body_of(request))
    return node.trade.certificate(name)


async def show_accept_rules(node: ServedNode, _: web.Request) -> Any:
    return node.trade.accept_rules()


async def set_accept_rules(node: ServedNode, request: web.Request) -> Any:
    form, old = await forms.body_of(request), node.trade.accept_rules()
    await node.trade.set_accept_rules(_changed_rules(old, form))
    return node.trade.accept_rules()


def _changed_rules(old: AcceptRules, form: Mapping[str, Any]) -> AcceptRules:
    """Return the rules with what the form names."""
    given: dict[str, Any] = {name: forms.text(form, name) for name in RULE_TEXTS if name in form}
    if "enabled" in form:
        given["enabled"] = form["enabled"] is True
    if "max_total_minor" in form:
        limit = form["max_total_minor"]
        given["max_total_minor"] = None if limit is None else forms.whole(form, "max_total_minor")
    if "countries" in form:
        given["countries"] = forms.names(form, "countries")
    if "days" in form:
        days = form["days"] if isinstance(form["days"], list) else []
        given["days"] = tuple(sorted({day for day in days if isinstance(day, int)}))
    return replace(old, **given)


async def list_digital(node: ServedNode, request: web.Request) -> Any:
    return {"goods": node.trade.digital.shelf(request.match_info["handle"])}


async def add_digital(node: ServedNode, request: web.Request) -> Any:
    handle, form, shelf = request.match_info["handle"], await forms.body_of(request), node.trade.digital
    sku, again, name = forms.text(form, "sku"), forms.whole(form, "resends", 3), forms.text(form, "name")
    if form.get("licences"):
        await shelf.add_licences(handle, sku, forms.names(form, "licences"), again)
    if form.get("text"):
        await shelf.add_text(handle, sku, name, forms.text(form, "text"), again)
    if form.get("file"):
        await shelf.add_file(handle, sku, name, forms.text(form, "mime"), _bytes(form["file"]), again)
    return {"goods": shelf.shelf(handle)}


async def remove_digital(node: ServedNode, request: web.Request) -> Any:
    await node.trade.digital.remove(int(request.match_info["id"]))
    return {"goods": node.trade.digital.shelf(request.match_info["handle"])}


async def order_file(node: ServedNode, request: web.Request) -> Any:
    name, mime, data = await node.trade.file(request.match_info["key"], request.match_info["file"])
    return {"name": name, "mime": mime, "content": base64.b64encode(data).decode()}


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError):
        raise Refused("The file is not base64.", code="form-invalid", hint="See docs/api.md for its shape.") from None
