"""Network: who this node is, whom it talks to, what it keeps, and whether its chain answers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from halle_node.blocks.kubo import KuboStatus
from halle_node.reachability import Finding, judge
from halle_protocol.errors import HalleError, Unavailable
from halle_protocol.keys import to_checksum

from ..failures import Problem, describe
from ..forms import read_form, see_other
from ..i18n import N_, language_of, show_size, show_time, translations
from ..local_pages import admin_page, here
from ..node_access import ServedNode, node_of
from ..words import KEPT


async def overview(request: web.Request) -> web.Response:
    node = node_of(request)
    lang = language_of(request)
    facts, problem = await chain_facts(node, lang)
    network = node.network
    return admin_page(
        request,
        "admin/network.html",
        peer_id=network.peer_id,
        store_address=to_checksum(node.keys.store_address),
        addrs=network.addrs,
        peers=network.peers(),
        reach=await reach(node),
        synced=network.stats().syncs_by_peer,
        head=node.catalog.current_head(),
        stores=node.index.stores(),
        mailboxes=node.messages.mailboxes(),
        outgoing=node.messages.outgoing_counts(),
        kept=node.mailbox.use(),
        keeps_mail_of=node.config.mailbox_for,
        disk=node.blocks.stats(),
        figures=figures(node, lang),
        rules=node.access.listing(),
        undo=undo_of(request),
        syncs=[(node.index.store(store), progress) for store, progress in node.index.progress().items()],
        chain_facts=facts,
        chain=node.chain.health(),
        chain_problem=problem,
        kubo=node.kubo.status(),
        kubo_problems=kubo_problems(node.kubo.status(), lang),
    )


def kubo_problems(status: KuboStatus, lang: str) -> list[tuple[str, Problem, int]]:
    """What does not work with the IPFS daemon. Shape: kind, words, since when."""
    kinds = (("keep", status.trouble), ("name", status.name_trouble), ("provide", status.provide_trouble))
    return [
        (kind, describe(HalleError(found.message, code=found.code, hint=found.hint), lang), found.at)
        for kind, found in kinds
        if found is not None
    ]


def figures(node: ServedNode, lang: str) -> list[tuple[Any, str]]:
    say = translations(lang).gettext
    traffic, storage = node.network.stats(), node.blocks.stats()
    return [
        (traffic.peers, say(N_("peers connected"))),
        (
            show_size(traffic.wire_in, lang),
            say(N_("received, now %(rate)s/s")) % {"rate": show_size(int(traffic.rate_in), lang)},
        ),
        (
            show_size(traffic.wire_out, lang),
            say(N_("sent, now %(rate)s/s")) % {"rate": show_size(int(traffic.rate_out), lang)},
        ),
        (traffic.heads_in, say(N_("announcements heard"))),
        (traffic.syncs, say(N_("catch-ups"))),
        (storage.blocks, say(N_("blocks kept"))),
        (show_size(storage.bytes, lang), say(N_("on disk"))),
    ]


async def reach(node: ServedNode) -> Finding | None:
    """How others reach this node; None while the network is down."""
    try:
        return judge(await node.network.reachability())
    except Unavailable:
        return None


async def chain_facts(node: ServedNode, lang: str) -> tuple[list[tuple[str, Any]], str]:
    """What the chain says of itself, or why it says nothing."""
    say = translations(lang).gettext
    try:
        found = await node.chain.summary()
    except HalleError as error:
        return [], describe(error, lang).title
    health = found.health
    stopped = describe(HalleError(health.error_text, code=health.error_code, hint=health.hint), lang)
    return [
        (say(N_("Chain number")), found.chain_id),
        (say(N_("Newest block")), found.block),
        (say(N_("Its time")), show_time(found.time, lang)),
        (say(N_("Escrow contract")), found.escrow),
    ], f"{stopped.title} {stopped.hint}".strip() if health.error_code else ""


async def kept(request: web.Request) -> web.Response:
    """What is kept and why, and what a clean-up would free."""
    node = node_of(request)
    return admin_page(
        request,
        "admin/kept.html",
        pins=await node.pins(),
        reasons=KEPT,
        disk=node.blocks.stats(),
        sweep=await node.clean_up(apply=False),
    )


async def waiting(request: web.Request) -> web.Response:
    """What has not reached the other side or the chain yet, with the reason, and what was set aside of what came."""
    node = node_of(request)
    return admin_page(
        request,
        "admin/waiting.html",
        messages=node.messages.waiting(),
        quarantine=node.messages.quarantine(),
        transactions=node.chain.outbox.waiting(),
    )


async def retry_waiting(request: web.Request) -> web.Response:
    node = node_of(request)
    node.messages.hasten()
    node.chain.outbox.nudge()
    return see_other(here(request, "/admin/network/waiting?done=retrying"))


async def retry_quarantined(request: web.Request) -> web.Response:
    form = await read_form(request)
    await node_of(request).messages.retry_quarantined(form.text("sender"), form.text("message_id"))
    return see_other(here(request, "/admin/network/waiting?done=taken-in"))


async def clean_up(request: web.Request) -> web.Response:
    await node_of(request).clean_up(apply=True)
    return see_other(here(request, "/admin/network/kept?done=cleaned"))


async def connect(request: web.Request) -> web.Response:
    form = await read_form(request)
    await node_of(request).network.connect(form.text("addr"))
    return see_other(here(request, "/admin/network?done=connected"))


async def sync(request: web.Request) -> web.Response:
    form = await read_form(request)
    await node_of(request).network.sync_with(form.text("peer_id"))
    return see_other(here(request, "/admin/network?done=synced"))


async def add_rule(request: web.Request) -> web.Response:
    form = await read_form(request)
    allows = form.text("list") == "allow"
    rule = await node_of(request).access.add(form.text("subject"), allows=allows, note=form.text("note"))
    return see_other(here(request, f"/admin/network?done={'allowed' if rule.allows else 'blocked'}#rules"))


async def remove_rule(request: web.Request) -> web.Response:
    """Take a rule back; the page that follows can put it there again."""
    form = await read_form(request)
    rule = await node_of(request).access.remove(form.text("subject"), allows=form.text("list") == "allow")
    kind = "allow" if rule.allows else "block"
    undo = urlencode({"done": "rule-removed", "undo": rule.subject, "list": kind, "note": rule.note})
    return see_other(here(request, f"/admin/network?{undo}#rules"))


def undo_of(request: web.Request) -> dict[str, str] | None:
    """What a rule that was just taken back said."""
    query = request.query
    if query.get("done") != "rule-removed" or query.get("list") not in ("allow", "block"):
        return None
    return {"subject": query.get("undo", ""), "list": query["list"], "note": query.get("note", "")}
