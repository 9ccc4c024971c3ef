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


@mailbox.command()
@JSON
@click.pass_obj
def waiting(home: Path | None, /, as_json: bool) -> None:
    """Show what has not reached the other side or the chain yet, why, and when it is tried next. Works offline."""
    with node_session(home) as node:
        found = node.get("/waiting")
    print_json(found) if as_json else _print_waiting(found)


@mailbox.command()
@JSON
@click.pass_obj
def retry(home: Path | None, /, as_json: bool) -> None:
    """Try everything that waits now, messages and transactions."""
    with live_session(home) as node:
        found = node.post("/waiting/retry")
    print_json(found) if as_json else _print_waiting(found)


@mailbox.command()
@JSON
@click.pass_obj
def quarantine(home: Path | None, /, as_json: bool) -> None:
    """Show messages that came and could not be used, with the reason. Works offline."""
    with node_session(home) as node:
        found = node.get("/waiting")["quarantine"]
    print_json(found) if as_json else _print_quarantine(found)


@mailbox.command()
@click.argument("sender")
@click.argument("message_id")
@JSON
@click.pass_obj
def replay(home: Path | None, /, sender: str, message_id: str, as_json: bool) -> None:
    """Try a message again that was set aside: SENDER and MESSAGE_ID as `halle mailbox quarantine` shows them."""
    with live_session(home) as node:
        found = node.post("/waiting/quarantine", {"sender": sender, "message_id": message_id})
    if as_json:
        print_json(found)
        return
    err.print("The message was taken in.")
    _print_quarantine(found["quarantine"])


def _print_waiting(found: Mapping[str, Any]) -> None:
    print_rows(
        ("message", "to", "state", "attempts", "next try", "problem"),
        (
            (
                each["type"],
                each["recipient"],
                each["state"],
                each["attempts"],
                _next_try(each),
                each["error_code"] or "—",
            )
            for each in found["messages"]
        ),
        empty="No message waits.",
    )
    print_rows(
        ("transaction", "state", "nonce", "problem", ""),
        (
            (each["purpose"], each["state"], each["nonce"], each["error_code"] or "—", each["error_text"] or "")
            for each in found["transactions"]
        ),
        empty="No transaction waits.",
    )


def _next_try(message: Mapping[str, Any]) -> str:
    if message["state"] != "queued":
        return "—"
    return when(message["next_at"]) if message["next_at"] else "now"


def _print_quarantine(found: list[dict[str, Any]]) -> None:
    print_rows(
        ("sender", "message", "type", "received", "problem"),
        (
            (each["sender"] or "—", each["message_id"] or "—", each["type"] or "—", when(each["received_at"]), why)
            for each in found
            for why in (f"{each['error_text']} ({each['error_code']})",)
        ),
        empty="Nothing is set aside.",
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
