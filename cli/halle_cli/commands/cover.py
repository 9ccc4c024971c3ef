"""`halle cover`: insurance for what you bought, from an underwriter who is no party to the order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from halle_cli.commands.orders import JSON
from halle_cli.commands.underwriting import print_cover, print_covers, units, whole
from halle_cli.console import out, print_json, print_rows
from halle_cli.session import live_session, node_session


@click.group()
def cover() -> None:
    """Insure what you bought: see who does, ask, look at the offer, pay the premium."""


@cover.command("who")
@click.argument("order")
@JSON
@click.pass_obj
def cover_who(home: Path | None, /, order: str, as_json: bool) -> None:
    """List who may insure an order, with their record and the premium for as much as they cover."""
    with node_session(home) as node:
        choices = node.get(f"/orders/{order}/underwriters")["choices"]
    if as_json:
        print_json(choices)
        return
    print_rows(
        ("underwriter", "address", "line", "covers", "premium", "days", "record"),
        (
            (
                each["name"],
                each["address"],
                f"{price['line']} {price['title']}",
                whole(price["cover_token"], each, with_symbol=True),
                whole(price["premium_token"], each, with_symbol=True),
                str(each["max_days"]),
                ", ".join(f"{word} {count}" for word, count in each["record"].items()) or "—",
            )
            for each in choices
            for price in each["prices"]
        ),
        empty="Nobody this node knows insures this order.",
    )


@cover.command("ask")
@click.argument("order")
@click.argument("underwriter")
@click.option("--line", type=int, default=0, show_default=True, help="Which line of the order, counted from 0.")
@click.option("--cover", "amount", default="", help="In the token; as much as they cover without it.")
@click.option("--days", type=int, help="How long; as long as they cover without it.")
@click.option("--note", default="", help="A word for the underwriter.")
@click.pass_obj
def cover_ask(
    home: Path | None, /, order: str, underwriter: str, line: int, amount: str, days: int | None, note: str
) -> None:
    """Ask an underwriter to insure a line of an order. UNDERWRITER is an address: halle cover who ORDER."""
    with live_session(home) as node:
        form: dict[str, Any] = {"order": order, "underwriter": underwriter, "line": line, "days": days, "note": note}
        if amount:
            choices = node.get(f"/orders/{order}/underwriters")["choices"]
            form["cover"] = units(amount, choices[0]["token_decimals"] if choices else 0)
        card = node.post("/covers", form)
    print_cover(card)


@cover.command("list")
@JSON
@click.pass_obj
def cover_list(home: Path | None, /, as_json: bool) -> None:
    """List the cover you asked for."""
    with node_session(home) as node:
        found = node.get("/covers", role="buyer")["covers"]
    print_json(found) if as_json else print_covers(found, "You have asked for no cover.")


@cover.command("show")
@click.argument("key")
@JSON
@click.pass_obj
def cover_show(home: Path | None, /, key: str, as_json: bool) -> None:
    """Show one cover: what was asked and what is offered."""
    with node_session(home) as node:
        card = node.get(f"/covers/{key}")
    print_json(card) if as_json else print_cover(card)


@cover.command("buy")
@click.argument("key")
@click.option("--premium", required=True, help="What you agree to pay, in the token, as the offer shows it.")
@click.pass_obj
def cover_buy(home: Path | None, /, key: str, premium: str) -> None:
    """Pay the premium; the certificate is yours as soon as the chain has it."""
    with live_session(home) as node:
        decimals = node.get(f"/covers/{key}")["token_decimals"]
        card = node.post(f"/covers/{key}/buy", {"premium": units(premium, decimals)})
    print_cover(card)
    out.print("Paid. See it in: halle underwriter certificates --held")
