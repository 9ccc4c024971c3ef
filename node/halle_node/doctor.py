"""Why can't customers see or buy this? Each check looks from where it matters and names the next step."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from halle_protocol.errors import HalleError

if TYPE_CHECKING:
    from halle_node.node import Node

State = Literal["ok", "warning", "failed"]
SOME_BLOCKS = 50
LOW_DISK_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True)
class Check:
    """One finding. `hint` is the next step, empty when all is well."""

    name: str
    state: State
    message: str
    hint: str = ""


async def examine(node: Node) -> list[Check]:
    """Return every check; one that breaks down becomes a failed finding of its own."""
    findings = []
    for name, look in CHECKS:
        try:
            findings.append(await look(node))
        except HalleError as error:
            findings.append(Check(name, "failed", f"{error.message} ({error.code})", error.hint))
    return findings


async def _keys(node: Node) -> Check:
    days = (node.keys.grant.not_after - node.clock()) // 86_400
    if days < 30:
        hint = "Start the node once with the password: it renews the grant by itself."
        return Check("keys", "warning" if days >= 0 else "failed", f"The operator's grant ends in {days} days.", hint)
    if node.keys.locked:
        hint = "Give HALLE_PASSWORD to `halle up` when you want to buy or move money."
        return Check("keys", "ok", "The operator can sell; the store key is locked.", hint)
    return Check("keys", "ok", f"The operator's grant holds for {days} more days; the store key is unlocked.")


async def _storage(node: Node) -> Check:
    free = shutil.disk_usage(node.config.home).free
    if free < LOW_DISK_BYTES:
        return Check("storage", "warning", f"Only {free >> 20} MB are free.", "Free some room on this disk.")
    blocks = node.blocks.stats()
    return Check("storage", "ok", f"{blocks.blocks} blocks, {blocks.bytes >> 10} KB; {free >> 30} GB free.")


async def _catalog(node: Node) -> Check:
    published = node.catalog.current_head()
    if node.is_replaced():
        return Check(
            "catalog",
            "failed",
            "Another machine runs this store now, with a later grant; this one only looks on.",
            "Use that machine, or: halle product publish --replace",
        )
    if published is None:
        return Check("catalog", "warning", "Nothing is published yet.", "Add a product and publish it.")
    head, heard = published.head, node.index.store(node.keys.store_address)
    if heard is not None and heard.seq > head.seq:
        return Check(
            "catalog",
            "failed",
            f"Another machine has published head {heard.seq} of this store; here it is at {head.seq}.",
            "Use that machine, or: halle product publish --replace",
        )
    if head.expires < node.clock():
        return Check("catalog", "failed", "The published head has expired.", "Publish again.")
    changed = sum(product.changed for product in node.catalog.products())
    if changed:
        return Check("catalog", "warning", f"{changed} products have unpublished changes.", "Publish.")
    return Check("catalog", "ok", f"Head {head.seq} is published.")


async def _backup(node: Node) -> Check:
    if node.comeback.is_looking:
        return Check(
            "backup",
            "warning",
            "This node was restored and looks for the store's last edition in the network; nothing is published yet.",
            "Connect to a peer: halle peers --connect. Or start over: halle product publish --replace",
        )
    last = node.backup.last()
    if last is None:
        if not node.catalog.product_count() and not node.trade.orders(limit=1):
            return Check("backup", "ok", "There is nothing to back up yet.")
        return Check("backup", "warning", "No back-up was ever made.", "halle backup FILE, on another disk.")
    days = (node.clock() - last.at) // 86_400
    state: State = "warning" if node.backup.is_due() else "ok"
    hint = "halle backup FILE" if state == "warning" else ""
    return Check("backup", state, f"The last back-up is {days} days old: {last.path}", hint)


async def _network(node: Node) -> Check:
    if not node.online:
        return Check("network", "warning", "The node is not running.", "Start it with `halle up`.")
    if not node.network.stats().running:
        return Check("network", "failed", "The network is down.", "It restarts by itself; look again in a minute.")
    count = len(node.network.peers())
    if not count:
        return Check("network", "warning", "Connected to nobody.", "halle peers --connect /ip4/…/p2p/…")
    return Check("network", "ok", f"Connected to {count} peers at {', '.join(node.network.addrs)}.")


async def _mail(node: Node) -> Check:
    named = node.messages.mailboxes()
    if not named:
        return Check("mail", "ok", "No mailbox: while this node is off, messages wait at their senders.")
    silent = [box for box in named if box.error_code]
    if silent:
        told = (
            f"{len(silent)} of {len(named)} mailboxes cannot be used: {silent[0].error_text} ({silent[0].error_code})"
        )
        return Check("mail", "warning", told, "See: halle mailbox status")
    return Check("mail", "ok", f"{len(named)} mailboxes are named.")


async def _chain(node: Node) -> Check:
    if not node.online:
        return Check("chain", "warning", "The node is not running.", "Start it with `halle up`.")
    summary = await node.chain.summary()
    health = summary.health
    if health.error_code:
        return Check("chain", "failed", f"Events are not read: {health.error_text} ({health.error_code})", health.hint)
    told = f"Chain {summary.chain_id} at block {summary.block}; the contracts are there."
    unwell = [each for each in health.endpoints if each.state not in ("asked", "ready")]
    if unwell:
        first = unwell[0]
        why = f"{first.error_text} ({first.error_code})" if first.error_code else f"{first.behind} blocks behind"
        told += f" {len(unwell)} of {len(health.endpoints)} endpoints cannot be relied on: {first.name}: {why}"
        return Check("chain", "warning", told, "See the page Network; correct rpc_url if this lasts.")
    if health.progress.behind > SOME_BLOCKS:
        told += f" Events are read up to block {health.progress.next_block - 1}."
        return Check("chain", "warning", told, "The node catches up by itself; look again in a few minutes.")
    return Check("chain", "ok", told)


async def _kubo(node: Node) -> Check:
    found = node.kubo.status()
    if found.state == "off":
        return Check("kubo", "ok", "No IPFS daemon is set up; the node serves IPFS itself.")
    if not node.online:
        return Check("kubo", "warning", "The node is not running.", "Start it with `halle up`.")
    if found.trouble is not None:
        state: State = "warning" if found.trouble.passes else "failed"
        return Check("kubo", state, f"{found.trouble.message} ({found.trouble.code})", found.trouble.hint)
    if found.state != "ok":
        return Check("kubo", "ok", f"The IPFS daemon at {found.address} gets what is published.")
    kept = f"Kubo {found.version} at {found.address} keeps head {found.seq} in {len(found.pins)} pins"
    if not found.is_private:
        hint = "Use https, a tunnel or a unix socket: whoever reads along can take over the daemon."
        return Check("kubo", "warning", f"{kept}, over an open connection.", hint)
    lost = found.name_trouble or found.provide_trouble
    if lost is not None:
        return Check("kubo", "warning", f"{kept}, but tells nobody: {lost.message} ({lost.code})", lost.hint)
    return Check("kubo", "ok", f"{kept}; {found.name} leads to it.")


CHECKS: tuple[tuple[str, Callable[[Node], Awaitable[Check]]], ...] = (
    ("keys", _keys),
    ("storage", _storage),
    ("backup", _backup),
    ("catalog", _catalog),
    ("network", _network),
    ("mail", _mail),
    ("chain", _chain),
    ("kubo", _kubo),
)

__all__ = ["Check", "examine"]
