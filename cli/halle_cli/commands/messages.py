"""`halle messages`: conversations with customers and shops, before an order and in it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from halle_cli.commands.orders import safe_name
from halle_cli.console import err, money, out, print_facts, print_json, print_rows, when
from halle_cli.session import live_session, node_session
from halle_protocol.errors import ConfigError

JSON = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
PHOTO = click.option(
    "--photo", "photos", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A picture to send along (repeatable); place and camera data are removed.",
)  # fmt: skip


@click.group()
def messages() -> None:
    """Read and answer messages, and ask shops. CONVERSATION may be the first letters of its key."""


@messages.command("list")
@click.option("--role", type=click.Choice(("merchant", "buyer")), help="Only with customers, or only with shops.")
@click.option("--unread", is_flag=True, help="Only those with something new.")
@JSON
@click.pass_obj
def listing(home: Path | None, /, role: str | None, unread: bool, as_json: bool) -> None:
    """List conversations, the newest line first. Works offline."""
    with node_session(home) as node:
        found = node.get("/conversations", role=role)["conversations"]
    found = [talk for talk in found if talk["unread"] or not unread]
    if as_json:
        print_json(found)
        return
    print_rows(
        ("conversation", "with", "as", "new", "when", "last line"),
        (
            (
                talk["talk_key"][:12],
                talk["name"] or talk["other"],
                "shop" if talk["role"] == "merchant" else "buyer",
                talk["unread"] or "",
                when(talk["last_at"]),
                talk["last_text"][:60],
            )
            for talk in found
        ),
        empty="No messages. → halle messages ask halle://0x…/… TEXT",
    )


@messages.command()
@click.argument("conversation")
@click.option("--keep-unread", is_flag=True, help="Leave it marked as new.")
@JSON
@click.pass_obj
def read(home: Path | None, /, conversation: str, keep_unread: bool, as_json: bool) -> None:
    """Show a conversation, who the other side is, and your note. Works offline."""
    with node_session(home) as node:
        talk = node.get(f"/conversations/{conversation}")
        if not keep_unread:
            node.post(f"/conversations/{conversation}/read")
    print_json(talk) if as_json else _print_talk(talk)


def _print_talk(talk: dict[str, Any]) -> None:
    summary, other = talk["summary"], talk["other"]
    out.print(f"[bold]{escape(summary['name'] or summary['other'])}[/]")
    print_facts(
        {
            "conversation": summary["talk_key"],
            "address": summary["other"],
            "orders": f"{other['order_count']} ({other['paid_count']} paid)",
            "for": ", ".join(money(each) for each in other["sums"]) or "—",
            "note": talk["note"] or "—",
        }
    )
    for line in talk["lines"]:
        is_ours = line["by"] == summary["role"]
        state = line["refused"] or ("" if line["delivered"] else "on its way")
        about = f"order {line['order_key'][:8]}" if line["order_key"] else line["handle"]
        marks = "  ".join(filter(None, (when(line["at"]), about, state, "new" if line["unread"] else "")))
        out.print(f"\n[bold]{'you' if is_ours else 'they'}[/]  [dim]{escape(marks)}[/]")
        if line["text"]:
            out.print(escape(line["text"]))
        if line["photos"]:
            out.print(f"[dim]{len(line['photos'])} photos → halle messages save {summary['talk_key'][:12]}[/]")


@messages.command()
@click.argument("conversation")
@click.argument("text", default="")
@click.option("--order", "order_key", default="", help="The order it is about (default: that of the last line).")
@PHOTO
@JSON
@click.pass_obj
def answer(
    home: Path | None, /, conversation: str, text: str, order_key: str, photos: tuple[Path, ...], as_json: bool
) -> None:
    """Write TEXT into a conversation."""
    with live_session(home) as node:
        about = order_key or node.get(f"/conversations/{conversation}")["about_order"]
        body = {"text": text, "photos": _encoded(photos), "order_key": about}
        talk = node.post(f"/conversations/{conversation}", body)
    print_json(talk) if as_json else _print_talk(talk)


@messages.command()
@click.argument("about")
@click.argument("text", default="")
@click.option("--name", default="", help="Your name, which the shop sees (default: that of your last order).")
@PHOTO
@JSON
@click.pass_obj
def ask(home: Path | None, /, about: str, text: str, name: str, photos: tuple[Path, ...], as_json: bool) -> None:
    """Ask a shop TEXT before you order. ABOUT is a product (halle://0x…/handle, as `halle search` shows it) or 0x…."""
    store, _, handle = about.removeprefix("halle://").partition("/")
    if not store.lower().startswith("0x"):
        raise ConfigError(f"“{about}” is no product and no shop.", code="field-malformed", hint="halle://0x…/handle")
    body = {"store": store, "handle": handle, "text": text, "name": name, "photos": _encoded(photos)}
    with live_session(home) as node:
        talk = node.post("/conversations", body)
    print_json(talk) if as_json else _print_talk(talk)


@messages.command()
@click.argument("conversation")
@click.argument("text")
@click.pass_obj
def note(home: Path | None, /, conversation: str, text: str) -> None:
    """Keep TEXT beside a conversation, for yourself. It is never sent; an empty one removes it. Works offline."""
    with node_session(home) as node:
        node.post(f"/conversations/{conversation}/note", {"note": text})
    err.print("Noted; only you see it.")


@messages.command()
@click.argument("conversation")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.pass_obj
def save(home: Path | None, /, conversation: str, folder: Path) -> None:
    """Save the photos of a conversation into FOLDER."""
    with live_session(home) as node:
        lines = node.get(f"/conversations/{conversation}")["lines"]
        photos = [photo for line in lines for photo in line["photos"]]
        folder.mkdir(parents=True, exist_ok=True)
        for place, photo in enumerate(photos, start=1):
            found = node.get(f"/conversations/{conversation}/files/{photo['file_id']}")
            path = folder / f"{place:02d}-{safe_name(found['name'])}.webp"
            path.write_bytes(base64.b64decode(found["content"]))
            out.print(str(path))
    if not photos:
        err.print("This conversation has no photos.")


def _encoded(photos: tuple[Path, ...]) -> list[str]:
    return [base64.b64encode(path.read_bytes()).decode() for path in photos]
