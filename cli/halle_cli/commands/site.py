"""`halle site`: the shop as static pages, on IPFS and on any web host."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape

from halle_cli.commands.products import JSON
from halle_cli.console import err, out, print_json
from halle_cli.session import node_session


@click.group()
def site() -> None:
    """Show and export the shop as static pages."""


@site.command("show")
@JSON
@click.pass_obj
def site_show(home: Path | None, /, as_json: bool) -> None:
    """Show where the static shop is: its CID and the name that always leads to the newest one."""
    with node_session(home) as node:
        found = node.get("/site")
    if as_json:
        print_json(found)
        return
    if found["site"] is None:
        out.print("Nothing is published yet. → halle product publish")
        return
    out.print(f"  This edition   /ipfs/{found['site']}")
    out.print(f"  The newest     /ipns/{found['name']}")


@site.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--url", default="", help="Where it will be, https://…: adds a sitemap and absolute addresses.")
@JSON
@click.pass_obj
def site_export(home: Path | None, /, folder: Path, url: str, as_json: bool) -> None:
    """Write the published shop to FOLDER, ready for any static web host.

    A folder of an earlier export is brought up to date: files that did not change are left alone.
    """
    with node_session(home) as node, err.status("Writing …"):
        done = node.post("/site/export", {"folder": str(folder.resolve()), "url": url})
    if as_json:
        print_json(done)
        return
    removed = f", {done['removed']} old ones removed" if done["removed"] else ""
    out.print(f"[green]✓[/] {done['files']} files ({done['bytes'] / 1e6:.1f} MB){removed} in {escape(done['folder'])}")
