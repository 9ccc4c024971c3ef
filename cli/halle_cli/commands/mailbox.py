"""`halle mailbox`: who keeps our mail while this node is away, and whose mail it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from halle_cli.console import err, out, print_facts, print_json, print_rows, size, when
from halle_cli.session import live_session, node_session

JSON = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")


@click.group()
def mailbox() -> None:
    """Name other nodes as mailboxes: they keep sealed messages for you while yours is off.

    A mailbox cannot read them, nor who wrote them. Its owner must follow your shop, or keep mail for anyone.
    """


@mailbox.command()
@JSON
@click.pass_obj
def status(home: Path | None, /, as_json: bool) -> None:
    """Show your mailboxes, what waits at those of others, and what is kept here for others. Works offline."""
    with node_session(home) as node:
        found = node.get("/mailboxes")
    print_json(found) if as_json else _print_status(found)


def _print_status(found: Mapping[str, Any]) -> None:
    out.print("[bold]Your mailboxes[/]")
    _print_ours(found["ours"])
    outgoing = found["outgoing"]
    out.print("\n[bold]Your messages[/]")
    print_facts({"on their way": outgoing["queued"], "of them at a mailbox": outgoing["left"]})
    kept = found["kept"]
    out.print(f"\n[bold]Kept here for others[/] (mail of: {found['keeps_mail_of']})")
    print_rows(
        ("store", "envelopes", "size", "oldest"),
        ((box["store"], box["letters"], size(box["bytes"]), when(box["oldest"])) for box in kept["boxes"]),
        empty=f"Nothing waits here. Room: {size(kept['quotas']['total_bytes'])}, for {kept['quotas']['days']} days.",
    )


def _print_ours(ours: list[dict[str, Any]]) -> None:
    print_rows(
        ("mailbox", "last visit", "taken in", "problem"),
        ((one["mailbox"], when(one["asked_at"]), one["collected"], one["error_code"] or "—") for one in ours),
        empty="None: while this node is off, messages wait at their senders. → halle mailbox add /ip4/…/tcp/…/p2p/…",
    )


@mailbox.command()
@click.argument("address")
@JSON
@click.pass_obj
def add(home: Path | None, /, address: str, as_json: bool) -> None:
    """Name a node as your mailbox: ADDRESS is its full address, /ip4/…/tcp/…/p2p/… (its own `halle peers` shows it)."""
    _changed(home, "/mailboxes", address, as_json)


@mailbox.command()
@click.argument("address")
@JSON
@click.pass_obj
def remove(home: Path | None, /, address: str, as_json: bool) -> None:
    """Stop using a mailbox. What still waits there is not fetched any more: run `halle mailbox collect` before."""
    _changed(home, "/mailboxes/remove", address, as_json)


def _changed(home: Path | None, path: str, address: str, as_json: bool) -> None:
    with node_session(home) as node:
        found = node.post(path, {"addr": address})
    if as_json:
        print_json(found)
        return
    _print_ours(found["ours"])
    err.print("Your profile says so from now on. → Ask the mailbox's owner to follow your shop.")


@mailbox.command()
@JSON
@click.pass_obj
def collect(home: Path | None, /, as_json: bool) -> None:
    """Visit your mailboxes now. The node does so by itself about every minute."""
    with live_session(home) as node:
        found = node.post("/mailboxes/collect")
    if as_json:
        print_json(found)
        return
    out.print(f"Taken in: {found['collected']}")
    _print_ours(found["ours"])
