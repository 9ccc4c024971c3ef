"""`halle reachability`: can others reach this node, and what to do when they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from halle_cli.console import out, print_facts, print_json, print_rows
from halle_cli.session import live_session


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_obj
def reachability(home: Path | None, /, as_json: bool) -> None:
    """Show whether others can reach this node, how, and what to do next."""
    with live_session(home) as node:
        found = node.get("/reachability")
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    from halle_storefront.words import REACH, REACH_STEPS

    facts = found["facts"]
    out.print(f"[bold]{REACH[found['state']].text}.[/]")
    for step in found["steps"]:
        out.print(f"→ {REACH_STEPS[step]}", markup=False)
    print_facts(
        {
            "listening on": ", ".join(facts["listening"]) or "—",
            "told to others": ", ".join(facts["announced"]) or "—",
            "router passes on": facts["mapping"] or "—",
            "relaying for": _serving(facts["serving"]),
        }
    )
    print_rows(
        ("address", "reached by", "not by"),
        ((verdict["addr"], str(verdict["confirmed"]), str(verdict["failed"])) for verdict in facts["verdicts"]),
        empty="No peer has tried an address of ours in the last hour.",
    )
    if facts["relays"]:
        print_rows(
            ("relay", "place"),
            ((addr, failure or "kept") for addr, failure in facts["relays"].items()),
            empty="",
        )


def _serving(serving: list[int] | None) -> str:
    if serving is None:
        return "nobody (relay_service is off)"
    peers, circuits, carried = serving
    return f"{peers} peers; {circuits} connections open, {carried >> 20} MB carried"
