"""`halle customer`: what this shop knows of a person, and how it forgets it."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape

from halle_cli.console import err, out, print_facts, print_json, when
from halle_cli.session import node_session


@click.group()
def customer() -> None:
    """Customers of this shop."""


@customer.command()
@click.argument("who")
@click.option("--apply", is_flag=True, help="Really erase; without, only say what would go.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_obj
def erase(home: Path | None, /, who: str, apply: bool, as_json: bool) -> None:
    """Erase the personal data of WHO, a customer's name or address (0x…): names, addresses, messages, photos.

    Refused while an order of theirs is not over. Amounts, dates, articles, the country and hashes stay for the books.
    """
    with node_session(home) as node:
        answer = node.post("/customers/erase", {"who": who, "apply": apply})
    if as_json:
        print_json(answer)
        return
    found, last = answer["erasure"], answer["last_backup"]
    verb = "Erased" if apply else "Would erase"
    whom = escape(found["customer"] or found["address"])
    out.print(f"{verb} {whom}: {found['messages']} messages, {found['files']} files, in {found['orders']} orders.")
    print_facts(
        {
            "stays": "amounts, dates, articles, country of delivery and hashes, for the books",
            "stays too": "what the chain shows, and what they publish themselves",
        }
    )
    if last is not None:
        err.print(f"! Back-ups still have it, such as {escape(last['path'])} of {when(last['at'])}.")
        err.print("→ Make a new one and delete the old: halle backup FILE")
    err.print("! Recorded traffic can be opened until the prekeys of that time are destroyed, at most six weeks.")
    if not apply:
        err.print("→ halle customer erase … --apply")
