"""`halle search` and `halle peers`: what others publish, and who they are."""

from __future__ import annotations

from pathlib import Path

import click

from halle_cli.console import money, out, print_facts, print_json, print_rows, size, when
from halle_cli.session import live_session, node_session

JSON = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")


@click.command()
@click.argument("words", nargs=-1)
@click.option("--sort", type=click.Choice(("relevance", "price", "-price", "newest")), default="relevance")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@JSON
@click.pass_obj
def search(home: Path | None, /, words: tuple[str, ...], sort: str, limit: int, as_json: bool) -> None:
    """Search everything this node has heard of. Works offline."""
    with node_session(home) as node:
        page = node.get("/search", q=" ".join(words), sort=sort, limit=limit)
    if as_json:
        print_json(page)
        return
    print_rows(
        ("title", "price", "store", "address"),
        (
            (hit["title"], money(hit["price"]), hit["store_name"], f"halle://{hit['store']}/{hit['handle']}")
            for hit in page["hits"]
        ),
        empty="Nothing found. → Try fewer words, or `halle peers` to see whether the node hears anyone.",
    )
    if page["total"] > len(page["hits"]):
        out.print(f"[dim]{len(page['hits'])} of {page['total']}; --limit shows more[/]")


@click.command()
@click.option("--connect", "address", help="Dial a node: /ip4/…/tcp/…/p2p/…")
@JSON
@click.pass_obj
def peers(home: Path | None, /, address: str | None, as_json: bool) -> None:
    """Show who this node is connected to, since when, how much went over, and when both were last in step."""
    with live_session(home) as node:
        if address:
            node.post("/peers", {"addr": address})
        network = node.get("/network")
    if as_json:
        print_json(network)
        return
    print_facts({"we are": network["peer_id"], "at": ", ".join(network["addrs"]) or "—"})
    synced = network["stats"]["syncs_by_peer"]
    print_rows(
        ("peer", "address", "direction", "score", "since", "in", "out", "in step"),
        (
            (
                p["peer_id"],
                p["addr"],
                p["direction"],
                f"{p['score']:.1f}",
                when(p["since"]),
                size(p["bytes_in"]),
                size(p["bytes_out"]),
                when(synced.get(p["peer_id"], 0)),
            )
            for p in network["peers"]
        ),
        empty="Connected to nobody. → halle peers --connect /ip4/…/p2p/…",
    )
    for sync in network["syncs"]:
        how_far = f"{sync['done']:,} of {sync['total']:,} documents" if sync["total"] else "reading the catalogue"
        out.print(f"fetching {sync['store']}: {how_far}", highlight=False)
