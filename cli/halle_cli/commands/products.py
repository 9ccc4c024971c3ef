"""`halle product` and `halle import`: what the store sells."""

from __future__ import annotations

import mimetypes
from itertools import count
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from halle_cli.console import err, money, out, print_json, print_rows
from halle_cli.session import Client, node_session
from halle_protocol.errors import ConfigError

JSON = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")


@click.group()
def product() -> None:
    """List, add, show, remove and publish products."""


@product.command("list")
@click.option("--query", "-q", default="", help="Words in the title, or status:draft.")
@JSON
@click.pass_obj
def product_list(home: Path | None, /, query: str, as_json: bool) -> None:
    """List the store's products."""
    with node_session(home) as node:
        products = _every(node, query)
    if as_json:
        print_json(products)
        return
    print_rows(
        ("handle", "title", "price", "stock", "status"),
        (
            (
                p["handle"],
                p["title"],
                money(p["price_min"]),
                p["on_hand"] if p["tracked"] else "—",
                _status(p),
            )
            for p in products
        ),
        empty="No products yet. → halle product add --title … --price …, or halle import products.csv",
    )


def _every(node: Client, query: str) -> list[dict[str, Any]]:
    """Return all pages of the list."""
    found: list[dict[str, Any]] = []
    for number in count(1):
        page = node.get("/products", query=query, page=number)
        found += page["products"]
        if not page["products"] or len(found) >= page["total"]:
            break
    return found


def _status(summary: dict[str, Any]) -> str:
    if summary["removed"]:
        return "removed"
    return (
        f"{summary['status']}, {'changed' if summary['changed'] else 'published'}"
        if summary["published"]
        else (f"{summary['status']}, not published")
    )


@product.command("show")
@click.argument("handle")
@JSON
@click.pass_obj
def product_show(home: Path | None, /, handle: str, as_json: bool) -> None:
    """Show one product."""
    with node_session(home) as node:
        detail = node.get(f"/products/{handle}")
    if as_json:
        print_json(detail)
        return
    form = detail["form"]
    out.print(f"[bold]{escape(form['title'])}[/]  ({detail['handle']}, {form['status']})")
    if form["description"]:
        out.print(escape(form["description"]))
    stock = {level["sku"]: level for level in detail["stock"]}
    print_rows(
        ("sku", "options", "price", "on hand", "reserved"),
        (
            (
                variant["sku"],
                " / ".join(variant["options"].values()) or "—",
                money(variant["price"]),
                stock.get(variant["sku"], {}).get("on_hand", "—"),
                stock.get(variant["sku"], {}).get("reserved", "—"),
            )
            for variant in form["variants"]
        ),
        empty="No variants.",
    )


@product.command("add")
@click.option("--title", required=True, help="What it is called.")
@click.option("--price", required=True, help="Price with two decimals, e.g. 12.50.")
@click.option("--description", default="", help="Plain text; **bold** and lists are understood.")
@click.option("--stock", type=click.IntRange(min=0), default=0, show_default=True, help="Pieces on the shelf.")
@click.option("--kind", type=click.Choice(("physical", "digital", "service")), default="physical", show_default=True)
@click.option("--handle", default="", help="Last part of its address (default: from the title).")
@click.option("--photo", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True)
@click.option("--alt", default="", help="What the photo shows, for those who cannot see it.")
@click.option("--warranty-days", type=click.IntRange(min=0), default=0, help="Length of the warranty offered.")
@click.option("--publish/--draft", default=False, help="Publish at once.")
@click.pass_obj
def product_add(home: Path | None, /, photo: tuple[Path, ...], alt: str, publish: bool, **fields: Any) -> None:
    """Add a product."""
    with node_session(home) as node:
        handle = node.post("/products", fields)["handle"]
        out.print(f"[green]✓[/] {handle}")
        for path in photo:
            mime = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            node.upload(f"/products/{handle}/photos", path.read_bytes(), mime, filename=path.name, alt=alt)
        if publish:
            _print_published(node.post("/publish"))


@product.command("stock")
@click.argument("handle")
@click.argument("on_hand", type=click.IntRange(min=0))
@click.option("--sku", default="", help="Which variant (default: the only one).")
@click.pass_obj
def product_stock(home: Path | None, /, handle: str, on_hand: int, sku: str) -> None:
    """Set how many pieces are on the shelf."""
    with node_session(home) as node:
        node.post(f"/products/{handle}/stock", {"sku": sku, "on_hand": on_hand})
    out.print(f"[green]✓[/] {handle}: {on_hand}")


@product.command("remove")
@click.argument("handle")
@click.pass_obj
def product_remove(home: Path | None, /, handle: str) -> None:
    """Take a product out of the store (undo: halle product restore)."""
    with node_session(home) as node:
        node.delete(f"/products/{handle}")
    out.print(f"[green]✓[/] {handle} is removed. Undo: halle product restore {handle}. Publish to tell the hall.")


@product.command("restore")
@click.argument("handle")
@click.pass_obj
def product_restore(home: Path | None, /, handle: str) -> None:
    """Bring a removed product back."""
    with node_session(home) as node:
        node.post(f"/products/{handle}/restore")
    out.print(f"[green]✓[/] {handle} is back.")


@product.command("publish")
@click.option("--replace", is_flag=True, help="Put this catalog in the place of one that another machine published.")
@JSON
@click.pass_obj
def product_publish(home: Path | None, /, replace: bool, as_json: bool) -> None:
    """Sign what changed and tell the hall."""
    with node_session(home) as node:
        published = node.post("/publish", {"replace": replace})
    print_json(published) if as_json else _print_published(published)


def _print_published(published: dict[str, Any]) -> None:
    if not published["is_new"]:
        out.print("Nothing has changed since the last publish.")
        return
    out.print(f"[green]✓[/] {len(published['changed'])} changed, {len(published['removed'])} removed")
    out.print(f"  head {published['head']['seq']}  catalog {published['catalog_root']}")


@click.command("import")
@click.argument("csv_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", "apply_it", is_flag=True, help="Do it; without this nothing is changed.")
@click.option("--undo", "undo_id", type=int, help="Take import number N back instead.")
@JSON
@click.pass_obj
def import_csv(home: Path | None, /, csv_file: Path, apply_it: bool, undo_id: int | None, as_json: bool) -> int:
    """Import products from a Shopify CSV: first a dry run with a verdict per row, then --apply.

    Picture paths in the file are relative to its folder.
    """
    with node_session(home) as node:
        if undo_id is not None:
            node.post(f"/imports/{undo_id}/undo")
            out.print(f"[green]✓[/] import {undo_id} is taken back.")
            return 0
        try:
            data = csv_file.read_bytes()
        except OSError as error:
            raise ConfigError(f"{csv_file} cannot be read: {error.strerror}.", code="file-unreadable") from error
        with err.status("Importing …" if apply_it else "Checking …"):
            report = node.upload(
                "/imports", data, "text/csv", dry_run=not apply_it, base_dir=str(csv_file.resolve().parent)
            )
    print_json(report) if as_json else print_import(report)
    return 1 if report["totals"].get("error") else 0


VERDICTS = {
    "created": "[green]new[/]",
    "updated": "[cyan]changed[/]",
    "skipped": "[dim]same[/]",
    "warning": "[yellow]note[/]",
    "error": "[red]left out[/]",
}


def print_import(report: dict[str, Any], *, most: int = 40) -> None:
    """Print a verdict per row (the first `most`) and the totals."""
    for row in report["rows"][:most]:
        told = f"  {escape(row['message'])} [dim]({row['code']})[/]" if row["code"] else ""
        out.print(
            f"  line {row['line']:>5}  {VERDICTS.get(row['verdict'], row['verdict'])}  {escape(row['handle'])}{told}"
        )
    if len(report["rows"]) > most:
        out.print(f"  … and {len(report['rows']) - most} more (--json shows all)")
    out.print("  " + ", ".join(f"{name} {count}" for name, count in report["totals"].items()))
    if report["dry_run"]:
        err.print("→ Nothing is changed yet. Add --apply to do it.")
    elif report["import_id"] is not None:
        err.print(
            f"→ Take it back with: halle import FILE --undo {report['import_id']}. Tell the hall: halle product publish"
        )
