"""`halle pins` and `halle gc`: what this node keeps, why, and what nothing needs any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from halle_cli.console import err, out, print_facts, print_json, print_rows, size
from halle_cli.session import node_session

JSON = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
WHY = {
    "edition": "your shop as published",
    "edition-before": "your last edition, for those still fetching it",
    "publishing": "being published",
    "shop": "shop",
    "drafts": "pictures of drafts and undoable changes",
    "orders": "listings of open orders",
    "other": "pin",
}


@click.command()
@JSON
@click.pass_obj
def pins(home: Path | None, /, as_json: bool) -> None:
    """Show what this node keeps, why, and how large it is. Works offline."""
    with node_session(home) as node:
        found = node.get("/pins")
    if as_json:
        print_json(found)
        return
    print_rows(
        ("why", "blocks", "size", "missing", "root"),
        (
            (
                f"{WHY.get(one['why'], one['why'])} {one['of']}".strip(),
                one["blocks"],
                size(one["bytes"]),
                one["missing"] or "—",
                one["root"] or "—",
            )
            for one in found["pins"]
        ),
        empty="Nothing is kept yet. → Publish a product: halle product publish",
    )
    _print_disk(found["disk"])


def _print_disk(disk: dict[str, Any]) -> None:
    foreign = disk["foreign_documents"] + disk["foreign_media"]
    cap = f" of {size(disk['cap'])}" if disk["cap"] else ", no cap"
    print_facts(
        {
            "on disk": f"{size(disk['bytes'])}{cap}",
            "of it yours": size(disk["bytes"] - foreign),
            "from others": f"{size(disk['foreign_documents'])} documents, {size(disk['foreign_media'])} pictures",
        }
    )


@click.command()
@click.option("--apply", is_flag=True, help="Really remove it; without, only say what would go.")
@JSON
@click.pass_obj
def gc(home: Path | None, /, apply: bool, as_json: bool) -> None:
    """Free disk: remove blocks that no pin, draft or open order needs and nobody stored in the last ten minutes.

    Nothing is removed without --apply. Works offline too.
    """
    with node_session(home) as node:
        swept = node.post("/blocks/clean-up", {"apply": apply})
    if as_json:
        print_json({"applied": apply, **swept})
        return
    if not swept["blocks"]:
        out.print("Nothing to remove: everything here is needed or new.")
    else:
        verb = "Removed" if apply else "Would remove"
        out.print(f"{verb} {swept['blocks']} blocks, {size(swept['bytes'])}.")
    print_facts({"stays": f"{swept['kept_blocks']} blocks, {size(swept['kept_bytes'])}"})
    if swept["blocks"] and not apply:
        err.print("→ halle gc --apply")
