"""`halle order`: what was bought from you and what you bought, and every legal next move."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from halle_cli.console import money, out, print_facts, print_json, print_rows, when
from halle_cli.session import live_session, node_session
from halle_protocol.errors import ConfigError

JSON = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")


@click.group()
def order() -> None:
    """List and follow orders, and make the next move."""


@order.command("list")
@click.option("--role", type=click.Choice(("merchant", "buyer")), help="Only what you sold, or only what you bought.")
@click.option("--view", default="all", show_default=True, help="to-pack, to-answer, unpaid, returns, disputes or all.")
@JSON
@click.pass_obj
def order_list(home: Path | None, /, role: str | None, view: str, as_json: bool) -> None:
    """List orders, newest first."""
    with node_session(home) as node:
        orders = node.get("/orders", role=role, view=view)["orders"]
    if as_json:
        print_json(orders)
        return
    print_rows(
        ("order", "what", "with", "total", "payment", "fulfilment", "next"),
        (
            (
                o["order_key"][:12],
                o["title"],
                o["customer"] if o["role"] == "merchant" else o["store_name"],
                money(o["total"]),
                o["payment"],
                o["fulfilment"],
                ", ".join(o["next_actions"]) or "—",
            )
            for o in orders
        ),
        empty="No orders here yet.",
    )


@order.command("show")
@click.argument("key")
@JSON
@click.pass_obj
def order_show(home: Path | None, /, key: str, as_json: bool) -> None:
    """Show one order: lines, money, timeline and what can be done next. KEY may be its first letters."""
    with node_session(home) as node:
        detail = node.get(f"/orders/{key}")
    print_json(detail) if as_json else print_order(detail)


def print_order(detail: dict[str, Any]) -> None:
    """Show an order as its page does: what, money, what happened, what can be done."""
    from halle_storefront.words import sentence

    summary = detail["summary"]
    out.print(f"[bold]{escape(summary['title'])}[/]  {money(detail['total'])}")
    print_facts(
        {
            "order": summary["order_key"],
            "on chain": summary["order_id"] or "—",
            "with": summary["customer"] if summary["role"] == "merchant" else summary["store_name"],
            "payment": summary["payment"],
            "fulfilment": summary["fulfilment"],
        }
    )
    for line in detail["lines"]:
        out.print(f"  {line['quantity']} × {escape(line['title'])}  {money(line['total'])}")
    for words in detail["terms_words"]:
        out.print(f"  · {escape(words)}")
    if detail["delivery_code"]:
        out.print(f"  delivery code: [bold]{escape(detail['delivery_code'])}[/] (for the hand-over only)")
    for entry in detail["timeline"]:
        words = sentence(entry["key"], entry["params"], str)
        out.print(f"  [dim]{when(entry['at'])}[/]  {escape(words)}  {entry['finality']} [dim]{entry['tx_hash']}[/]")
    moves = [move["name"] for move in detail["next_actions"]]
    out.print(f"→ halle order do {summary['order_key'][:12]} {' | '.join(moves)}" if moves else "→ nothing to do")


@order.command("do")
@click.argument("key")
@click.argument("action")
@click.argument("fields", nargs=-1)
@JSON
@click.pass_obj
def order_do(home: Path | None, /, key: str, action: str, fields: tuple[str, ...], as_json: bool) -> None:
    """Make a move on an order. FIELDS are name=value, e.g.: ship carrier=Colissimo tracking=8R123.

    A value that begins with @ is a file: dispute text="It is torn" photos=@torn.jpg photos=@label.jpg
    """
    form = read_fields(fields)
    with live_session(home) as node:
        detail = node.post(f"/orders/{key}/{action}", form)
    print_json(detail) if as_json else print_order(detail)


@order.command("save")
@click.argument("key")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.pass_obj
def order_save(home: Path | None, /, key: str, folder: Path) -> None:
    """Save the files of an order (digital goods, photos of a return, evidence) into FOLDER."""
    with live_session(home) as node:
        detail = node.get(f"/orders/{key}")
        files = [good["file"] for good in detail["deliverables"] if good["file"]]
        files += [photo for bundle in detail["bundles"] for photo in bundle["photos"]]
        files += detail["returning"]["photos"] if detail["returning"] else []
        files += [photo for line in detail["chat"] for photo in line["photos"]]
        folder.mkdir(parents=True, exist_ok=True)
        for place, file in enumerate(files, start=1):
            found = node.get(f"/orders/{key}/files/{file['file_id']}")
            path = folder / f"{place:02d}-{safe_name(found['name'])}"
            path.write_bytes(base64.b64decode(found["content"]))
            out.print(str(path))
    if not files:
        out.print("This order has no files.")


def safe_name(name: str) -> str:
    """Return a file name that stays in its folder, whatever somebody else called the file."""
    return (
        "".join(letter if letter.isalnum() or letter in "._- " else "_" for letter in name).lstrip(".")[:80] or "file"
    )


def read_fields(fields: tuple[str, ...]) -> dict[str, object]:
    """Return name=value words as a form; @FILE becomes the file's bytes, a repeated name a list.

    Raises: ConfigError field-malformed.
    """
    form: dict[str, list[str]] = {}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals:
            raise ConfigError(f"“{field}” is not name=value.", code="field-malformed", hint="e.g. carrier=Colissimo")
        if value.startswith("@"):
            value = base64.b64encode(Path(value[1:]).read_bytes()).decode()
        form.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in form.items()}
