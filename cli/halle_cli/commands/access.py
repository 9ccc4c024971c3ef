"""`halle block` and `halle allow`: whom this node will have nothing to do with, and whom it always serves."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from halle_cli.console import err, print_json, print_rows
from halle_cli.session import node_session

JSON = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
SUBJECT = "SUBJECT is a peer (12D3Koo…), a store (0x…), an IP address or a subnet (203.0.113.0/24)."


def _group(name: str, verb: str, done: str, about: str) -> click.Group:
    """Return `halle <name>`: one list, three verbs."""

    @click.group(name, help=about)
    def group() -> None: ...

    @group.command("add", help=f"{verb} SUBJECT from now on.\n\n{SUBJECT}")
    @click.argument("subject")
    @click.option("--note", default="", help="Why, for yourself.")
    @JSON
    @click.pass_obj
    def add(home: Path | None, /, subject: str, note: str, as_json: bool) -> None:
        with node_session(home) as node:
            rule = node.post(f"/access/{name}", {"subject": subject, "note": note})
        _tell(rule, f"{done}. To take it back: halle {name} remove {rule['subject']}", as_json=as_json)

    @group.command("remove", help=f"Take a rule back.\n\n{SUBJECT}")
    @click.argument("subject")
    @JSON
    @click.pass_obj
    def remove(home: Path | None, /, subject: str, as_json: bool) -> None:
        with node_session(home) as node:
            rule = node.delete(f"/access/{name}?subject={quote(subject, safe='')}")
        _tell(rule, f"Taken back. To do it again: halle {name} add {rule['subject']}", as_json=as_json)

    @group.command("list", help="Show the rules, newest first.")
    @JSON
    @click.pass_obj
    def listing(home: Path | None, /, as_json: bool) -> None:
        with node_session(home) as node:
            rules = node.get(f"/access/{name}")["rules"]
        if as_json:
            print_json(rules)
            return
        print_rows(
            ("subject", "what", "since", "note"),
            ((one["subject"], one["kind"], _day(one["since"]), one["note"]) for one in rules),
            empty=f"The list is empty. → halle {name} add …",
        )

    return group


def _tell(rule: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(rule)
    else:
        err.print(words, markup=False)


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


block = _group(
    "block",
    "Have nothing to do with",
    "Blocked",
    "Peers, stores and addresses this node will have nothing to do with.\n\nA blocked store vanishes from the market; "
    "orders that are open with it go on. Works offline.",
)
allow = _group(
    "allow",
    "Always serve",
    "Allowed",
    "Peers, stores and addresses this node always serves.\n\nAn allowed peer is never banned; an allowed store "
    "goes before strangers, as a followed one does; an allowed address is let in although its subnet is blocked. "
    "Works offline.",
)
