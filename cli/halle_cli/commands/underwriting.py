"""`halle underwriter`: insure what others buy, with a bond of your own, and answer the claims."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from halle_cli.commands.orders import JSON, read_fields
from halle_cli.commands.roles import DAY_S, list_command, text_of, withdraw_command
from halle_cli.console import out, print_facts, print_json, print_rows
from halle_cli.session import Client, live_session, node_session
from halle_protocol.errors import ConfigError


@click.group()
def underwriter() -> None:
    """Back warranties with a bond of your own, insure what others buy, and answer the claims."""


underwriter.add_command(withdraw_command("underwriter"))
underwriter.add_command(list_command("underwriter"))


@underwriter.command("offer")
@click.option("--terms", required=True, help="What you cover and how; @FILE reads it from a file.")
@click.option("--about", default="", help="Who you are, in a sentence.")
@click.option("--fee", type=float, default=0.0, show_default=True, help="The premium in percent of the cover.")
@click.option("--days", type=int, default=7, show_default=True, help="Within how many days you answer a claim.")
@click.option("--covers", multiple=True, help="TOKEN=AMOUNT: cover up to that much by itself, e.g. tEUR=200.")
@click.option("--max-days", type=int, default=0, help="The longest term; 0 leaves it open.")
@click.pass_obj
def underwriter_offer(
    home: Path | None, /, terms: str, about: str, fee: float, days: int, covers: tuple[str, ...], max_days: int
) -> None:
    """Take this role on, or change its terms. Without --covers each request waits for you."""
    form: dict[str, Any] = {"terms": text_of(terms), "about": about, "fee_bps": round(fee * 100)}
    with node_session(home) as node:
        limits = dict(_amount(node, each) for each in covers)
        form |= {"respond_within_s": days * DAY_S, "limits": limits, "max_days": max_days}
        node.post("/services/underwriter", form)
    out.print("Offered. Everybody who knows this node can ask you for cover now.")


@underwriter.command("bond")
@click.option("--add", multiple=True, help="TOKEN=AMOUNT: move that much of the account into the bond.")
@JSON
@click.pass_obj
def underwriter_bond(home: Path | None, /, add: tuple[str, ...], as_json: bool) -> None:
    """Show your bond, or add to it. Only what is free of it can back new certificates."""
    with live_session(home) as node:
        for each in add:
            symbol, amount = _amount(node, each)
            node.post("/bond", {"token": symbol, "amount": int(amount)})
            out.print(f"On its way into the bond: {each.partition('=')[2]} {escape(symbol)}.")
        bonds = node.get("/bond")["bonds"]
    if as_json:
        print_json(bonds)
        return
    print_rows(
        ("token", "bond", "backs certificates", "free", "in the account"),
        (
            (
                each["token_symbol"],
                whole(each["bond"], each),
                whole(each["reserved"], each),
                whole(each["bond"] - each["reserved"], each),
                whole(each["balance"], each),
            )
            for each in bonds
        ),
        empty="This chain has no token that is known here.",
    )


@underwriter.command("asked")
@JSON
@click.pass_obj
def underwriter_asked(home: Path | None, /, as_json: bool) -> None:
    """List what others asked you to insure."""
    with node_session(home) as node:
        found = node.get("/covers", role="underwriter")["covers"]
    print_json(found) if as_json else print_covers(found, "Nobody has asked you for cover.")


@underwriter.command("answer")
@click.argument("key")
@click.option("--premium", default="", help="In the token; at most, and without it, your published price.")
@click.option("--cover", default="", help="In the token; as asked without it.")
@click.option("--days", type=int, help="As asked without it.")
@click.option("--note", default="", help="A word for the buyer.")
@click.pass_obj
def underwriter_answer(home: Path | None, /, key: str, premium: str, cover: str, days: int | None, note: str) -> None:
    """Sign an offer for a request. It binds you for a day: whoever asked may pay the premium until then."""
    with live_session(home) as node:
        decimals = node.get(f"/covers/{key}")["token_decimals"]
        amounts = {"premium": premium, "cover": cover}
        form = {name: units(text, decimals) for name, text in amounts.items() if text}
        card = node.post(f"/covers/{key}/offer", form | {"days": days, "note": note})
    print_cover(card)


@underwriter.command("decline")
@click.argument("key")
@click.option("--because", default="", help="A word for the buyer.")
@click.pass_obj
def underwriter_decline(home: Path | None, /, key: str, because: str) -> None:
    """Say no to a request."""
    with live_session(home) as node:
        card = node.post(f"/covers/{key}/decline", {"note": because})
    print_cover(card)


@underwriter.command("certificates")
@click.option("--held", is_flag=True, help="Those you hold instead of those you back.")
@JSON
@click.pass_obj
def underwriter_certificates(home: Path | None, /, held: bool, as_json: bool) -> None:
    """List the warranty certificates you back."""
    with node_session(home) as node:
        found = node.get("/certificates", role="holder" if held else "underwriter")["certificates"]
    if as_json:
        print_json(found)
        return
    print_rows(
        ("certificate", "for", "status", "cover", "next"),
        (
            (
                each["name"][:26],
                each["title"] or "—",
                each["status"],
                f"{each['cover_token']} {each['token_symbol']}",
                ", ".join(move["name"] for move in each["next_actions"]) or "—",
            )
            for each in found
        ),
        empty="No certificates.",
    )


@underwriter.command("do")
@click.argument("certificate")
@click.argument("action")
@click.argument("fields", nargs=-1)
@click.pass_obj
def underwriter_do(home: Path | None, /, certificate: str, action: str, fields: tuple[str, ...]) -> None:
    """Make a move on a certificate, e.g.: accept_warranty_claim, or offer_repair text="Send it to us"."""
    form = read_fields(fields)
    with live_session(home) as node:
        known = [*node.get("/certificates")["certificates"]]
        full = [each["name"] for each in known if each["name"].startswith(certificate)]
        card = node.post(f"/certificates/{full[0] if len(full) == 1 else certificate}/{action}", form)
    print_facts({"certificate": card["name"], "status": card["status"]})


@underwriter.command("free")
@click.argument("token")
@click.option("--amount", default="", help="In the token's smallest unit; everything that is free without it.")
@click.pass_obj
def underwriter_free(home: Path | None, /, token: str, amount: str) -> None:
    """Take back bond that backs nothing. TOKEN is a symbol or an address."""
    with live_session(home) as node:
        taken: dict[str, Any] = node.post("/bond/withdraw", {"token": token, "amount": amount})
    out.print(f"On its way: {taken['withdrawn']} {token}.")


def print_covers(covers: list[dict[str, Any]], empty: str) -> None:
    """Show covers as a table."""
    print_rows(
        ("cover", "what", "with", "covers", "premium", "days", "status"),
        (
            (
                each["key"][:12],
                each["title"],
                each["name"] or each["other"],
                whole(each["cover_token"], each, with_symbol=True),
                whole(each["premium_token"], each, with_symbol=True),
                str(each["days"]),
                each["status"] + (f" ({each['code']})" if each["code"] else ""),
            )
            for each in covers
        ),
        empty=empty,
    )


def print_cover(card: dict[str, Any]) -> None:
    """Show one cover and what can be done."""
    print_facts(
        {
            "cover": card["key"],
            "what": card["title"],
            "with": card["name"] or card["other"],
            "covers": whole(card["cover_token"], card, with_symbol=True),
            "premium": whole(card["premium_token"], card, with_symbol=True),
            "days": str(card["days"]),
            "status": card["status"] + (f" ({card['code']})" if card["code"] else ""),
            "note": card["note"] or "—",
            "certificate": card["certificate"] or "—",
        }
    )


def whole(amount: int | str, card: dict[str, Any], *, with_symbol: bool = False) -> str:
    """Return a token amount as people write it; `card` names the token."""
    value = Decimal(int(amount)).scaleb(-card["token_decimals"])
    text = f"{value.normalize():f}"
    return f"{text} {card['token_symbol']}" if with_symbol else text


def units(text: str, decimals: int) -> int:
    """Return an amount in the token's smallest unit.

    Raises: ConfigError field-malformed.
    """
    try:
        value = Decimal(text).scaleb(decimals)
        if not value.is_finite() or value != int(value) or value < 0:
            raise ValueError
    except (ArithmeticError, ValueError):
        raise ConfigError(f"“{text}” is not an amount.", code="field-malformed", hint="e.g. 12.50") from None
    return int(value)


def _amount(node: Client, text: str) -> tuple[str, str]:
    """Read TOKEN=AMOUNT; return the symbol and the amount in its smallest unit.

    Raises: ConfigError field-malformed.
    """
    symbol, _, amount = text.partition("=")
    known = {token["symbol"]: token["decimals"] for token in node.get("/wallet")["tokens"]}
    if symbol not in known:
        raise ConfigError(
            f"There is no token “{symbol}”.", code="field-malformed", hint=f"One of: {', '.join(known) or 'none'}."
        )
    return symbol, str(units(amount, known[symbol]))
